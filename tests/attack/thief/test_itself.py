"""The thief's hands and the day's list: that neither misses anything."""

from __future__ import annotations

from tests.vault.commands.shell import all_commands
from vault.commands import cardvault
from vault.ops.root_key import RootKey
from vault.store.schema import DATA_KEY

from .day import Day, changing, looking
from .house import ROTATIONS_KEY, House
from .thief import Thief


def test_every_verb_is_on_the_list() -> None:
    """A command added tomorrow is typed on a robbed house too."""
    typed = [step.words for step in (*looking(""), *changing(""))]
    every = [tuple(words.split()[1:]) for words, _ in all_commands(cardvault)]
    left = [verb for verb in every if all(w[: len(verb)] != verb for w in typed)]
    assert left == []


def test_an_ordinary_day_ends_well(house: House) -> None:
    """Without an attack nothing is found: what the thief's day finds is theirs."""
    day = Day(house, Thief(house)).live()
    codes = {words: ran.code for words, ran in day.ran.items() if ran.code}
    for opinion in ("doctor", "report evidence --out safe/evidence"):
        codes.pop(opinion, None)  # says what it thinks of this machine
    assert codes == {
        "duplicates": 1,
        "init --no-passphrase": 2,
        "rotate --join": 2,
        "quarantine drop": 1,
        "pan-scan .": 2,  # the sealed exports stay closed to it
    }


def test_who_has_a_data_key_opens_its_cards(house: House) -> None:
    """The thief's try is a real one: given one key, its cards are read, no others."""
    thief = Thief(house)
    with house.ops() as vault, vault.engine.connect() as db:
        key = db.execute(DATA_KEY.select().where(DATA_KEY.c.id == ROTATIONS_KEY)).one()
        thief.secrets.append(vault.unwrap_key(key))
    old = str(house.tokens()["old"])
    assert old in thief.opened()
    assert str(house.tokens()["kept"]) not in thief.opened()


def test_who_has_the_root_opens_every_card_in_every_place(house: House) -> None:
    """Given the root, they read the database and the backup, each card in both."""
    thief = Thief(house)
    text = house.root_path.read_text()
    thief.roots.append(RootKey.parse(text, "root.key", None).secret())
    opened = thief.opened()
    assert len(opened) == 4
    assert sorted(thief.opened_anywhere()) == sorted(opened * 2)


def test_a_number_in_clear_is_found(house: House) -> None:
    """Whatever file holds it."""
    (house.folder / "safe/note").write_text("4810000000020000")
    assert Thief(house).opened_anywhere() == ["note"]
