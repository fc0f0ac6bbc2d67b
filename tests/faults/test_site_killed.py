"""SIGKILL while operators register: what was answered is there and opens."""

from __future__ import annotations

import http.client
import random
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk import CARD, Desk, Mails
from tests.site import PASSWORD, Place, kill_group

pytestmark = pytest.mark.faults

KILLS = 50


def register_until(desk: Desk, answered: list[str], number: Iterator[int]) -> None:
    """Register customers one after the other until the site is gone."""
    while True:
        name = f"客{'甲乙丙丁'[next(number) % 4]}番{next(number)}号室"
        try:
            if "/registered" in desk.post(
                "/cards", "/cards", customer_name=name, **CARD
            ):
                answered.append(name)
        except (OSError, http.client.HTTPException):
            return


def counter() -> Iterator[int]:
    """Numbers that never repeat."""
    number = 1000
    while True:
        number += 1
        yield number


def stored(place: Place) -> tuple[dict[str, str], set[str]]:
    """Customers' tokens by name, and the tokens the vault holds."""
    with sqlite3.connect(place.folder / "site.db") as db:
        customers = dict(db.execute("SELECT name, token FROM customer"))
    db.close()
    with sqlite3.connect(place.folder / "vault.db") as vault:
        tokens = {row[0] for row in vault.execute("SELECT token FROM card")}
    vault.close()
    return customers, tokens


def test_a_site_killed_while_registering_loses_nothing_it_answered(
    tmp_path: Path, mails: tuple[Mails, int]
) -> None:
    """50 random instants: what was answered is there, the rest whole or absent."""
    place = Place(tmp_path, mail_port=mails[1]).make()
    place.add_operator("taro")
    draw, numbers = random.Random(50), counter()
    answered: list[str] = []
    desk = Desk(place)
    for kill in range(KILLS):
        with place.serving("--workers", "1") as site:
            if kill == 0:
                desk.login("taro", mails[0])
            busy = threading.Thread(
                target=register_until, args=(desk, answered, numbers)
            )
            busy.start()
            time.sleep(0.05 + draw.random() * 0.4)
            kill_group(site)
            busy.join()
    customers, tokens = stored(place)
    assert len(answered) > KILLS
    assert set(answered) <= set(customers)
    assert set(customers.values()) <= tokens
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stdout
    with place.serving("--workers", "1"):
        assert answered[-1] in desk.get("/cards")


@pytest.mark.parametrize("mail", ["down", "silent"])
def test_a_dead_mail_server_never_slows_a_page(tmp_path: Path, mail: str) -> None:
    """The address page answers in under two seconds, with ways on."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if mail == "down":
        listener.close()
    place = Place(tmp_path, mail_port=port).make()
    place.add_operator("taro")
    with place.serving("--workers", "1"):
        desk = Desk(place)
        desk.post("/login", "/login", login_id="taro", password=PASSWORD)
        began = time.monotonic()
        address = "taro@example.co.jp"
        led = desk.post("/login/email", "/login/email", email=address)
        assert time.monotonic() - began < 2
        assert led.endswith("/login/code")
        page = desk.get("/login/code")
    assert "認証コードを再送信" in page
    assert "メールアドレスを変更" in page
    listener.close()
