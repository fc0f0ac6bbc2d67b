"""A card number in every way it could hide, and what holds it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

WIDE = {ord(str(n)): chr(0xFF10 + n) for n in range(10)}


def typed_ways(number: str) -> tuple[str, ...]:
    """A number as people type it: whole, spaced, hyphened, full-width, in words."""
    grouped = [number[i : i + 4] for i in range(0, len(number), 4)]
    spaced = " ".join(grouped)
    return (
        number,
        spaced,
        "-".join(grouped),
        number.translate(WIDE),
        spaced.translate(WIDE).replace(" ", "\u3000"),
        f"番号{number}様",
    )


def spellings(number: str) -> Iterator[bytes]:
    """A number as it could hide in a file: as typed, reversed, or encoded."""
    for text in (*typed_ways(number)[:5], number[::-1]):
        yield text.encode()
        for quoted in (quote(text, safe=""), quote_plus(text)):
            yield quoted.encode()
            yield quoted.lower().encode()
        yield json.dumps(text)[1:-1].encode()
        yield repr(text.encode())[2:-1].encode()
    yield from (number.encode(code) for code in ("utf-16-le", "utf-16-be"))
    yield number.encode().hex().encode()
    for shift in range(3):
        # Whole base64 groups alone: what stands before shifts the others.
        coded = base64.b64encode(b"\0" * shift + number.encode())
        yield coded[4 if shift else 0 : -4]


def holders(kept: Mapping[str, bytes], *numbers: str) -> list[str]:
    """The names of what holds one of ``numbers``, however it is spelled."""
    hidden = {spelling for number in numbers for spelling in spellings(number)}
    return [name for name, data in kept.items() if any(one in data for one in hidden)]
