"""The same site on PostgreSQL, chosen by URL alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyrage
import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.site import Place
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

pytestmark = pytest.mark.postgres


@pytest.fixture
def place(
    tmp_path: Path, databases: tuple[str, str], mails: tuple[Mails, int]
) -> Place:
    """A place whose databases are PostgreSQL's."""
    site, vault = databases
    more = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}
    return Place(tmp_path, mail_port=mails[1], more=more).make()


def vault_of(place: Place) -> Vault:
    """The web role on a place."""
    url = place.environ()["VAULT_DATABASE_URL"]
    return Vault(WebKey.read(place.folder / "web.key"), connect(url), system_clock)


def seal(place: Place, count: int) -> None:
    """Seal cards as the site does, one transaction each, eight at a time."""
    vault = vault_of(place)

    def one(_number: int) -> None:
        with vault.engine.begin() as db:
            pan = Pan.parse("4810000000020000")
            vault.tokenize(db, pan, Expiry(2030, 1), Actor("taro", "192.0.2.1"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(one, range(count)))
    vault.engine.dispose()


def test_an_operator_works_as_on_sqlite(place: Place, mails: tuple[Mails, int]) -> None:
    """Log in, register, look, and everything verifies."""
    place.add_operator("taro")
    desk = Desk(place)
    with place.serving("--workers", "2"):
        desk.login("taro", mails[0])
        desk.post("/cards", "/cards", customer_name="山田", **CARD)
        page = desk.get("/cards?q=%E5%B1%B1%E7%94%B0")
    assert "48**-****-****-0000" in page
    done = place.ops("verify")
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "1 card opened")


def test_cards_are_purged_compared_and_exported(place: Place) -> None:
    """What is due goes, what is alike is found, and the rest comes out."""
    seal(place, 3)
    vault = vault_of(place)
    with vault.engine.begin() as db:
        old = [(Pan.parse("5555555555554444"), Expiry(2020, 1))] * 1500
        vault.tokenize_many(db, old, Actor("taro", "192.0.2.1"))
    vault.engine.dispose()
    dry = place.run("cardvault", "purge", "--expired-for", "90", "--dry-run")
    assert (dry.returncode, dry.stdout.count("\n")) == (0, 1500)
    done = place.run("cardvault", "purge", "--expired-for", "90")
    assert (done.returncode, done.stdout) == (0, "purged 1,500 cards\n")
    assert place.ops("duplicates").stdout.count("48**-****-****-0000") == 3
    identity = pyrage.x25519.Identity.generate()
    words = ("--recipient", str(identity.to_public()), "--reason", "billing")
    done = place.ops("export", *words, "--out", "cards.age")
    assert done.returncode == 0, done.stderr
    plain = pyrage.decrypt((place.folder / "cards.age").read_bytes(), [identity])
    assert plain.count(b",4810000000020000,01,2030\r\n") == 3
    token = plain.splitlines()[2].split(b",")[0].decode()
    (place.folder / "amounts.csv").write_text(f"token,n\n{token},7\n{token},8\n")
    billed = (*words, "--with", "amounts.csv", "--columns", "n,card_number")
    done = place.ops("export", *billed, "--fixed", "2,16", "--out", "bill.age")
    assert done.returncode == 0, done.stderr
    plain = pyrage.decrypt((place.folder / "bill.age").read_bytes(), [identity])
    assert plain == b"7 4810000000020000\r\n8 4810000000020000\r\n"
    (place.folder / "amounts.csv").write_text("token\ncard_\x00\n4810000000020000\n")
    done = place.ops("export", *billed, "--out", "no.age")
    assert (done.returncode, "there is no 'n'" in done.stderr) == (2, True)
    done = place.ops("export", *billed[:-2], "--out", "no.age")
    assert done.returncode == 2
    assert "line 2: is not a token; line 3: is not a token" in done.stderr
    done = place.ops("verify")
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "3 cards opened")


def test_a_file_goes_in_and_the_next_customer_after_it(
    place: Place, mails: tuple[Mails, int]
) -> None:
    """In two batches; the numbers of customers go on, and the search index agrees."""
    file = place.folder / "customers.csv"
    rows = [f"客{n},090-{n:08},5555555555554444,12,2030\n" for n in range(1200)]
    heading = "customer_name,phone,card_number,exp_month,exp_year\n"
    file.write_text(heading + "".join(rows) + "x,x,x,x,x\n")
    flask = ("flask", "--app", "wsgi")
    out = str(place.folder / "results.csv")
    done = place.run(*flask, "cards", "import", str(file), "--results", out)
    assert (done.returncode, "1,200 imported" in done.stdout) == (1, True)
    place.add_operator("taro")
    desk = Desk(place)
    with place.serving("--workers", "1"):
        desk.login("taro", mails[0])
        desk.post("/cards", "/cards", customer_name="山田", **CARD)
        assert "090-00001199" in desk.get("/cards?q=00001199")
        assert "48**-****-****-0000" in desk.get("/cards?q=%E5%B1%B1%E7%94%B0")
    checked = place.run(*flask, "cards", "reconcile")
    assert checked.returncode == 0, checked.stdout
    done = place.ops("verify")
    assert (done.returncode, "1,201 cards opened" in done.stdout) == (0, True)


def test_every_key_can_be_changed(place: Place) -> None:
    """rotate, root rotate and web-key rotate end verified."""
    seal(place, 40)
    for words in (
        ("rotate", "--batch", "7"),
        ("root", "rotate"),
        ("root", "rotate", "--finalize"),
    ):
        done = place.ops(*words)
        assert done.returncode == 0, done.stderr
    for name in ("web.key", "root.key"):
        (place.folder / f"{name}.new").rename(place.folder / name)
    done = place.ops("web-key", "rotate")
    assert done.returncode == 0, done.stderr
    (place.folder / "web.key.new").rename(place.folder / "web.key")
    done = place.ops("verify")
    assert (done.returncode, done.stdout.split(",")[0]) == (0, "40 cards opened")
    done = place.ops("audit", "verify")
    assert done.returncode == 0, done.stderr


def test_both_histories_go_down_and_up_again(place: Place) -> None:
    """Every revision of both databases, with nothing left behind."""
    check = ("flask", "--app", "wsgi", "migrate", "--check")
    assert place.run(*check).returncode == 0
