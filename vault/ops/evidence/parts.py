"""Lists what the site and its commands are made of: versions, and an SBOM.

The SBOM is CycloneDX 1.6 in JSON.  A writer of its own is a hundred lines; the library
for it brings eight more distributions into the ops host.
"""

from __future__ import annotations

import platform
import re
import sqlite3
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import UUID

from .words import Cell, Subject, Table, Words, yes_or_no

OURS = "cardvault-site"
_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s\\;]+)((?:[^\n]*\\\n)*[^\n]*)", re.M)
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST_LICENCE = 80


@dataclass(frozen=True)
class Part:
    """An installed distribution.  ``licence`` is an SPDX expression when
    ``is_expression``, else a name as it was declared, or ""; ``needs`` are the names of
    what it asks for, ``hashes`` the SHA-256 of each released file of this version by the
    lock file, and ``locked`` says whether the lock file has this very version."""

    name: str
    version: str
    licence: str
    is_expression: bool
    needs: tuple[str, ...]
    hashes: tuple[str, ...]
    locked: bool

    @property
    def purl(self) -> str:
        """The package's URL, as the purl specification has it for Python."""
        return f"pkg:pypi/{self.name}@{self.version}"


def installed(lock: Path) -> list[Part]:
    """Every installed distribution but our own, in the order of their names; without a
    file at ``lock`` none has hashes."""
    pinned = _pinned(lock.read_text(encoding="utf-8")) if lock.is_file() else {}
    found: dict[str, Part] = {}
    for one in metadata.distributions():
        name = normalized(one.metadata["Name"] or "")
        if name and name != OURS and name not in found:
            found[name] = _part(name, one, pinned.get((name, one.version)))
    return [found[name] for name in sorted(found)]


def normalized(name: str) -> str:
    """A distribution's name as an index has it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pinned(lock: str) -> dict[tuple[str, str], tuple[str, ...]]:
    return {
        (normalized(name), version): tuple(sorted(_HASH.findall(rest)))
        for name, version, rest in _PINNED.findall(lock)
    }


def _part(
    name: str, one: metadata.Distribution, hashes: tuple[str, ...] | None
) -> Part:
    expression = one.metadata["License-Expression"] or ""
    needs = {
        normalized(found[0])
        for asked in one.requires or ()
        if "extra ==" not in asked and (found := _NAME.match(asked))
    }
    return Part(
        name,
        one.version,
        expression or _declared(one),
        bool(expression),
        tuple(sorted(needs)),
        hashes or (),
        hashes is not None,
    )


def _declared(one: metadata.Distribution) -> str:
    """The licence's name by the classifiers, or the short text of the older field."""
    for line in one.metadata.get_all("Classifier") or ():
        if line.startswith("License ::"):
            name = line.rpartition(" :: ")[2]
            if name != "OSI Approved":
                return str(name)
    text = (one.metadata["License"] or "").strip()
    return text if len(text) <= _LONGEST_LICENCE and "\n" not in text else ""


def sbom(parts: Sequence[Part], version: str, at: int, serial: UUID) -> dict[str, Any]:
    """The bill of materials of ``parts`` for our ``version``, as CycloneDX 1.6 has it;
    ``at`` is seconds since 1970 UTC."""
    us = f"pkg:generic/{OURS}@{version}"
    there = {part.name: part.purl for part in parts}
    needed = [there[part.name] for part in parts if part.locked] or list(there.values())
    dependencies = [{"ref": us, "dependsOn": needed}]
    dependencies += [
        {"ref": p.purl, "dependsOn": [there[n] for n in p.needs if n in there]}
        for p in parts
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial.urn,
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
            "component": {
                "type": "application",
                "bom-ref": us,
                "name": OURS,
                "version": version,
                "purl": us,
                "licenses": [{"license": {"id": "MIT"}}],
            },
        },
        "components": [dict(_component(part)) for part in parts],
        "dependencies": dependencies,
    }


def _component(part: Part) -> Iterator[tuple[str, Any]]:
    yield from {
        "type": "library",
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "purl": part.purl,
        # What the lock does not have is a tool beside the site, as tests and linters.
        "scope": "required" if part.locked else "excluded",
    }.items()
    if part.is_expression:
        yield "licenses", [{"expression": part.licence}]
    elif part.licence:
        yield "licenses", [{"license": {"name": part.licence}}]
    if part.hashes:
        yield "hashes", [{"alg": "SHA-256", "content": one} for one in part.hashes]


def versions(parts: Sequence[Part], ours: str, servers: dict[str, str]) -> Subject:
    """What runs here: ``servers`` are the versions of the two databases."""
    system: list[Sequence[Cell]] = [
        ("cardvault", ours),
        ("Python", platform.python_version()),
        (Words("OS", "Operating system"), _system()),
        (Words("カーネル", "Kernel"), f"{platform.system()} {platform.release()}"),
        (Words("SQLite（ライブラリ）", "SQLite (library)"), sqlite3.sqlite_version),
        (Words("OpenSSL（Pythonの）", "OpenSSL (Python's)"), ssl.OPENSSL_VERSION),
    ]
    system += list(servers.items())
    return Subject(
        "versions",
        Words("ソフトウェアの版", "Versions of software"),
        Words(
            "OS・Python・データベース・導入済みライブラリの版とライセンス。"
            "詳細は sbom.cdx.json。",
            "Versions of the system, Python, the databases and each library installed, "
            "with licences. More is in sbom.cdx.json.",
        ),
        "6.3.2, 6.3.3, 12.3.4",
        (
            _system_table(system),
            _library_table(parts),
        ),
        {
            "system": {
                name.en if isinstance(name, Words) else str(name): str(version)
                for name, version in system
            },
            "libraries": {part.name: part.version for part in parts},
        },
    )


def _system_table(rows: Sequence[Sequence[Cell]]) -> Table:
    columns = (Words("名前", "Name"), Words("版", "Version"))
    return Table(Words("システム", "System"), columns, rows)


def _library_table(parts: Sequence[Part]) -> Table:
    rows: list[Sequence[Cell]] = [
        (p.name, p.version, p.licence or "-", yes_or_no(p.locked)) for p in parts
    ]
    columns = (
        Words("名前", "Name"),
        Words("版", "Version"),
        Words("ライセンス（申告）", "Licence as declared"),
        Words("ロックファイルと一致", "As in the lock file"),
    )
    note = Words(
        "「いいえ」は、ロックファイルにないもの（試験・開発の道具など）です。",
        "“No” is what the lock file doesn't have, as tools for tests.",
    )
    return Table(Words("ライブラリ", "Libraries"), columns, rows, note)


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()
