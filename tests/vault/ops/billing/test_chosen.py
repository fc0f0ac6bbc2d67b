"""An export carries a file's columns beside its cards, or says which lines it can't."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pyrage
import pytest
from sqlalchemy import Connection, insert, text

from tests.places.vault import VISA, VaultPlace
from vault import Actor, Expiry, Token, errors
from vault.ops import OpenVault
from vault.ops.billing import chosen
from vault.ops.billing.layout import DEFAULT, Layout, read_columns, read_widths
from vault.ops.billing.sheet import Sheet
from vault.ops.export import Exported, Order, export
from vault.ops.progress import Step
from vault.store.schema import PURGED

Register = Callable[..., Token]
OPS = Actor("ops", "command")
AMEX = "378282246310005"


class Biller:
    """Exports with a file of amounts, and opens what came of it."""

    def __init__(self, place: VaultPlace) -> None:
        self.place = place
        self.identity = pyrage.x25519.Identity.generate()
        self.out = place.folder / "cards.age"
        self.amounts = place.folder / "amounts.csv"
        self.left_out: list[str] = []
        self.during: Callable[[Step], None] = lambda _: None

    def __call__(
        self,
        rows: Sequence[str],
        columns: str | None = None,
        *,
        widths: str = "",
        encoding: str = "utf-8",
    ) -> Exported:
        """Export the cards that the ``rows`` of the file name."""
        self.amounts.write_text("".join(f"{row}\n" for row in rows))
        sheet = Sheet(self.amounts)
        layout = Layout(
            read_columns(columns) if columns else (*DEFAULT, *sheet.carried),
            sheet.carried,
            encoding=encoding,
            widths=read_widths(widths) if widths else (),
        )
        to = (str(self.identity.to_public()),)
        order = Order(self.out, to, "billing", OPS, sheet=sheet, layout=layout)
        return export(
            self.place.open_vault(),
            order,
            self.during,
            lambda token, _: self.left_out.append(token),
        )

    def refused(self, rows: Sequence[str], **options: str) -> str:
        """What the file is refused with; no card was opened, nothing was written."""
        with pytest.raises(errors.InputError) as refused:
            self(rows, **options)
        assert (self.out.exists(), self.trail()) == (False, [])
        return str(refused.value).removeprefix(f"{self.amounts}: ")

    def plain(self) -> bytes:
        """The text in the file."""
        opened: bytes = pyrage.decrypt(self.out.read_bytes(), [self.identity])
        return opened

    def lines(self) -> list[str]:
        """Its lines."""
        return self.plain().decode().split("\r\n")[:-1]

    def trail(self) -> list[dict[str, object]]:
        """The details of the entries about exports."""
        query = text("SELECT detail FROM audit_entry WHERE event LIKE 'cards.exp%'")
        with self.place.engine.connect() as db:
            return [json.loads(detail) for detail in db.execute(query).scalars()]


@pytest.fixture
def bill(place: VaultPlace) -> Biller:
    """Somebody who bills."""
    return Biller(place)


def test_each_row_comes_beside_its_card_in_the_files_order(
    bill: Biller, register: Register
) -> None:
    """A token twice, two amounts, is two lines; a card not named is not there."""
    first, second, _ = register(), register(AMEX, Expiry(2031, 12)), register()
    rows = ["no,token,amount", f"1,{second},980", f"2,{first},50", f"3,{second},7"]
    assert bill(rows) == Exported(3, 0)
    assert bill.lines() == [
        "token,card_number,exp_month,exp_year,no,amount",
        f"{second},{AMEX},12,2031,1,980",
        f"{first},{VISA},01,2030,2,50",
        f"{second},{AMEX},12,2031,3,7",
    ]


def test_the_trail_says_how_many_rows_of_what_with_which_columns(
    bill: Biller, register: Register
) -> None:
    """Before the first card is opened, and when all are written."""
    rows = ["token,amount", *[f"{register()},1"] * 2]
    bill(rows, "card_number,amount")
    asked = {
        "reason": "billing",
        "recipients": str(bill.identity.to_public()),
        "columns": "card_number, amount",
        "with": "amounts.csv",
    }
    assert bill.trail() == [
        {"count": 2, **asked},
        {"count": 2, "left_out": 0, **asked},
    ]


def test_many_pages_keep_their_order(
    bill: Biller, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Across the border of pages, whatever the order of registration."""
    monkeypatch.setattr(chosen, "PAGE", 2)
    tokens = [register() for _ in range(5)]
    order = [tokens[n] for n in (4, 0, 3, 3, 1, 4, 2)]
    bill(["token,n", *(f"{t},{n}" for n, t in enumerate(order))], "token,n")
    assert bill.lines()[1:] == [f"{t},{n}" for n, t in enumerate(order)]


def test_every_bad_line_is_named_before_a_card_is_opened(
    bill: Biller, register: Register
) -> None:
    """By number and column, without what stands there."""
    good, purged = register(), Token.new()
    mark = bill.place.vault().signer.signed(PURGED, {"token": purged, "at": 1})
    with bill.place.engine.begin() as db:
        db.execute(insert(PURGED), mark)
    rows = [
        "token,amount",
        f"{good},1",
        f"{VISA},2",
        f"{Token.new()},3",
        f"{good[:-1]}{'b' if good[-1] != 'b' else 'c'},4",
        ",5",
        f"{purged},6",
        f"{good},7,8",
        f"{good},９é",
    ]
    assert bill.refused(rows, encoding="cp932").split("; ") == [
        "line 3: is not a token",
        "line 4: no card has this token",
        "line 5: is not a token",
        "line 6: has no token",
        "line 7: its card was purged",
        "line 8: has 3 cells, the heading has 2",
        "line 9: amount: has a character that cp932 does not have",
    ]


def test_what_is_no_token_is_not_asked_for(
    bill: Biller, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that logs what it is asked for would log a card number."""
    asked: list[object] = []
    missing = OpenVault.missing

    def ask(vault: OpenVault, db: Connection, tokens: list[str]) -> dict[str, str]:
        asked.extend(tokens)
        return missing(vault, db, tokens)

    monkeypatch.setattr(OpenVault, "missing", ask)
    unknown = Token.new()
    bill.refused(["token", VISA, unknown, str(register())])
    assert asked == [unknown]


def test_twenty_bad_lines_are_named_at_most(bill: Biller) -> None:
    """And the file is not read to its end for more."""
    said = bill.refused(["token", *["x"] * 1000])
    assert said.count("is not a token") == chosen.MAX_FAULTS
    assert said.startswith("line 2: ")


def test_a_file_without_a_row_is_not_every_card(
    bill: Biller, register: Register
) -> None:
    """It says so."""
    register()
    assert bill.refused(["token,amount"]) == "has a heading and no row"


def test_a_number_longer_than_its_field_is_named_before_it_is_opened(
    bill: Biller, register: Register
) -> None:
    """Its line, or without a file its token; those that fit don't matter."""
    short, long = register(AMEX), register("8171999900000000021")
    rows = ["token", short, long]
    said = bill.refused(rows, columns="card_number", widths="16")
    assert said == "line 3: card_number: is longer than 16 bytes"
    assert bill(rows[:2], "card_number", widths="16") == Exported(1, 0)
    assert bill.plain() == f"{AMEX} \r\n".encode()

    layout = Layout(("card_number",), widths=read_widths("16"))
    to = (str(bill.identity.to_public()),)
    order = Order(bill.place.folder / "all.age", to, "billing", OPS, layout=layout)
    with pytest.raises(errors.InputError) as refused:
        export(bill.place.open_vault(), order, bill.during, lambda *_: None)
    assert str(refused.value) == (
        f"--fixed: 1 card numbers are longer than 16 bytes: {long}"
    )
    assert not order.path.exists()


def test_the_text_is_in_the_encoding_asked_for(
    bill: Biller, register: Register
) -> None:
    """CP932 for a company's old system, in fixed records too."""
    rows = ["token,name", f"{register()},髙橋"]
    bill(rows, "name,card_number", encoding="cp932")
    assert bill.plain() == f"name,card_number\r\n髙橋,{VISA}\r\n".encode("cp932")
    bill.out.unlink()
    bill(rows, "name,card_number", encoding="cp932", widths="6,16")
    assert bill.plain() == f"髙橋  {VISA}\r\n".encode("cp932")


def test_a_card_that_can_not_be_opened_leaves_its_rows_out(
    bill: Biller, register: Register
) -> None:
    """Each of them is named; the others are there."""
    bad, good = register(), register()
    with bill.place.engine.begin() as db:
        db.execute(text(f"UPDATE card SET length = 'x' WHERE token = '{bad}'"))
    rows = ["token,n", f"{bad},1", f"{good},2", f"{bad},3"]
    assert bill(rows, "n,card_number", widths="2,16") == Exported(1, 2)
    assert bill.left_out == [bad, bad]
    assert bill.lines() == [f"2 {VISA}"]
    assert bill.trail()[-1]["left_out"] == 2


@pytest.mark.parametrize("added", ["", "card_none,1\n", "late"])
def test_a_file_that_changes_meanwhile_leaves_no_export(
    bill: Biller, register: Register, monkeypatch: pytest.MonkeyPatch, added: str
) -> None:
    """Amounts that nobody checked are in no file: cut off, other tokens, more rows."""
    monkeypatch.setattr(chosen, "PAGE", 1)
    rows = ["token,amount", *[f"{register()},1"] * 3]
    late = f"{register()},9\n" if added == "late" else added

    def edit(step: Step) -> None:
        if step.done == 1:
            bill.amounts.write_text("\n".join(rows[:3]) + "\n" + late)

    bill.during = edit
    with pytest.raises(errors.FileRefused, match="was changed while it was read"):
        bill(rows)
    assert list(bill.place.folder.glob("cards.age*")) == []
    assert len(bill.trail()) == 1
