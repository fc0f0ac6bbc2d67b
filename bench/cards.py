"""Generated cards: in a vault of ours, and the bare rows others start from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import insert, select

from vault import Actor, Expiry, Pan, Token, Vault
from vault.card.envelope import envelope_aad, pad
from vault.card.pan import luhn_ok
from vault.clock import system_clock
from vault.ops import OpenVault
from vault.ops.create import create_vault, new_keys
from vault.store.database import connect
from vault.store.schema import CARD

CHUNK = 10_000
BY = Actor("bench", "command")


def numbers(count: int) -> Iterator[str]:
    """``count`` Visa numbers, the same every time."""
    # Nothing secret: the same every time is the point.
    draw = random.Random(count)  # nosec B311
    for _ in range(count):
        start = f"4{draw.randrange(10**14):014}"
        yield next(f"{start}{end}" for end in "0123456789" if luhn_ok(f"{start}{end}"))


def filled(folder: Path, count: int, url: str | None = None) -> OpenVault:
    """The ops role on a new vault of ``count`` cards, at ``url`` or on SQLite beside
    its key files."""
    folder.mkdir(parents=True)
    web_key, root_key = new_keys()
    web_key.write(folder / "web.key")
    root_key.write(folder / "root.key", None)
    engine = connect(url or f"sqlite:///{folder}/vault.db")
    create_vault(web_key, root_key, engine, system_clock, BY)
    vault = Vault(web_key, engine, system_clock)
    drawn = numbers(count)
    with engine.begin() as db:
        vault.tokenize(db, Pan.parse(next(drawn)), Expiry(2030, 1), BY)
        one = dict(db.execute(select(CARD)).one()._mapping)
    number = 1
    while chunk := list(islice(drawn, CHUNK)):
        _add(vault, one, number + 1, [Pan.parse(digits) for digits in chunk])
        number += len(chunk)
    return OpenVault(web_key, root_key, engine, system_clock)


def _add(vault: Vault, like: dict[str, object], first: int, pans: list[Pan]) -> None:
    """Seal ``pans`` under the key of the card ``like``, one entry for them all."""
    live = vault._live
    assert live is not None
    vault_id, rows = vault.web_key.vault_id, []
    for number, pan in enumerate(pans, first):
        token = Token.new()
        aad = envelope_aad(vault_id, token, live.id)
        sealed = {
            **like,
            "id": number,
            "token": str(token),
            "envelope": live.cipher.seal(pad(pan), aad),
            "prefix": pan.prefix,
            "last4": pan.last4,
        }
        rows.append(vault.signer.signed(CARD, sealed))
    with vault.engine.begin() as db:
        db.execute(insert(CARD), rows)
        revs = {str(row["token"]): 1 for row in rows}
        vault.record(db, "card.imported", BY, detail={"cards": revs})
