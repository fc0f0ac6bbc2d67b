"""Revisions 0004 and 0007 of the site's database, with data in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.orm import Session

from app.auth import codes
from app.auth.models import Code, EndedLogin, Login, Operator, Passkey, Totp
from app.migrations import HISTORY
from tests.actors.operator_client import ADDRESS
from tests.places.vault import NOON
from vault.store.database import connect

from .records import begin

OPERATOR = """
    INSERT INTO operator (id, login_id, name, password_hash, password_epoch,
        must_change, first_password_until, failures, locked_until, locks,
        first_lock_at, disabled_at, used_at, created_at)
    VALUES (:id, :login_id, 'N', 'hash', 1, false, 0, 2, 0, :locks, :first, 0, 7, 7)
"""
LOGIN = """
    INSERT INTO login (id, operator_id, password_epoch, step, address, sends,
        origin, created_at, seen_at)
    VALUES ('x', 1, 1, 'in', 't@example.jp', 1, '192.0.2.1', 7, 7)
"""
BEFORE = "0003"


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A database of before with three operators, an address and a login."""
    made = connect(f"sqlite:///{tmp_path / 'site.db'}")
    HISTORY.upgrade(made, BEFORE)
    with made.begin() as db:
        for number, locks, first in ((1, 0, 0), (2, 1, NOON), (3, 2, NOON)):
            row = {"id": number, "login_id": f"op{number}"}
            db.execute(text(OPERATOR), {**row, "locks": locks, "first": first})
        db.execute(text("INSERT INTO operator_address VALUES (1, 1, 't@example.jp')"))
        db.execute(text(LOGIN))
    return made


def test_what_was_there_stays(engine: Engine) -> None:
    """Operators, their addresses and logins; locks are counted on from where they
    stood, and nobody has a factor or shares an ID."""
    HISTORY.upgrade(engine)
    with Session(engine) as site:
        operators = site.scalars(select(Operator).order_by(Operator.id)).all()
        locks = [(one.first_lock_at, one.second_lock_at) for one in operators]
        assert locks == [(0, 0), (0, NOON), (NOON, NOON)]
        first = operators[0]
        assert [address.address for address in first.addresses] == ["t@example.jp"]
        assert (first.failures, first.shared_until, first.last_login_at) == (2, 0, 0)
        assert (first.totp, first.passkeys) == (None, [])
        login = site.scalars(select(Login)).one()
        assert (login.challenge, login.offer, login.proved_at) == ("", None, 0)
    engine.dispose()


def test_factors_are_kept_and_go_again(engine: Engine) -> None:
    """Down again the tables and columns are gone, the operators are not, and a
    shared ID, which nothing would end any more, is disabled."""
    HISTORY.upgrade(engine)
    with Session(engine) as site:
        one, two, three = site.scalars(select(Operator).order_by(Operator.id))
        one.totp = Totp(sealed=b"sealed", last_step=1, created_at=NOON)
        one.passkeys.append(
            Passkey(credential_id="A", public_key=b"k", sign_count=1, created_at=NOON)
        )
        two.shared_until, two.shared_reason = NOON + 60, "counter"
        three.first_lock_at = NOON - 60
        site.commit()
        site.expire_all()
        kept = site.get_one(Operator, 1)
        assert kept.totp is not None
        assert [passkey.credential_id for passkey in kept.passkeys] == ["A"]

    HISTORY.downgrade(engine, BEFORE)
    tables = inspect(engine).get_table_names()
    assert not {"totp", "passkey"} & set(tables)
    columns = {column["name"] for column in inspect(engine).get_columns("operator")}
    assert "locks" in columns
    assert not {"second_lock_at", "shared_until", "failures_since"} & columns
    with engine.connect() as db:
        query = "SELECT locks, first_lock_at, disabled_at FROM operator ORDER BY id"
        rows = [tuple(row) for row in db.execute(text(query))]
    assert rows == [(0, 0, 0), (1, NOON, NOON + 60), (2, NOON - 60, 0)]

    HISTORY.upgrade(engine)
    with Session(engine) as site:
        assert site.scalars(select(Totp)).all() == []
        assert len(site.scalars(select(Operator)).all()) == 3
    engine.dispose()


CODE = """
    INSERT INTO code (id, operator_id, login_id, digest, tries, sent_at, used_at)
    VALUES (1, 1, 'x', 'd', 2, :now, 0)
"""


def test_codes_sent_before_count_on(engine: Engine) -> None:
    """Those of one person's ID still count for the day; down again the columns and why
    logins ended are gone, the code is not."""
    HISTORY.upgrade(engine, "0005")
    with engine.begin() as db:
        db.execute(text(CODE), {"now": NOON})
    HISTORY.upgrade(engine)
    with Session(engine) as site:
        code = site.scalars(select(Code)).one()
        assert (code.digest, code.tries, code.sent_at) == ("d", 2, NOON)
        assert (code.address, code.counts) == ("", True)
        login = begin(site, site.get_one(Operator, 1))
        for _ in range(9):
            codes.keep(site, login, "", NOON)
        refusal = codes.claim_send(site, login, ADDRESS, NOON + 60)
        assert refusal == codes.Refusal(codes.Limit.DAY)
        site.rollback()

        site.add(EndedLogin(id="x", reason="idle", at=NOON))
        site.commit()

    HISTORY.downgrade(engine, "0005")
    assert "ended_login" not in inspect(engine).get_table_names()
    columns = {column["name"] for column in inspect(engine).get_columns("code")}
    assert not {"address", "counts"} & columns
    with engine.connect() as db:
        assert db.execute(text("SELECT digest FROM code")).scalar_one() == "d"
    engine.dispose()


PASSKEY = """
    INSERT INTO passkey (id, operator_id, credential_id, public_key, sign_count,
        created_at, used_at) VALUES (1, 1, 'A', 'k', 1, 7, 7)
"""


def test_passkeys_of_before_have_no_name(engine: Engine) -> None:
    """Nor is it known whose logins ended; down again the passkeys stay."""
    HISTORY.upgrade(engine, "0007")
    with engine.begin() as db:
        db.execute(text(PASSKEY))
        db.execute(text("INSERT INTO ended_login VALUES ('x', 'idle', 7)"))
    HISTORY.upgrade(engine)
    with Session(engine) as site:
        passkey = site.scalars(select(Passkey)).one()
        assert (passkey.name, passkey.credential_id) == ("", "A")
        assert site.scalars(select(EndedLogin)).one().operator_id == 0
        operator = site.get_one(Operator, 1)
        assert (operator.last_failure_at, operator.last_failure_origin) == (0, "")
        login = site.scalars(select(Login)).one()
        assert (login.failure_at, login.failure_origin) == (0, "")
        passkey.name = "このパソコン"
        site.commit()

    HISTORY.downgrade(engine, "0007")
    for table, column in (
        ("passkey", "name"),
        ("ended_login", "operator_id"),
        ("operator", "last_failure_at"),
        ("login", "failure_origin"),
    ):
        assert column not in {c["name"] for c in inspect(engine).get_columns(table)}
    with engine.connect() as db:
        kept = db.execute(text("SELECT credential_id FROM passkey")).scalar_one()
    assert kept == "A"
    engine.dispose()
