"""deploy/nginx.conf as it is shipped, in a real nginx with the site behind it."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath

import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails, receiving
from tests.actors.operator_http import Desk
from tests.places.nginx import HOST, NGINX, Behind, placed, proxying, shipped
from tests.places.site import ROOT, free_port
from tests.spellings import holders

# A published test number that nothing else here uses.
NUMBER = "4012888888881881"

pytestmark = pytest.mark.skipif(
    NGINX is None and "CI" not in os.environ, reason="nginx is not installed"
)


@dataclass
class Proxied:
    """A site behind nginx, and the port that nginx takes plain http on."""

    place: Behind
    mails: Mails
    logs: Path
    plain: int


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """The site with an operator, off loopback's exceptions, its root key away."""
    folder, mails = tmp_path_factory.mktemp("behind"), Mails()
    more = {
        "ALLOW_INSECURE_LOOPBACK": "0",
        "TRUSTED_HOSTS": "127.0.0.1",
        "PROXY_HOPS": "1",
    }
    with receiving(mails) as port:
        place = Behind(folder, mail_port=port, more=more)
        place.make()
        place.add_operator("taro")
        (folder / "root.key").unlink()
        logs, plain = folder / "nginx", free_port()
        place.front = free_port()
        logs.mkdir()
        site = placed(shipped(), logs, place.front, place.port, plain)
        with (
            place.serving("--workers", "1"),
            proxying(logs, site, place.front),
        ):
            yield Proxied(place, mails, logs, plain)


def trusting() -> ssl.SSLContext:
    """TLS of any version with whoever answers: the certificate is the test's own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class SecureDesk(Desk):
    """An operator who comes by https."""

    def __init__(self, place: Behind) -> None:
        super().__init__(place)
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trusting()),
            urllib.request.HTTPCookieProcessor(self.jar),
        )
        self.opener.addheaders = [("Referer", f"{place.url}/login")]


def test_every_log_of_the_shipped_file_is_kept_for_a_year() -> None:
    """Each lies where the shipped rule rotates, 52 weeks and more; nginx takes no other."""
    kept = (ROOT / "deploy" / "logrotate.conf").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"^(/\S+) \{$", kept, re.M)
    named = re.findall(r"^\s*(?:access|error)_log (\S+)", shipped(), re.M)
    assert len(named) == 4
    assert all(PurePath(name).match(pattern) for name in named)
    (weeks,) = re.findall(r"^ *weekly\n *rotate (\d+)$", kept, re.M)
    assert int(weeks) > 52


def test_plain_http_is_sent_to_https(proxied: Proxied) -> None:
    """To the site's own name, whatever name was asked for."""
    connection = http.client.HTTPConnection("127.0.0.1", proxied.plain, timeout=120)
    connection.request("GET", "/login?next=1", headers={"Host": "elsewhere.example"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{HOST}/login?next=1"
    assert answer.headers["Server"] == "nginx"


@pytest.mark.parametrize(
    ("version", "taken"),
    [
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
    ids=["1.1", "1.2", "1.3"],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_tls_begins_with_1_2(
    proxied: Proxied, version: ssl.TLSVersion, taken: bool
) -> None:
    """An older one is refused by the server, with a client that would take it."""
    context = trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    connection = http.client.HTTPSConnection(
        "127.0.0.1", proxied.place.front, timeout=120, context=context
    )
    with closing(connection):
        if taken:
            connection.request("GET", "/login")
            assert connection.getresponse().status == 200
        else:
            with pytest.raises(ssl.SSLError, match="ALERT_PROTOCOL_VERSION"):
                connection.request("GET", "/login")


def test_an_operator_works_behind_it_and_its_logs_say_little(proxied: Proxied) -> None:
    """Login, a card, a search by a name: every header once, and in the logs neither the
    search nor the number."""
    desk = SecureDesk(proxied.place)
    desk.login("taro", proxied.mails)
    card = {**CARD, "card_number_1": NUMBER, "customer_name": "鈴木"}
    desk.post("/cards", "/cards", **card)
    found = desk.send("/cards?q=%E9%88%B4%E6%9C%A8")
    assert "鈴木" in found.text
    for header in ("Strict-Transport-Security", "Content-Security-Policy"):
        assert len(found.headers.get_all(header) or []) == 1, header
    refused = desk.ask(f"/cards?q={NUMBER}")
    assert "鈴木" not in refused.text
    logs = {path.name: path.read_bytes() for path in proxied.logs.glob("*.log")}
    assert b" GET /cards 200 " in logs["access.log"]
    assert b" POST /login/code 303 " in logs["access.log"]
    assert not any(b"q=" in text or b"%E9" in text for text in logs.values())
    logs["gunicorn.log"] = (proxied.place.folder / "gunicorn.log").read_bytes()
    assert holders(logs, NUMBER) == []


def test_a_site_that_does_not_answer_leaves_no_address_in_the_logs(
    tmp_path: Path,
) -> None:
    """nginx answers 502 and writes the path and the status, and no error that repeats
    what was searched for."""
    front, nobody = free_port(), free_port()
    site = placed(shipped(), tmp_path, front, nobody, free_port())
    with proxying(tmp_path, site, front):
        connection = http.client.HTTPSConnection(
            "127.0.0.1", front, timeout=120, context=trusting()
        )
        connection.request("GET", "/cards?q=%E9%88%B4%E6%9C%A8")
        assert connection.getresponse().status == 502
        connection.close()
    logs = {path.name: path.read_bytes() for path in tmp_path.glob("*.log")}
    assert b" GET /cards 502 " in logs["access.log"]
    assert not any(b"q=" in text or b"%E9" in text for text in logs.values())
