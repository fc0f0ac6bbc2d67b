"""cardvault audit: list, verify and anchor the trail."""

from __future__ import annotations

import json
import time
from pathlib import Path

import click
from sqlalchemy import Connection, select

from ..anchor import Anchor
from ..audit import VIEWED, AuditEntry, read_entries
from ..database import reading
from ..errors import IntegrityFault
from ..schema import AUDIT_ENTRY
from ..vault import Vault
from .place import EXAMPLE, actor, closed_vault, open_vault
from .words import counted


@click.group()
def audit() -> None:
    """Read and check the audit trail."""


@audit.command("list", epilog=EXAMPLE + "cardvault audit list --token card_...")
@click.option("--token", help="Only the entries about this card.")
def list_entries(token: str | None) -> None:
    """Show the trail, a line an entry: number, time (UTC), actor, origin, event,
    outcome, subject, detail. The trail notes that it was viewed."""
    vault = closed_vault()
    with vault.engine.begin() as db:
        vault.record(db, VIEWED, actor(), subject=token or "")
    with reading(vault.engine) as db:
        about = vault.entries_about(db, token) if token else read_entries(db)
        for entry in about:
            click.echo(_line(entry))


@audit.command(epilog=EXAMPLE + "cardvault audit verify --anchor anchor-2026-11.json")
@click.option(
    "--anchor",
    "anchor_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What audit anchor printed earlier: finds an older database put back.",
)
@click.pass_context
def verify(context: click.Context, anchor_file: Path | None) -> None:
    """Check the whole trail from its first entry. Needs the root key.

    Exit code 1 names the first entry that is not as it was written.
    """
    vault = open_vault()
    with reading(vault.engine) as db:
        try:
            count = sum(1 for _ in vault.trail_entries(db))
            if anchor_file is not None:
                _check_anchor(vault, db, anchor_file)
        except IntegrityFault as fault:
            click.echo(f"{fault.subject}  {fault.problem}")
            context.exit(1)
    click.echo(f"{counted(count, 'entry')}, every one as written")


@audit.command(epilog=EXAMPLE + "cardvault audit anchor > anchor-2026-11.json")
def anchor() -> None:
    """Print the trail's head, to be kept elsewhere. Needs no root key."""
    vault = closed_vault()
    with reading(vault.engine) as db:
        head = Anchor.of(db, vault.web_key.vault_id)
    click.echo(json.dumps(head.as_object()))


def read_anchor(path: Path, vault_id: str) -> Anchor:
    """What audit anchor printed for this vault; raises UsageError."""
    try:
        kept = Anchor.parse(path.read_text(encoding="utf-8"))
    except ValueError:
        raise click.UsageError(
            f"{path} is not what cardvault audit anchor prints"
        ) from None
    if kept.vault_id != vault_id:
        raise click.UsageError(f"{path} is of vault {kept.vault_id}, not of this one")
    return kept


def _check_anchor(vault: Vault, db: Connection, path: Path) -> None:
    """Raise IntegrityFault unless the trail still holds what was anchored."""
    kept = read_anchor(path, vault.web_key.vault_id)
    query = select(AUDIT_ENTRY.c.mac).where(AUDIT_ENTRY.c.seq == kept.entries)
    kept.check(db.execute(query).scalar())


def _line(entry: AuditEntry) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.at))
    detail = json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
    parts = (
        str(entry.seq),
        at,
        entry.actor,
        entry.origin,
        entry.event,
        entry.outcome,
        entry.subject,
        detail,
    )
    return "\t".join(parts)
