"""Anchors as they are kept: one, or a log of them."""

from __future__ import annotations

import json

import pytest

from vault.ops.anchor import FORMAT, Anchor, parse_anchors

OLD, NEW = Anchor("v", 3, "aa", 1_000), Anchor("v", 12, "bb", 2_000)


@pytest.mark.parametrize(
    "text",
    [
        f"{OLD.line()}\n{NEW.line()}\n",
        f"{NEW.line()}\n{OLD.line()}",
        f"{OLD.line()}\r\n\r\n{NEW.line()}\r\n",
    ],
)
def test_a_log_of_anchors_is_read_line_by_line(text: str) -> None:
    """In any order and with any line ends; the oldest comes first."""
    assert parse_anchors(text) == [OLD, NEW]


def test_one_anchor_may_be_laid_out_in_any_way() -> None:
    """A program that prints JSON prettily does no harm."""
    assert parse_anchors(json.dumps(NEW.as_object(), indent=2)) == [NEW]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "cardvault backup 1"},
        {"format": None},
        {"entries": 0},
        {"entries": -1},
        {"entries": 2**63},
        {"entries": 1.5},
        {"entries": True},
        {"at": -1},
        {"at": 2**80},
        {"at": "soon"},
    ],
)
def test_what_is_no_anchor_is_refused(changes: dict[str, object]) -> None:
    """Each field is checked, the format first."""
    with pytest.raises(ValueError, match="anchor|invalid literal"):
        parse_anchors(json.dumps({**NEW.as_object(), **changes}))


@pytest.mark.parametrize("name", ["format", "entries", "mac", "vault"])
def test_no_field_may_be_missing(name: str) -> None:
    """Another program's JSON is not taken for an anchor."""
    kept = NEW.as_object()
    del kept[name]
    with pytest.raises(ValueError, match="not an anchor"):
        parse_anchors(json.dumps(kept))


@pytest.mark.parametrize(
    "text", ["", "\n \n", "[]", "null", "3", "[" * 100_000, "x", '{"entries":']
)
def test_any_other_text_is_refused(text: str) -> None:
    """No text ends in anything but ValueError."""
    with pytest.raises(ValueError, match="anchor|Expecting"):
        parse_anchors(text)


def test_one_bad_line_spoils_a_log() -> None:
    """What can't be read may be the very anchor that would not hold."""
    with pytest.raises(ValueError, match="anchor|Expecting"):
        parse_anchors(f"{OLD.line()}\n{NEW.line()[:-5]}\n")


def test_an_anchor_names_its_format() -> None:
    """As printed, on one line."""
    assert json.loads(NEW.line())["format"] == FORMAT
    assert "\n" not in NEW.line()
