"""Checks what the trail and the tables say: the clock, anchors, backups, proofs, keys."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from ...clock import DAY_SECONDS, age, japan_stamp
from ...errors import VaultError
from ...store.database import reading
from ...store.schema import AUDIT_ENTRY
from ...trail import SKEW_SECONDS
from ..anchor import newest_given
from ..census import take_census
from ..checks import Done, newest_backup, newest_checks
from ..purge import doubt_about_clock
from ..rotation.status import running_rotation
from .result import CheckResult, Installation, fault, ok, unknown, warning

# The daily backup sends an anchor where AUDIT_ANCHOR_COMMAND is set.
OLD_ANCHOR_DAYS = 8
OLD_BACKUP_DAYS = 2
OLD_PROOF_DAYS = 35
DRILL = "restore --drill"
PROOFS = {
    "verify": "cardvault verify",
    "audit verify": "cardvault audit verify --anchor FILE",
    DRILL: "cardvault restore FILE --drill",
}
"""What is to be done every month, and how."""


def belongs(here: Installation) -> Iterator[CheckResult]:
    """Check that the web key and the vault's database belong together, and what the
    census finds wrong."""
    try:
        vault = here.vault()
        with reading(vault.engine) as db:
            census, rotation = take_census(vault, db), running_rotation(vault, db)
    except VaultError as error:
        yield fault("vault", str(error), error.hint or "cardvault verify")
        return
    yield ok("vault", "the web key and the database belong together")
    for line in census.unmarked:
        yield fault(
            "vault", line, "docs/operations.md, under: Not made by this vault's root"
        )
    if rotation is not None:
        yield warning("rotation", f"{rotation.id} is unfinished", "cardvault rotate")
    if census.quarantined:
        yield warning(
            "quarantine",
            f"{census.quarantined:,} cards can't be opened",
            "cardvault quarantine list",
        )
    aged = [
        line
        for line in census.warnings()
        if line not in (*census.unmarked, census.clock)
    ]
    for line in aged:
        yield warning("data keys", line, "cardvault rotate")
    if not aged and rotation is None:
        yield ok("data keys", "none is a year old or worn")


def clock(here: Installation) -> Iterator[CheckResult]:
    """Compare the clock with the trail's newest entry."""
    vault = here.vault()
    newest = select(AUDIT_ENTRY.c.at).order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)
    with reading(vault.engine) as db:
        last = db.scalar(newest)
    now = vault.clock()
    if not isinstance(last, int):
        yield unknown(
            "clock", "the trail has no newest entry to hold the clock against"
        )
    elif now < last - SKEW_SECONDS:
        yield fault(
            "clock",
            f"it says {japan_stamp(now)}, and the trail's newest entry is of "
            f"{japan_stamp(last)}",
            "set the clock; if it is right now, it was ahead before",
        )
    elif doubt := doubt_about_clock(vault):
        yield warning("clock", doubt, "set the clock, unless nobody used the site")
    else:
        yield ok("clock", "it goes on from the trail's newest entry")


def anchors(here: Installation) -> Iterator[CheckResult]:
    """Check that anchors leave, where AUDIT_ANCHOR_COMMAND used to send them.  Where
    they are kept by hand the trail has no entry about them."""
    vault = here.vault()
    with reading(vault.engine) as db:
        given = newest_given(db)
    now = vault.clock()
    if given.failed_since:
        yield warning(
            "anchor",
            "the last anchor could not be given away",
            "see what AUDIT_ANCHOR_COMMAND says",
        )
    if given.at is None:
        yield unknown(
            "anchor",
            "none was given away by AUDIT_ANCHOR_COMMAND; those kept by hand are "
            "not in the trail",
        )
    elif now - given.at > OLD_ANCHOR_DAYS * DAY_SECONDS:
        yield warning(
            "anchor",
            f"the newest anchor is old (given away {age(given.at, now)})",
            "run a backup",
        )
    elif not given.failed_since:
        yield ok("anchor", f"given away {age(given.at, now)}")


def backups(here: Installation) -> Iterator[CheckResult]:
    """Say how old the newest backup is, by the trail."""
    vault = here.vault()
    if not here.sqlite_files():
        yield unknown("backup", "what pg_dump makes is not in the trail")
        return
    now = vault.clock()
    with reading(vault.engine) as db:
        at = newest_backup(db, now)
    if at is None:
        yield warning("backup", "none was made lately", "cardvault backup FILE")
    elif now - at > OLD_BACKUP_DAYS * DAY_SECONDS:
        said = f"the newest was made {age(at, now)}"
        yield warning("backup", said, "cardvault backup FILE, every day")
    else:
        yield ok("backup", f"the newest was made {age(at, now)}")


def proofs(here: Installation) -> Iterator[CheckResult]:
    """Say how old the monthly proofs are and how they came out, by the trail."""
    vault = here.vault()
    with reading(vault.engine) as db:
        found = newest_checks(db)
    for name, words in PROOFS.items():
        if name != DRILL or here.sqlite_files():
            yield _proof(name, words, found.get(name), vault.clock())


def _proof(name: str, words: str, done: Done | None, now: int) -> CheckResult:
    if done is None:
        return warning(name, "was never done", words)
    when = f"last done {age(done.at, now)}"
    if not done.well:
        return fault(name, f"{when}, and found something", f"see what it says: {words}")
    if now - done.at > OLD_PROOF_DAYS * DAY_SECONDS:
        return warning(name, when, words)
    return ok(name, f"{when}, and found nothing")
