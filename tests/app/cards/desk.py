"""An operator at a desk: reads the site's forms and sends them as a browser does."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app.cards.models import Customer
from tests.forms import forms_of
from vault import Vault

A_CARD = {
    "customer_name": "A",
    "phone": "090-0000-0000",
    "card_number_1": "4810",
    "card_number_2": "0000",
    "card_number_3": "0002",
    "card_number_4": "0000",
    "exp_month": "01",
    "exp_year": "2030",
    "confirmed": "y",
}


def boxes(*parts: str) -> dict[str, str]:
    """What the four boxes send."""
    padded = [*parts, "", "", "", ""][:4]
    return {f"card_number_{place}": part for place, part in enumerate(padded, 1)}


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
        self.page = answer.get_data(as_text=True)
        return answer
