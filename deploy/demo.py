"""``make serve``: a demo place and the whole site on loopback, ended by Ctrl-C.

The first time it makes instance/ with the real commands; each code mail appears
in this terminal.  Demo-grade: both keys lie on one disk, without a passphrase.
"""

from __future__ import annotations

import email
import email.policy
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

PLACE = Path("instance")
BIN = Path(sys.executable).parent
HOST = "127.0.0.1"
LOGIN_ID, ADDRESS = "demo", "demo@example.jp"
START_SECONDS = 30


class Catcher:
    """Prints each mail instead of delivering it."""

    async def handle_DATA(
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """aiosmtpd's hook for a whole message."""
        content = envelope.content or b""
        raw = content if isinstance(content, bytes) else content.encode()
        message = email.message_from_bytes(raw, policy=email.policy.default)
        body = message.get_content()
        rule = "─" * 60
        print(f"\n{rule}\n宛先: {message['To']}\n件名: {message['Subject']}\n")
        print(f"{body.rstrip()}\n{rule}", flush=True)
        return "250 OK"


def main() -> int:
    """Run the demo; returns the process's exit code."""
    os.umask(0o077)
    wanted = os.environ.get("PORT") or "5000"
    if not (wanted.isdigit() and 0 < int(wanted) < 65536):
        complain(f"PORT is {wanted!r}; give a number from 1 to 65535")
        return 2
    port = int(wanted)
    if not is_free(port):
        complain(f"port {port} is in use; try: make serve PORT={port + 1}")
        return 2
    # Told to end, it ends as with Ctrl-C, and cleans up what it was making.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    mail = Controller(Catcher(), hostname=HOST, port=free_port())
    mail.start()
    try:
        environ = settings(mail.port)
        password = None if PLACE.exists() else make_place(environ)
        return serve(environ, port, password)
    except subprocess.CalledProcessError as failed:
        complain(f"{' '.join(map(str, failed.cmd))} failed:\n{failed.stderr}")
        return failed.returncode
    except KeyboardInterrupt:
        return 0
    finally:
        mail.stop()


def settings(mail_port: int) -> dict[str, str]:
    """The web process's environment: no root key in it."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VAULT_", "MAIL_", "FLASK_", "GUNICORN_"))
    }
    return {
        **mine,
        "SECRET_KEY_FILE": str(PLACE / "secret.key"),
        "ALLOW_INSECURE_LOOPBACK": "1",
        "TRUSTED_HOSTS": "127.0.0.1,localhost",
        "MAIL_PORT": str(mail_port),
    }


def make_place(environ: dict[str, str]) -> str:
    """Make instance/ with the real commands; returns the demo password."""
    password = secrets.token_urlsafe(12) + "a7"
    PLACE.mkdir()
    try:
        (PLACE / "secret.key").write_text(secrets.token_hex(32))
        run(environ, "cardvault", "init", "--no-passphrase")
        run(environ, "flask", "--app", "wsgi", "migrate")
        add = ("operators", "add", LOGIN_ID, "--name", "デモ", "--email", ADDRESS)
        flags = ("--password-stdin", "--no-change")
        run(environ, "flask", "--app", "wsgi", *add, *flags, given=password + "\n")
    except BaseException:
        # A place half made could be neither used nor made again.
        shutil.rmtree(PLACE)
        raise
    return password


def run(environ: dict[str, str], command: str, *words: str, given: str = "") -> None:
    """Run one of the project's commands; raises CalledProcessError."""
    subprocess.run(
        [str(BIN / command), *words],
        env=environ,
        input=given,
        capture_output=True,
        text=True,
        check=True,
    )


def serve(environ: dict[str, str], port: int, password: str | None) -> int:
    """Run gunicorn until it or this process is told to end."""
    bind = f"{HOST}:{port}"
    site = subprocess.Popen(
        [BIN / "gunicorn", "--log-level", "warning", "--bind", bind, "wsgi:app"],
        env=environ,
        # Ctrl-C reaches this process alone, which ends the other in order.
        start_new_session=True,
    )
    try:
        if wait_until_well(site, port):
            say(port, password)
        elif site.poll() is None:
            complain(f"the site did not answer within {START_SECONDS} seconds")
            return 1
        return site.wait()
    finally:
        site.terminate()
        site.wait()


def wait_until_well(site: subprocess.Popen[bytes], port: int) -> bool:
    """Wait for /healthz; False when the site ended instead."""
    until = time.monotonic() + START_SECONDS
    while site.poll() is None and time.monotonic() < until:
        try:
            # The address is ours.
            with urllib.request.urlopen(  # nosec B310
                f"http://{HOST}:{port}/healthz", timeout=2
            ):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False


def say(port: int, password: str | None) -> None:
    """Tell where the site is and how to log in."""
    rule = "═" * 60
    print(f"\n{rule}")
    print("デモサイトが起動しました。本物のカードは登録しないでください。")
    print("This is a demo: don't register real cards.\n")
    print(f"  アドレス / address     http://{HOST}:{port}/")
    print(f"  ログインID / login ID  {LOGIN_ID}")
    if password:
        print(f"  パスワード / password  {password}   (表示は一度だけ / shown once)")
    else:
        print("  パスワード / password  前回表示したもの / as shown the first time")
        print("    忘れたとき / forgotten?  instance/ を消してやり直すか:")
        print(
            f"    SECRET_KEY_FILE={PLACE}/secret.key ALLOW_INSECURE_LOOPBACK=1 "
            f".venv/bin/flask --app wsgi operators reset-password {LOGIN_ID}"
        )
    print(f"  メール / mail          {ADDRESS}")
    print("\n認証コードのメールはこの画面に表示されます。終了は Ctrl-C。")
    print(f"Code mails appear here. Ctrl-C ends everything.\n{rule}", flush=True)


def complain(what: str) -> None:
    """Say what went wrong, where errors belong."""
    print(f"make serve: {what}", file=sys.stderr)


def is_free(port: int) -> bool:
    """Say whether nothing listens on a port of loopback."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
