"""``cardvault audit`` lists, verifies and anchors the trail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import click
from sqlalchemy import func, select

from ..card.scrub import one_line
from ..errors import IntegrityFault
from ..ops.anchor import Anchor, newest_given
from ..store.database import reading
from ..store.schema import AUDIT_ENTRY
from ..trail import PAGE, VIEWED, AuditEntry, read_entries
from ..web.vault import Vault
from .anchors import ANCHOR_FILE, anchors_given, check_trail, print_given, print_held
from .output import counted, japan_time, reader_may_leave
from .uses import note_use, warn
from .vaults import EXAMPLE, actor, vault_with_root_key, vault_without_root_key


@click.group()
def audit() -> None:
    """Read and check the audit trail."""


@audit.command("list", epilog=EXAMPLE + "cardvault audit list --token card_...")
@click.option("--token", help="Only the entries about this card.")
def list_entries(token: str | None) -> None:
    """Show the trail, a line an entry: number, time (Japan), actor, origin, event,
    outcome, subject, detail. The trail records that it was viewed."""
    vault = vault_without_root_key()
    with vault.engine.begin() as db:
        vault.record(db, VIEWED, actor(), subject=token or "")
    with reader_may_leave():
        for page in _about(vault, token) if token else _pages(vault):
            for entry in page:
                click.echo(_line(entry))


@audit.command(epilog=EXAMPLE + "cardvault audit verify --anchor anchor-2026-11.json")
@ANCHOR_FILE
@click.pass_context
def verify(context: click.Context, anchor_file: Path | None) -> None:
    """Check the whole trail from its first entry. Needs the root key.

    With exit code 1 it names the first entry that is not as it was written, or not as
    an anchor says. Only with --anchor does it find that an older database was put back.
    """
    anchors = anchors_given(anchor_file)
    vault = vault_with_root_key()
    note_use(vault, vault.root_id, "audit verify")
    try:
        with reading(vault.engine) as db:
            count = check_trail(vault, db, anchors)
            given = newest_given(db)
    except IntegrityFault as fault:
        click.echo(one_line(f"{fault.subject}  {fault.problem}"))
        context.exit(1)
    click.echo(f"{counted(count, 'entry')}, every one as written")
    print_held(anchors, vault.clock())
    print_given(given, vault.clock())
    if given.at is None:
        warn(
            "no anchor was ever given away",
            "set AUDIT_ANCHOR_COMMAND, or keep elsewhere what this prints: "
            "cardvault audit anchor",
        )
    if not anchors:
        warn(
            "only an anchor can show that an older database was put back",
            "cardvault audit verify --anchor FILE",
        )


@audit.command(epilog=EXAMPLE + "cardvault audit anchor > anchor-2026-11.json")
def anchor() -> None:
    """Print the trail's head, to be kept elsewhere. Needs no root key.

    One line, one JSON object: FILE may be written anew or added to, with >>.
    """
    vault = vault_without_root_key()
    with reading(vault.engine) as db:
        head = Anchor.of(db, vault.web_key.vault_id)
    click.echo(head.line())


def _about(vault: Vault, token: str) -> Iterator[list[AuditEntry]]:
    """The entries about one card, at one moment."""
    with reading(vault.engine) as db:
        entries = list(vault.entries_about(db, token))
    yield entries


def _pages(vault: Vault) -> Iterator[list[AuditEntry]]:
    """The trail as it is now, a page at a time; no lock is held between pages."""
    with reading(vault.engine) as db:
        last = db.execute(select(func.max(AUDIT_ENTRY.c.seq))).scalar() or 0
    after = 0
    while after < last:
        with reading(vault.engine) as db:
            page = list(islice(read_entries(db, after=after), PAGE))
        yield [entry for entry in page if entry.seq <= last]
        after = page[-1].seq if page else last


def _line(entry: AuditEntry) -> str:
    """An entry as one line.  The entry is unchecked, so each part may be of any type
    and hold anything."""
    detail = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
    parts = (
        entry.seq,
        _time(entry.at),
        entry.actor,
        entry.origin,
        entry.event,
        entry.outcome,
        entry.subject,
        detail,
    )
    return "\t".join(one_line(str(part)) for part in parts)


def _time(at: int) -> str:
    try:
        return japan_time(at)
    except (OSError, OverflowError, TypeError, ValueError):
        return str(at)
