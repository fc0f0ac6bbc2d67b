"""cardvault audit verify."""

from __future__ import annotations

import click

from ..database import reading
from ..errors import IntegrityFault
from .place import EXAMPLE, open_vault


@click.group()
def audit() -> None:
    """Read and check the audit trail."""


@audit.command(epilog=EXAMPLE + "cardvault audit verify")
@click.pass_context
def verify(context: click.Context) -> None:
    """Check the whole trail from its first entry. Needs the root key.

    Exit code 1 names the first entry that is not as it was written.
    """
    vault = open_vault()
    with reading(vault.engine) as db:
        try:
            count = sum(1 for _ in vault.trail_entries(db))
        except IntegrityFault as fault:
            click.echo(f"{fault.subject}  {fault.problem}")
            context.exit(1)
    click.echo(f"{count:,} entries, every one as written")
