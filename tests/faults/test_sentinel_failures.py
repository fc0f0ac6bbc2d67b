"""A number typed into what fails, and into commands, is found nowhere (PAN-01)."""

from __future__ import annotations

import csv
import http.client
import itertools
import threading
from pathlib import Path
from urllib.parse import quote, urlencode

import pyrage
import pytest

from tests.places.site import kill_group
from tests.spellings import holders, typed_ways

from .sentinel import LOGIN_ID, Recorder, Swept, a_place, headers, serving

pytestmark = pytest.mark.faults

# Published test numbers that nothing else here uses.
NUMBER, SECOND = "4012888888881881", "5105105105105100"
CARD = {
    "customer_name": "山田",
    "phone": "090-0000-0000",
    "exp_month": "1",
    "exp_year": "2030",
}
# What is no request, or one that gunicorn answers by itself.
WIRE = (
    b"NUMBER /login HTTP/1.1",
    b"GET /NUMBER",
    b"GET /NUMBER HTTP/9.9",
    b"GET NUMBER HTTP/1.1",
    b"GET /login HTTP/1.1\r\nNUMBER NUMBER: NUMBER",
    b"GET /login HTTP/1.1\r\nHost NUMBER",
    b"GET /login HTTP/1.1\r\nExpect: NUMBER",
    b"POST /login HTTP/1.1\r\nContent-Length: NUMBER",
    b"POST /login HTTP/1.1\r\nTransfer-Encoding: NUMBER",
    b"POST /login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nNUMBER;NUMBER\r\n",
)


def sheet(rows: list[str]) -> str:
    """A file of customers."""
    return "\n".join(["customer_name,phone,card_number,exp_month,exp_year", *rows])


def sheets() -> dict[str, tuple[int, str]]:
    """Files with the number in good rows, in bad ones, and where none belongs; and
    how their import ends."""
    ways = typed_ways(NUMBER)
    good = [f"山田,090-0000-0000,{text},1,2030" for text in ways[:5]]
    bad = [
        row
        for text in ways
        for row in (
            f"{text},090-0000-0000,{text},1,2030",
            f"山田,{text},{text}9,1,2030",
            f"山田,090-0000-0000,{text},{text},{text}",
            f"山田,090-0000-0000,{text},1,2030,{text}",
            text,
        )
    ]
    return {
        "mixed": (1, sheet(bad + good)),
        "no heading": (2, "\n".join(good)),
        "an open quote": (2, sheet([*good, f'"{NUMBER}'])),
    }


def answers(tokens: list[str]) -> dict[str, tuple[int, str]]:
    """Files that give customers the number, rightly and in every wrong place; and how
    their update ends."""
    ways = typed_ways(NUMBER)
    heading = "token,card_number,exp_month,exp_year,customer_name,phone,status"
    good = [f"{token},{text},,,,," for token, text in zip(tokens, ways, strict=False)]
    bad = [
        row
        for text in ways
        for row in (
            f"{text},,,,,,",
            f"{tokens[-1]},{text}9,,,,,",
            f"{tokens[-1]},,{text},{text},,,",
            f"{tokens[-1]},,,,{text},{text},",
            f"{tokens[-1]},,,,,,{text}",
            text,
        )
    ]
    return {
        "answer": (1, "\n".join([heading, *good, *bad])),
        "no answer": (2, "\n".join([f"token,{NUMBER}", *good])),
    }


def walk(visitor: Recorder) -> None:
    """Register, look at, search, change, fail to change and delete, however typed."""
    first = typed_ways(NUMBER)[:5]
    for text, other in zip(first, typed_ways(SECOND), strict=False):
        where = visitor.press("/cards", "登録", **CARD, card_number_1=text).location
        assert where.endswith("/registered")
        edit = where.replace("registered", "edit")
        visitor.get(where)
        asked = visitor.filled("/cards", "検索", q=text)
        assert visitor.send("/cards/search", asked.items()).location == "/cards"
        for page in ("/cards", "/cards.csv", "/cards.xlsx"):
            assert visitor.get(f"{page}?q={quote(text)}").status == 400
        like = urlencode({"prefix": text, "last4": text, "expiry": "203001"})
        visitor.get(f"/cards/likeness?{like}")
        stale = visitor.press(edit, "更新", card_number_1=other, rev="0")
        assert stale.status == 409
        wrong = visitor.press(edit, "更新", card_number_1=other, exp_month=text)
        assert wrong.status == 422
        assert visitor.press(edit, "更新", card_number_1=other).status == 303
        visitor.get(edit)
    parts = {f"card_number_{n + 1}": NUMBER[n * 4 : n * 4 + 4] for n in range(4)}
    for boxes in (parts, dict.fromkeys(parts, NUMBER)):
        assert visitor.press("/cards", "登録", **CARD, **boxes).status == 303
    assert visitor.press(edit, "削除").status == 303
    visitor.get("/cards/deleted")


def fail(swept: Swept, visitor: Recorder) -> None:
    """Every failure there is a way to, with the number in what is sent."""
    sent, typed = headers(NUMBER), {**CARD, "card_number_1": NUMBER}
    form = visitor.filled("/cards", "登録", **typed)
    for database in ("vault.db", "site.db"):
        with swept.locked(database):
            assert visitor.send("/cards", form.items(), **sent).status == 503
    for database, table in (("vault.db", "audit_entry"), ("site.db", "customer")):
        with swept.broken(database, table):
            assert visitor.send("/cards", form.items(), **sent).status == 503
    swept.change("site.db", "UPDATE form_ticket SET summary = '{' WHERE summary != ''")
    assert visitor.get(f"/cards/deleted?made_up={NUMBER}", **sent).status == 500
    swept.change("site.db", "UPDATE form_ticket SET summary = ''")
    assert visitor.send("/cards", typed.items(), **sent).status == 400
    long = {**form, "phone": NUMBER * 1500}
    assert visitor.send("/cards", long.items(), **sent).status == 413
    for name in ("Origin", "Host"):
        visitor.send("/cards", form.items(), **{name: NUMBER})
    swept.stranger().get("/cards", Cookie=f"session={NUMBER}; {NUMBER}={NUMBER}")
    for line in WIRE:
        swept.say(line.replace(b"NUMBER", NUMBER.encode()) + b"\r\n\r\n")


def refuse_mail(swept: Swept) -> None:
    """A mail server that takes nothing, then does."""
    swept.mails.refusing = True
    visitor, sent = swept.at("password given"), headers(NUMBER)
    visitor.post("/login/email", {"email": f"{LOGIN_ID}@example.co.jp"}, **sent)
    assert swept.mails.refused.get(timeout=120)
    swept.mails.refusing = False
    assert swept.mails.code()


def register_until(visitor: Recorder, enough: threading.Event) -> None:
    """Register one after the other until the site is gone."""
    for count in itertools.count(1):
        try:
            visitor.press("/cards", "登録", **CARD, card_number_1=NUMBER)
        except (OSError, http.client.HTTPException):
            return
        if count > 2:
            enough.set()


def tell(swept: Swept, folder: Path) -> None:
    """Every command that takes in, shows or opens cards."""
    folder.mkdir()
    flask, place = ("flask", "--app", "wsgi"), swept.place.folder
    for name, (expected, text) in sheets().items():
        (folder / name).write_text(text, encoding="utf-8")
        words = ("cards", "import", str(folder / name))
        told = swept.told(*flask, *words, "--results", f"{place}/{name}.csv")
        assert told == expected, name
    with (place / "mixed.csv").open(encoding="utf-8-sig", newline="") as results:
        tokens = [row["token"] for row in csv.DictReader(results) if row["token"]]
    for name, (expected, text) in answers(tokens).items():
        (folder / name).write_text(text, encoding="utf-8")
        words = ("cards", "update", str(folder / name))
        for flags in (("--dry-run",), ("--results", f"{place}/{name}.csv")):
            assert swept.told(*flask, *words, *flags) == expected, name
    assert swept.told(*flask, "cards", "list") == 0
    assert swept.told(*flask, "cards", "list", "--csv") == 0
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    out = ("--recipient", recipient, "--out", str(place / "export.age"))
    assert swept.told("cardvault", "export", *out, "--reason", f"for {NUMBER}") == 0
    assert swept.told("cardvault", "rotate", "--reason", f"for {NUMBER}") == 0
    assert swept.told("cardvault", "report", "rotation") == 0
    assert swept.told("cardvault", "duplicates") == 1
    for verb in (("status",), ("verify",), ("audit", "list")):
        assert swept.told("cardvault", *verb) == 0, verb


def test_a_number_typed_into_every_failure_is_nowhere(tmp_path: Path) -> None:
    """Databases locked and broken, errors, refused mail and requests, SIGKILL: no
    file, log, mail, answer or process holds it, in any spelling."""
    with a_place(tmp_path / "place") as swept:
        with serving(swept):
            visitor = swept.at("logged in", 500, 503)
            walk(visitor)
            fail(swept, visitor)
            refuse_mail(swept)
        with serving(swept) as site:
            enough = threading.Event()
            busy = threading.Thread(
                target=register_until, args=(swept.at("logged in"), enough)
            )
            busy.start()
            assert enough.wait(120)
            kill_group(site)
            busy.join()
        found = holders(swept.everything(), NUMBER, SECOND)
        assert found == []


def test_a_number_given_to_every_command_is_nowhere(tmp_path: Path) -> None:
    """Good rows, bad rows and reasons: neither files nor what is said hold it."""
    with a_place(tmp_path / "place") as swept:
        tell(swept, tmp_path / "given")
        found = holders(swept.everything(), NUMBER)
        assert found == []
