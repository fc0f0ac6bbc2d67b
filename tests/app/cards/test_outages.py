"""A database that fails: nothing half-written, and the next try is taken."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import Result

from tests.actors.forms import CHANGE
from tests.actors.operator_client import A_CARD, ADDRESS, LOGIN_ID, Auth, Desk
from tests.places.site import PASSWORD, site_path
from tests.places.vault import VaultPlace


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a SQLite file's write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """Let this process write no further than ``size`` bytes into any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def empty_log(path: Path) -> None:
    """Take everything over from a SQLite file's log."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("which", ["site", "vault"])
def test_a_locked_database_is_503_and_passes(
    desk: Desk,
    environ: dict[str, str],
    place: VaultPlace,
    monkeypatch: pytest.MonkeyPatch,
    which: str,
) -> None:
    """In Japanese, nothing half-written, and the next try is taken (REL-04)."""
    monkeypatch.setattr("vault.store.sqlite.LOCK_WAIT_SECONDS", 0.05)
    desk.open("/cards")
    fields = desk.filled("登録", **A_CARD)
    path = site_path(environ) if which == "site" else place.folder / "vault.db"
    with locked(path):
        answer = desk.send("/cards", fields)
        assert answer.status_code == 503
        assert "登録・更新は行われていません。" in answer.text
        assert answer.headers["Retry-After"]
    assert (desk.customers(), desk.cards()) == ([], 0)
    assert desk.send("/cards", fields).status_code == 303
    assert desk.cards() == 1


STEPS = {
    "password": ("/login", "/login", {"login_id": LOGIN_ID, "password": PASSWORD}),
    "address": ("/login/email", "/login/email", {"email": ADDRESS}),
    "code": ("/login/code", "/login/code", {}),
    "logout": ("/cards", "/logout", {}),
    "change": ("/password", "/password", CHANGE),
}


@pytest.mark.parametrize("which", ["site", "vault"])
@pytest.mark.parametrize("step", STEPS)
def test_a_login_that_is_503_is_as_it_was(
    auth: Auth,
    environ: dict[str, str],
    place: VaultPlace,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    which: str,
) -> None:
    """The browser keeps its cookie, for the database has kept its login; the same form
    is taken when it is sent again."""
    monkeypatch.setattr("vault.store.sqlite.LOCK_WAIT_SECONDS", 0.05)
    page, path, fields = STEPS[step]
    if step == "address":
        auth.password()
    elif step == "code":
        fields = {"code": auth.to_code()}
    elif step != "password":
        auth.login()
    form = {**fields, "csrf_token": auth.csrf(page)}
    before = auth.client.get_cookie("session")
    file = site_path(environ) if which == "site" else place.folder / "vault.db"
    with locked(file):
        answer = auth.client.post(path, data=form)
    assert answer.status_code == 503
    assert auth.client.get_cookie("session") == before
    assert auth.client.post(path, data=form).status_code == 303
    assert auth.client.get_cookie("session") != before


@pytest.mark.engines("sqlite", "postgres")
def test_without_its_entry_in_the_trail_no_act_happens(
    desk: Desk,
    place: VaultPlace,
) -> None:
    """The page says 503 and neither database has changed (AUD-03)."""
    desk.open("/cards")
    fields = desk.filled("登録", **A_CARD)
    with place.engine.begin() as db:
        db.exec_driver_sql("ALTER TABLE audit_entry RENAME TO gone")
    assert desk.send("/cards", fields).status_code == 503
    with place.engine.begin() as db:
        db.exec_driver_sql("ALTER TABLE gone RENAME TO audit_entry")
    assert (desk.customers(), desk.cards()) == ([], 0)


def test_a_deletion_that_is_done_says_so_on_a_full_disk(
    desk: Desk, environ: dict[str, str], place: VaultPlace
) -> None:
    """SQLite's log can't be emptied into a file that can't grow; the next deletion
    does it."""
    customers = [desk.register() for _ in range(20)]
    file, log = place.folder / "vault.db", place.folder / "vault.db-wal"
    empty_log(file)
    while not log.stat().st_size:
        empty_log(site_path(environ))
        with no_file_longer_than(file.stat().st_size):
            assert desk.delete(customers.pop()).status_code == 303
    assert desk.delete(customers.pop()).status_code == 303
    assert log.stat().st_size == 0
    assert desk.cards() == len(customers)


def test_a_change_cut_off_between_the_databases_is_mended(
    desk: Desk, environ: dict[str, str], place: VaultPlace
) -> None:
    """The card's expiry is written first; reconcile names the customer and gives him
    his card's, and a form opened before is told (REL-01)."""
    public_id = desk.register()
    empty_log(place.folder / "vault.db")
    log = site_path(environ).with_name("site.db-wal")
    desk.open(f"/cards/{public_id}/edit")
    form = desk.filled("更新", confirmed="y", exp_month="12", exp_year="2030")
    with no_file_longer_than(log.stat().st_size):
        assert desk.send(f"/cards/{public_id}/edit", form).status_code == 503
    (customer,) = desk.customers()
    line = f"{public_id}\t{customer.token}\texpiry 01/2030, its card's is 12/2030"
    found = reconcile(desk)
    assert (found.exit_code, line in found.stdout) == (1, True)
    assert [shown.expiry for shown in desk.customers()] == [203001]
    mended = reconcile(desk, "--apply")
    assert (mended.exit_code, f"{line}, mended" in mended.stdout) == (1, True)
    assert [shown.expiry for shown in desk.customers()] == [203012]
    assert reconcile(desk).exit_code == 0
    assert desk.send(f"/cards/{public_id}/edit", form).status_code == 409
    assert place.findings() == {}


@pytest.mark.engines("sqlite", "postgres")
def test_reconcile_believes_no_edited_card(desk: Desk, place: VaultPlace) -> None:
    """An expiry that fails its MAC is for verify to name, and gives nobody his."""
    desk.register()
    with place.engine.begin() as db:
        db.exec_driver_sql("UPDATE card SET expiry = 209912")
    assert reconcile(desk, "--apply").exit_code == 0
    assert [shown.expiry for shown in desk.customers()] == [203001]


def reconcile(desk: Desk, *flags: str) -> Result:
    """Run ``flask cards reconcile``."""
    return desk.app.test_cli_runner().invoke(args=["cards", "reconcile", *flags])
