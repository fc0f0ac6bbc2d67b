"""``cardvault audit`` lists, verifies and anchors the trail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import click
from sqlalchemy import func, select

from ..card.scrub import one_line
from ..clock import japan_stamp
from ..errors import IntegrityFault
from ..ops.anchor import Anchor, newest_given
from ..store.database import reading
from ..store.schema import AUDIT_ENTRY
from ..trail import PAGE, VIEWED, AuditEntry, read_entries
from ..web.vault import Vault
from .anchors import ANCHOR_FILE, anchors_given, check_trail, print_given, print_held
from .output import counted, reader_may_leave
from .uses import note_result, note_use, warn
from .vaults import EXAMPLE, actor, vault_with_root_key, vault_without_root_key

LONGEST = 500
"""How many characters of a detail the text form shows; a rotation's has 34,000."""


@click.group()
def audit() -> None:
    """Read and check the audit trail."""


@dataclass(frozen=True)
class Wanted:
    """Which entries to list: about the card ``token``, after number ``since``, of the
    kinds ``events``; None and empty are for all."""

    token: str | None
    since: int | None
    events: tuple[str, ...]


@audit.command(
    "list",
    epilog=EXAMPLE
    + "cardvault audit list --token card_...\n"
    + "  cardvault audit list --since 1200 --event login.locked --json",
)
@click.option("--token", help="Only the entries about this card.")
@click.option(
    "--since",
    metavar="SEQ",
    type=click.IntRange(0),
    help="Only the entries after this number. When there are none, nothing is shown "
    "and the trail records nothing.",
)
@click.option(
    "--event",
    "events",
    metavar="KIND",
    multiple=True,
    help="Only the entries of this kind; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def list_entries(
    token: str | None, since: int | None, events: tuple[str, ...], as_json: bool
) -> None:
    """Show the trail, a line an entry: number, time (Japan), actor, origin, event,
    outcome, subject, detail. The trail records that it was viewed. A long detail is
    shortened; --json shows all of it."""
    vault, wanted = vault_without_root_key(), Wanted(token, since, events)
    if since is not None and not any(_listed(vault, wanted)):
        return
    with vault.engine.begin() as db:
        vault.record(db, VIEWED, actor(), subject=token or "")
    shown = 0
    with reader_may_leave():
        for page in _listed(vault, wanted):
            shown += len(page)
            for entry in page:
                click.echo(_object(entry) if as_json else _line(entry))
    if not shown and since is None:
        warn(
            "the trail has no such entry",
            "every entry names its kind and what it is about: cardvault audit list",
        )


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
        note_result(vault, "audit verify", well=False, counts={"found": 1})
        click.echo(one_line(f"{fault.subject}  {fault.problem}"))
        context.exit(1)
    counts = {"entries": count, "anchors": len(anchors), "found": 0}
    note_result(vault, "audit verify", well=True, counts=counts)
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


def _listed(vault: Vault, wanted: Wanted) -> Iterator[list[AuditEntry]]:
    """The wanted entries as they are now, a page at a time; no page is empty."""
    pages = _about(vault, wanted) if wanted.token else _pages(vault, wanted)
    return (page for page in pages if page)


def _about(vault: Vault, wanted: Wanted) -> Iterator[list[AuditEntry]]:
    """The entries about one card, at one moment."""
    with reading(vault.engine) as db:
        entries = list(vault.entries_about(db, wanted.token or ""))
    yield [
        entry
        for entry in entries
        if entry.seq > (wanted.since or 0)
        and (not wanted.events or entry.event in wanted.events)
    ]


def _pages(vault: Vault, wanted: Wanted) -> Iterator[list[AuditEntry]]:
    """The trail as it is now, a page at a time; no lock is held between pages."""
    with reading(vault.engine) as db:
        last = db.execute(select(func.max(AUDIT_ENTRY.c.seq))).scalar() or 0
    after = wanted.since or 0
    while after < last:
        with reading(vault.engine) as db:
            found = read_entries(db, after=after, events=wanted.events)
            page = list(islice(found, PAGE))
        yield [entry for entry in page if entry.seq <= last]
        after = page[-1].seq if page else last


def _line(entry: AuditEntry) -> str:
    """An entry as one line.  The entry is unchecked, so each part may be of any type
    and hold anything."""
    detail = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
    if len(detail) > LONGEST:
        detail = f"{detail[:LONGEST]} … ({len(detail):,} characters, all with --json)"
    parts = (
        entry.seq,
        japan_stamp(entry.at),
        entry.actor,
        entry.origin,
        entry.event,
        entry.outcome,
        entry.subject,
        detail,
    )
    return "\t".join(one_line(str(part)) for part in parts)


def _object(entry: AuditEntry) -> str:
    """An entry as one JSON object, all ASCII: what an unchecked entry holds can't end
    the line or move a terminal's cursor."""
    try:
        time = datetime.fromtimestamp(entry.at, UTC).isoformat().replace("+00:00", "Z")
    except (OSError, OverflowError, TypeError, ValueError):
        time = ""
    return json.dumps({"time": time, **vars(entry)}, default=repr)
