"""An operator without scripts, and the mails he gets."""

from __future__ import annotations

import email
import email.policy
import queue
import re
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from http.cookiejar import CookieJar
from typing import NamedTuple

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.site import PASSWORD, Place, csrf

CARD = {
    "phone": "090-0000-0000",
    "card_number_1": "4810000000020000",
    "exp_month": "1",
    "exp_year": "2030",
    "confirmed": "y",
}


PATIENCE_SECONDS = 10


class Answer(NamedTuple):
    """How a request ended, and where it led."""

    status: int
    url: str
    text: str


class Mails:
    """Hands out the codes that were mailed, all of them or those to one address."""

    def __init__(self) -> None:
        self.codes: queue.Queue[str] = queue.Queue()
        self.to: defaultdict[str, queue.Queue[str]] = defaultdict(queue.Queue)

    async def handle_DATA(
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """aiosmtpd's hook."""
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(
            envelope.content, policy=email.policy.default
        )
        found = re.search(r"^[2-9a-z]{8}$", message.get_content(), re.MULTILINE)
        code = found[0] if found else ""
        self.codes.put(code)
        for address in envelope.rcpt_tos:
            self.to[address].put(code)
        return "250 OK"


class Desk:
    """An operator without scripts."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.jar = CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self.jar)
        self.opener = urllib.request.build_opener(cookies)

    def get(self, path: str) -> str:
        """A page."""
        return self.send(path).text

    def filled(self, page: str, **fields: str) -> dict[str, str]:
        """What the form of a page sends with ``fields`` filled in."""
        html = self.get(page)
        fields |= {"csrf_token": csrf(html)}
        for name in ("ticket", "rev"):
            hidden = re.search(rf'name="{name}"[^>]*value="([^"]+)"', html)
            if hidden:
                fields[name] = hidden[1]
        return fields

    def post(self, page: str, path: str, **fields: str) -> str:
        """Send the form of a page; returns the address it led to."""
        return self.send(path, self.filled(page, **fields)).url

    def send(self, path: str, fields: dict[str, str] | None = None) -> Answer:
        """Ask for a page, or send ``fields``; raises HTTPError when refused."""
        data = urllib.parse.urlencode(fields).encode() if fields else None
        url = self.place.url + path
        with self.opener.open(url, data, timeout=PATIENCE_SECONDS) as answer:
            return Answer(answer.status, answer.url, answer.read().decode())

    def ask(self, path: str, fields: dict[str, str] | None = None) -> Answer:
        """The same, whatever the answer is."""
        try:
            return self.send(path, fields)
        except urllib.error.HTTPError as refused:
            with refused:
                return Answer(refused.code, refused.url, refused.read().decode())

    def login(self, login_id: str, mails: Mails) -> None:
        """Go all the steps."""
        self.post("/login", "/login", login_id=login_id, password=PASSWORD)
        self.post("/login/email", "/login/email", email=f"{login_id}@example.co.jp")
        code = mails.codes.get(timeout=15)
        assert self.post("/login/code", "/login/code", code=code).endswith("/cards")
