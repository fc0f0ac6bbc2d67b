"""Reads bytes in every spelling a document may use, so that digits become ASCII.

A reading keeps where each of its bytes came from.  Signs of several bytes and escapes
are first replaced by as many bytes, the rest of them ``FILL``, which is then left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from ...card.pan import FOLD

FILL = b"\x7f"
# Nothing is seen of these: soft hyphen, zero width signs, marks of direction, BOM.
_UNSEEN = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
_STOPS = {"，": ",", "、": ",", "．": ".", "。": ".", "・": ".", "／": "/", "＿": "_"}
_SIGNS: dict[str, str] = {
    **{chr(code): to or " " for code, to in FOLD.items() if code > 0x7F},
    "−": "-",
    "\u2028": "\n",
    "\u2029": "\n",
    **dict.fromkeys(_UNSEEN, ""),
    **_STOPS,
}


def _table(encoding: str) -> list[tuple[bytes, bytes]]:
    """The bytes of each sign in ``encoding`` and the as many bytes it is read as."""
    found = {}
    for sign, to in _SIGNS.items():
        try:
            spelled = sign.encode(encoding)
        except UnicodeEncodeError:
            continue
        found[spelled] = to.encode().ljust(len(spelled), FILL)
    return list(found.items())


# What has to be in the bytes for an encoding to read them otherwise than ASCII does.
_UTF_8 = re.compile(rb"[0-9][\xc2\xe1\xe2\xe3\xef]|\xef\xbc[\x90-\x99]")
_CP932 = re.compile(rb"[0-9][\x81\xb0]|\x82[\x4f-\x58]")
_EUC_JP = re.compile(rb"[0-9][\xa1\x8e]|\xa3[\xb0-\xb9]")
_UTF_16_LE = re.compile(rb"(?:[0-9]\x00|[\x10-\x19]\xff){3}")
_UTF_16_BE = re.compile(rb"(?:\x00[0-9]|\xff[\x10-\x19]){3}")
_LE_ASCII = re.compile(rb"([\t\n\r -~])\x00")
_BE_ASCII = re.compile(rb"\x00([\t\n\r -~])")
_JIS = re.compile(rb"\x1b\$[@B]([^\x1b\r\n]*)(?:\x1b\([BJ])?")
_TO_HIGH = bytes(code | 0x80 for code in range(256))
_TABLES = {
    name: _table(name)
    for name in ("utf-8", "cp932", "euc_jp", "utf-16-le", "utf-16-be")
}

_PERCENT = re.compile(rb"(?:%[0-9A-Fa-f]{2})+")
_JSON = re.compile(rb"(?:\\u[0-9A-Fa-f]{4})+|\\[tnr]")
_ENTITY = re.compile(
    rb"&(?:#([0-9]{2,6})|#[xX]([0-9A-Fa-f]{2,5})|(nbsp|thinsp|ensp|emsp|ndash|mdash|minus|shy));"
)
_ENTITIES = {b"shy": b""}
_QUOTED = re.compile(rb"(?:=[0-9A-Fa-f]{2})+|=[ \t]*\r?\n")
_IS_QUOTED = re.compile(
    rb"[0-9]=(?:[ \t]*\r?\n|[0-9A-Fa-f]{2}[=0-9])|=3[0-9]=|=(?:EF=BC|82=|A3=B)"
)
_TAG = re.compile(rb"<[^<>]*>")
# Tags that end a word; all others may stand within one, as Word's runs do.
_BORDER = re.compile(
    rb"</?(?:\w+:)?(?:p|si|c|v|f|row|tr|tc|td|th|li|div|h|h[1-6]|br|tab|cell|table-cell|"
    rb"line-break|tab-stop|s)[\s/>]"
)


@dataclass(frozen=True)
class Reading:
    """Bytes as one spelling reads them; ``filled`` has FILL where nothing is read."""

    filled: bytes

    @cached_property
    def text(self) -> bytes:
        """What is read."""
        return self.filled.replace(FILL, b"")

    @cached_property
    def _origins(self) -> list[int]:
        return [at for at, one in enumerate(self.filled) if one != FILL[0]]

    def origin(self, at: int) -> int:
        """Where the byte ``at`` of ``text`` stands in what was read."""
        return at if len(self.text) == len(self.filled) else self._origins[at]


def readings(data: bytes, *, markup: bool = False) -> Iterator[Reading]:
    """Every reading of ``data`` that may show other digits than the ones before; with
    ``markup`` also as if the tags were not there."""
    for unescaped in _unescaped(data, markup=markup):
        yield Reading(unescaped)
        for decoded in _decoded(unescaped):
            yield Reading(decoded)


def _unescaped(data: bytes, *, markup: bool) -> Iterator[bytes]:
    yield data
    once = data
    for sign, pattern, read in _ESCAPES:
        if sign in once:
            once = pattern.sub(read, once)
    if once != data:
        yield once
    if _IS_QUOTED.search(data):
        yield _QUOTED.sub(_quoted, data)
    if markup:
        yield _TAG.sub(_tag, once)


def _decoded(data: bytes) -> Iterator[bytes]:
    if data.isascii():
        if b"\x1b$" in data:
            yield _replaced(_JIS.sub(_jis, data), "euc_jp")
        if b"\0" not in data:
            return
    elif _is_utf_8(data):
        if _UTF_8.search(data):
            yield _replaced(data, "utf-8")
    else:
        for pattern, name in (
            (_UTF_8, "utf-8"),
            (_CP932, "cp932"),
            (_EUC_JP, "euc_jp"),
        ):
            if pattern.search(data):
                yield _replaced(data, name)
    if _UTF_16_LE.search(data):
        yield _replaced(_LE_ASCII.sub(rb"\1" + FILL, data), "utf-16-le")
    if _UTF_16_BE.search(data):
        yield _replaced(_BE_ASCII.sub(FILL + rb"\1", data), "utf-16-be")


def _replaced(data: bytes, encoding: str) -> bytes:
    for spelled, to in _TABLES[encoding]:
        data = data.replace(spelled, to)
    return data


def _is_utf_8(data: bytes) -> bool:
    """Say whether ``data`` is UTF-8; a sign may be cut at either end."""
    begins = next((at for at, one in enumerate(data[:4]) if one & 0xC0 != 0x80), 0)
    try:
        data[begins:].decode()
    except UnicodeDecodeError as error:
        return begins + error.start >= len(data) - 3
    return True


def _filled(read: bytes, spelled: bytes) -> bytes:
    return read[: len(spelled)].ljust(len(spelled), FILL)


def _percent(found: re.Match[bytes]) -> bytes:
    return _filled(bytes.fromhex(found[0].replace(b"%", b"").decode()), found[0])


def _json(found: re.Match[bytes]) -> bytes:
    if len(found[0]) == 2:
        return _filled(b"\n", found[0])
    units = bytes.fromhex(found[0].replace(b"\\u", b"").decode())
    return _filled(units.decode("utf-16-be", "replace").encode(), found[0])


def _entity(found: re.Match[bytes]) -> bytes:
    decimal, hexadecimal, name = found.groups()
    if name:
        return _filled(_ENTITIES.get(name, b" "), found[0])
    code = int(decimal) if decimal else int(hexadecimal, 16)
    sign = chr(code) if code < 0xD800 or 0xE000 <= code < 0x110000 else " "
    return _filled(sign.encode(), found[0])


def _quoted(found: re.Match[bytes]) -> bytes:
    if found[0].endswith(b"\n"):
        return FILL * len(found[0])
    return _filled(bytes.fromhex(found[0].replace(b"=", b"").decode()), found[0])


def _tag(found: re.Match[bytes]) -> bytes:
    return _filled(b"\n" if _BORDER.match(found[0]) else b"", found[0])


def _jis(found: re.Match[bytes]) -> bytes:
    """Two bytes a sign between escapes (ISO-2022-JP), as EUC-JP has them."""
    begins, ends = found.start(1) - found.start(), found.end(1) - found.start()
    signs = found[1].translate(_TO_HIGH)
    return FILL * begins + signs + FILL * (len(found[0]) - ends)


_ESCAPES: tuple[
    tuple[bytes, re.Pattern[bytes], Callable[[re.Match[bytes]], bytes]], ...
]
_ESCAPES = (
    (b"%", _PERCENT, _percent),
    (b"\\", _JSON, _json),
    (b"&", _ENTITY, _entity),
)
