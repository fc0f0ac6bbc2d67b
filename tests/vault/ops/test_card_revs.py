"""What the trail last said of each card, whole and packed."""

from __future__ import annotations

import pytest

from vault.ops.card_revs import ENDED, PURGED, CardRevs, _place

MANY = 3000
# Of cards that were changed as often as none ever is.
HIGH = [65_533, 65_534, 65_535, 65_536, 2**40]


def filled(whole: int | None, count: int = 10) -> CardRevs:
    """Revs of so many cards, all at rev 1 but for the first, which went on to 3."""
    revs = CardRevs(whole)
    for number in range(count):
        revs.update({f"card {number}": 1})
    for rev in (2, 3):
        revs.update({"card 0": rev})
    return revs


@pytest.mark.parametrize("whole", [None, 0, 1, 5, 11, 12])
def test_the_last_rev_is_known_whole_and_packed(whole: int | None) -> None:
    """Also where the cards are packed at a later one, and for the deleted ones."""
    revs = filled(whole)
    revs.update({"card 1": ENDED})
    revs.update({"card 2": PURGED, "card 3": 2})
    expected = {"card 0": 3, "card 1": ENDED, "card 2": PURGED, "card 3": 2}
    expected |= {f"card {number}": 1 for number in range(4, 10)}
    assert revs.of([*expected, "card 10"]) == expected
    for _ in range(2):
        assert {token: revs.get(token) for token in expected} == expected
        assert revs.get("card 10") is None
        revs.update({f"more {number}": 1 for number in range(3)})


@pytest.mark.parametrize("whole", [None, 0])
def test_a_rev_may_be_of_any_height(whole: int | None) -> None:
    """Up and down: a forged entry may say anything."""
    revs = CardRevs(whole)
    for rev in (*HIGH, *HIGH[::-1], 1, HIGH[-1], ENDED, HIGH[-1], PURGED):
        revs.update({"card": rev})
        assert (revs.get("card"), revs.of(["card"])) == (rev, {"card": rev})


def test_every_one_of_many_is_found_and_no_other() -> None:
    """A token is looked for by a part of its digest alone."""
    revs = filled(0)
    told = {f"card {number}": 1 + number % 7 for number in range(10, MANY)}
    revs.update(told)
    assert revs.of([*told, *(f"no {number}" for number in range(MANY))]) == told


@pytest.mark.parametrize("token", ["", "a\0b", "客", "\ud800"])
def test_any_text_is_a_card_of_its_own(token: str) -> None:
    """Whoever has the web key can write entries about tokens of any letters."""
    revs = filled(0)
    revs.update({token: 7})
    assert revs.get(token) == 7
    assert revs.get(token + "x") is None


def test_a_key_is_not_found_across_two_records() -> None:
    """Where the end of one and the beginning of the next look like it."""
    one, two = b"0123456789" + b"ab", b"cdefghijkl" + b"mn"
    assert _place(one + two, two[:10]) == 12
    assert _place(one + two, one[:10]) == 0
    assert _place(one + two, b"89abcdefgh") == -1
    assert _place(one + two + b"89abcdefgh..", b"89abcdefgh") == 24


def test_packed_cards_are_not_listed_in_part() -> None:
    """Who needs their tokens has to keep them whole."""
    assert dict(filled(None).items())["card 0"] == 3
    with pytest.raises(ValueError, match="can't be listed"):
        filled(3).items()
