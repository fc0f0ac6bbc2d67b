"""Looks for card numbers in files and in what lies packed in them.

Looked into are gzip, bzip2, xz, tar, zip with the Office files made of it, mail files
and SQLite.  What can't be looked into is named, and so is what can't be read.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import Message
from pathlib import Path

from .numbers import holds_number, numbers
from .sqlite import SQLITE, numbers_in_bytes, numbers_in_file
from .unpack import Budget, BudgetSpent, NotLookedInto, buffered, unpacked

CHUNK = 1 << 20
# More than the longest spelling of a number: four boxes with their headings.
OVERLAP = 2048
# How deep archives may lie in archives, and how large a part may be that has to be in
# memory as a whole: an archive in an archive, a mail, a database.
MAX_DEPTH = 6
MAX_HELD = 64 << 20
HEAD = 4096
# The beginnings of files whose text can't be found by their bytes.
CLOSED = {
    b"%PDF-": "is a PDF",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "is an old or a locked Office file, or a mail "
    "of Outlook",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive",
    b"Rar!\x1a\x07": "is a RAR archive",
    b"\x28\xb5\x2f\xfd": "is packed with zstd",
    b"\x04\x22\x4d\x18": "is packed with lz4",
    b"\x1f\x9d": "is packed with compress",
    b"LZIP": "is packed with lzip",
    b"MSCF": "is a cabinet archive",
    b"!BDN": "is a mailbox of Outlook",
    b"age-encryption.org/": "is encrypted with age",
    b"-----BEGIN AGE ENCRYPTED FILE": "is encrypted with age",
    b"-----BEGIN PGP MESSAGE": "is encrypted with PGP",
    b"Salted__": "is encrypted with OpenSSL",
}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
UNKNOWN_PACKING = "is packed in an unknown way"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
_MAIL = re.compile(
    rb"From [^\n]*\n[!-9;-~]+:|(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?"
    rb"(?:MIME-Version|Content-Type|Content-Transfer-Encoding):",
    re.IGNORECASE,
)
_NEXT_MAIL = re.compile(rb"\r?\n\r?\n(?=From [^\n]+\n[!-9;-~]+:)")


@dataclass(frozen=True)
class Found:
    """A number: its file, its place there ("byte 17", "card.note, row 3"), its mask."""

    path: Path
    place: str
    masked: str


@dataclass(frozen=True)
class Unread:
    """A file or a folder that could not be read or looked into, or not to its end, and
    ``why``."""

    path: Path
    why: str


def scan(path: Path) -> Iterator[Found | Unread]:
    """Every number in a file and in its name, or in every file below a folder; links
    are not followed.  What can't be read or looked into is named, and the scan goes on
    with the next."""
    if holds_number(path.name):
        yield Found(path, "its name", _mask_in(path.name))
    try:
        kind = path.lstat().st_mode
        below = sorted(path.iterdir()) if stat.S_ISDIR(kind) else []
    except OSError as error:
        yield Unread(path, _why(error))
        return
    for one in below:
        yield from scan(one)
    if stat.S_ISREG(kind):
        yield from _scan_regular(path)


def _mask_in(name: str) -> str:
    return numbers(os.fsencode(name))[0][1]


def _scan_regular(path: Path) -> Iterator[Found | Unread]:
    told = _File(path).look()
    while True:
        try:
            one = next(told)
        except StopIteration:
            return
        except OSError as error:
            yield Unread(path, _why(error))
            return
        yield one


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


class _File:
    """One file that is looked into, with what is left of its budget."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._budget = Budget(0)
        # Whether the file itself, and not something in it, could not be looked into.
        self._is_closed = False

    def look(self) -> Iterator[Found | Unread]:
        """Every number in the file, and what could not be looked into."""
        with self._path.open("rb") as file:
            self._budget = Budget(os.fstat(file.fileno()).st_size)
            head = file.peek(HEAD)[:HEAD]
            if head.startswith(SQLITE):
                yield from self._database(file)
                return
            yield from self._into(file, head, "", 0)
            if self._is_closed:
                # Something may be found in the bytes of what could not be unpacked.
                file.seek(0)
                yield from self._bytes(file, "")

    def _into(
        self, file: io.BufferedReader, head: bytes, within: str, depth: int
    ) -> Iterator[Found | Unread]:
        """What is in ``file``, which begins with ``head``; ``within`` says what it lies
        in, the innermost first, each with " inside " before it."""
        kind = next(
            (why for magic, why in CLOSED.items() if head.startswith(magic)), ""
        )
        try:
            if kind:
                raise NotLookedInto(kind)
            if depth > MAX_DEPTH:
                raise NotLookedInto("lies in too many archives")
            packed = unpacked(head, file, self._budget)
            if packed:
                name, inner = packed
                where = f" inside {name}{within}"
                yield from self._into(inner, inner.peek(HEAD)[:HEAD], where, depth + 1)
            elif head.startswith(_ZIP):
                yield from self._zip(file, within, depth)
            elif _is_tar(head):
                yield from self._tar(file, within, depth)
            elif head.startswith(SQLITE):
                yield from self._held_database(self._held(file), within)
            elif _MAIL.match(head):
                yield from self._mails(file, within, depth)
            else:
                yield from self._bytes(file, within)
        except NotLookedInto as error:
            if isinstance(error, BudgetSpent) and depth > 0:
                raise
            self._is_closed = self._is_closed or depth == 0
            yield Unread(self._path, f"{error}{within}, not looked into")

    def _bytes(
        self, file: io.BufferedReader, within: str, *, alone: bool = False
    ) -> Iterator[Found]:
        markup = within.startswith(" inside ") and ".xml" in within.split(" inside ")[1]
        for offset, masked in _scan_stream(file, alone=alone, markup=markup):
            yield Found(self._path, f"byte {offset}{within}", masked)

    def _held(self, file: io.BufferedReader) -> bytes:
        """All of ``file``, when it may be held in memory."""
        data = file.read(MAX_HELD + 1)
        if len(data) > MAX_HELD:
            raise NotLookedInto("is too large a part")
        return data

    def _database(self, file: io.BufferedReader) -> Iterator[Found]:
        told = set()
        # In a SQLite page two values stand next to each other, so that by bytes alone
        # two telephone numbers would look like one long number.
        for place, masked in numbers_in_file(self._path):
            told.add(masked)
            yield Found(self._path, place, masked)
        for one in self._bytes(file, "", alone=True):
            if one.masked not in told:
                yield one

    def _held_database(self, data: bytes, within: str) -> Iterator[Found]:
        told = set()
        for place, masked in numbers_in_bytes(data):
            told.add(masked)
            yield Found(self._path, f"{place}{within}", masked)
        for offset, masked in numbers(data, alone=True):
            if masked not in told:
                yield Found(self._path, f"byte {offset}{within}", masked)

    def _member(
        self, file: io.BufferedReader, name: str, within: str, depth: int
    ) -> Iterator[Found | Unread]:
        if holds_number(name):
            yield Found(self._path, f"a name{within}", _mask_in(name))
        where = f" inside {name}{within}"
        yield from self._into(file, file.peek(HEAD)[:HEAD], where, depth + 1)

    def _zip(
        self, file: io.BufferedReader, within: str, depth: int
    ) -> Iterator[Found | Unread]:
        whole = file if depth == 0 else io.BytesIO(self._held(file))
        try:
            archive = zipfile.ZipFile(whole)
        except (zipfile.BadZipFile, ValueError, NotImplementedError):
            raise NotLookedInto("is damaged") from None
        with archive:
            for info in archive.infolist():
                if not info.is_dir():
                    yield from self._zipped(archive, info, within, depth)

    def _zipped(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, within: str, depth: int
    ) -> Iterator[Found | Unread]:
        why = ""
        if info.flag_bits & 1:
            why = "is encrypted"
        elif info.compress_type not in _METHODS:
            why = UNKNOWN_PACKING
        try:
            if not why:
                with archive.open(info) as packed:
                    member = buffered(packed.read, self._budget)
                    yield from self._member(member, info.filename, within, depth)
        except BudgetSpent:
            raise
        except NotLookedInto as error:
            why = str(error)
        except NotImplementedError:
            why = UNKNOWN_PACKING
        except (zipfile.BadZipFile, zlib.error, EOFError):
            why = "is damaged"
        if why:
            where = f"{why} inside {info.filename}{within}"
            yield Unread(self._path, f"{where}, not looked into")

    def _tar(
        self, file: io.BufferedReader, within: str, depth: int
    ) -> Iterator[Found | Unread]:
        try:
            with tarfile.open(fileobj=file, mode="r|") as archive:
                for info in archive:
                    packed = archive.extractfile(info) if info.isreg() else None
                    if packed is not None:
                        member = buffered(packed.read, self._budget)
                        yield from self._member(member, info.name, within, depth)
                    archive.members = []  # type: ignore[attr-defined]
        except (tarfile.TarError, EOFError):
            raise NotLookedInto("is damaged") from None

    def _mails(
        self, file: io.BufferedReader, within: str, depth: int
    ) -> Iterator[Found | Unread]:
        data = self._held(file)
        yield from self._bytes(buffered(io.BytesIO(data).read, self._budget), within)
        for one in _NEXT_MAIL.split(data):
            for part in _parts(one):
                inner = _decoded_part(part)
                if inner:
                    self._budget.spend(len(inner))
                    member = buffered(io.BytesIO(inner).read, self._budget)
                    name = part.get_filename() or part.get_content_type()
                    yield from self._member(member, name, within, depth)


def _parts(mail: bytes) -> list[Message]:
    """A mail and all its parts.  The library follows mails in mails by recursion."""
    try:
        return list(message_from_bytes(mail, policy=policy.compat32).walk())
    except RecursionError:
        raise NotLookedInto("lies in too many mails") from None


def _decoded_part(part: Message) -> bytes:
    """A mail's part that is spelled in base64 or uuencode; all others are found in the
    mail's own bytes."""
    spelled = str(part.get("content-transfer-encoding", "")).strip().lower()
    if part.is_multipart() or spelled in ("", "7bit", "8bit", "binary"):
        return b""
    with suppress(MessageError, ValueError, LookupError):
        payload = part.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""
    return b""


def _is_tar(head: bytes) -> bool:
    if len(head) < tarfile.BLOCKSIZE:
        return False
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _scan_stream(
    file: io.BufferedReader, *, alone: bool = False, markup: bool = False
) -> Iterator[tuple[int, str]]:
    """The offset and the mask of each number."""
    held, begins, told = b"", 0, 0
    while chunk := file.read(CHUNK):
        held += chunk
        # A number near the end may go on in the next chunk; it is read again then, with
        # what stands before it.
        until = begins + max(len(held) - OVERLAP, 0)
        for offset, masked in numbers(held, alone=alone, markup=markup):
            if told <= begins + offset < until:
                yield begins + offset, masked
        cut = max(until - begins - OVERLAP, 0)
        held, begins, told = held[cut:], begins + cut, until
    for offset, masked in numbers(held, alone=alone, markup=markup):
        if told <= begins + offset:
            yield begins + offset, masked
