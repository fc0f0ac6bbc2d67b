"""A real nginx in front of a site, set up by deploy/nginx.conf."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.forked import Started
from tests.places.site import ROOT, START_SECONDS, Place

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
HOST = "cards.example.jp"


class Behind(Place):
    """A place with nginx in front: its address is nginx's."""

    front: int = 0

    @property
    def url(self) -> str:
        """Where nginx answers."""
        return f"https://127.0.0.1:{self.front}"

    def wait(self, site: Started) -> None:
        """Wait for gunicorn itself."""
        Place(self.folder, port=self.port).wait(site)


def certificate(folder: Path) -> None:
    """cards.crt and cards.key, made for this test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "cards.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "cards.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def shipped() -> str:
    """deploy/nginx.conf as it is."""
    return (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """The text with each of the first words, which has to be there, given up for the
    second."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def placed(text: str, folder: Path, front: int, behind: int, plain: int) -> str:
    """A site's file with a test's ports and folder for those of a host."""
    return replaced(
        text,
        ("listen 443 ", f"listen 127.0.0.1:{front} "),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("/etc/ssl/", f"{folder}/"),
        ("/var/log/cardsite/", f"{folder}/"),
        ("127.0.0.1:8000", f"127.0.0.1:{behind}"),
    )


@contextmanager
def proxying(folder: Path, site: str, port: int) -> Iterator[None]:
    """nginx with the file ``site`` inside its ``http``, once it listens on ``port``;
    its own logs are at its own defaults."""
    folder.mkdir(exist_ok=True)
    certificate(folder)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"user root;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/main.log;\n"
        f"events {{}}\nhttp {{\n{temporary}{site}}}\n"
    )
    assert NGINX is not None
    words = [NGINX, "-p", str(folder), "-e", f"{folder}/main.log"]
    server = subprocess.Popen([*words, "-c", f"{folder}/nginx.conf"])
    try:
        _wait(server, port, folder)
        yield
    finally:
        server.terminate()
        server.wait(120)


def _wait(server: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, (folder / "main.log").read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("nginx did not come up")
