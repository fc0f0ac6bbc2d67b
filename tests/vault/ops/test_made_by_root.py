"""What the ops side checks is made by the root, table by table and key by key."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select, update

from tests.places.vault import VaultPlace
from vault import Actor, Token, crypto, errors
from vault.crypto import RootSecret
from vault.ops import OpenVault, root_rotation
from vault.ops.verify import _Verification
from vault.store.row_macs import SIGNED_TABLES
from vault.store.schema import AUDIT_ENTRY, AUDIT_HEAD, DATA_KEY, METADATA
from vault.web.data_keys import wrap_info

Register = Callable[..., Token]
OPS = Actor("ops", "command")


def test_verify_looks_at_every_table_there_is(place: VaultPlace) -> None:
    """A table that is new is signed and checked, or this fails; the trail's two are
    checked by their chain."""
    vault = place.open_vault()
    trail = {AUDIT_ENTRY, AUDIT_HEAD}
    tables = set(METADATA.tables.values())
    assert set(SIGNED_TABLES) | trail == tables
    with vault.engine.connect() as db:
        assert set(_Verification(vault, db)._checks()) | trail == tables


@pytest.mark.parametrize("held", ["another key", "nothing"])
def test_finalize_gives_up_nothing_it_has_not_opened(
    place: VaultPlace, register: Register, held: str
) -> None:
    """A new wrapping that holds another key, or nothing, is named; the old root stays
    the vault's and opens every card."""
    register()
    new, vault = RootSecret(crypto.new_key()), place.open_vault()
    root_rotation.prepare(vault, new, OPS)
    _put_into_new_wrapping(vault, new, held)
    with pytest.raises(errors.IntegrityFault, match="^data key 1: "):
        root_rotation.finalize(vault, new, OPS)
    with place.engine.connect() as db:
        assert place.open_vault().state(db).root_id == vault.root_id
    assert place.findings() == {}


def _put_into_new_wrapping(vault: OpenVault, new: RootSecret, held: str) -> None:
    """As whoever has the web key can."""
    with vault.engine.begin() as db:
        row = db.execute(select(DATA_KEY)).one()
        info = wrap_info(vault.web_key.vault_id, row.id, row.generation)
        wrapped = b"" if held == "nothing" else new.public.wrap(bytes(32), info)
        values = {"next_wrapped": wrapped}
        mac = vault.signer.sign(DATA_KEY, {**row._mapping, **values})
        db.execute(update(DATA_KEY), {**values, "mac": mac})
