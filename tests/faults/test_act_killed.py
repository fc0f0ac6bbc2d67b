"""SIGKILL at each point between the two databases: the trail and ``cards reconcile``
say what is so, and who did it (LCK-05)."""

from __future__ import annotations

import http.client
import re
import sqlite3
import urllib.error
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.faults.reconciling import reconcile
from tests.kill_points import points_in
from tests.places.site import Place, kill_group

pytestmark = pytest.mark.faults


class Left(NamedTuple):
    """What is there afterwards: how many customers and cards, what the trail has of
    the act, and what reconcile says two hours later of each thing it names."""

    customers: int
    cards: int
    trail: list[str]
    found: list[str]


VAULT, SITE, DONE = points_in("app/db.py")
ALONE = "no customer refers to it"
LOST = "the change by taro was not saved"
REGISTERED = ["card.registered", "customer.registered"]
DELETED = ["customer.deleting", "card.deleted", "customer.deleted"]

TABLE = {
    ("register", VAULT): Left(
        0, 1, REGISTERED, [f"{ALONE}, taro registered its customer"]
    ),
    ("register", SITE): Left(1, 1, REGISTERED, []),
    # A change of the name alone stands in the trail before it is made.
    ("name", VAULT): Left(1, 1, ["customer.updated"], [LOST]),
    ("name", SITE): Left(1, 1, ["customer.updated"], []),
    ("expiry", VAULT): Left(
        1, 1, ["card.expiry_changed"], ["expiry 01/2030, its card's is 12/2031"]
    ),
    ("expiry", SITE): Left(1, 1, ["card.expiry_changed"], []),
    ("number", VAULT): Left(1, 2, ["card.replaced"], [ALONE]),
    ("number", SITE): Left(1, 2, ["card.replaced"], [ALONE]),
    ("number", DONE): Left(1, 1, ["card.replaced", "card.deleted"], []),
    ("name and number", VAULT): Left(
        1,
        2,
        ["card.replaced", "customer.updated"],
        [f"{ALONE}, taro changed its customer"],
    ),
    ("name and number", DONE): Left(
        1, 1, ["card.replaced", "customer.updated", "card.deleted"], []
    ),
    ("name and expiry", VAULT): Left(
        1,
        1,
        ["card.expiry_changed", "customer.updated"],
        [LOST, "expiry 01/2030, its card's is 12/2031"],
    ),
    ("delete", VAULT): Left(1, 1, DELETED[:1], []),
    ("delete", SITE): Left(
        0, 1, DELETED[:1], [f"{ALONE}, taro was deleting its customer"]
    ),
    ("delete", DONE): Left(0, 0, DELETED, []),
}
FIELDS = {
    "name": {"customer_name": "B", "confirmed": "y"},
    "expiry": {"exp_month": "12", "exp_year": "2031", "confirmed": "y"},
    "number": {"card_number_1": "5555555555554444", "confirmed": "y"},
    "delete": {"act": "delete", "confirmed": "y"},
}
FIELDS["name and number"] = FIELDS["number"] | FIELDS["name"]
FIELDS["name and expiry"] = FIELDS["expiry"] | FIELDS["name"]


# What the customer is shown with, by those that change it: before reconcile and after.
SHOWN = {
    ("name", VAULT): [("A", 203001), ("A", 203001)],
    ("name", SITE): [("B", 203001), ("B", 203001)],
    ("expiry", VAULT): [("A", 203001), ("A", 203112)],
    ("expiry", SITE): [("A", 203112), ("A", 203112)],
}
CUSTOMER = "SELECT name, expiry FROM customer"


# What the trail says failed, once reconcile has set it right: what, and whose act.
FAILED = {
    ("register", VAULT): [("customer.registered", '{"begun_by": "taro"}')],
    ("name", VAULT): [("customer.updated", '{"begun_by": "taro"}')],
    ("name and number", VAULT): [("customer.updated", '{"begun_by": "taro"}')],
    ("name and expiry", VAULT): [("customer.updated", '{"begun_by": "taro"}')],
}


def failures(place: Place) -> list[tuple[str, ...]]:
    """What the trail says failed."""
    failed = "FROM audit_entry WHERE outcome = 'failure' ORDER BY seq"
    return rows(place, "vault.db", f"SELECT event, detail {failed}")


def untimed(said: str) -> str:
    """A line of reconcile's without the time in it."""
    return re.sub(r" at \d{4}/\d\d/\d\d \d\d:\d\d", "", said)


def rows(place: Place, name: str, query: str) -> list[tuple[str, ...]]:
    """What one of the place's databases answers."""
    with closing(sqlite3.connect(place.folder / name)) as db:
        return db.execute(query).fetchall()


@pytest.mark.parametrize(("act", "point"), TABLE)
def test_killed_between_the_databases_all_say_what_is_so(
    tmp_path: Path,
    mails: tuple[Mails, int],
    open_at: Callable[[Path], Place],
    act: str,
    point: str,
) -> None:
    """One row of the table; what is left over is tidied up, and nothing else."""
    place = open_at(tmp_path)
    desk, path = Desk(place), "/cards"
    with place.serving("--workers", "1"):
        desk.login("taro", mails[0])
        if act != "register":
            done = desk.post("/cards", "/cards", customer_name="A", **CARD)
            path = f"/cards/{done.split('/')[4]}/edit"
        form = desk.filled(path, **FIELDS.get(act, {"customer_name": "A", **CARD}))
    (last,) = rows(place, "vault.db", "SELECT max(seq) FROM audit_entry")[0]
    with place.serving("--workers", "1", kill_at=point) as site:
        with pytest.raises((http.client.HTTPException, urllib.error.URLError, OSError)):
            desk.send(path, form)
        kill_group(site)
    entries = rows(
        place,
        "vault.db",
        "SELECT event, actor FROM audit_entry WHERE event NOT IN"
        f" ('key.minted', 'audit.viewed') AND seq > {last} ORDER BY seq",
    )
    code, lines = reconcile(place)
    assert (
        Left(
            len(rows(place, "site.db", "SELECT id FROM customer")),
            len(rows(place, "vault.db", "SELECT id FROM card")),
            [entry[0] for entry in entries],
            [untimed(line.split("\t")[-1]) for line in lines if "\t" in line],
        )
        == TABLE[act, point]
    )
    assert {entry[1] for entry in entries} == {"taro"}
    assert code == bool(TABLE[act, point].found)
    shown = rows(place, "site.db", CUSTOMER)
    reconcile(place, "--apply")
    assert failures(place) == FAILED.get((act, point), [])
    assert reconcile(place)[0] == 0
    shown += rows(place, "site.db", CUSTOMER)
    assert shown == SHOWN.get((act, point), shown)
    assert place.ops("verify").returncode == 0
