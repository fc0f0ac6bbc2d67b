"""Key files laid ready beside the genuine ones, and rows of a root to come."""

from __future__ import annotations

import shutil
from typing import Any

from sqlalchemy import Connection, Table, select, text, update

from tests.vault.commands.runbook import statements
from tests.web_keys import changed
from vault import crypto
from vault.crypto import OPS_SUITE, SUITE, OpsKeys
from vault.ops.open_vault import genesis_info
from vault.ops.root_key import RootKey
from vault.store.row_macs import SIGNED_TABLES, OpsSigner, RowSigner
from vault.store.schema import DATA_KEY, VAULT
from vault.web.data_keys import wrap_info
from vault.web.web_key import WebKey

from .case import PREPARED, Case, all_of, refused, robbed
from .day import NOT_MADE
from .house import House
from .moves import (
    WEB_NEW,
    coming,
    overwrite_a_next_wrapping,
    plant_a_rotation_row_alone,
)
from .thief import Thief

WEB, ROOT_NEW = "instance/web.key", "safe/root.key.new"
OTHER = "is not the root of this vault"
PREPARE, FINALIZE = "root rotate", "root rotate --finalize"
ABANDON, WEB_ROTATE = "root rotate --abandon", "web-key rotate"


def lay(thief: Thief, key: WebKey | RootKey, name: str) -> None:
    """Put a key file of theirs where ops will look."""
    path = thief.house.folder / name
    path.unlink(missing_ok=True)
    if isinstance(key, WebKey):
        key.write(path)
    else:
        key.write(path, None, OpsKeys(thief.seed, thief.web.root.id))


def root_of_theirs(thief: Thief) -> RootKey:
    """Their own root, as a root key of this vault."""
    return RootKey(thief.web.vault_id, thief.seed)


def name_their_root(thief: Thief) -> None:
    """A new web key file that names their root."""
    lay(thief, thief.own_web_key(root=thief.root.public), WEB_NEW)


def name_their_root_with_its_file(thief: Thief) -> None:
    """The same, with the root's own file beside the root key."""
    name_their_root(thief)
    lay(thief, root_of_theirs(thief), ROOT_NEW)


def lay_their_root_ready(thief: Thief) -> None:
    """Their root's file alone, as a killed run would have left one."""
    lay(thief, root_of_theirs(thief), ROOT_NEW)


def lay_their_sealing_key_ready(thief: Thief) -> None:
    """A new web key file with a sealing key of theirs."""
    lay(thief, thief.own_web_key(sealing_key=thief.new_secret()), WEB_NEW)


def sign_everything_under_it(thief: Thief, web_key: WebKey) -> None:
    """Make every row's first MAC anew under another sealing key, and the head."""
    signer = RowSigner(web_key.vault_id, web_key.sealing_key)
    with thief.at_work() as db:
        head = thief.chain_key(db)
        for table in SIGNED_TABLES:
            _sign_table(db, table, signer)
        thief.web = web_key
        thief.vault(db.engine).trail.write_head(db, *head)


def _sign_table(db: Connection, table: Table, signer: RowSigner) -> None:
    key = next(iter(table.primary_key.columns))
    for row in db.execute(select(table)).all():
        mac = signer.sign(table, row._mapping)
        db.execute(update(table).where(key == row[0]).values(mac=mac))


def finish_their_sealing_key(thief: Thief) -> None:
    """The same, every row signed under it, as a run that was killed at its end."""
    mine = thief.own_web_key(sealing_key=thief.new_secret())
    lay(thief, mine, WEB_NEW)
    sign_everything_under_it(thief, mine)


def lay_an_old_web_key_ready(thief: Thief) -> None:
    """The genuine web key that the present one replaced."""
    shutil.copy(thief.house.folder / "loot/first.key", thief.house.folder / WEB_NEW)


def lay_a_copy_ready(thief: Thief) -> None:
    """The present web key."""
    shutil.copy(thief.house.web_path, thief.house.folder / WEB_NEW)


def lay_an_abandoned_roots_web_key_ready(thief: Thief) -> None:
    """The genuine web key file of a root that was given up."""
    loot = thief.house.folder / "loot/abandoned.web.key"
    shutil.copy(loot, thief.house.folder / WEB_NEW)


def prepare_the_abandoned_root_again(thief: Thief) -> None:
    """They have that root: it was given up because it was stolen, and every card was
    re-encrypted since.  Its files and its row of the vault are genuine."""
    text = (thief.house.folder / "loot/abandoned.root.key").read_text()
    thief.house.must("rotate", "--reason", "breach")
    thief.roots.append(RootKey.parse(text, "abandoned", None).secret())
    lay_an_abandoned_roots_web_key_ready(thief)
    loot = thief.house.folder / "loot/abandoned.root.key"
    shutil.copy(loot, thief.house.folder / ROOT_NEW)
    with thief.at_work() as db:
        thief.write(db, VAULT, *thief.earlier("prepared.db", VAULT))


def replace_the_web_key_with_one_of_their_root(thief: Thief) -> None:
    """The web key file itself names their root."""
    lay(thief, thief.own_web_key(root=thief.root.public), WEB)


def replace_web_key_and_vault_row(thief: Thief) -> None:
    """The same, and the vault's row names it too."""
    with thief.at_work() as db:
        state = db.execute(select(VAULT)).one()
        thief.write(db, VAULT, state, root_id=thief.root.public.id)
    replace_the_web_key_with_one_of_their_root(thief)


def replace_the_web_key_with_one_of_their_sealing_key(thief: Thief) -> None:
    """The web key file itself and every row's MAC are theirs."""
    mine = thief.own_web_key(sealing_key=thief.new_secret())
    lay(thief, mine, WEB)
    sign_everything_under_it(thief, mine)


def take_the_mark_off_the_web_key(thief: Thief) -> None:
    """The web key file as it is, without the root's MAC."""
    lay(thief, changed(thief.web, made_by={}), WEB)


def replace_the_root_key(thief: Thief) -> None:
    """Their root in the place of the root key."""
    lay(thief, root_of_theirs(thief), "safe/root.key")


def replace_every_key(thief: Thief) -> None:
    """Root key, web key and the vault's row, the trail begun anew: a vault of their
    own with our cards in it."""
    replace_the_root_key(thief)
    thief.web = thief.own_web_key(root=thief.root.public)
    lay(thief, thief.web, WEB)
    with thief.at_work() as db:
        info, genesis = genesis_info(thief.web.vault_id), thief.new_secret()
        state = {
            **db.execute(select(VAULT)).one()._mapping,
            "root_id": thief.root.public.id,
            "sealed_genesis": thief.root.ops.seal_genesis(genesis, info),
        }
        signer = OpsSigner(thief.web.vault_id, thief.web.sealing_key, thief.root.ops)
        db.execute(update(VAULT).values(**signer.signed(VAULT, without_macs(state))))
        thief.rewrite_trail(db, genesis)


def without_macs(values: dict[str, Any]) -> dict[str, Any]:
    """A row's columns but its MACs."""
    return {k: v for k, v in values.items() if k not in ("mac", "ops_mac")}


def plant_a_next_root(thief: Thief) -> None:
    """Their root as the one to come: in the vault's row, in every data key's that the
    web key alone signs, and in the files."""
    name_their_root_with_its_file(thief)
    with thief.at_work() as db:
        state = db.execute(select(VAULT)).one()
        genesis = thief.root.ops.seal_genesis(thief.new_secret(), b"")
        root_id = thief.root.public.id
        thief.write(db, VAULT, state, next_root_id=root_id, next_genesis=genesis)
        for row in db.execute(select(DATA_KEY).where(DATA_KEY.c.suite == SUITE)).all():
            if row.state != "destroyed":
                more = {"next_root_id": root_id, "next_wrapped": b"x"}
                thief.write(db, DATA_KEY, row, **more)


def overwrite_an_ops_keys_next_wrapping(thief: Thief) -> None:
    """A rotation's key: the same, made as best they can."""
    with thief.at_work() as db:
        ops = select(DATA_KEY).where(DATA_KEY.c.suite == OPS_SUITE)
        row = db.execute(ops).first()
        assert row is not None
        info = wrap_info(thief.web.vault_id, row.id, row.generation)
        wrapped = thief.root.ops.wrap(thief.new_secret(), info)
        thief.write(db, DATA_KEY, row, next_wrapped=wrapped)


def wrap_the_next_to_their_root(thief: Thief) -> None:
    """A web process's key: the new wrapping is to their root."""
    with thief.at_work() as db:
        web = select(DATA_KEY).where(DATA_KEY.c.suite == SUITE)
        row = db.execute(web.where(DATA_KEY.c.state == "live")).first()
        assert row is not None
        info = wrap_info(thief.web.vault_id, row.id, row.generation)
        wrapped = thief.root.public.wrap(thief.new_secret(), info)
        thief.write(db, DATA_KEY, row, next_wrapped=wrapped)


def swap_the_next_genesis(thief: Thief) -> None:
    """The trail's first key for the root to come."""
    with thief.at_work() as db:
        info = genesis_info(thief.web.vault_id)
        genesis = coming(thief).root.wrap(thief.new_secret(), info)
        state = db.execute(select(VAULT)).one()
        thief.write(db, VAULT, state, next_genesis=genesis)


def name_another_root_to_come(thief: Thief) -> None:
    """Their root in the vault's row in the place of the one that was prepared."""
    name_their_root_with_its_file(thief)
    with thief.at_work() as db:
        state = db.execute(select(VAULT)).one()
        thief.write(db, VAULT, state, next_root_id=thief.root.public.id)


def plant_a_trigger(thief: Thief) -> None:
    """A trigger that puts a key of theirs in the place of the next one minted."""
    with thief.at_work() as db:
        state = db.execute(select(VAULT)).one()
        row = thief.own_key(db, state.generation + 1)
        signed = thief.signed(DATA_KEY, row)
        values = {name: _literal(value) for name, value in signed.items()}
        changes = ", ".join(f"{k} = {v}" for k, v in values.items() if k != "id")
        db.execute(text(f"DELETE FROM data_key WHERE id = {row['id']}"))
        db.execute(
            text(
                "CREATE TRIGGER fresh AFTER INSERT ON data_key "
                f"WHEN NEW.id = {row['id']} BEGIN "
                f"UPDATE data_key SET {changes} WHERE id = NEW.id; END"
            )
        )


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return f"'{value}'" if isinstance(value, str) else str(value)


def stand_a_view_in_a_tables_place(thief: Thief) -> None:
    """The quarantine is a view that always looks empty."""
    with thief.at_work() as db:
        db.execute(text("ALTER TABLE quarantine RENAME TO hidden"))
        db.execute(text("CREATE VIEW quarantine AS SELECT * FROM hidden WHERE 0"))


def exchange_the_backup(thief: Thief) -> None:
    """A backup of their making, with a planted rotation in it, for the genuine one;
    it needs no root to make."""
    folder = thief.house.folder
    aside = folder / "loot/aside.db"
    with thief.house.engine():
        pass
    shutil.copy(folder / "instance/vault.db", aside)
    plant_a_rotation_row_alone(thief)
    (folder / "safe/kept.backup").unlink()
    thief.house.must("backup", "safe/kept.backup", VAULT_ROOT_KEY="")
    for suffix in ("-wal", "-shm"):
        (folder / f"instance/vault.db{suffix}").unlink(missing_ok=True)
    shutil.copy(aside, folder / "instance/vault.db")


def link_the_new_web_key_elsewhere(thief: Thief) -> None:
    """The new web key file is a link to a place of theirs."""
    (thief.house.folder / WEB_NEW).symlink_to(thief.house.folder / "loot/mine")


@all_of(
    refused(WEB_NEW, PREPARE, ABANDON, WEB_ROTATE)(name_their_root),
    refused(WEB_NEW, PREPARE, ABANDON, WEB_ROTATE)(name_their_root_with_its_file),
    refused(WEB_NEW, PREPARE, ABANDON, WEB_ROTATE)(lay_their_sealing_key_ready),
    refused(ROOT_NEW, PREPARE, ABANDON)(lay_their_root_ready),
    refused("vault row", PREPARE, FINALIZE, ABANDON, WEB_ROTATE, "rotate")(
        plant_a_next_root
    ),
)
def test_a_key_file_laid_ready_is_refused(house: House, case: Case) -> None:
    """A root or a sealing key of theirs is taken up by no command."""
    robbed(house, case)


@all_of(
    Case(
        finish_their_sealing_key,
        {WEB_ROTATE: (5, "instance/web.key.new: not made by this vault's root")},
    ),
    Case(
        lay_an_old_web_key_ready,
        {WEB_ROTATE: (2, "was not made to replace"), PREPARE: (2, "of this vault's")},
    ),
    Case(lay_a_copy_ready, {PREPARE: (2, "of this vault's root already")}),
    Case(
        lay_an_abandoned_roots_web_key_ready,
        {
            WEB_ROTATE: (2, "belongs to a root rotation"),
            PREPARE: (2, "is not there"),
        },
    ),
    Case(
        prepare_the_abandoned_root_again,
        {
            PREPARE: (2, "was given up and is never taken again"),
            FINALIZE: (2, "was given up and is never taken again"),
        },
    ),
    Case(link_the_new_web_key_elsewhere, {WEB_ROTATE: (2, "is in the way")}),
)
def test_a_genuine_file_of_another_time_is_not_taken_up(
    house: House, case: Case
) -> None:
    """An old web key, a copy, a root that was given up, a link to elsewhere."""
    robbed(house, case)
    assert not (house.folder / "loot/mine").exists()


@all_of(
    Case(
        replace_the_web_key_with_one_of_their_root,
        {"rotate": (5, f"{WEB}: {NOT_MADE}"), "status": (2, "is for root")},
    ),
    Case(
        replace_web_key_and_vault_row,
        {"rotate": (5, OTHER), PREPARE: (5, OTHER), "export": (5, OTHER)},
    ),
    refused(WEB, "rotate", PREPARE, WEB_ROTATE, "audit verify", "export")(
        replace_the_web_key_with_one_of_their_sealing_key
    ),
    refused(WEB, "rotate", PREPARE, WEB_ROTATE, "audit verify", "export")(
        take_the_mark_off_the_web_key
    ),
    Case(replace_the_root_key, {"rotate": (5, OTHER), WEB_ROTATE: (5, OTHER)}),
    refused("rotation 1", "rotate", PREPARE, WEB_ROTATE)(replace_every_key),
)
def test_a_key_that_was_exchanged_is_named(house: House, case: Case) -> None:
    """The web key, the root key, or both with all that names them."""
    robbed(house, case)


@all_of(
    refused("data key 4", FINALIZE, moment=PREPARED)(overwrite_a_next_wrapping),
    refused("data key 3", FINALIZE, moment=PREPARED)(
        overwrite_an_ops_keys_next_wrapping
    ),
    Case(
        wrap_the_next_to_their_root,
        {FINALIZE: (1, "data key 4: can't be unwrapped with this root key")},
        PREPARED,
    ),
    refused("vault row", FINALIZE, moment=PREPARED)(swap_the_next_genesis),
    refused(WEB_NEW, FINALIZE, PREPARE, moment=PREPARED)(name_their_root),
    refused(ROOT_NEW, FINALIZE, PREPARE, moment=PREPARED)(lay_their_root_ready),
    refused(WEB_NEW, FINALIZE, moment=PREPARED)(name_their_root_with_its_file),
    refused("vault row", FINALIZE, PREPARE, moment=PREPARED)(name_another_root_to_come),
)
def test_a_prepared_root_is_finalized_as_it_was_prepared(
    house: House, case: Case
) -> None:
    """What was changed between the two commands is met before the old root goes."""
    robbed(house, case)


@all_of(
    refused("trigger fresh", "rotate", PREPARE, WEB_ROTATE)(plant_a_trigger),
    refused("view quarantine", "rotate", PREPARE)(stand_a_view_in_a_tables_place),
)
def test_code_in_the_database_is_named_before_it_runs(house: House, case: Case) -> None:
    """A trigger or a view: the vault has none."""
    _, day = robbed(house, case)
    day.names("verify", 1, "is not of this program's making")


def test_a_trigger_dropped_as_the_runbook_says_is_gone(house: House) -> None:
    """Then the same command goes on."""
    plant_a_trigger(Thief(house))
    assert house.run("rotate").code == 5
    with house.engine() as engine, engine.begin() as db:
        db.execute(text(statements("trigger NAME").replace("NAME", "fresh")))
    house.must("rotate")


def test_verify_names_a_web_key_of_theirs(house: House) -> None:
    """All it opens and finds right beside it notwithstanding."""
    take_the_mark_off_the_web_key(Thief(house))
    ran = house.run("verify")
    assert (ran.code, f"{WEB}  {NOT_MADE}" in ran.out) == (1, True)


def test_a_copy_of_the_web_key_is_no_new_one(house: House) -> None:
    """A new sealing key is a new one."""
    thief = Thief(house)
    lay_a_copy_ready(thief)
    ran = house.run("web-key", "rotate")
    assert (ran.code, "was not made to replace" in ran.err) == (2, True)


def test_no_command_tells_ops_to_put_a_file_of_theirs_in_place(house: House) -> None:
    """Every row under a sealing key of theirs, their file laid ready: it looks as if a
    new web key only waited to be put in place."""
    thief = Thief(house)
    finish_their_sealing_key(thief)
    for words in (("rotate",), ("root", "rotate"), ("web-key", "rotate")):
        ran = house.run(*words)
        assert (ran.code, f"{WEB_NEW}: {NOT_MADE}" in ran.err) == (5, True)
        assert "mv " not in ran.said


def test_status_never_has_the_root_key_in_place_overwritten(house: House) -> None:
    """A file that calls itself the vault's root is laid beside the root key."""
    thief = Thief(house)
    lay_their_root_ready(thief)
    path = house.folder / ROOT_NEW
    told = path.read_text().replace(thief.root.public.id, thief.web.root.id)
    path.write_text(told)
    ran = house.run("status")
    assert "move it away" in ran.said
    assert "mv " not in ran.said


def test_finalize_names_no_file_that_is_not_the_vaults_roots(house: House) -> None:
    """A root's file that a run left which was cut off before it prepared anything: to
    put it in the root key's place would lose every card."""
    house.must("root", "rotate")
    house.must("root", "rotate", "--abandon")
    with house.ops() as vault:
        RootKey(vault.web_key.vault_id, crypto.new_key()).write(
            house.folder / ROOT_NEW, None, vault.ops
        )
    said = house.must("root", "rotate", "--finalize").out
    assert ROOT_NEW not in said


def test_a_backup_of_their_making_is_no_way_in(house: House) -> None:
    """The drill names what is planted in it; restored, the rotation is refused."""
    thief = Thief(house)
    exchange_the_backup(thief)
    drill = house.run("restore", "safe/kept.backup", "--drill")
    assert (drill.code, "rotation 2  not made by" in drill.out) == (1, True)
    place = {
        "VAULT_DATABASE_URL": "sqlite:///new/vault.db",
        "DATABASE_URL": "sqlite:///new/site.db",
    }
    house.must("restore", "safe/kept.backup", **place)
    ran = house.run("rotate", **place)
    assert (ran.code, "rotation 2: not made by" in ran.err) == (5, True)
    assert thief.opened_anywhere() == []
