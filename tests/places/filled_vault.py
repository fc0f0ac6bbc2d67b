"""A place whose vault holds many cards, and copies of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from sqlalchemy import insert, select

from vault import Actor, Expiry, Pan, Token, Vault, WebKey
from vault.card.envelope import envelope_aad, pad
from vault.clock import system_clock
from vault.store.database import connect
from vault.store.schema import CARD

from .site import Place

GOOD_FOR_YEARS = Expiry(2030, 1)


def fill(place: Place, count: int, expiry: Expiry = GOOD_FOR_YEARS) -> None:
    """Seal one card as the site does, and ``count`` alike in bulk."""
    web_key = WebKey.read(place.folder / "web.key")
    url = place.environ()["VAULT_DATABASE_URL"]
    vault = Vault(web_key, connect(url), system_clock)
    pan, by = Pan.parse("4810000000020000"), Actor("taro", "192.0.2.1")
    with vault.engine.begin() as db:
        vault.tokenize(db, pan, expiry, by)
        one = db.execute(select(CARD)).one()
        live = vault._live
        assert live is not None
        rows = []
        for number in range(2, count + 1):
            token = Token.new()
            aad = envelope_aad(web_key.vault_id, token, live.id)
            row = {**one._mapping, "id": number, "token": str(token)}
            row["envelope"] = live.cipher.seal(pad(pan), aad)
            rows.append(vault.signer.signed(CARD, row))
        db.execute(insert(CARD), rows)
        born = {row["token"]: 1 for row in rows}
        vault.record(db, "card.imported", by, detail={"cards": born})
    vault.engine.dispose()


def copy(place: Place, folder: Path) -> Place:
    """A place of its own with the same keys and databases."""
    shutil.copytree(place.folder, folder, dirs_exist_ok=True)
    return Place(folder)


def elsewhere(place: Place, folder: Path) -> Place:
    """An empty place with the same keys."""
    folder.mkdir()
    for name in ("web.key", "root.key"):
        shutil.copy(place.folder / name, folder / name)
    return Place(folder)
