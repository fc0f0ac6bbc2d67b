"""SIGKILL while operators work: what was answered is there and opens."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.faults.reconciling import reconcile
from tests.lengths import at_length
from tests.places.site import PASSWORD, Place, kill_group

pytestmark = pytest.mark.faults

# SITE_KILLS=200 is how often an owner may want to see it once.
KILLS = int(os.environ.get("SITE_KILLS", at_length(15, 30)))
PATIENCE_SECONDS = 120
NUMBERS = ("4810000000020000", "5555555555554444", "378282246310005")


class Shown(NamedTuple):
    """What the site shows of a customer: name, expiry as YYYYMM, last digits."""

    name: str
    expiry: int
    last4: str


class Clerk(threading.Thread):
    """Registers, edits and deletes until the site is gone.  ``answered`` is what he
    was told, ``begun`` the one act he wasn't: whom it is about, and what he becomes."""

    def __init__(self, desk: Desk, answered: dict[str, Shown], seed: int) -> None:
        super().__init__()
        self.desk, self.answered = desk, answered
        self.draw = random.Random(seed)
        self.begun: tuple[str, Shown | None] | None = None
        self.done: Counter[str] = Counter()
        self.busy = threading.Semaphore(0)
        self.seconds = 0.0

    def run(self) -> None:
        """Work until nobody answers."""
        with suppress(OSError, http.client.HTTPException):
            while True:
                few = len(self.answered) < 3
                acts = (self.register, self.edit, self.edit, self.delete)
                act = self.register if few else self.draw.choice(acts)
                began = time.monotonic()
                act()
                self.seconds = time.monotonic() - began
                self.done[act.__name__] += 1
                self.busy.release()

    def form(self) -> tuple[dict[str, str], Shown]:
        """A whole form, and what it leads to."""
        number = self.draw.choice(NUMBERS)
        letters = "".join(self.draw.choices("甲乙丙丁戊己庚辛壬癸", k=12))
        month = self.draw.randint(1, 12)
        shown = Shown(letters, 203000 + month, number[-4:])
        fields = {"customer_name": letters, "card_number_1": number}
        return {**CARD, **fields, "exp_month": str(month)}, shown

    def register(self) -> None:
        """A new customer."""
        form, shown = self.form()
        self.begun = ("", shown)
        url = self.desk.post("/cards", "/cards", **form)
        self.answered[url.split("/")[4]] = shown
        self.begun = None

    def edit(self) -> None:
        """Another name and expiry, and half the time another number."""
        public_id = self.draw.choice(sorted(self.answered))
        form, shown = self.form()
        if self.draw.random() < 0.5:
            form["card_number_1"] = ""
            shown = shown._replace(last4=self.answered[public_id].last4)
        self.begun = (public_id, shown)
        path = f"/cards/{public_id}/edit"
        assert "/updated" in self.desk.post(path, path, **form)
        self.answered[public_id], self.begun = shown, None

    def delete(self) -> None:
        """A customer goes."""
        public_id = self.draw.choice(sorted(self.answered))
        self.begun = (public_id, None)
        path = f"/cards/{public_id}/edit"
        url = self.desk.post(path, path, act="delete", confirmed="y")
        assert "/deleted" in url
        del self.answered[public_id]
        self.begun = None

    def require(self, stored: dict[str, Shown]) -> None:
        """What was answered is stored, and of the act begun all or nothing."""
        if stored != self.answered:
            assert self.begun is not None
            public_id, shown = self.begun
            (public_id,) = {public_id} - {""} or stored.keys() - self.answered.keys()
            self.answered.pop(public_id, None)
            if shown is not None:
                self.answered[public_id] = shown
        assert stored == self.answered


def customers(place: Place) -> tuple[dict[str, Shown], dict[str, str]]:
    """What the site has stored, and the tokens it refers to."""
    with closing(sqlite3.connect(place.folder / "site.db")) as db:
        rows = db.execute("SELECT public_id, name, expiry, last4, token FROM customer")
        found = rows.fetchall()
    shown = {row[0]: Shown(*row[1:4]) for row in found}
    return shown, {row[0]: row[4] for row in found}


def cards(place: Place) -> dict[str, tuple[int, str]]:
    """Expiry and last digits of every card of the vault, by token."""
    with closing(sqlite3.connect(place.folder / "vault.db")) as db:
        rows = db.execute("SELECT token, expiry, last4 FROM card").fetchall()
    return {token: (expiry, last4) for token, expiry, last4 in rows}


def unlike(place: Place) -> set[str]:
    """The customers who are shown otherwise than their cards are."""
    shown, tokens = customers(place)
    held = cards(place)
    return {
        public_id
        for public_id, customer in shown.items()
        if held[tokens[public_id]] != (customer.expiry, customer.last4)
    }


def cut_off(place: Place) -> set[str]:
    """The customers of whom the trail has a change that they don't have."""
    with closing(sqlite3.connect(place.folder / "vault.db")) as db:
        told = "FROM audit_entry WHERE event = 'customer.updated' ORDER BY seq"
        rows = db.execute(f"SELECT subject, outcome, detail {told}").fetchall()
    newest = {subject: (outcome, json.loads(text)) for subject, outcome, text in rows}
    with closing(sqlite3.connect(place.folder / "site.db")) as db:
        kept = db.execute("SELECT public_id, token, rev FROM customer").fetchall()
    return {
        public_id
        for public_id, token, rev in kept
        if newest.get(token, ("none",))[0] == "success"
        and newest[token][1]["customer_rev"] > rev
    }


def test_a_site_killed_at_work_loses_nothing_it_answered(
    tmp_path: Path, mails: tuple[Mails, int], open_at: Callable[[Path], Place]
) -> None:
    """Registering, editing and deleting at random instants: all or nothing, and
    reconcile names the cards left over and nothing else (REL-01)."""
    place, draw, acts = open_at(tmp_path), random.Random(KILLS), Counter[str]()
    desk, answered = Desk(place), dict[str, Shown]()
    for kill in range(KILLS):
        with place.serving("--workers", "1") as site:
            if kill == 0:
                desk.login("taro", mails[0])
            clerk = Clerk(desk, answered, seed=kill)
            clerk.start()
            for _ in range(draw.randint(1, 3)):
                assert clerk.busy.acquire(timeout=PATIENCE_SECONDS)
            # Some instant of the act he is at, however fast this machine is.
            time.sleep(draw.random() * clerk.seconds)
            kill_group(site)
            clerk.join()
        clerk.require(customers(place)[0])
        acts += clerk.done
    assert acts.total() >= KILLS
    assert acts.keys() == {"register", "edit", "delete"}
    with place.serving("--workers", "1"):
        # Nothing that was left over is newer than all the site knows.
        desk.post("/cards", "/cards", customer_name="A", **CARD)
    referred = set(customers(place)[1].values())
    assert referred <= cards(place).keys()
    left, other = cards(place).keys() - referred, unlike(place)
    assert len(left) + len(other) <= KILLS
    other |= cut_off(place)
    code, lines = reconcile(place)
    named = {line.partition("\t")[0] for line in lines if "\t" in line}
    assert (code, named) == (bool(left | other), left | other), lines
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stdout
    reconcile(place, "--apply", *(("--remove", str(len(left))) if left else ()))
    assert (reconcile(place)[0], unlike(place), cut_off(place)) == (0, set(), set())
    assert set(cards(place)) == referred


@pytest.mark.parametrize("mail", ["down", "silent"])
def test_a_dead_mail_server_never_slows_a_page(
    tmp_path: Path, open_at: Callable[[Path], Place], mail: str
) -> None:
    """The address page answers, with ways on.  That it waits for no server is held by
    tests/app/test_mail.py."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    if mail == "down":
        listener.close()
    place = replace(open_at(tmp_path), mail_port=port)
    with place.serving("--workers", "1"):
        desk = Desk(place)
        desk.post("/login", "/login", login_id="taro", password=PASSWORD)
        address = "taro@example.co.jp"
        led = desk.post("/login/email", "/login/email", email=address)
        assert led.endswith("/login/code")
        page = desk.get("/login/code")
    assert "認証コードを再送信" in page
    assert "メールアドレスを変更" in page
    listener.close()
