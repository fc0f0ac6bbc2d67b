"""Rows to try the rules of logging in on, behind the pages' backs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.auth import service
from app.auth.models import Operator
from app.auth.trace import Trace
from tests.actors.operator_client import LOGIN_ID
from tests.app.auth.records import ORIGIN, Pen
from tests.places.vault import NOON


@pytest.fixture
def site(app: Flask, operator: Operator) -> Iterator[Session]:
    """A session on the site's database, with its operator."""
    assert operator.login_id == LOGIN_ID
    with Session(app.extensions["site_engine"]) as site:
        yield site


@pytest.fixture
def taro(site: Session) -> Operator:
    """The operator, read in that session."""
    found = service.by_login_id(site, LOGIN_ID)
    assert found is not None
    return found


@pytest.fixture
def hanako(site: Session) -> Operator:
    """Another operator."""
    made = service.add_operator(
        site, "hanako", "花子", ["h@example.jp"], "hash", must_change=False, now=NOON
    )
    site.flush()
    return made


@pytest.fixture
def trace(app: Flask) -> Iterator[Trace]:
    """Where the entries go."""
    vault = app.extensions["vault"]
    with vault.engine.begin() as db:
        yield Trace(Pen(vault, db), ORIGIN, NOON)
