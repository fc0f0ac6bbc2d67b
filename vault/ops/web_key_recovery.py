"""Makes a lost web key anew and signs each row that the root can prove.

The sealing key that every row was signed with is gone, so nothing here believes a MAC
made with it.  What stands instead:

- rows that only the root makes (the vault's own, rotations, ranges, quarantine, keys of
  the ops side) have the root's MAC, which needs no sealing key; one without it ends the
  recovery;
- every entry of the trail is checked from the genesis key, which the root sealed;
- a card has to open under its token and data key, agree with what the row says of its
  number, and stand at the rev, and where an entry says one at the expiry, that the trail
  has; a data key has to open, in the state that the trail has.

A row of a web process's that fails is not signed anew: it stays as it is, so that the
site and ``verify`` name it as they name any edited row.  Somebody who edited rows and
then took the web key away gains nothing that these don't see: the brand and the times of
a row, the expiry of an imported card, and, without an anchor, the trail's last entries.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, bindparam, select, update

from .. import crypto
from ..card.expiry import Expiry
from ..clock import Clock
from ..crypto import OpsKeys
from ..errors import FileRefused, IntegrityFault, NotMadeByRoot, WrongRootKey
from ..kill_points import kill_point
from ..store.database import reading
from ..store.files import NewFile, disk_faults, part_of
from ..store.row_macs import (
    NOT_AS_TYPED,
    NOT_AS_WRITTEN,
    SIGNED_TABLES,
    OpsSigner,
    RowSigner,
    card_facts,
    moved_numbers,
)
from ..store.schema import (
    CARD,
    DATA_KEY,
    PURGED,
    QUARANTINE,
    ROTATION,
    ROTATION_RANGE,
    VAULT,
)
from ..store.triggers import require_no_triggers
from ..trail import Actor, AuditEntry, Chain, Trail, read_entries, read_head
from ..web.vault import Vault
from ..web.web_key import WebKey
from .expected_rows import MISSING
from .open_vault import OpenVault
from .root_key import RootKey
from .verify import Finding, name_of, verify
from .web_key_rotation import is_signed_by, pages

RECOVERED = "web_key.recovered"
MOST_NAMED = 20
_EXPIRY = re.compile(r"[0-9]{2}/[0-9]{4}$")


@dataclass
class Recovery:
    """What came of it: the new ``web_key``; how many ``rows`` were signed, and how many
    of them are ``cards``; how many of those have an expiry that no entry of the trail
    says (``by_row_alone``); how many ``entries`` the trail has; and what is ``left``
    unsigned or missing, with the reason."""

    web_key: WebKey
    rows: int = 0
    cards: int = 0
    by_row_alone: int = 0
    entries: int = 0
    left: dict[str, str] = field(default_factory=dict)


CheckTrail = Callable[[Connection], None]


def stored_vault_id(db: Connection) -> str:
    """The id that the vault's own row says; the root's MAC is checked later.  Raises
    FileRefused when there is no such row."""
    found = db.execute(select(VAULT.c.vault_id)).scalar()
    if not isinstance(found, str):
        raise FileRefused(
            "the database has no vault",
            hint="check VAULT_DATABASE_URL; a new vault is made with: cardvault init",
        )
    return found


def recover(
    root_key: RootKey,
    path: Path,
    engine: Engine,
    clock: Clock,
    by: Actor,
    check_anchors: CheckTrail,
) -> Recovery | None:
    """Write a new web key file at ``path`` and sign every row that can be proven under
    it, in one transaction.  None when a run that was killed had done all but naming the
    file, which is named now.

    The file is on the disk as ``path``.part before the rows are committed, so that it
    can't be lost again.  ``check_anchors`` raises when an anchor does not hold.  Raises
    NotMadeByRoot, IntegrityFault or WrongRootKey, with nothing written, when the root
    can't vouch for what only it makes or for the trail.
    """
    _require_root_of(root_key, engine)
    with disk_faults(path):
        left = _left_whole(root_key, path, engine, clock)
        if left:
            with NewFile(path, left_whole=True) as part:
                part.sync()
                part.publish()
            return None
        with NewFile(path) as part:
            new = _new_web_key(root_key)
            part.file.write(new.text().encode())
            part.sync()
            with engine.begin() as db:
                done = _Signing(new, root_key, engine, clock).run(db, by, check_anchors)
                kill_point("recover-ready")
                # The commit may be done although the connection is lost then.
                part.keep()
            kill_point("recover-committed")
            part.publish()
    return done


def _require_root_of(root_key: RootKey, engine: Engine) -> None:
    """Raise WrongRootKey for another vault's root key file."""
    with reading(engine) as db:
        vault_id = stored_vault_id(db)
    if root_key.vault_id != vault_id:
        raise WrongRootKey(
            f"the root key is of vault {root_key.vault_id}, this is vault {vault_id}",
            hint="nothing was written; check VAULT_ROOT_KEY and VAULT_DATABASE_URL",
        )


def _new_web_key(root_key: RootKey) -> WebKey:
    secret = root_key.secret()
    bare = WebKey(root_key.vault_id, secret.public, crypto.new_key())
    return bare.signed(secret.ops)


def _left_whole(root_key: RootKey, path: Path, engine: Engine, clock: Clock) -> bool:
    """Say whether a run was killed after its commit: the file beside is whole, this
    root's, and the vault is under it."""
    try:
        left = WebKey.read(part_of(path))
    except FileRefused:
        return False
    if left.vault_id != root_key.vault_id:
        return False
    vault = OpenVault(left, root_key, engine, clock)
    if not (is_signed_by(vault, left) and _was_last(left, engine)):
        return False
    vault.require_ready()
    return True


def _was_last(left: WebKey, engine: Engine) -> bool:
    """Say whether the trail ends with the recovery that made this key, as it does until
    the file has its name.  Somebody who kept a copy of a lost key could lay that here."""
    with reading(engine) as db:
        entries = list(read_entries(db, after=read_head(db).seq - 1))
    newest = entries[-1] if entries else None
    return (
        newest is not None
        and newest.event == RECOVERED
        and newest.detail.get("web_key") == left.name
    )


class _RootsWord(OpsSigner):
    """Checks what the root signed and nothing else, because the sealing key is lost."""

    def check(self, table: Table, row: Row[Any], subject: str) -> None:
        """Check the root's MAC alone."""
        self.check_ops(table, row, subject)

    def check_sealing(self, table: Table, row: Row[Any], subject: str) -> None:
        """Check nothing: nobody can."""

    def is_sealed(self, table: Table, row: Row[Any]) -> bool:  # noqa: ARG002
        """Take every row as the web role's; whether it opens is checked."""
        return True


class _Signing:
    """One recovery, in one transaction."""

    def __init__(
        self, new: WebKey, root_key: RootKey, engine: Engine, clock: Clock
    ) -> None:
        self._new = new
        self._vault = Vault(new, engine, clock)
        self._proof = OpenVault(new, root_key, engine, clock)
        ops: OpsKeys = self._proof.ops
        self._proof.signer = _RootsWord(new.vault_id, new.sealing_key, ops)
        self._expiries: dict[str, str] = {}
        self._done = Recovery(new)

    def run(self, db: Connection, by: Actor, check_anchors: CheckTrail) -> Recovery:
        """Prove, then sign, then record it."""
        self._vault.shut(db)
        require_no_triggers(db)
        self._proof.state(db)
        self._take_trail(db)
        check_anchors(db)
        self._find(db)
        signer = RowSigner(self._new.vault_id, self._new.sealing_key)
        for table in SIGNED_TABLES:
            self._done.rows += self._sign(db, signer, table)
        done = self._done
        detail = {
            "web_key": self._new.name,
            "entries": done.entries,
            "rows": done.rows,
            "left": dict(list(done.left.items())[:MOST_NAMED]),
            "expiries_unproven": done.by_row_alone,
        }
        self._vault.record(db, RECOVERED, by, detail=detail)
        return done

    def _take_trail(self, db: Connection) -> None:
        """Check every entry, and seal the head under the new key.  What the old head
        sealed is lost, but the root can derive it."""
        chain = Chain(self._new.vault_id, self._proof.genesis(db))
        counted = read_head(db).seq
        for found in chain.walk(db, self._proof.trail):
            if isinstance(found, AuditEntry):
                self._note_expiry(found)
            elif found.subject != "audit head":
                raise found
        entries, key = chain.end
        if counted != entries:
            raise IntegrityFault(
                "audit head",
                f"counts {counted} entries, and {entries} are there",
                hint="docs/operations.md says what to do, under: A broken trail",
            )
        self._done.entries = entries
        Trail(self._new.vault_id, self._new.sealing_key).write_head(db, entries, key)

    def _note_expiry(self, entry: AuditEntry) -> None:
        after = entry.detail.get("after")
        if entry.event.startswith("card.") and isinstance(after, str):
            told = _EXPIRY.search(after)
            if told:
                self._expiries[entry.subject] = told[0]

    def _find(self, db: Connection) -> None:
        """Find what can't be proven; raises for what only the root makes."""
        self._require_roots_rows(db)
        for finding in verify(self._proof, db, _typed):
            if finding.problem != MISSING and not _is_web_roles(finding.subject):
                raise _refusal(finding)
            self._done.left.setdefault(finding.subject, finding.problem)

    def _require_roots_rows(self, db: Connection) -> None:
        for table in (ROTATION, ROTATION_RANGE, QUARANTINE, PURGED, DATA_KEY):
            for rows in pages(db, table):
                for row in rows:
                    self._proof.signer.check_ops(table, row, name_of(table, row))

    def _sign(self, db: Connection, signer: RowSigner, table: Table) -> int:
        key = next(iter(table.primary_key.columns))
        write = update(table).where(key == bindparam("row_id"))
        write = write.values(mac=bindparam("new"))
        count = 0
        for rows in pages(db, table):
            proven = [row for row in rows if self._is_proven(table, row)]
            changes = [
                {"row_id": row[0], "new": signer.sign(table, row._mapping)}
                for row in proven
            ]
            if changes:
                db.execute(write, changes)
            count += len(changes)
        return count

    def _is_proven(self, table: Table, row: Row[Any]) -> bool:
        subject = name_of(table, row)
        if subject in self._done.left:
            return False
        if table is not CARD:
            return True
        told = self._expiries.get(row.token)
        if told is not None and told != _shown(row.expiry):
            problem = f"expires {_shown(row.expiry)}, the trail says {told}"
            self._done.left[subject] = problem
            return False
        self._done.cards += 1
        self._done.by_row_alone += told is None
        return True


def _typed(row: Sequence[Any]) -> bytes:
    """Check that every column of a card row is of its kind, in place of its MAC."""
    # fmt: off
    (id, token, key, rev, envelope, brand, prefix, last4, length,
     expiry, created_at, updated_at, _) = row
    # fmt: on
    try:
        moved_numbers(key, rev)
        if isinstance(envelope, bytes):
            return card_facts(
                id, token, brand, prefix, last4, length, expiry, created_at, updated_at
            )
    except NOT_AS_TYPED:
        pass
    raise IntegrityFault(str(token), NOT_AS_WRITTEN)


def _shown(key: int) -> str:
    return str(Expiry.from_key(key))


def _is_web_roles(subject: str) -> bool:
    """Say whether a finding is of a row that a web process writes."""
    kinds = ("card", "data key ", "purge mark of ")
    return subject.startswith(kinds)


def _refusal(finding: Finding) -> IntegrityFault:
    if finding.problem == NotMadeByRoot("").problem:
        return NotMadeByRoot(finding.subject)
    return IntegrityFault(
        finding.subject,
        finding.problem,
        hint="nothing was written; docs/operations.md says what to do, under: The web "
        "key file is lost",
    )
