"""Fixtures of the tests that kill."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller

from tests.site import free_port

from .desk import Mails


@pytest.fixture
def mails() -> Iterator[tuple[Mails, int]]:
    """A mail server and its port."""
    box = Mails()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield box, controller.port
    controller.stop()
