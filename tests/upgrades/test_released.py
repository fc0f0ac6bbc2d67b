"""From 1.0.0 on an update goes forward, with the data, on both engines, and code of the
version before works beside the new tables until it is reloaded."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyrage
import pytest
from sqlalchemy import Engine, inspect, text

from app.migrations import HISTORY as SITE_HISTORY
from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.postgres_cluster import Cluster
from tests.places.site import Place
from vault.store.database import connect
from vault.store.migrations import HISTORY as VAULT_HISTORY
from vault.store.migrations import History

from .released import CUSTOMERS, DATABASES, ENGINES, OPERATOR, loaded, versions
from .shape import shape, taken

HISTORIES = {"site": SITE_HISTORY, "vault": VAULT_HISTORY}
NEWCOMER = "山田 太郎"
BOTH = pytest.mark.parametrize(
    "engine",
    [
        pytest.param(engine, marks=[pytest.mark.postgres] * (engine == "postgres"))
        for engine in ENGINES
    ],
)


@pytest.fixture
def old(
    request: pytest.FixtureRequest, engine: str, tmp_path: Path
) -> Iterator[Callable[[str], Place]]:
    """Loads the databases of a released version."""
    server: Cluster | None = None
    if engine == "postgres":
        server = request.getfixturevalue("server")
    with ExitStack() as stack:
        yield lambda version: stack.enter_context(
            loaded(version, engine, tmp_path, server)
        )


def engine_of(place: Place, kind: str) -> Engine:
    """One of a place's databases."""
    return connect(place.environ()[DATABASES[kind]])


def numbers(place: Place) -> list[str]:
    """Every card's number, in order, as ``export`` opens them."""
    identity = pyrage.x25519.Identity.generate()
    out = place.folder / "cards.age"
    words = ("--reason", "billing", "--out", str(out), "--columns", "card_number")
    to = ("--recipient", str(identity.to_public()), "--no-header")
    done = place.ops("export", *to, *words)
    assert done.returncode == 0, done.stderr
    opened = pyrage.decrypt(out.read_bytes(), [identity]).decode()
    out.unlink()
    return sorted(opened.split())


@BOTH
@pytest.mark.parametrize("version", versions())
def test_a_released_versions_data_goes_on(
    version: str, old: Callable[[str], Place], mails: tuple[Mails, int]
) -> None:
    """After ``migrate`` every row and the trail hold, every number opens, an operator of
    then logs in and registers a card."""
    place = old(version)
    place.mail_port = mails[1]
    migrated = place.run("flask", "--app", "wsgi", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert place.run("flask", "--app", "wsgi", "migrate", "--check").returncode == 0
    then = sorted(customer.number for customer in CUSTOMERS)
    assert numbers(place) == then
    # Whoever was away for 90 days has to be let in again, however old the version is.
    enabled = place.run("flask", "--app", "wsgi", "operators", "enable", OPERATOR)
    assert enabled.returncode == 0, enabled.stderr
    with place.serving():
        desk = Desk(place)
        desk.login(OPERATOR, mails[0])
        listed = desk.get("/cards")
        assert [one.name for one in CUSTOMERS if one.name not in listed] == []
        desk.post("/cards", "/cards", customer_name=NEWCOMER, **CARD)
    assert numbers(place) == sorted([*then, CARD["card_number_1"]])
    for words in (("verify",), ("audit", "verify")):
        checked = place.ops(*words)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@BOTH
@pytest.mark.parametrize("kind", list(DATABASES))
def test_todays_schema_leaves_the_last_versions_code_its_own(
    kind: str, old: Callable[[str], Place]
) -> None:
    """No revision since the last release takes what that release's code leans on, or
    asks of its rows what it can't know."""
    place = old(versions()[-1])
    engine = engine_of(place, kind)
    before = shape(engine)
    assert len(before) > 6
    HISTORIES[kind].upgrade(engine)
    assert taken(before, shape(engine)) == []
    engine.dispose()


STEP = '''"""A revision that was made up."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "9999", {head!r}
branch_labels = depends_on = None
def upgrade():
    {does}
'''
CHANGED = 'with op.batch_alter_table("{}") as table: table.{}'
TAKEN = {
    "a table": ('op.drop_table("quarantine")', "quarantine is gone"),
    "a column": (
        CHANGED.format("purged", 'drop_column("at")'),
        "purged.at is gone",
    ),
    "a column's name": (
        CHANGED.format("purged", 'alter_column("at", new_column_name="on")'),
        "purged.at is gone",
    ),
    "a column's type": (
        CHANGED.format("card", 'alter_column("brand", type_=sa.String(99))'),
        "card.brand was TEXT and is VARCHAR(99)",
    ),
    "leave to be empty": (
        CHANGED.format("purged", 'alter_column("ops_mac", nullable=False)'),
        "purged.ops_mac takes no NULL any more",
    ),
    "a value it can't know": (
        CHANGED.format("card", 'add_column(sa.Column("hue", sa.Text()))')
        + "\n    op.execute(\"UPDATE card SET hue = 'red'\")\n    "
        + CHANGED.format("card", 'alter_column("hue", nullable=False)'),
        "card.hue is new and wants a value",
    ),
    "what is there twice": (
        'op.create_index("one_each", "card", ["brand", "envelope"], unique=True)',
        "card keeps a new rule: unique brand, envelope",
    ),
    "what a check forbids": (
        CHANGED.format("card", 'create_check_constraint("c", "length < 99")'),
        "card keeps a new rule: check ",
    ),
}


def with_a_revision(history: History, folder: Path, does: str) -> History:
    """The history with one more revision at its end."""
    place = folder / "migrations"
    shutil.copytree(history.place, place)
    step = STEP.format(head=history.head(), does=does)
    (place / "versions" / "9999_made_up.py").write_text(step)
    return History(place, history.version_table)


@BOTH
@pytest.mark.parametrize("what", list(TAKEN))
def test_a_revision_that_takes_something_is_noticed(
    what: str, old: Callable[[str], Place], tmp_path: Path
) -> None:
    """Each way of it, by a revision that was made up."""
    place = old(versions()[-1])
    does, said = TAKEN[what]
    engine = engine_of(place, "vault")
    before = shape(engine)
    more = with_a_revision(VAULT_HISTORY, tmp_path / "more", does)
    more.upgrade(engine)
    assert any(line.startswith(said) for line in taken(before, shape(engine)))
    engine.dispose()


# SQLite's search index is a table of another kind, which takes no second column.
WIDER = """for table in sa.inspect(op.get_bind()).get_table_names():
        if table.startswith("customer_words"):
            continue
        op.add_column(table, sa.Column("added", sa.Text()))
        op.add_column(table, sa.Column("filled", sa.Integer(), nullable=False,
                                       server_default="7"))
        op.create_index(f"added_to_{table}", table, ["added"])
    op.create_table("colour", sa.Column("id", sa.Integer(), primary_key=True))"""


@BOTH
def test_code_goes_on_beside_wider_tables(
    old: Callable[[str], Place], mails: tuple[Mails, int], tmp_path: Path
) -> None:
    """A site that serves while both databases get a revision it doesn't know (columns
    in every table, an index on each, another table) lets an operator in and registers
    a card, until it is reloaded; what it wrote holds."""
    place = old(versions()[-1])
    place.mail_port = mails[1]
    assert place.run("flask", "--app", "wsgi", "migrate").returncode == 0
    place.run("flask", "--app", "wsgi", "operators", "enable", OPERATOR)
    # A second worker that is not there yet would meet the new revision at its start.
    with place.serving("--workers", "1"):
        for kind, history in HISTORIES.items():
            engine = engine_of(place, kind)
            before = shape(engine)
            folder = tmp_path / f"wider-{kind}"
            with_a_revision(history, folder, WIDER).upgrade(engine)
            assert taken(before, shape(engine)) == []
            engine.dispose()
        desk = Desk(place)
        desk.login(OPERATOR, mails[0])
        desk.post("/cards", "/cards", customer_name=NEWCOMER, **CARD)
        assert NEWCOMER in desk.get("/cards")
    # Code that is started beside them refuses, and says what to do.
    refused = place.ops("verify")
    assert refused.returncode != 0
    assert "was made by a newer version" in refused.stderr
    for kind, history in HISTORIES.items():
        engine = engine_of(place, kind)
        with engine.begin() as db:
            stood = text(f"UPDATE {history.version_table} SET version_num = :head")
            db.execute(stood, {"head": history.head()})
        assert "added" in {
            column["name"]
            for column in inspect(engine).get_columns(history.version_table)
        }
        engine.dispose()
    assert place.ops("verify").returncode == 0
    assert place.ops("audit", "verify").returncode == 0
