"""An operator without scripts, and the mails he gets."""

from __future__ import annotations

import email
import email.policy
import queue
import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.site import PASSWORD, Place, csrf

CARD = {
    "phone": "090-0000-0000",
    "card_number_1": "4810000000020000",
    "exp_month": "1",
    "exp_year": "2030",
    "confirmed": "y",
}


class Mails:
    """Hands out the codes that were mailed."""

    def __init__(self) -> None:
        self.codes: queue.Queue[str] = queue.Queue()

    async def handle_DATA(
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """aiosmtpd's hook."""
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(
            envelope.content, policy=email.policy.default
        )
        found = re.search(r"^[2-9a-z]{8}$", message.get_content(), re.MULTILINE)
        self.codes.put(found[0] if found else "")
        return "250 OK"


class Desk:
    """An operator without scripts."""

    def __init__(self, place: Place) -> None:
        self.place = place
        cookies = urllib.request.HTTPCookieProcessor(CookieJar())
        self.opener = urllib.request.build_opener(cookies)

    def get(self, path: str) -> str:
        """A page."""
        with self.opener.open(self.place.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def post(self, page: str, path: str, **fields: str) -> str:
        """Send the form of a page; returns the address it led to."""
        html = self.get(page)
        ticket = re.search(r'name="ticket" value="([^"]+)"', html)
        fields |= {"csrf_token": csrf(html)}
        if ticket:
            fields["ticket"] = ticket[1]
        data = urllib.parse.urlencode(fields).encode()
        with self.opener.open(self.place.url + path, data, timeout=10) as answer:
            answer.read()
            return str(answer.url)

    def login(self, login_id: str, mails: Mails) -> None:
        """Go all the steps."""
        self.post("/login", "/login", login_id=login_id, password=PASSWORD)
        self.post("/login/email", "/login/email", email=f"{login_id}@example.co.jp")
        code = mails.codes.get(timeout=15)
        assert self.post("/login/code", "/login/code", code=code).endswith("/cards")
