"""Looking takes no lock: whoever only looks waits for nobody who writes (LCK-02)."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.auth.models import Login
from app.cards.models import Customer
from app.db import Work, looking
from tests.actors.forms import csrf
from tests.actors.operator_client import A_CARD, Desk
from tests.places.site import PASSWORD, site_path
from tests.places.vault import FakeClock, VaultPlace
from vault import Actor


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[ExitStack]:
    """What is held until the test ends; nobody waits for it long."""
    monkeypatch.setattr("vault.store.sqlite.LOCK_WAIT_SECONDS", 0.05)
    with ExitStack() as stack:
        yield stack


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a SQLite file's write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def both(environ: dict[str, str], place: VaultPlace) -> tuple[Path, Path]:
    """The files of the site's database and the vault's."""
    return site_path(environ), place.folder / "vault.db"


def test_pages_that_are_looked_at_wait_for_nobody(
    desk: Desk, held: ExitStack, environ: dict[str, str], place: VaultPlace
) -> None:
    """Both databases are being written by somebody who doesn't end."""
    public_id = desk.register()
    for path in both(environ, place):
        held.enter_context(lock(path))
    pages = (
        "/cards",
        "/cards?q=A&sort=name&page=1&expiry=soon",
        f"/cards/{public_id}/registered",
        f"/cards/{public_id}/updated",
        "/cards/likeness?prefix=48&last4=0000&expiry=203001",
        "/cards/nobody/edit",
        "/password",
        "/healthz",
    )
    answers = {page: desk.open(page).status_code for page in pages}
    assert answers == {**dict.fromkeys(pages, 200), "/cards/nobody/edit": 404}
    assert desk.app.test_client().get("/login").status_code == 200


def test_what_is_entered_in_the_trail_waits_for_the_trail_alone(
    desk: Desk, held: ExitStack, environ: dict[str, str]
) -> None:
    """The edit page and the files say who looked; the site's database is not
    written."""
    public_id = desk.register()
    held.enter_context(lock(site_path(environ)))
    for page in (f"/cards/{public_id}/edit", "/cards.csv", "/cards.xlsx"):
        assert desk.open(page).status_code == 200
    events = [entry[0] for entry in desk.trail()]
    assert events[-3:] == ["audit.viewed", *["cards.exported_masked"] * 2]


def test_a_form_is_checked_before_anybody_has_to_wait(
    desk: Desk, held: ExitStack, environ: dict[str, str], place: VaultPlace
) -> None:
    """What is wrong with it is said at once; what is right would have to wait."""
    desk.open("/cards")
    right = desk.filled("登録", **A_CARD)
    for path in both(environ, place):
        held.enter_context(lock(path))
    assert desk.send("/cards", right | {"customer_name": ""}).status_code == 422
    assert desk.send("/cards", right).status_code == 503


def test_a_password_is_hashed_before_anything_is_held(
    desk: Desk,
    environ: dict[str, str],
    place: VaultPlace,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others may write in both databases meanwhile."""
    free: list[bool] = []
    hasher = desk.app.extensions["hasher"]
    agrees = hasher.agrees

    def look(stored: str | None, typed: str) -> bool:
        with ExitStack() as stack:
            for path in both(environ, place):
                stack.enter_context(lock(path))
            free.append(True)
        right: bool = agrees(stored, typed)
        return right

    monkeypatch.setattr(hasher, "agrees", look)
    stranger: FlaskClient = desk.app.test_client()
    form = {"login_id": "taro", "password": PASSWORD}
    form["csrf_token"] = csrf(stranger.get("/login").text)
    assert stranger.post("/login", data=form).status_code == 303
    desk.open("/password")
    changes = {
        "current_password": PASSWORD,
        "new_password": "another horse battery 6",
        "new_password_again": "another horse battery 6",
    }
    assert desk.send("/password", desk.filled("変更", **changes)).status_code == 303
    assert len(free) > 2


def test_nothing_is_written_by_who_only_reads(desk: Desk) -> None:
    """A change, or a statement, that nobody said ``write`` before is refused."""
    desk.register()
    work = Work(desk.app.extensions["site_engine"], desk.vault)
    (customer,) = work.site.query(Customer).all()
    customer.name = "B"
    with pytest.raises(RuntimeError, match="before Work.write"):
        work.site.flush()
    work.release()
    with pytest.raises(RuntimeError, match="before Work.write"):
        work.site.query(Customer).delete()
    with pytest.raises(RuntimeError, match="before Work.write"):
        work.site.query(Customer).with_for_update().all()
    with pytest.raises(ValueError, match="by who only reads"):
        desk.vault.record(work.vault_db, "event", desk_actor())
    work.close()


def desk_actor() -> Actor:
    """Somebody."""
    return Actor("taro", "192.0.2.1")


def seen_at(desk: Desk) -> int:
    """When the one login was seen, as it is written."""
    with looking(desk.app.extensions["site_engine"]) as site:
        return site.query(Login).one().seen_at


def test_being_seen_is_written_once_a_minute(desk: Desk, clock: FakeClock) -> None:
    """By itself; but 続ける counts to the second, and the page says what is left."""
    begun = clock()
    clock.advance(59)
    desk.open("/cards")
    assert seen_at(desk) == begun
    assert 'data-idle="841"' in desk.page
    clock.advance(1)
    desk.open("/cards")
    assert seen_at(desk) == begun + 60
    assert 'data-idle="900"' in desk.page
    clock.advance(5)
    form = {"csrf_token": csrf(desk.page)}
    assert desk.send("/cards/still-here", form).status_code == 204
    assert seen_at(desk) == begun + 65


def test_a_page_is_shown_though_nothing_can_be_written(
    desk: Desk, held: ExitStack, environ: dict[str, str], clock: FakeClock
) -> None:
    """The login only ends the earlier; 続ける is not said to have worked."""
    begun = clock()
    desk.open("/cards")
    form = {"csrf_token": csrf(desk.page)}
    held.enter_context(lock(site_path(environ)))
    clock.advance(60)
    assert desk.open("/cards").status_code == 200
    assert desk.send("/cards/still-here", form).status_code == 503
    assert seen_at(desk) == begun


def test_a_login_that_is_over_is_told_once(desk: Desk, clock: FakeClock) -> None:
    """Its end is a write of its own: the page that finds it may fail."""
    clock.advance(901)
    for _ in range(2):
        assert desk.open("/cards").status_code == 303
    assert [entry[0] for entry in desk.trail()].count("login.expired") == 1


def is_free(path: Path) -> bool:
    """Say whether nobody holds a SQLite file: a writer comes in at once, and the log
    can be emptied, which a reader's snapshot would keep it from."""
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        try:
            other.execute("CREATE TABLE passing (a)")
        except sqlite3.OperationalError:
            return False
        other.execute("DROP TABLE passing")
        return bool(other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)


def test_an_import_says_nothing_while_it_holds_anything(
    desk: Desk,
    environ: dict[str, str],
    place: VaultPlace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither its lines nor its bar: a terminal may be stopped for hours."""
    free: list[bool] = []

    def look(*_args: object, **_kwargs: object) -> None:
        free.append(all(map(is_free, both(environ, place))))

    monkeypatch.setattr("app.cards.importing.command.say", look)
    bar = nullcontext(look)
    monkeypatch.setattr("app.cards.importing.command.progress", lambda *_: bar)
    rows = ["A,x,4810000000020000,1,2030", "A,090-0000-0000,4810000000020000,1,2030"]
    file = tmp_path / "in.csv"
    head = "customer_name,phone,card_number,exp_month,exp_year"
    file.write_text("\n".join([head, *rows * 3, ""]))
    for flags in (["--dry-run"], ["--results", str(tmp_path / "out.csv")], []):
        free.clear()
        words = ["cards", "import", str(file), *flags]
        desk.app.test_cli_runner().invoke(args=words)
        assert len(free) > 3
        assert all(free)
