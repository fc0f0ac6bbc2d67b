"""What is cut out of logs and the trail."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from vault.scrub import CUT, holds_card_number, one_line, scrub

VISA = "4810000000020000"
WIDE = VISA.translate({48 + n: 0xFF10 + n for n in range(10)})


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
