"""What is cut out of logs and the trail."""

from __future__ import annotations

import pytest

from vault.scrub import CUT, holds_card_number, one_line, scrub

VISA = "4810000000020000"


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
    ],
)
def test_a_number_is_cut_however_it_is_written(text: str) -> None:
    """Spaced, hyphenated, full-width or inside a longer run, it goes."""
    assert CUT in scrub(text)
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text", ["090-0000-0000", "2026-11-23 12:00:00", "4810000000020", "48", ""]
)
def test_what_is_no_number_stays(text: str) -> None:
    """Phones, times and numbers with a wrong check digit are left alone."""
    assert scrub(text) == text
    assert not holds_card_number(text)


def test_a_text_can_forge_no_line() -> None:
    """Line breaks, escapes and bidi marks become a visible replacement."""
    assert (
        one_line("a\r\nb\x1b[0m\u202ec\u2028") == "a\ufffd\ufffdb\ufffd[0m\ufffdc\ufffd"
    )
