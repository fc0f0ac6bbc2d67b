"""An operator who is logged in."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from .desk import Desk


@pytest.fixture
def desk(app: Flask, client: FlaskClient, auth: Any) -> Desk:
    """A desk whose operator went all the steps of the login."""
    auth.login()
    return Desk(app, client)
