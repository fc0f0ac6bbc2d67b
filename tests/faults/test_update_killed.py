"""SIGKILL while a file updates customers: run again, each row is done once."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.forked import Forks
from tests.killer import Killer
from tests.places.site import Place

from .reconciling import reconcile

pytestmark = pytest.mark.faults

ROWS = 1500
KILLS = int(os.environ.get("UPDATE_KILLS", "12"))
# A kill comes within so small a part of a whole update.
KILLS_AN_UPDATE = 4
CARDS = ("flask", "--app", "wsgi", "cards")
OLD, NEW = "4810000000020000", "5555555555554444"
HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"


def query(place: Place, database: str, words: str) -> list[tuple[object, ...]]:
    """Rows out of a database."""
    db = sqlite3.connect(place.folder / database)
    found = db.execute(words).fetchall()
    db.close()
    return found


def stocked(place: Place, folder: Path) -> list[str]:
    """Import the customers; returns their tokens."""
    place.folder.mkdir()
    place.make()
    file = folder / "customers.csv"
    rows = (f"客{n},090-{n:08},{OLD},12,2030\n" for n in range(ROWS))
    file.write_text(HEADING + "".join(rows))
    done = place.run("flask", "--app", "wsgi", "cards", "import", str(file))
    assert done.returncode == 0, done.stderr
    return [str(row[0]) for row in query(place, "site.db", TOKENS)]


TOKENS = "SELECT token FROM customer ORDER BY id"


def answer(tokens: list[str]) -> str:
    """A file that gives a third new numbers, a third an expiry, and marks a third."""
    lines = ["token,card_number,exp_month,exp_year,customer_name,status\n"]
    for place, token in enumerate(tokens):
        lines.append(
            (
                f"{token},{NEW},,,,\n",
                f"{token},,1,2031,新{place},\n",
                f"{token},,,,,停止\n",
            )[place % 3]
        )
    return "".join(lines)


def test_an_update_killed_at_random_instants_does_each_row_once(
    forks: Forks, tmp_path: Path
) -> None:
    """SIGKILLs (UPDATE_KILLS), each on what the one before has left: the same command
    finishes it, with the results of every row; no card is lost, doubled or left, but
    those that reconciling removes."""
    whole, place = Place(tmp_path / "whole"), Place(tmp_path / "place")
    tokens = stocked(whole, tmp_path)
    shutil.copytree(whole.folder, place.folder)
    file, out = tmp_path / "answer.csv", tmp_path / "results.csv"
    file.write_text(answer(tokens))
    words = ["--app", "wsgi", "cards", "update", str(file), "--results", str(out)]
    killer = Killer(forks, whole, *words, command="flask", seed=KILLS)
    killer.run()
    out.unlink()
    killer.place = place
    for _ in range(KILLS):
        killer.kill(KILLS_AN_UPDATE)
    done = place.run("flask", *words)
    assert done.returncode == 0, done.stdout + done.stderr

    after = (
        "SELECT token, name, last4, expiry, rev, stopped_at FROM customer ORDER BY id"
    )
    customers = query(place, "site.db", after)
    with out.open(newline="", encoding="utf-8-sig") as results:
        rows = list(csv.DictReader(results))
    assert [row["line"] for row in rows] == [str(n + 2) for n in range(ROWS)]
    statuses = [("updated", "updated", "stopped")[n % 3] for n in range(ROWS)]
    assert [row["status"] for row in rows] == statuses
    assert [row["token"] for row in rows] == [one[0] for one in customers]
    for number, (token, name, last4, expiry, rev, stopped_at) in enumerate(customers):
        kind = number % 3
        assert (token == tokens[number]) == (kind != 0)
        assert last4 == ("4444" if kind == 0 else "0000")
        assert (name, expiry) == (
            (f"新{number}", 203101) if kind == 1 else (f"客{number}", 203012)
        )
        assert (stopped_at is not None) == (kind == 2)
        assert rev == 2
    # The replaced cards are gone, and each customer's is there.
    cards = {row[0] for row in query(place, "vault.db", "SELECT token FROM card")}
    assert cards >= {one[0] for one in customers}
    assert not cards & set(tokens[::3])

    code, lines = reconcile(place)
    alone = len(cards) - ROWS
    assert len([line for line in lines if line.startswith("card_")]) == alone
    assert code == (1 if alone else 0)
    if alone:
        code, lines = reconcile(place, "--apply", "--remove", str(alone))
        assert len(query(place, "vault.db", "SELECT 1 FROM card")) == ROWS
    assert reconcile(place)[0] == 0
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stdout


def of_one_customer(folder: Path) -> tuple[Place, str]:
    """A place with one customer, and their card's token."""
    place, file = Place(folder / "place"), folder / "customers.csv"
    place.folder.mkdir()
    place.make()
    file.write_text(HEADING + f"客,090-0000-0000,{OLD},12,2030\n")
    assert place.run(*CARDS, "import", str(file)).returncode == 0
    ((token,),) = query(place, "site.db", TOKENS)
    return place, str(token)


@pytest.mark.parametrize(
    "step",
    ["site-vault-committed:2", "site-committed:2", "site-followed", "part-named"],
)
def test_an_update_killed_between_its_commits_goes_on(
    tmp_path: Path, step: str
) -> None:
    """At each point between the commits of the only batch, and when the results have
    their name: the same command finishes it, deletes the old card, and tells what was
    done."""
    place, old = of_one_customer(tmp_path)
    file = tmp_path / "answer.csv"
    text, out = f"token,card_number\n{old},{NEW}\n", tmp_path / "results.csv"
    file.write_text(text)
    command = (*CARDS, "update", str(file), "--results", str(out))
    killed = place.run(*command, kill_at=step)
    assert killed.returncode == -9, killed.stderr
    assert out.exists() == (step == "part-named")
    done = place.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr

    ((token,),) = query(place, "site.db", TOKENS)
    assert token != old
    # Sealed again, if the site's commit was missed; then the first is of nobody.
    lost = step.startswith("site-vault-committed")
    with out.open(newline="", encoding="utf-8-sig") as results:
        rows = [(row["status"], row["token"]) for row in csv.DictReader(results)]
    assert rows == [("updated", token)]
    cards = [row[0] for row in query(place, "vault.db", "SELECT token FROM card")]
    assert token in cards
    assert old not in cards
    assert len(cards) == 1 + lost
    assert place.ops("verify").returncode == 0


def test_what_a_killed_update_did_not_save_is_said_to_have_failed(
    tmp_path: Path,
) -> None:
    """The trail had the change with the vault's commit; the same command, which makes
    it, first says that it was not saved."""
    place, token = of_one_customer(tmp_path)
    file = tmp_path / "answer.csv"
    file.write_text(f"token,customer_name\n{token},新\n")
    killed = place.run(*CARDS, "update", str(file), kill_at="site-vault-committed:2")
    assert killed.returncode == -9, killed.stderr
    assert place.run(*CARDS, "update", str(file)).returncode == 0
    told = (
        "SELECT outcome, subject FROM audit_entry"
        " WHERE event = 'customer.updated' ORDER BY seq"
    )
    outcomes = ("success", "failure", "success")
    assert query(place, "vault.db", told) == [(one, token) for one in outcomes]
    assert reconcile(place)[0] == 0
