"""Customers stocked without the pages, and the names a page of the list shows."""

from __future__ import annotations

import re

from click.testing import Result

from app.cards import service
from app.db import Work
from tests.actors.operator_client import Desk
from vault import Actor, Expiry, Pan

AMEX = "378282246310005"
VISA = "4810000000020000"


def stock(desk: Desk, *customers: tuple[str, str, str, int]) -> None:
    """Register (name, phone, number, expiry YYYYMM) without the pages."""
    by, now = Actor("taro", "192.0.2.1"), desk.vault.clock()
    work = Work(desk.app.extensions["site_engine"], desk.vault)
    work.write()
    for name, phone, number, expiry in customers:
        pan, expires = Pan.parse(number), Expiry.from_key(expiry)
        new = service.NewCard(name, phone, pan, expires)
        service.register(work, new, service.new_public_id(), by, now)
    work.commit()


def names(desk: Desk, address: str) -> list[str]:
    """The names the list shows at ``address``, in its order."""
    assert desk.open(address).status_code == 200
    return re.findall(r'class="name"[^>]*>([^<]*)<', desk.page)


def command(desk: Desk, *args: str) -> Result:
    """Run ``flask cards`` on the desk's site."""
    return desk.app.test_cli_runner().invoke(args=["cards", *args])
