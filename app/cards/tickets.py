"""Makes and claims form tickets, so that a form that is sent twice acts once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from itsdangerous import BadData, BadSignature, Signer, URLSafeSerializer
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.db import forget
from vault.card.token import random_letters
from vault.clock import DAY_SECONDS

from .models import Ticket

KEEP_SECONDS = DAY_SECONDS
SHOWN_SECONDS = 15 * 60


class Tickets:
    """The tickets of the forms shown to one login.

    ``keys`` sign them, the newest last; ``login`` is the login's id.
    """

    def __init__(self, keys: Sequence[str], login: str) -> None:
        self._login = login
        ways: dict[str, Any] = {
            "key_derivation": "hmac",
            "digest_method": hashlib.sha512,
        }
        self._signer = Signer(keys, salt=f"cards.ticket.{login}", **ways)
        self._serializer = URLSafeSerializer(
            keys, salt=f"cards.seen.{login}", signer_kwargs=ways
        )

    def new(self) -> str:
        """A fresh ticket."""
        return self._signer.sign(random_letters()).decode()

    def are_ours(self, ticket: str) -> bool:
        """Say whether ``ticket`` was made for this login."""
        try:
            self._signer.unsign(ticket)
        except BadSignature:
            return False
        return True

    def sign(self, shown: Mapping[str, str]) -> str:
        """What a form shows of a customer, to go along with it."""
        return str(self._serializer.dumps(dict(shown)))

    def signed(self, text: str) -> dict[str, str]:
        """What ``sign`` was given; empty unless it was signed for this login."""
        try:
            shown: dict[str, str] = self._serializer.loads(text)
        except BadData:
            return {}
        return shown

    def answered(self, site: Session, ticket: str) -> str | None:
        """The public id of the customer this form was about, if it was answered."""
        row = site.get(Ticket, _digest(ticket))
        return row.public_id if row and row.login_id == self._login else None

    def claim(
        self, site: Session, ticket: str, public_id: str, now: int
    ) -> Ticket | None:
        """Mark the form as answered, or return None when another request has done so.

        The insert decides: of any number of requests at once only one can insert the
        row, and the others wait for its commit.
        """
        forget(site, Ticket, Ticket.created_at < now - KEEP_SECONDS)
        row = Ticket(
            digest=_digest(ticket),
            login_id=self._login,
            public_id=public_id,
            summary="",
            created_at=now,
        )
        try:
            with site.begin_nested():
                site.add(row)
        except IntegrityError:
            return None
        return row

    def deleted(self, site: Session, now: int) -> dict[str, str] | None:
        """The summary of this login's last deletion, for a quarter of an hour."""
        summary = site.scalar(
            select(Ticket.summary)
            .where(Ticket.login_id == self._login, Ticket.summary != "")
            .where(Ticket.created_at > now - SHOWN_SECONDS)
            .order_by(Ticket.created_at.desc())
            .limit(1)
        )
        shown: dict[str, str] | None = json.loads(summary) if summary else None
        return shown

    @staticmethod
    def deletion_of(site: Session, public_id: str) -> dict[str, str]:
        """The summary of a customer's deletion, whoever's it was, for as long as
        tickets are kept; empty if there is none."""
        asked = select(Ticket.summary).where(
            Ticket.public_id == public_id, Ticket.summary != ""
        )
        summary = site.scalar(asked.limit(1))
        shown: dict[str, str] = json.loads(summary) if summary else {}
        return shown


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()
