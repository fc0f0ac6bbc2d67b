"""What is cut out of logs and the trail."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from vault.card.scrub import (
    _GROUPS,
    CUT,
    _span_of_groups,
    holds_card_number,
    one_line,
    scrub,
)

pytestmark = pytest.mark.mutation("vault/card/scrub.py", area="card numbers")

VISA = "4810000000020000"
TO_WIDE = {48 + n: 0xFF10 + n for n in range(10)}
WIDE = VISA.translate(TO_WIDE)


@pytest.mark.parametrize(
    "text",
    [
        VISA,
        "4810 0000 0002 0000",
        "4810-0000-0002-0000",
        "４８１０００００００２００００".replace(
            "０００００００２", "００００００００２"
        ),
        f"number={VISA};",
        f"12{VISA}34",
        "378282246310005",
        "3782-822463-10005",
        "GET /cards?q=4810%200000%200002%200000&page=2 HTTP/1.1",
        "/cards?q=4810+0000+0002+0000",
        "/cards/４８１０%E3%80%80００００%e3%80%80０００２%e3%80%80００００/edit",
        f"/cards/{quote(WIDE)}/edit",
        f"/cards/{quote(WIDE).lower()}/edit",
        # Of no brand; nothing shorter in them checks out than all 18, and all 19.
        "999983856651253949",
        "9999181862442676266",
    ],
)
def test_a_number_is_cut_however_it_is_written(text: str) -> None:
    """Spaced, hyphenated, full-width, as in an address or inside a longer run."""
    assert CUT in scrub(text)
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "090-0000-0000",
        "2026-11-23 12:00:00",
        "4810000000020",
        "48",
        "",
        "/cards?q=%E5%B1%B1%E7%94%B0+4810%200000",
        "4810%200000%200002",
        "100 %",
        "090-0000-0000 12",
        "2026-11-01 2001-1",
        # Its last 12 digits check out, and all 20 of the next.
        "2026110000002",
        "99996684799291612266",
    ],
)
def test_what_is_no_number_stays(text: str) -> None:
    """Phones, times and numbers too short, too long or with a wrong check digit
    are left alone."""
    assert scrub(text) == text
    assert not holds_card_number(text)


@pytest.mark.parametrize(
    "gap",
    [*":;|~=*#\\\"'<&!：；｜〜～￤•\u00a6\u200b\u00b7", " : ", "::", "=>", "', '"],
    ids=ascii,
)
def test_any_sign_may_divide_a_cards_groups(gap: str) -> None:
    """One to four of them; in an address and in full-width digits too."""
    for digits in (
        ("4810", "0000", "0002", "0000"),
        ("3782", "822463", "10005"),
        ("3056", "930902", "5904"),
        ("6212", "3456", "7890", "0000", "003"),
    ):
        number = gap.join(digits)
        for text in (number, number.translate(TO_WIDE), quote(number, safe="")):
            assert scrub(f"von {text} an") == f"von {CUT} an"
            assert holds_card_number(text)


def test_a_number_among_other_groups_is_cut_alone() -> None:
    """What stands beside it stays, digits that touch it too; each of several goes."""
    number = "4810|0000|0002|0000"
    assert scrub(f"17|{number}|2026") == f"17|{CUT}|2026"
    assert scrub(f"99{number}77") == f"99{CUT}77"
    assert scrub(f"{number}|1|{number}") == f"{CUT}|1|{CUT}"


@pytest.mark.parametrize(
    "text",
    [
        # Each would be a number by its digits alone.
        "2026-11-23 12:00:06",
        "12:00:00|12:00:00|1:3",
        "192.168.100.200:50103",
        "10:20:30:40:50:60:7008",
        "4810:0000:0002:0001",
        "481:00000:0002:0000",
        "4810:::::0000:::::0002:::::0000",
        "4810x0000x0002x0000",
        "2400:4050:1234:5600:ffff::1",
    ],
)
def test_signs_between_other_groups_make_no_number(text: str) -> None:
    """Times, ports and addresses stay, and what has letters between."""
    assert scrub(text) == text
    assert not holds_card_number(text)


@pytest.mark.parametrize(
    "piece", ["1", "1:", "1234:", "4810:0000:0002:0000:", ":", "%3A"]
)
def test_a_long_text_is_looked_through_in_steps_of_its_length(piece: str) -> None:
    """No text makes the search go back over what it has seen: a text that is eight
    times as long asks for at most some ten times as many checks."""
    few, many = (checks(piece * (size // len(piece))) for size in (2_000, 16_000))
    assert many <= 10 * few + 1000


def checks(text: str) -> int:
    """How many possible numbers of a card's groups are held against the rule."""
    count = 0

    def counted(_digits: str) -> bool:
        nonlocal count
        count += 1
        return False

    with pytest.MonkeyPatch.context() as here:
        here.setattr("vault.card.scrub.luhn_ok", counted)
        for run in _GROUPS.finditer(text):
            _span_of_groups(run[0])
    return count


def test_a_text_can_forge_no_line() -> None:
    """Line breaks, escapes, bidi marks and half a character become a visible
    replacement."""
    assert (
        one_line("a\r\nb\x1b[0m\u202ec\u2028") == "a\ufffd\ufffdb\ufffd[0m\ufffdc\ufffd"
    )
    assert one_line("a\u2029b\ud800") == "a\ufffdb\ufffd"


@pytest.mark.parametrize("hidden", "\u200b\u200d\u2060\ufeff\xad\u3164\u115f\U000e0041")
def test_a_text_can_hide_nothing(hidden: str) -> None:
    """What has no width is shown; what Japanese names are written with stays."""
    assert one_line(f"a{hidden}b") == "a\ufffdb"
    assert one_line("葛\U000e0100城　太郎 O'Neil") == "葛\U000e0100城　太郎 O'Neil"


@pytest.mark.parametrize("around", ["", "あ" * 300, "x" * 5_000])
def test_the_shortest_number_is_cut_however_it_is_spelled(around: str) -> None:
    """Thirteen digits alone in a text are enough, twelve are not."""
    number = "4222222222222"
    full = "".join(chr(ord(digit) + 0xFEE0) for digit in number)
    spelled = ("".join(f"%3{digit}" for digit in number), quote(full))
    for text in (number, full, " ".join(number), *spelled):
        assert scrub(around + text + around) == around + CUT + around
    assert scrub(around + number[1:] + around) == around + number[1:] + around
