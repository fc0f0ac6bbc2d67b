"""Tokens."""

from __future__ import annotations

import pytest

from vault import Token, errors
from vault.card.token import ALPHABET, LENGTH


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
