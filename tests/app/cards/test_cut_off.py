"""An act that fails between the two databases, at each point where it can: the page,
the trail and ``cards reconcile`` all say what is so, and who did it (LCK-05)."""

from __future__ import annotations

import json
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import Result
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError

from app.db import SiteSession
from tests.actors.operator_client import A_CARD, Desk, boxes
from tests.places.vault import FakeClock, VaultPlace
from vault.store.sqlite import checkpoint

LOG_BYTES = 200_000
HOURS_LATER = 2 * 3600
LOOKED = {"audit.viewed", "key.minted"}


class Told(NamedTuple):
    """What is so after an act: the page's status, how many customers and cards there
    are, what the trail has of the act, and what reconcile names."""

    status: int
    customers: int
    cards: int
    trail: list[str]
    found: list[str]


BEGUN = ["card.registered", "customer.registered"]
CHANGED = ["card.expiry_changed"]
REPLACED = ["card.replaced"]
UPDATED = ["customer.updated"]
DELETING = ["customer.deleting"]
ALONE = "no customer refers to it"
NOTHING: list[str] = []

# By act and by the commit that fails: the vault's, the site's, the vault's second.
TABLE = {
    ("register", "vault"): Told(503, 0, 0, NOTHING, NOTHING),
    ("register", "site"): Told(
        503, 0, 1, [*BEGUN, "customer.registered failed"], [ALONE]
    ),
    ("register", ""): Told(303, 1, 1, BEGUN, NOTHING),
    ("name", "vault"): Told(503, 1, 1, NOTHING, NOTHING),
    ("name", "site"): Told(503, 1, 1, [*UPDATED, "customer.updated failed"], NOTHING),
    ("name", ""): Told(303, 1, 1, UPDATED, NOTHING),
    ("expiry", "vault"): Told(503, 1, 1, NOTHING, NOTHING),
    ("expiry", "site"): Told(
        503, 1, 1, CHANGED, ["expiry 01/2030, its card's is 12/2031"]
    ),
    ("expiry", ""): Told(303, 1, 1, CHANGED, NOTHING),
    ("number", "vault"): Told(503, 1, 1, NOTHING, NOTHING),
    ("number", "site"): Told(503, 1, 2, REPLACED, [ALONE]),
    ("number", "vault again"): Told(303, 1, 2, REPLACED, [ALONE]),
    ("number", ""): Told(303, 1, 1, [*REPLACED, "card.deleted"], NOTHING),
    ("delete", "vault"): Told(503, 1, 1, NOTHING, NOTHING),
    ("delete", "site"): Told(503, 1, 1, DELETING, NOTHING),
    ("delete", "vault again"): Told(
        303, 0, 1, DELETING, [f"{ALONE}, taro was deleting its customer"]
    ),
    ("delete", ""): Told(
        303, 0, 0, [*DELETING, "card.deleted", "customer.deleted"], NOTHING
    ),
}


@contextmanager
def full(desk: Desk, point: str) -> Iterator[None]:
    """No file takes a byte more than the log that the commit ``point`` writes to, so
    that this commit meets a full disk; the other log is empty and has room."""
    engines = {"site": desk.app.extensions["site_engine"], "vault": desk.vault.engine}
    log = Path(f"{engines[point].url.database}-wal")
    (other,) = set(engines) - {point}
    with engines[point].begin() as db:
        # So long that the other log has room for what goes before.
        db.exec_driver_sql("CREATE TABLE longer (a)")
        db.exec_driver_sql("INSERT INTO longer VALUES (randomblob(?))", (LOG_BYTES,))
        db.exec_driver_sql("DROP TABLE longer")
    assert checkpoint(engines[other])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def failing(desk: Desk, point: str) -> Iterator[None]:
    """The commit that ``point`` names fails, as on a disk that is full."""
    which, _, again = point.partition(" ")
    site: object = desk.app.extensions["site_engine"]
    engine = site if which == "site" else desk.vault.engine
    left = 2 if again else 1

    def fail(_connection: Connection) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            cause = sqlite3.OperationalError("database or disk is full")
            raise OperationalError("COMMIT", None, cause)

    if not point:
        yield
        return
    event.listen(engine, "commit", fail)
    yield
    event.remove(engine, "commit", fail)
    assert left <= 0


def form_of(desk: Desk, act: str) -> tuple[str, dict[str, str]]:
    """Where the form of an act goes, and what it holds."""
    if act == "register":
        desk.open("/cards")
        return "/cards", desk.filled("登録", **A_CARD)
    path = f"/cards/{desk.register()}/edit"
    desk.open(path)
    changes = {
        "name": {"customer_name": "B"},
        "expiry": {"exp_month": "12", "exp_year": "2031"},
        "number": boxes("5555", "5555", "5555", "4444"),
        "delete": {},
    }[act]
    button = "削除" if act == "delete" else "更新"
    return path, desk.filled(button, confirmed="y", **changes)


def reconcile(desk: Desk, *flags: str) -> Result:
    """Run ``flask cards reconcile``."""
    return desk.app.test_cli_runner().invoke(args=["cards", "reconcile", *flags])


def after(desk: Desk, seq: int) -> list[tuple[str, str, str]]:
    """(event, actor, detail) of the acts in the trail after entry ``seq``."""
    event = "CASE outcome WHEN 'failure' THEN event || ' failed' ELSE event END"
    of = "audit_entry WHERE seq > :seq ORDER BY seq"
    query = text(f"SELECT {event}, actor, detail FROM {of}")
    with desk.vault.engine.connect() as db:
        rows = [tuple(row) for row in db.execute(query, {"seq": seq})]
    return [row for row in rows if row[0] not in LOOKED]


def named(ran: Result) -> list[str]:
    """What reconcile says of each card or customer it names."""
    lines = [line.split("\t") for line in ran.stdout.splitlines() if "\t" in line]
    return [words[-1] for words in lines]


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize(("act", "point"), TABLE)
def test_page_trail_and_reconcile_say_what_is_so(
    desk: Desk, clock: FakeClock, place: VaultPlace, act: str, point: str
) -> None:
    """One row of the table; a form sent again after a 503 is taken, and reconcile
    leaves nothing that it would name again."""
    require_row(desk, clock, place, (act, point), failing(desk, point))


AT_COMMITS = [row for row in TABLE if row[1] in ("site", "vault")]


@pytest.mark.parametrize(("act", "point"), AT_COMMITS)
def test_on_a_full_disk_they_say_so_too(
    desk: Desk, clock: FakeClock, place: VaultPlace, act: str, point: str
) -> None:
    """The same rows, where a file of SQLite's can't grow in earnest."""
    require_row(desk, clock, place, (act, point), full(desk, point))


def require_row(
    desk: Desk,
    clock: FakeClock,
    place: VaultPlace,
    row: tuple[str, str],
    fault: AbstractContextManager[None],
) -> None:
    """What is so when the act of a ``row`` of the table meets a ``fault`` is the row."""
    act = row[0]
    path, form = form_of(desk, act)
    seq = len(desk.trail())
    with fault:
        status = desk.send(path, form).status_code
        page = desk.page
    entries = after(desk, seq)
    clock.advance(HOURS_LATER)
    ran = reconcile(desk)
    assert (
        Told(
            status,
            len(desk.customers()),
            desk.cards(),
            [entry[0] for entry in entries],
            named(ran),
        )
        == TABLE[row]
    )
    assert {entry[1] for entry in entries} <= {"taro"}
    assert ("登録・更新は行われていません。" in page) == (status == 503)
    assert ran.exit_code == bool(TABLE[row].found)
    assert reconcile(desk, "--apply").exit_code == ran.exit_code
    assert reconcile(desk).exit_code == 0
    assert place.findings() == {}


@pytest.mark.engines("sqlite", "postgres")
def test_the_history_says_what_was_not_saved(desk: Desk) -> None:
    """To the operator who opens the customer next."""
    path, form = form_of(desk, "name")
    with failing(desk, "site"):
        assert desk.send(path, form).status_code == 503
    page = desk.open(path).text
    assert page.count("お客様情報の変更") == 2
    assert page.count("お客様情報の変更（保存されませんでした）") == 1


@pytest.mark.engines("sqlite", "postgres")
@pytest.mark.parametrize("next_act", ["change", "delete"])
def test_the_next_act_says_that_a_change_was_cut_off(desk: Desk, next_act: str) -> None:
    """As after a kill: nobody was left to say that it was not saved."""
    path, form = form_of(desk, "name")
    with failing(desk, "site"), failing(desk, "vault again"):
        assert desk.send(path, form).status_code == 503
    seq = len(desk.trail())
    public_id = path.split("/")[2]
    if next_act == "delete":
        desk.delete(public_id)
    else:
        desk.change(public_id, customer_name="C")
    first = after(desk, seq)[0]
    assert (first[0], json.loads(first[2])) == (
        "customer.updated failed",
        {"begun_by": "taro"},
    )
    if next_act == "change":
        assert (
            desk.open(path).text.count("お客様情報の変更（保存されませんでした）") == 1
        )
        assert reconcile(desk).exit_code == 0


@pytest.mark.engines("sqlite", "postgres")
def test_reconcile_records_what_was_cut_off_once(desk: Desk) -> None:
    """The history then says whose change was not saved; the customer is untouched."""
    path, form = form_of(desk, "name")
    with failing(desk, "site"), failing(desk, "vault again"):
        assert desk.send(path, form).status_code == 503
    ran = reconcile(desk)
    assert (ran.exit_code, len(named(ran))) == (1, 1)
    assert "next       flask --app wsgi cards reconcile --apply\n" in ran.stdout
    assert "was not saved, recorded" in reconcile(desk, "--apply").stdout
    for flags in ((), ("--apply",)):
        assert reconcile(desk, *flags).exit_code == 0
    page = desk.open(path).text
    (row,) = [row for row in page.split("<tr") if "（保存されませんでした）" in row]
    assert "（taro）" in row
    assert [customer.name for customer in desk.customers()] == ["A"]


@pytest.mark.engines("sqlite", "postgres")
def test_changes_lost_with_a_newer_site_are_not_said_to_have_failed(
    desk: Desk, clock: FakeClock
) -> None:
    """Several changes newer than anything the site knows were saved, in the database
    that was put away."""
    forms = [form_of(desk, "name") for _ in range(2)]
    clock.advance(1)
    for path, form in forms:
        with failing(desk, "site"), failing(desk, "vault again"):
            assert desk.send(path, form).status_code == 503
    seq = len(desk.trail())
    assert "put the site's newer database back" in reconcile(desk).stdout
    ran = reconcile(desk, "--apply")
    assert (ran.exit_code, after(desk, seq)) == (2, [])


@pytest.mark.engines("sqlite", "postgres")
def test_what_was_saved_is_not_said_to_have_failed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The site's database did what it was told, and its answer was lost."""
    path, form = form_of(desk, "name")
    seq, commit = len(desk.trail()), SiteSession.commit

    def commit_unheard(site: SiteSession) -> None:
        commit(site)
        raise OperationalError("COMMIT", None, sqlite3.OperationalError("gone"))

    monkeypatch.setattr(SiteSession, "commit", commit_unheard)
    assert desk.send(path, form).status_code == 503
    assert [customer.name for customer in desk.customers()] == ["B"]
    assert [entry[0] for entry in after(desk, seq)] == UPDATED


@pytest.mark.engines("sqlite", "postgres")
def test_what_an_operator_was_told_is_said_to_have_failed(desk: Desk) -> None:
    """Every entry of a request or command whose site was not saved, not a card's
    alone."""
    seq = len(desk.trail())
    with failing(desk, "site"):
        ran = desk.app.test_cli_runner().invoke(args=["operators", "disable", "taro"])
    assert ran.exit_code == 2
    told = [entry[0] for entry in after(desk, seq)]
    assert told == ["operator.disabled", "operator.disabled failed"]
    assert desk.open("/cards").status_code == 200


def test_what_may_have_been_saved_is_not_said_to_have_failed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection was lost with the commit's answer: the operator is disabled."""
    seq, commit = len(desk.trail()), SiteSession.commit

    def commit_unheard(site: SiteSession) -> None:
        commit(site)
        cause = sqlite3.OperationalError("gone")
        raise OperationalError("COMMIT", None, cause, connection_invalidated=True)

    with monkeypatch.context() as now:
        now.setattr(SiteSession, "commit", commit_unheard)
        words = ["operators", "disable", "taro"]
        assert desk.app.test_cli_runner().invoke(args=words).exit_code == 2
    assert [entry[0] for entry in after(desk, seq)] == ["operator.disabled"]
    assert desk.open("/cards").status_code == 303


@pytest.mark.engines("sqlite", "postgres")
def test_a_trail_that_fails_too_changes_no_answer(desk: Desk) -> None:
    """What was not saved can't be told either: the page says 503 all the same."""
    path, form = form_of(desk, "register")
    seq = len(desk.trail())
    with failing(desk, "site"), failing(desk, "vault again"):
        assert desk.send(path, form).status_code == 503
    assert [entry[0] for entry in after(desk, seq)] == BEGUN


@pytest.mark.engines("sqlite", "postgres")
def test_a_form_that_failed_is_taken_when_sent_again(desk: Desk) -> None:
    """Its ticket was given back with all the rest."""
    path, form = form_of(desk, "delete")
    for point in ("vault", "site"):
        with failing(desk, point):
            assert desk.send(path, form).status_code == 503
    assert desk.send(path, form).status_code == 303
    assert (desk.customers(), desk.cards()) == ([], 0)


@pytest.mark.engines("sqlite", "postgres")
def test_who_began_a_deletion_stays_known(desk: Desk, clock: FakeClock) -> None:
    """Whoever tidies up is in the trail, and so is whose deletion it was."""
    path, form = form_of(desk, "delete")
    with failing(desk, "vault again"):
        assert desk.send(path, form).status_code == 303
        assert "削除完了しました。" in desk.open("/cards/deleted").text
    clock.advance(HOURS_LATER)
    seq = len(desk.trail())
    assert (
        "removed, taro was deleting its customer" in reconcile(desk, "--apply").stdout
    )
    deleted, done = after(desk, seq)
    assert (deleted[0], done[0]) == ("card.deleted", "customer.deleted")
    assert json.loads(done[2]) == {"begun_by": "taro"}


# --- What reconcile removes.


def alone(desk: Desk, cards: int) -> None:
    """Cards whose customers are not there."""
    for _ in range(cards):
        path, form = form_of(desk, "register")
        with failing(desk, "site"):
            assert desk.send(path, form).status_code == 503


def register_later(desk: Desk, clock: FakeClock) -> None:
    """A customer, hours after the login, which is as if it had just begun."""
    with desk.app.extensions["site_engine"].begin() as db:
        now = {"now": clock()}
        db.execute(text("UPDATE login SET seen_at = :now, created_at = :now"), now)
    desk.register()


@pytest.mark.engines("sqlite", "postgres")
def test_an_older_site_is_not_tidied_up(desk: Desk, clock: FakeClock) -> None:
    """Several cards newer than anything the site knows: their customers are in the
    database that was put away."""
    desk.register()
    clock.advance(60)
    alone(desk, 2)
    for hours in (0, 2):
        clock.advance(hours * 3600)
        ran = reconcile(desk)
        assert (ran.exit_code, len(named(ran))) == (1, 2)
        assert "put the site's newer database back" in ran.stdout
        assert "--apply" not in ran.stdout
    ran = reconcile(desk, "--apply")
    assert (ran.exit_code, desk.cards()) == (2, 3)
    assert "looks older than the vault's; nothing was removed" in ran.output
    ran = reconcile(desk, "--apply", "--remove", "2")
    assert (ran.exit_code, desk.cards()) == (2, 3)
    register_later(desk, clock)
    assert reconcile(desk, "--apply").exit_code == 1
    assert desk.cards() == 2


@pytest.mark.engines("sqlite", "postgres")
def test_many_are_removed_by_their_number_alone(desk: Desk, clock: FakeClock) -> None:
    """Twenty are what crashes may leave."""
    alone(desk, 21)
    clock.advance(HOURS_LATER)
    register_later(desk, clock)
    assert "cards reconcile --apply --remove 21\n" in reconcile(desk).stdout
    for flags in ((), ("--remove", "20"), ("--remove", "22")):
        ran = reconcile(desk, "--apply", *flags)
        assert (ran.exit_code, desk.cards()) == (2, 22)
    ran = reconcile(desk, "--apply", "--remove", "21")
    assert (ran.exit_code, ran.stdout.count("removed")) == (1, 21)
    assert desk.cards() == 1
