"""The card number's type."""

from __future__ import annotations

import copy
import json
import pickle
import traceback

import pytest

from vault import Pan, errors
from vault.card.brands import BRANDS, brand_of, mask
from vault.card.pan import luhn_ok

pytestmark = pytest.mark.mutation("vault/card/pan.py", area="card numbers")

VISA = "4810000000020000"

NUMBERS = [
    ("4810000000020000", "visa", "48**-****-****-0000"),
    ("5555555555554444", "mastercard", "55**-****-****-4444"),
    ("2223003122003222", "mastercard", "22**-****-****-3222"),
    ("3530111333300000", "jcb", "35**-****-****-0000"),
    ("378282246310005", "amex", "37**-******-*0005"),
    ("30569309025904", "diners", "30**-******-5904"),
    ("6011111111111117", "discover", "60**-****-****-1117"),
    ("6243030000000001", "unionpay", "62**-****-****-0001"),
]


@pytest.mark.parametrize(("digits", "brand", "masked"), NUMBERS)
def test_each_brand_is_known_and_masked(digits: str, brand: str, masked: str) -> None:
    """A number's brand comes from its prefix and its mask keeps the last four whole."""
    pan = Pan.parse(digits)
    assert (pan.brand.name, pan.masked) == (brand, masked)


@pytest.mark.parametrize(
    ("prefix", "last4", "length", "shown"),
    [
        ("81", "0021", 19, "81**-****-****-***0021"),
        ("48", "0000", 18, "48**-****-****-**0000"),
        ("35", "1234", 17, "35**-****-****-*1234"),
        ("36", "5904", 14, "36**-******-5904"),
    ],
)
def test_the_mask_has_one_star_a_digit(
    prefix: str, last4: str, length: int, shown: str
) -> None:
    """Every length shows as many stars as it hides digits."""
    assert mask(prefix, last4, length) == shown
    assert shown.count("*") == length - 6


@pytest.mark.parametrize(
    "boxes",
    [
        ("4810", "0000", "0002", "0000"),
        (VISA, "", "", ""),
        ("", "", VISA, ""),
        (VISA, VISA),
        (VISA, VISA, VISA, VISA),
        ("４８１０", "００００", "０００２", "００００"),
        ("4810-0000-0002-0000", "", "", ""),
        ("4810 0000 0002 0000", "", "", ""),
        ("4810ー0000−0002‐0000", "", "", ""),
        ("\u3000481000", "000002", "0000", ""),
    ],
)
def test_four_boxes_are_one_number(boxes: tuple[str, ...]) -> None:
    """However the number is spread, folded or hyphenated, it is read once."""
    assert Pan.parse(*boxes) == Pan.parse(VISA)


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "empty"),
        (" - ", "empty"),
        ("4810x00000020000", "not_digits"),
        ("①810000000020000", "not_digits"),
        ("²810000000020000", "not_digits"),
        ("٤810000000020000", "not_digits"),
        ("9999999999999995", "brand"),
        ("481000000002000", "length"),
        ("48100000000200000", "length"),
        ("4810000000020001", "check_digit"),
    ],
)
def test_a_bad_number_is_refused_for_its_first_fault(typed: str, reason: str) -> None:
    """Checked in order: digits, brand, length, check digit; nothing of it is told."""
    with pytest.raises(errors.InputError) as refused:
        Pan.parse(typed)
    assert (refused.value.field, refused.value.reason) == ("card_number", reason)
    assert typed.strip("- ") == "" or typed not in str(refused.value)


def test_four_boxes_alike_are_no_number_each() -> None:
    """Four times the same four digits are read as sixteen, not as four."""
    with pytest.raises(errors.InputError, match="check_digit"):
        Pan.parse("4810", "4810", "4810", "4810")


def test_a_brand_may_be_let_off_its_check_digit() -> None:
    """The check digit isn't asked of an exempt brand, and only of that one."""
    exempt = frozenset({"unionpay"})
    assert Pan.parse("6243030000000002", luhn_exempt=exempt).last4 == "0002"
    with pytest.raises(errors.InputError):
        Pan.parse("4810000000020001", luhn_exempt=exempt)


def test_a_number_never_shows_itself() -> None:
    """It prints and formats as its mask, and can't be pickled, copied or hashed."""
    pan = Pan.parse(VISA)
    shown = [repr(pan), str(pan), f"{pan}", f"{pan:>30}", f"{[pan]}", "%s" % pan]
    assert not [text for text in shown if VISA in text or "00000002" in text]
    assert f"{pan:>30}" == pan.masked.rjust(30)
    for act in (pickle.dumps, copy.copy, copy.deepcopy, hash, json.dumps):
        with pytest.raises(TypeError) as refused:
            act(pan)
        assert VISA not in "".join(traceback.format_exception(refused.value))
    assert not hasattr(pan, "__dict__")


def test_its_digits_come_out_whole_when_they_are_asked_for() -> None:
    """As ASCII, however they were typed, with what may be shown beside them."""
    pan = Pan.parse("４８１０", "００００", "０００２", "００００")
    assert pan.expose_digits() == VISA.encode()
    assert (pan.prefix, pan.last4, pan.length) == ("48", "0000", 16)


def test_numbers_compare_by_value_only_with_numbers() -> None:
    """Two parsed numbers are equal when their digits are; text never is."""
    assert Pan.parse(VISA) == Pan.parse(VISA)
    assert Pan.parse(VISA) != Pan.parse("5555555555554444")
    assert Pan.parse(VISA) != VISA


def test_luhn_agrees_with_published_numbers() -> None:
    """Every published number passes and no neighbour of it does."""
    for digits, _, _ in NUMBERS:
        assert luhn_ok(digits)
        assert not luhn_ok(digits[:-1] + str((int(digits[-1]) + 1) % 10))


def test_each_beginning_has_the_brand_whose_prefixes_claim_it() -> None:
    """All of one to four digits, and a longer number as its first four."""
    for width in range(5):
        for start in (f"{number:0{width}}" for number in range(10**width)):
            claimed = next((brand for brand in BRANDS if brand.claims(start)), None)
            assert brand_of(start) is claimed
            if width == 4:
                assert brand_of(f"{start}000000000000") is claimed
