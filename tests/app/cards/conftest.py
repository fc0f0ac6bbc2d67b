"""An operator who is logged in."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.auth import logins
from app.auth.guard import COOKIE
from app.auth.models import Login, Operator
from tests.actors.operator_client import Desk
from tests.places.vault import FakeClock


@pytest.fixture
def desk(app: Flask, client: FlaskClient, operator: Operator, clock: FakeClock) -> Desk:
    """A desk whose operator is in; the login's own tests go its steps."""
    with Session(app.extensions["site_engine"]) as site:
        logins.begin(site, operator, "127.0.0.1", clock())
        site.flush()
        login = site.query(Login).one()
        _, cookie = logins.advance(site, login, "in", clock())
        site.commit()
    with client.session_transaction() as session:
        session[COOKIE] = cookie
    return Desk(app, client)
