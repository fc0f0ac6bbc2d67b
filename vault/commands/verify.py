"""``cardvault verify`` opens every card and checks every row."""

from __future__ import annotations

import json
from contextlib import suppress

import click
from sqlalchemy import func, select

from ..card.scrub import one_line
from ..errors import IntegrityFault
from ..ops.open_vault import OpenVault
from ..ops.verify import Finding
from ..ops.verify import verify as find_faults
from ..store.database import reading
from ..store.revisions import REVISIONS
from ..store.schema import CARD
from .output import counted, reader_may_leave
from .uses import note_result, note_use
from .vaults import EXAMPLE, open_parts, require_in_place


@click.command(epilog=EXAMPLE + "VAULT_ROOT_KEY=/media/usb/root.key cardvault verify")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify(context: click.Context, as_json: bool) -> None:
    """Open every card and check every row of every table.

    Exit code 1 when something is wrong; each bad token is named. Needs the root
    key and changes nothing; the trail records its use and what it found.
    """
    vault = open_parts()
    REVISIONS.require_head(vault.engine, "vault")
    require_in_place(vault)
    # This refuses a wrong root key.  Damage is reported below with everything else.
    with reading(vault.engine) as db, suppress(IntegrityFault):
        vault.state(db)
    note_use(vault, vault.root_id, "verify")
    cards, findings = check_rows(vault)
    with reader_may_leave():
        if as_json:
            found = [vars(finding) for finding in findings]
            click.echo(
                json.dumps({"ok": not findings, "cards": cards, "findings": found})
            )
        else:
            for finding in findings:
                click.echo(one_line(f"{finding.subject}  {finding.problem}"))
            click.echo(
                f"{len(findings)} found; nothing was changed"
                if findings
                else f"{counted(cards, 'card')} opened, every row and audit entry as written"
            )
    context.exit(1 if findings else 0)


def check_rows(vault: OpenVault) -> tuple[int, list[Finding]]:
    """Open every card and check every row, and record the result in the trail; returns
    how many cards there are, and what is wrong."""
    with reading(vault.engine) as db:
        findings = list(find_faults(vault, db))
        cards = db.execute(select(func.count()).select_from(CARD)).scalar_one()
    counts = {"opened": cards, "found": len(findings)}
    note_result(vault, "verify", well=not findings, counts=counts)
    return cards, findings
