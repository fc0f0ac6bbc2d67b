"""Tells which encodings a file can be in."""

from __future__ import annotations

import codecs
from collections.abc import Iterable

UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a file in UTF-16 begins, which CP932 can decode too."""


class Encodings:
    """Those of ``names``, in their order, that can decode what was fed so far."""

    def __init__(self, names: Iterable[str]) -> None:
        self._decoders = {name: codecs.getincrementaldecoder(name)() for name in names}

    @property
    def left(self) -> list[str]:
        """The encodings that are still possible."""
        return list(self._decoders)

    def feed(self, chunk: bytes, *, final: bool = False) -> None:
        """Drop the encodings that can't decode ``chunk``; ``final`` ends the file."""
        for name in self.left:
            try:
                self._decoders[name].decode(chunk, final)
            except UnicodeDecodeError:
                del self._decoders[name]
