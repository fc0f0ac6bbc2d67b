"""Unpacks compressed data as a stream, within a budget.

A few kilobytes may unpack to terabytes, so what is unpacked of one file is counted,
whatever lies in it, and an end is made before the memory or the night is over.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any

CHUNK = 1 << 16
# What any file may unpack to, and how many times its own size: logs are packed to a
# hundredth at best.
LEAST_BUDGET = 256 << 20
MOST_TIMES = 200
XZ_MEMORY = 128 << 20


class NotLookedInto(Exception):
    """What is in a file could not be looked into; the text says why."""


class BudgetSpent(NotLookedInto):
    """One file unpacks to more than is looked into."""


class Budget:
    """How many more bytes one file may unpack to; ``size`` is the file's own."""

    def __init__(self, size: int) -> None:
        self._left = max(LEAST_BUDGET, MOST_TIMES * size)

    def spend(self, count: int) -> None:
        """Count bytes that were unpacked; raises BudgetSpent when it is used up."""
        self._left -= count
        if self._left < 0:
            raise BudgetSpent("unpacks to more than is looked into")


class Stream(io.RawIOBase):
    """A stream over a function that reads at most so many bytes; what it reads is
    counted."""

    def __init__(self, read: Callable[[int], bytes], budget: Budget) -> None:
        super().__init__()
        self._read = read
        self._budget = budget

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` unless the end comes first, so that a peek shows enough."""
        view, done = memoryview(buffer), 0
        while done < len(view):
            got = self._read(len(view) - done)
            if not got:
                break
            self._budget.spend(len(got))
            view[done : done + len(got)] = got
            done += len(got)
        return done


def buffered(read: Callable[[int], bytes], budget: Budget) -> io.BufferedReader:
    """A stream that can be peeked into."""
    return io.BufferedReader(Stream(read, budget), CHUNK)


class _Unpacked:
    """Reads what a compressed stream holds, one packed stream after the other."""

    def __init__(self, file: io.BufferedReader, begin: Callable[[], Any]) -> None:
        self._file = file
        self._begin = begin
        self._packed = begin()
        self._held = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        """At most ``size`` unpacked bytes, none at the end; raises NotLookedInto when
        the data is damaged or cut off."""
        try:
            return self._next(size)
        except (zlib.error, lzma.LZMAError, EOFError, ValueError):
            raise NotLookedInto("is damaged") from None
        except OSError as error:
            # bz2 raises one without a number for bad data.
            if error.errno is None:
                raise NotLookedInto("is damaged") from None
            raise

    def _next(self, size: int) -> bytes:
        while not self._ended:
            if self._packed.eof:
                self._go_on()
                continue
            got = self._some(size)
            if got:
                return got
        return b""

    def _some(self, size: int) -> bytes:
        if isinstance(self._packed, (bz2.BZ2Decompressor, lzma.LZMADecompressor)):
            if self._packed.needs_input:
                return self._packed.decompress(self._packed_bytes(), size)
            return self._packed.decompress(b"", size)
        given = self._packed.unconsumed_tail or self._packed_bytes()
        got: bytes = self._packed.decompress(given, size)
        return got

    def _packed_bytes(self) -> bytes:
        got, self._held = self._held or self._file.read(CHUNK), b""
        if not got:
            raise NotLookedInto("is cut off")
        return got

    def _go_on(self) -> None:
        """Begin the next packed stream, or end; padding of zeros may come between."""
        rest = self._packed.unused_data.lstrip(b"\0")
        while not rest and (more := self._file.read(CHUNK)):
            rest = more.lstrip(b"\0")
        self._held, self._ended = rest, not rest
        if rest:
            self._packed = self._begin()


_PACKED: dict[bytes, tuple[str, Callable[[], Any]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": ("xz", lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY)),
}


def unpacked(
    head: bytes, file: io.BufferedReader, budget: Budget
) -> tuple[str, io.BufferedReader] | None:
    """The name of the packer and what ``file`` holds, or None when its ``head`` is of
    no packer known here."""
    for magic, (name, begin) in _PACKED.items():
        if head.startswith(magic):
            return name, buffered(_Unpacked(file, begin).read, budget)
    return None
