"""Whole numbers leave encrypted with age, checked, in the trail, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from tests.actors.age_tag import HardwareKey
from tests.places.vault import VISA, VaultPlace
from vault import Actor, Expiry, Token, errors
from vault.ops import export as exports
from vault.ops.billing.chosen import MAX_FAULTS
from vault.ops.export import Exported, Order, export
from vault.ops.progress import Step
from vault.store.files import NewFile
from vault.store.schema import CARD, PURGED

Register = Callable[..., Token]
OPS = Actor("ops", "command")
NUMBERS = [
    "4810000000020000",
    "5555555555554444",
    "3530111333300000",
    "378282246310005",
    "30569309025904",
    "6011111111111117",
    "8171999927660000",
    "8171999900000000021",
]


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    """Somebody who may open exports."""
    return pyrage.x25519.Identity.generate()


def ignore(*_: object) -> None:
    """Watch and tell nobody."""


class Exporter:
    """Exports from a place, and what came of it."""

    def __init__(self, place: VaultPlace, identity: pyrage.x25519.Identity) -> None:
        self.place = place
        self.identity = identity
        self.path = place.folder / "cards.age"
        self.left_out: list[tuple[str, str]] = []
        self.steps: list[Step] = []
        self.watch: Callable[[Step], None] = self.steps.append

    def __call__(self, *others: str, tokens: Path | None = None) -> Exported:
        """Export to the identity and to ``others``."""
        recipients = (str(self.identity.to_public()), *others)
        order = Order(self.path, recipients, "billing", OPS, tokens)
        return export(
            self.place.open_vault(),
            order,
            self.watch,
            lambda token, problem: self.left_out.append((token, problem)),
        )

    def lines(self, identity: pyrage.x25519.Identity | None = None) -> list[str]:
        """The CSV in the file, as ``identity`` opens it."""
        plain: bytes = pyrage.decrypt(
            self.path.read_bytes(), [identity or self.identity]
        )
        assert plain.endswith(b"\r\n")
        return plain.decode("ascii").removesuffix("\r\n").split("\r\n")

    def trail(self) -> list[tuple[str, dict[str, object]]]:
        """(event, detail) of the entries about exports."""
        query = text(
            "SELECT event, detail FROM audit_entry WHERE event LIKE 'cards.exp%'"
            " ORDER BY seq"
        )
        with self.place.engine.connect() as db:
            return [(event, json.loads(detail)) for event, detail in db.execute(query)]


@pytest.fixture
def exporter(place: VaultPlace, identity: pyrage.x25519.Identity) -> Exporter:
    """An exporter for ``place``."""
    return Exporter(place, identity)


def test_every_number_and_expiry_come_out_as_they_went_in(
    exporter: Exporter, register: Register
) -> None:
    """All brands and lengths; columns as COMMANDS has them, months with two digits."""
    expected = ["token,card_number,exp_month,exp_year"]
    for place, number in enumerate(NUMBERS, 1):
        token = register(number, Expiry(2030 + place, place))
        expected.append(f"{token},{number},{place:02},{2030 + place}")
    assert exporter() == Exported(len(NUMBERS), 0)
    assert exporter.lines() == expected


def test_no_number_is_in_the_clear_in_any_file(
    exporter: Exporter, register: Register
) -> None:
    """Not in the export, nor beside it while it is written."""
    register()
    seen: list[bytes] = []

    def look(_step: Step) -> None:
        seen.extend(p.read_bytes() for p in exporter.place.folder.iterdir())

    exporter.watch = look
    exporter()
    seen.extend(p.read_bytes() for p in exporter.place.folder.iterdir())
    assert len(seen) > 4
    assert not any(VISA.encode() in data for data in seen)


def test_any_of_several_recipients_opens_it(
    exporter: Exporter, register: Register
) -> None:
    """And nobody else."""
    register()
    second, stranger = (pyrage.x25519.Identity.generate() for _ in range(2))
    exporter(str(second.to_public()))
    assert exporter.lines(second) == exporter.lines()
    with pytest.raises(pyrage.DecryptError):
        exporter.lines(stranger)


def test_the_trail_says_how_many_why_and_for_whom(
    exporter: Exporter, register: Register
) -> None:
    """Before the first card is opened and when all are written; verify is clean."""
    register()
    exporter()
    recipient = str(exporter.identity.to_public())
    asked = {"reason": "billing", "recipients": recipient}
    assert exporter.trail() == [
        ("cards.export_started", {"count": 1, **asked}),
        ("cards.exported", {"count": 1, "left_out": 0, **asked}),
    ]
    assert exporter.place.findings() == {}


def test_no_entry_no_file(exporter: Exporter, register: Register) -> None:
    """When the trail can't be written nothing gets a name, and nothing is left."""
    register()
    before = {p.name for p in exporter.place.folder.iterdir()}
    with exporter.place.engine.begin() as db:
        db.execute(text("UPDATE audit_head SET sealed_chain_key = x'00'"))
    with pytest.raises(errors.IntegrityFault):
        exporter()
    assert {p.name for p in exporter.place.folder.iterdir()} == before


def test_the_entry_is_committed_before_the_file_has_its_name(
    exporter: Exporter, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds the file finds the entry."""
    register()
    events: list[str] = []
    put = NewFile.publish

    def look(part: NewFile) -> None:
        assert not exporter.path.exists()
        events.extend(event for event, _ in exporter.trail())
        put(part)

    monkeypatch.setattr(NewFile, "publish", look)
    exporter()
    assert events == ["cards.export_started", "cards.exported"]


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        ("UPDATE card SET expiry = 203112 WHERE id = 1", "(MAC)"),
        ("UPDATE card SET envelope = x'00' WHERE id = 1", "(MAC)"),
        (
            "UPDATE card SET mac = (SELECT mac FROM card WHERE id = 2) WHERE id = 1",
            "(MAC)",
        ),
    ],
)
def test_a_card_that_cannot_be_opened_is_left_out_and_named(
    exporter: Exporter, register: Register, harm: str, problem: str
) -> None:
    """All else is done; the trail counts what is missing."""
    bad, good = register(), register("5555555555554444")
    with exporter.place.engine.begin() as db:
        db.execute(text(harm))
    assert exporter() == Exported(1, 1)
    ((named, why),) = exporter.left_out
    assert (named, problem in why) == (bad, True)
    assert [line.split(",")[0] for line in exporter.lines()] == ["token", good]
    assert exporter.trail()[-1][1]["left_out"] == 1


def test_a_lost_data_key_leaves_its_cards_out(
    exporter: Exporter, register: Register
) -> None:
    """Its MAC is right and it still can't be unwrapped."""
    bad = register()
    with exporter.place.engine.begin() as db:
        db.execute(text("UPDATE data_key SET wrapped = x'00'"))
    assert exporter() == Exported(0, 1)
    assert exporter.left_out == [
        (bad, "its data key 1: is not as it was written (MAC)")
    ]


class TestTokens:
    """--tokens: only what a file names."""

    @pytest.fixture
    def listed(self, tmp_path: Path) -> Callable[[str], Path]:
        """Make such a file."""

        def make(written: str) -> Path:
            path = tmp_path / "tokens.txt"
            path.write_bytes(written.encode())
            return path

        return make

    def test_only_the_cards_named_are_in_it(
        self, exporter: Exporter, register: Register, listed: Callable[[str], Path]
    ) -> None:
        """Each once, in the order of registration; BOM, CRLF and blank lines do no
        harm."""
        first, _, third = register(), register(), register()
        path = listed(f"\ufeff{third}\r\n\r\n {first}\r\n{third}")
        assert exporter(tokens=path) == Exported(2, 0)
        assert [line[:36] for line in exporter.lines()[1:]] == [first, third]
        assert exporter.trail()[0][1]["count"] == 2

    def test_every_bad_line_is_named_and_nothing_written(
        self, exporter: Exporter, register: Register, listed: Callable[[str], Path]
    ) -> None:
        """By its number alone: somebody may have typed card numbers there."""
        good, unknown = register(), Token.new()
        path = listed(f"{good}\n{VISA}\n{unknown}\n{good[:-1]}")
        with pytest.raises(errors.InputError) as refused:
            exporter(tokens=path)
        assert str(refused.value) == (
            f"{path}: line 2: is not a token; line 3: no card has this token; "
            "line 4: is not a token"
        )
        assert not exporter.path.exists()
        assert exporter.trail() == []

    @pytest.mark.parametrize("written", ["", "\n\n"])
    def test_an_empty_file_is_not_everything(
        self,
        exporter: Exporter,
        register: Register,
        listed: Callable[[str], Path],
        written: str,
    ) -> None:
        """It names no card, and says so."""
        register()
        with pytest.raises(errors.InputError, match="names no card"):
            exporter(tokens=listed(written))

    def test_an_endless_line_and_no_text_are_bad_lines(
        self, exporter: Exporter, listed: Callable[[str], Path], tmp_path: Path
    ) -> None:
        """Neither is read whole; at most twenty are named."""
        with pytest.raises(errors.InputError, match="line 1: is not") as refused:
            exporter(tokens=listed("x" * 1_000_000))
        assert str(refused.value).count("is not a token") == MAX_FAULTS
        (tmp_path / "tokens.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(errors.InputError, match="line 1: is not a token"):
            exporter(tokens=tmp_path / "tokens.txt")

    def test_a_purged_card_is_named_as_such(
        self, exporter: Exporter, listed: Callable[[str], Path]
    ) -> None:
        """The line says why there is no such card."""
        token = Token.new()
        mark = exporter.place.vault().signer.signed(PURGED, {"token": token, "at": 1})
        with exporter.place.engine.begin() as db:
            db.execute(insert(PURGED), mark)
        with pytest.raises(errors.InputError, match="line 1: its card was purged"):
            exporter(tokens=listed(token))


def test_a_bad_recipient_is_refused_before_anything_is_written(
    exporter: Exporter, register: Register
) -> None:
    """And so are two that can't be recipients of one file."""
    register()
    for recipient in ("age1nonsense", HardwareKey().tagpq):
        with pytest.raises(errors.InputError, match="recipient"):
            exporter(recipient)
    assert (exporter.path.exists(), exporter.trail()) == (False, [])


def test_a_file_in_the_way_stays(exporter: Exporter, register: Register) -> None:
    """Nothing is written over, and no card is opened for it."""
    register()
    exporter.path.write_text("mine")
    with pytest.raises(errors.FileRefused, match="in the way"):
        exporter()
    assert (exporter.path.read_text(), exporter.trail()) == ("mine", [])


def test_the_file_is_its_owners_alone(exporter: Exporter) -> None:
    """0600, an empty vault's too."""
    assert exporter() == Exported(0, 0)
    assert exporter.path.stat().st_mode & 0o777 == 0o600
    assert exporter.lines() == ["token,card_number,exp_month,exp_year"]


def test_it_is_one_moment_of_a_vault_in_use(
    exporter: Exporter, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is deleted or registered while it runs changes nothing in it."""
    monkeypatch.setattr(exports, "PAGE", 1)
    tokens = [register() for _ in range(3)]
    vault = exporter.place.vault()

    def edit(step: Step) -> None:
        if step.done == 1:
            with vault.engine.begin() as db:
                vault.delete(db, tokens[2], OPS)
                vault.set_expiry(db, tokens[1], Expiry(2031, 1), OPS)
            register()

    exporter.watch = edit
    assert exporter() == Exported(3, 0)
    assert [line.split(",")[0] for line in exporter.lines()[1:]] == tokens
    assert exporter.lines()[2].endswith(",01,2030")


def test_progress_is_a_step_a_page(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch, register: Register
) -> None:
    """Cards done, of how many."""
    monkeypatch.setattr(exports, "PAGE", 2)
    for _ in range(3):
        register()
    exporter()
    assert exporter.steps == [Step("export", 2, 3), Step("export", 3, 3)]


def test_what_stops_an_export_leaves_no_file(
    exporter: Exporter, register: Register
) -> None:
    """A database that goes away, an operator's Ctrl-C: raised as they are, and the
    file half-written is gone."""
    register()
    for stop in (SQLAlchemyError("gone"), KeyboardInterrupt()):

        def raise_it(_step: Step, stop: BaseException = stop) -> None:
            raise stop

        exporter.watch = raise_it
        with pytest.raises(type(stop)):
            exporter()
        assert list(exporter.place.folder.glob("cards.age*")) == []


def test_the_numbers_of_a_rotated_vault_come_out(
    exporter: Exporter, register: Register
) -> None:
    """Cards under several data keys."""
    register()
    exporter.place.clock.advance(25 * 3600)
    register("5555555555554444")
    with exporter.place.engine.connect() as db:
        keys = db.execute(select(CARD.c.data_key_id).distinct()).all()
    assert len(keys) == 2
    assert exporter() == Exported(2, 0)
    numbers = [line.split(",")[1] for line in exporter.lines()[1:]]
    assert numbers == [VISA, "5555555555554444"]


def test_a_row_put_back_to_its_older_version_is_left_out(
    exporter: Exporter, register: Register
) -> None:
    """Its number is right and its expiry is not the last one: nobody bills with it."""
    good, old = register(), register("378282246310005")
    place = exporter.place
    with place.engine.begin() as db:
        before = db.execute(select(CARD).where(CARD.c.token == old)).one()
        place.vault().set_expiry(db, old, Expiry(2031, 1), OPS)
    with place.engine.begin() as db:
        db.execute(update(CARD).where(CARD.c.token == old), dict(before._mapping))
    assert exporter() == Exported(1, 1)
    assert exporter.left_out == [(old, "is at rev 1, the trail at rev 2")]
    assert [line.partition(",")[0] for line in exporter.lines()[1:]] == [good]


def test_a_deleted_cards_row_put_back_is_left_out(
    exporter: Exporter, register: Register, tmp_path: Path
) -> None:
    """Whoever was deleted stays deleted, asked for by token too."""
    good, gone = register(), register("378282246310005")
    place = exporter.place
    with place.engine.begin() as db:
        before = db.execute(select(CARD).where(CARD.c.token == gone)).one()
        place.vault().delete(db, gone, OPS)
        db.execute(insert(CARD), dict(before._mapping))
    assert exporter() == Exported(1, 1)
    assert exporter.left_out == [(gone, "has no entry in the trail")]
    exporter.path.unlink()
    (tmp_path / "tokens").write_text(f"{good}\n{gone}\n")
    assert exporter(tokens=tmp_path / "tokens") == Exported(1, 1)


@pytest.mark.parametrize("whole", [0, 2, 100])
def test_what_the_trail_says_is_held_against_every_card_however_many(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch, register: Register, whole: int
) -> None:
    """Where it is packed to take less memory too: changed, put back, deleted and put
    back, purged and put back, and registered a second time."""
    monkeypatch.setattr(exports, "WHOLE", whole)
    place, vault = exporter.place, exporter.place.vault()
    good, changed, old, gone, purged, again = (register() for _ in range(6))
    with place.engine.begin() as db:
        before = {row.token: dict(row._mapping) for row in db.execute(select(CARD))}
        for token in (changed, old):
            vault.set_expiry(db, token, Expiry(2031, 1), OPS)
        for token in (gone, again):
            vault.delete(db, token, OPS)
    with place.engine.begin() as db:
        vault.record(db, "card.purged", OPS, detail={"cards": {purged: 1}})
        vault.record(db, "card.registered", OPS, subject=again, detail={"rev": 1})
        db.execute(CARD.delete().where(CARD.c.token.in_([old, purged])))
        db.execute(insert(CARD), [before[t] for t in (old, gone, purged, again)])
    assert exporter() == Exported(2, 4)
    assert [line.partition(",")[0] for line in exporter.lines()[1:]] == [good, changed]
    assert dict(exporter.left_out) == {
        old: "is at rev 1, the trail at rev 2",
        gone: "has no entry in the trail",
        purged: "has no entry in the trail",
        again: "was deleted before and then registered again",
    }


@pytest.mark.parametrize("rev", [0, -1])
@pytest.mark.parametrize("whole", [0, 100])
def test_a_row_with_no_rev_is_no_card(
    exporter: Exporter,
    monkeypatch: pytest.MonkeyPatch,
    register: Register,
    rev: int,
    whole: int,
) -> None:
    """Whoever has the web key can sign any row, and put a deleted card back so."""
    monkeypatch.setattr(exports, "WHOLE", whole)
    place, vault = exporter.place, exporter.place.vault()
    gone, purged = register(), register()
    with place.engine.begin() as db:
        rows = [dict(row._mapping) for row in db.execute(select(CARD))]
        vault.delete(db, gone, OPS)
        vault.record(db, "card.purged", OPS, detail={"cards": {purged: 1}})
        db.execute(CARD.delete())
        for row in rows:
            del row["mac"]
            row["rev"] = rev
            db.execute(insert(CARD), vault.signer.signed(CARD, row))
    assert exporter() == Exported(0, 2)
    assert {why for _, why in exporter.left_out} == {"has no entry in the trail"}


@pytest.mark.parametrize(
    "rev",
    [0, -1, 2**62, 1.5, "1", None],
    ids=["zero", "negative", "too high", "no whole number", "a text", "nothing"],
)
def test_an_entry_about_no_rev_breaks_the_trail(
    exporter: Exporter, register: Register, rev: object
) -> None:
    """The program writes none, and what it would mean is not known."""
    token, vault = register(), exporter.place.vault()
    with exporter.place.engine.begin() as db:
        vault.record(db, "card.replaced", OPS, subject=token, detail={"rev": rev})
    with pytest.raises(errors.IntegrityFault, match="never writes"):
        exporter()


def test_a_text_that_is_not_utf_8_leaves_its_card_out(
    exporter: Exporter, register: Register
) -> None:
    """And no other one of its page; nor does one where a text has to be."""
    good, bad, odd = register(), register(), register()
    with exporter.place.engine.begin() as db:
        change = "UPDATE card SET brand = {} WHERE token = :token"
        damaged = text(change.format("CAST(x'ff41' AS TEXT)"))
        db.execute(damaged, {"token": bad})
        db.execute(text(change.format("CAST(brand AS BLOB)")), {"token": odd})
    assert exporter() == Exported(1, 2)
    assert [token for token, _ in exporter.left_out] == [bad, odd]
    assert exporter.lines()[1].startswith(good)


def test_a_broken_trail_exports_nothing(exporter: Exporter, register: Register) -> None:
    """What a bad entry said, a deletion perhaps, is not known."""
    register()
    with exporter.place.engine.begin() as db:
        db.execute(text("UPDATE audit_entry SET actor = 'x' WHERE seq = 2"))
    with pytest.raises(errors.IntegrityFault, match="audit entry 2") as fault:
        exporter()
    assert "mend the trail" in fault.value.hint
    assert not exporter.path.exists()
    assert exporter.trail() == []
