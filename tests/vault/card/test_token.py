"""Tokens."""

from __future__ import annotations

from collections import Counter

import pytest

from vault import Token, errors
from vault.card.token import ALPHABET, LENGTH, PREFIX, Share, sorted_words


def test_a_token_holds_no_digit_and_is_never_the_same() -> None:
    """A thousand tokens differ, read back, and can't be taken for a number."""
    tokens = {Token.new() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(Token.parse(token) == token for token in tokens)
    assert not any(character.isdigit() for token in tokens for character in token)


def test_several_are_drawn_at_once_and_stand_in_order() -> None:
    """As many as asked for, each a good token, none twice."""
    tokens = Token.several(1000)
    assert len(set(tokens)) == 1000
    assert tokens == sorted(tokens)
    assert all(Token.parse(token) == token for token in tokens)
    assert Token.several(0) == []


def test_shares_follow_each_other_and_cover_every_beginning() -> None:
    """Batches of any size get words one after the other, and all of them together begin
    with every pair of letters about equally often, as random words do."""
    begins, words = 0, []
    for ends in (1, 400, 5_000, 19_999, 20_000):
        batch = sorted_words(ends - begins, 24, Share(begins, ends, 20_000))
        assert len(batch) == ends - begins
        words += batch
        begins = ends
    assert words == sorted(set(words))
    starts = Counter(word[:2] for word in words)
    assert len(starts) == len(ALPHABET) ** 2
    # Each is met 50 times; 7 in standard deviation.
    assert all(5 < count < 120 for count in starts.values())
    assert {len(word) for word in words} == {24}
    letters = Counter(letter for word in words for letter in word[6:])
    assert set(letters) == set(ALPHABET)
    tokens = Token.several(100, Share(1, 2, 2))
    assert all(Token.parse(token) == token for token in tokens)
    assert min(tokens) >= PREFIX + ALPHABET[len(ALPHABET) // 2]


def test_every_single_wrong_letter_is_caught() -> None:
    """The check letter finds any one letter typed wrong, anywhere."""
    token = Token.new()
    for place in range(len("card_"), LENGTH):
        for letter in ALPHABET.replace(token[place], ""):
            with pytest.raises(errors.InputError):
                Token.parse(token[:place] + letter + token[place + 1 :])


@pytest.mark.parametrize("text", ["", "card_", "card_" + "b" * 32, "x" * 36, "card_1"])
def test_what_is_no_token_is_refused(text: str) -> None:
    """Other lengths, prefixes and letters never reach the database."""
    with pytest.raises(errors.InputError):
        Token.parse(text)
