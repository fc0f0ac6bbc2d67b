"""cardvault verify."""

from __future__ import annotations

import json

import click

from ..census import take_census
from ..database import reading
from ..scrub import one_line
from .place import EXAMPLE, open_vault
from .uses import note_use
from .words import counted


@click.command(epilog=EXAMPLE + "VAULT_ROOT_KEY=/media/usb/root.key cardvault verify")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def verify(context: click.Context, as_json: bool) -> None:
    """Open every card and check every row, key and audit entry.

    Exit code 1 when something is wrong; each bad token is named. Needs the root
    key and changes nothing; the trail notes its use.
    """
    vault = open_vault()
    note_use(vault, vault.root_id, "verify")
    with reading(vault.engine) as db:
        findings = list(vault.verify(db))
        cards = 0 if findings else take_census(vault, db).cards
    if as_json:
        found = [vars(finding) for finding in findings]
        click.echo(json.dumps({"ok": not findings, "cards": cards, "findings": found}))
    else:
        for finding in findings:
            click.echo(one_line(f"{finding.subject}  {finding.problem}"))
        click.echo(
            f"{len(findings)} found; nothing was changed"
            if findings
            else f"{counted(cards, 'card')} opened, every row and audit entry as written"
        )
    context.exit(1 if findings else 0)
