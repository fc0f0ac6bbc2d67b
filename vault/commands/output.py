"""How the commands put things."""

from __future__ import annotations

from ..card.scrub import one_line


def counted(number: int, thing: str) -> str:
    """A number with its thing: "1 card", "2,000 cards", "3 entries"."""
    many = (
        f"{thing[:-1]}ies"
        if thing.endswith("y") and thing[-2] not in "ae"
        else f"{thing}s"
    )
    return f"{number:,} {thing if number == 1 else many}"


def harmless(text: str) -> str:
    """``text`` as one line that may be shown on a terminal: a row's or a file's name
    in it can neither move the cursor, nor hide text, nor begin another line."""
    return one_line(" ".join(text.splitlines()))
