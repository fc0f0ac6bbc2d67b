"""An operator at Flask's test client: goes through the login, and then reads the
site's forms and sends them as a browser does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.cards.models import Customer
from tests.places.site import PASSWORD
from vault import Vault

from .forms import CARD, forms_of, hidden
from .mail import PATIENCE_SECONDS, Mails

LOGIN_ID = "taro"
ADDRESS = "taro@example.co.jp"


def boxes(*parts: str) -> dict[str, str]:
    """What the four boxes send."""
    padded = [*parts, "", "", "", ""][:4]
    return {f"card_number_{place}": part for place, part in enumerate(padded, 1)}


A_CARD = {
    "customer_name": "A",
    **CARD,
    **boxes("4810", "0000", "0002", "0000"),
    "exp_month": "01",
}


@dataclass
class Auth:
    """Somebody who goes through the login."""

    app: Flask
    client: FlaskClient
    mailbox: Mails

    def get(self, path: str) -> TestResponse:
        """Open a page."""
        return self.client.get(path)

    def post(self, path: str, page: str | None = None, **fields: str) -> TestResponse:
        """Send a form of ``page`` (the same path when not said)."""
        fields.setdefault("csrf_token", self.csrf(page or path))
        return self.client.post(path, data=fields)

    def csrf(self, page: str) -> str:
        """The CSRF token a page was shown with."""
        html = self.get(page).get_data(as_text=True)
        return hidden(html, "csrf_token").get("csrf_token", "none on this page")

    def password(
        self, login_id: str = LOGIN_ID, password: str = PASSWORD
    ) -> TestResponse:
        """Give login ID and password."""
        return self.post("/login", login_id=login_id, password=password)

    def address(self, address: str = ADDRESS) -> TestResponse:
        """Give the address."""
        return self.post("/login/email", email=address)

    def code(self, code: str) -> TestResponse:
        """Give the code."""
        return self.post("/login/code", code=code)

    def to_code(self) -> str:
        """Go as far as the code page and return the code that was mailed, when the
        trail says that it was."""
        self.password()
        self.address()
        code = self.mailbox.code()
        assert self.app.extensions["outbox"].settle(PATIENCE_SECONDS)
        return code

    def login(self) -> TestResponse:
        """Go all the steps."""
        return self.code(self.to_code())

    def logout(self) -> TestResponse:
        """Press ログアウト."""
        return self.post("/logout", page="/cards")


class Desk:
    """A logged-in operator; ``page`` is the last page's text."""

    def __init__(self, app: Flask, client: FlaskClient) -> None:
        self.app = app
        self.client = client
        self.page = ""

    def open(self, path: str) -> TestResponse:
        """Ask for a page."""
        return self._seen(self.client.get(path))

    def press(self, path: str, button: str, **changes: str) -> TestResponse:
        """Open ``path``, fill in ``changes``, press ``button``."""
        self.open(path)
        return self.send(path, self.filled(button, **changes))

    def filled(self, button: str, **changes: str) -> dict[str, str]:
        """What the open page's form with ``button`` would send."""
        form = next(f for f in forms_of(self.page) if button in f.buttons)
        return form.fields | form.buttons[button] | changes

    def send(self, path: str, fields: dict[str, str]) -> TestResponse:
        """Post ``fields``; errors come back as the page, answers as a redirect."""
        return self._seen(self.client.post(path, data=fields))

    def register(self, **changes: str) -> str:
        """Register a card and return its public id."""
        answer = self.press("/cards", "登録", **(A_CARD | changes))
        assert answer.status_code == 303, self.errors
        return str(answer.location).split("/")[2]

    def change(self, public_id: str, **changes: str) -> TestResponse:
        """Press 更新 on the edit page, confirmed."""
        return self.press(
            f"/cards/{public_id}/edit", "更新", **({"confirmed": "y"} | changes)
        )

    def delete(self, public_id: str, **changes: str) -> TestResponse:
        """Press 削除 on the edit page, confirmed."""
        return self.press(
            f"/cards/{public_id}/edit", "削除", **({"confirmed": "y"} | changes)
        )

    @property
    def errors(self) -> str:
        """The error summary of the last page, as HTML."""
        _, found, rest = self.page.partition('id="summary"')
        return rest.partition("</div>")[0] if found else ""

    @property
    def vault(self) -> Vault:
        """The site's vault."""
        opened: Vault = self.app.extensions["vault"]
        return opened

    def customers(self) -> list[Customer]:
        """Every customer, oldest first."""
        with Session(self.app.extensions["site_engine"]) as site:
            return list(site.scalars(select(Customer).order_by(Customer.id)))

    def cards(self) -> int:
        """How many cards the vault holds."""
        with self.vault.engine.connect() as db:
            return int(db.execute(text("SELECT count(*) FROM card")).scalar_one())

    def trail(self) -> list[tuple[Any, ...]]:
        """(event, subject, detail) of the whole trail."""
        query = text("SELECT event, subject, detail FROM audit_entry ORDER BY seq")
        with self.vault.engine.connect() as db:
            return [tuple(row) for row in db.execute(query)]

    def _seen(self, answer: TestResponse) -> TestResponse:
        # A workbook is no text.
        self.page = answer.get_data().decode(errors="replace")
        return answer
