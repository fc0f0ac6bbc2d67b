"""How the commands put things."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """A number with its thing: "1 card", "2,000 cards", "3 entries"."""
    many = (
        f"{thing[:-1]}ies" if thing.endswith("y") and thing[-2] != "e" else f"{thing}s"
    )
    return f"{number:,} {thing if number == 1 else many}"
