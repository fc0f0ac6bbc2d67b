"""A whole month: in by import, billed, answered while four operators edit, billed."""

from __future__ import annotations

import csv
import io
import os
import random
import sqlite3
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyrage
import pytest

from bench.cards import numbers
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.site import Place
from vault import Token

from .reconciling import reconcile

pytestmark = pytest.mark.faults

# MONTH=100000 is the size an owner may want to see once.
CUSTOMERS = int(os.environ.get("MONTH", "300"))
# Every so manieth customer is in the answer, 5,000 at most.
STEP = max(2, CUSTOMERS // 5_000)
OPERATORS = 4
LEAST_EDITS = 4
PHONE = "090-0000-0000"
HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"


class Clerk(threading.Thread):
    """An operator who gives customers of theirs another name or another number, one
    after the other, until told to stop; ``names`` and ``numbers`` are what the site
    said it took, by the customer's place."""

    def __init__(
        self,
        desk: Desk,
        left: list[tuple[int, str]],
        spare: Iterator[str],
        stop: threading.Event,
    ) -> None:
        super().__init__()
        self.desk, self.left, self.spare, self.stop = desk, left, spare, stop
        self.names: dict[int, str] = {}
        self.numbers: dict[int, str] = {}
        self.error: Exception | None = None

    def run(self) -> None:
        """Edit until the end, and a few customers at least."""
        try:
            while self.left and not (self.stop.is_set() and self.done >= LEAST_EDITS):
                self._edit(*self.left.pop())
        except Exception as error:  # noqa: BLE001  # told by the test
            self.error = error

    @property
    def done(self) -> int:
        """How many edits were taken."""
        return len(self.names) + len(self.numbers)

    def _edit(self, place: int, public_id: str) -> None:
        path, name = f"/cards/{public_id}/edit", f"客{letters(place)}"
        number = next(self.spare) if place % 3 == 0 else ""
        if not number:
            name = f"改{letters(place)}"
        fields = {"customer_name": name, "phone": PHONE, "card_number_1": number}
        fields = self.desk.filled(path, **fields, confirmed="y")
        if "/updated" not in self.desk.ask(path, fields).url:
            return
        if number:
            self.numbers[place] = number
        else:
            self.names[place] = name


def letters(place: int) -> str:
    """A name's end without a digit: a name of many digits is refused."""
    return "".join("甲乙丙丁戊己庚辛壬癸"[int(digit)] for digit in str(place))


@pytest.fixture
def place(
    tmp_path: Path, open_at: Callable[[Path], Place], mails: tuple[Mails, int]
) -> Place:
    """A place with an import in it."""
    assert mails
    return open_at(tmp_path)


def customers(place: Place) -> list[tuple[str, str, str, int | None]]:
    """Public id, token, name and mark of each, in the order of the import."""
    words = "SELECT public_id, token, name, stopped_at FROM customer ORDER BY id"
    db = sqlite3.connect(place.folder / "site.db")
    found: list[tuple[str, str, str, int | None]] = db.execute(words).fetchall()
    db.close()
    return found


def billed(place: Place, out: str) -> dict[str, str]:
    """Charge every customer by ``export --with``; returns the numbers by token."""
    tokens = [token for _, token, *_ in customers(place)]
    rows = "".join(f"{token},{n}\n" for n, token in enumerate(tokens))
    (place.folder / "amounts.csv").write_text("token,amount\n" + rows)
    identity = pyrage.x25519.Identity.generate()
    to = ("--recipient", str(identity.to_public()), "--reason", "billing")
    files = ("--with", "amounts.csv", "--out", out)
    done = place.ops("export", *to, *files)
    assert done.returncode == 0, done.stderr
    opened = pyrage.decrypt((place.folder / out).read_bytes(), [identity]).decode()
    cards = list(csv.DictReader(io.StringIO(opened)))
    assert [card["amount"] for card in cards] == [str(n) for n in range(len(tokens))]
    return {card["token"]: card["card_number"] for card in cards}


@contextmanager
def editing(place: Place, mails: Mails, spare: Iterator[str]) -> Iterator[list[Clerk]]:
    """Four operators who edit until the end of the block."""
    stop, clerks = threading.Event(), []
    ids = list(enumerate(public_id for public_id, *_ in customers(place)))
    random.Random(CUSTOMERS).shuffle(ids)
    shares = [iter([next(spare) for _ in ids]) for _ in range(OPERATORS)]
    for number, login_id in enumerate(place.add_operators(OPERATORS)):
        desk = Desk(place)
        desk.login(login_id, mails)
        clerks.append(Clerk(desk, ids[number::OPERATORS], shares[number], stop))
    for clerk in clerks:
        clerk.start()
    try:
        yield clerks
    finally:
        stop.set()
        for clerk in clerks:
            clerk.join()


def answer(tokens: list[str], spare: Iterator[str]) -> tuple[str, dict[int, str]]:
    """The acquirer's answer about every STEPth customer, with rows that are wrong at
    its end, and the new numbers in it by the customer's place."""
    lines, new = ["token,card_number,status\n"], {}
    for place, token in enumerate(tokens):
        if place % (2 * STEP) == 0:
            new[place] = next(spare)
            lines.append(f"{token},{new[place]},\n")
        elif place % STEP == 0:
            lines.append(f"{token},,停止\n")
    wrong = [f"{tokens[1]},4810000000020001,\n", f"{Token.new()},,停止\n", "x,,停止\n"]
    return "".join(lines + wrong), new


def test_a_month_ends_with_every_number_right(
    place: Place, mails: tuple[Mails, int]
) -> None:
    """What the second export says is what the answer or an operator said last, every
    row left alone is in the results, and nothing is left to reconcile."""
    spare = iter(numbers(CUSTOMERS * (OPERATORS + 2)))
    typed = [next(spare) for _ in range(CUSTOMERS)]
    rows = (f"客{letters(n)},{PHONE},{one},12,2040\n" for n, one in enumerate(typed))
    (place.folder / "in.csv").write_text(HEADING + "".join(rows), encoding="utf-8")
    flask = ("flask", "--app", "wsgi", "cards")
    assert place.run(*flask, "import", "in.csv").returncode == 0
    tokens = [token for _, token, *_ in customers(place)]
    assert billed(place, "a.age") == dict(zip(tokens, typed, strict=True))

    text, new = answer(tokens, spare)
    (place.folder / "answer.csv").write_text(text, encoding="utf-8")
    with place.serving(), editing(place, mails[0], spare) as clerks:
        done = place.run(*flask, "update", "answer.csv", "--results", "out.csv")
    assert done.returncode == 1, done.stdout + done.stderr
    assert [clerk.error for clerk in clerks] == OPERATORS * [None]
    assert all(clerk.done >= LEAST_EDITS for clerk in clerks)

    with (place.folder / "out.csv").open(newline="", encoding="utf-8-sig") as file:
        results = list(csv.DictReader(file))
    asked = range(0, CUSTOMERS, STEP)
    wrong = [row["status"] for row in results[len(asked) :]]
    assert wrong == ["refused", "unknown", "unknown"]
    status = dict(zip(asked, (row["status"] for row in results), strict=False))
    assert set(status.values()) <= {"updated", "stopped", "conflict"}
    edits = sum(clerk.done for clerk in clerks)
    sys.stdout.write(f"{Counter(status.values())} beside {edits} edits\n")

    after = customers(place)
    entered = {n: one for clerk in clerks for n, one in clerk.numbers.items()}
    renamed = {n: one for clerk in clerks for n, one in clerk.names.items()}
    told = billed(place, "b.age")
    for n, (_, token, name, stopped_at) in enumerate(after):
        by_answer = new.get(n) if status.get(n) == "updated" else None
        assert told[token] == entered.get(n, by_answer or typed[n]), n
        assert name == renamed.get(n, f"客{letters(n)}"), n
        marked = status.get(n) == "stopped" and n not in entered
        assert (stopped_at is not None) == marked, n
    assert place.ops("verify").stdout.startswith(f"{CUSTOMERS:,} cards opened")
    assert place.ops("audit", "verify").returncode == 0
    assert reconcile(place) == (
        0,
        ["every card has its customer, every customer a card"],
    )
