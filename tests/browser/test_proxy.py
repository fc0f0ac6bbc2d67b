"""A real nginx in front, set up as the README says, and what its logs keep (WEB-06)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.actors.mail import Mails, receiving
from tests.actors.operator_browser import Desk, Site
from tests.forked import Started
from tests.places.site import ROOT, Place, free_port
from tests.spellings import holders, typed_ways

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
# A published test number that nothing else here uses.
NUMBER = "4012888888881881"

pytestmark = pytest.mark.skipif(
    NGINX is None and "CI" not in os.environ, reason="nginx is not installed"
)


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
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cards.example.jp")])
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


def configured(folder: Path, front: int, behind: int) -> str:
    """The README's block with this test's ports and folder, and beside its log the
    one an nginx keeps when nobody says anything."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme.partition("```nginx\n")[2].partition("```")[0]
    for old, new in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{front} ssl;"),
        ("/etc/ssl/", f"{folder}/"),
        ("127.0.0.1:8000", f"127.0.0.1:{behind}"),
        ("/var/log/nginx/cards.log cards;", f"{folder}/cards.log cards;"),
        (
            "    location / {",
            f"    access_log {folder}/combined.log;\n    location / {{",
        ),
    ):
        assert block.count(old) > 0, old
        block = block.replace(old, new)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    # The error log at its own default level.
    return (
        f"user root;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\n{temporary}{block}}}\n"
    )


@contextmanager
def proxying(folder: Path, front: int, behind: int) -> Iterator[None]:
    """nginx in front of a port."""
    folder.mkdir()
    certificate(folder)
    (folder / "nginx.conf").write_text(configured(folder, front, behind))
    assert NGINX is not None
    words = [NGINX, "-p", str(folder), "-e", f"{folder}/error.log"]
    server = subprocess.Popen([*words, "-c", f"{folder}/nginx.conf"])
    try:
        yield
    finally:
        server.terminate()
        server.wait(120)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The site off loopback's exceptions, its root key away, behind nginx."""
    mails = Mails()
    with receiving(mails) as port:
        more = {
            "ALLOW_INSECURE_LOOPBACK": "0",
            "TRUSTED_HOSTS": "127.0.0.1",
            "PROXY_HOPS": "1",
        }
        (tmp_path / "place").mkdir()
        place = Behind(tmp_path / "place", mail_port=port, more=more)
        place.make()
        (place.folder / "root.key").unlink()
        place.front = free_port()
        with proxying(tmp_path / "nginx", place.front, place.port):
            site = Site(place, mails)
            yield site
            site.end()


def search(desk: Desk, text: str) -> None:
    """Type into the search and send it off."""
    desk.fill(q=text)
    desk.press("検索")


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no-script"])
def test_a_proxys_logs_hold_no_number_that_was_searched_for(
    new_desk: Callable[..., Desk], site: Site, tmp_path: Path, scripts: bool
) -> None:
    """However it was typed, while the site answers and while it doesn't, which is
    when nginx writes whole requests into its error log; on a port of its own."""
    desk = new_desk(scripts=scripts)
    with site.place.serving("--workers", "1"):
        desk.login()
        for text in typed_ways(NUMBER):
            search(desk, text)
            assert re.search(r"/cards\?q=[^&]*1881", desk.page.url)
            assert desk.page.locator("[name=q]").input_value().find("8888") == -1
    desk.fill(q=NUMBER)
    desk.page.get_by_role("button", name="検索", exact=True).click()
    desk.page.wait_for_load_state()
    assert "502 Bad Gateway" in desk.text()
    logs = {path.name: path.read_bytes() for path in (tmp_path / "nginx").glob("*.log")}
    assert b'"POST /cards/search HTTP/1.1" 303' in logs["combined.log"]
    assert b"GET /cards?q=1881" in logs["combined.log"]
    assert b"POST /cards/search 303" in logs["cards.log"]
    assert b"q=" not in logs["cards.log"]
    assert b'request: "POST /cards/search HTTP/1.1"' in logs["error.log"]
    assert holders(logs, NUMBER) == []
