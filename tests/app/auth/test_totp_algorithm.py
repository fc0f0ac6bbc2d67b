"""One-time passwords by the clock (RFC 6238), without a page."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from app.auth.factors import totp

pytestmark = pytest.mark.mutation("app/auth/factors/totp.py", area="code check")

# RFC 6238 appendix B, SHA-1, cut to six digits.
RFC_SEED = b"12345678901234567890"
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("now", "code"), VECTORS, ids=range(6))
def test_the_published_answers_are_given(now: int, code: str) -> None:
    """RFC 6238 appendix B."""
    assert totp.code_at(RFC_SEED, now // 30) == code


@pytest.mark.parametrize(
    ("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_clock_may_be_one_step_off(steps: int, taken: bool) -> None:
    """A phone 30 seconds behind or ahead, not 60."""
    here = 1_000_000
    code = totp.code_at(RFC_SEED, here + steps)
    found = totp.matching_step(RFC_SEED, code, here * 30)
    assert found == (here + steps if taken else None)


@pytest.mark.parametrize("typed", ["", "28708", "0287082", "²²²²²²", "あいうえおか"])
def test_any_other_text_is_a_wrong_code(typed: str) -> None:
    """And never an error (OTP-06)."""
    assert totp.matching_step(RFC_SEED, typed, 59) is None


def test_the_address_is_what_apps_read() -> None:
    """otpauth, site and login ID, the seed, the site; the rest is every app's
    default."""
    address = urlsplit(totp.address(RFC_SEED, "オフィス24", "taro&x"))
    assert (address.scheme, address.netloc) == ("otpauth", "totp")
    assert unquote(address.path) == "/オフィス24:taro&x"
    assert parse_qs(address.query) == {
        "secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"],
        "issuer": ["オフィス24"],
    }
    assert totp.address(RFC_SEED, "card site", "ta/ro x") == (
        "otpauth://totp/card%20site:ta%2Fro%20x"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=card%20site"
    )


def test_a_colon_in_a_name_ends_no_label() -> None:
    """Apps read the site up to the first one, and want it to be the issuer."""
    address = urlsplit(totp.address(RFC_SEED, "cards:2/x", "ta:ro"))
    assert address.path == "/cards%202%2Fx:ta%3Aro"
    assert parse_qs(address.query)["issuer"] == ["cards 2/x"]


def test_a_seed_is_twenty_bytes_typed_in_groups_of_four() -> None:
    """Random, in base32."""
    assert {len(totp.new_seed()) for _ in range(3)} == {20}
    assert totp.new_seed() != totp.new_seed()
    assert totp.spelled(RFC_SEED) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
