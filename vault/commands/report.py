"""``cardvault report`` prints and gathers what an assessor asks for."""

from __future__ import annotations

import json

import click
from sqlalchemy import select

from ..ops.evidence.rotation_record import facts_of, page
from ..store.database import reading
from ..store.schema import ROTATION
from .evidence import evidence
from .output import reader_may_leave
from .vaults import EXAMPLE, vault_with_root_key_if_there


@click.group()
def report() -> None:
    """Print records for an assessor."""


@report.command(
    epilog=EXAMPLE + "cardvault report rotation 3 --lang en > rotation-3.txt"
)
@click.argument("number", type=int, required=False)
@click.option(
    "--lang",
    type=click.Choice(["ja", "en"]),
    default="ja",
    show_default=True,
    help="The language of the record.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def rotation(number: int | None, lang: str, as_json: bool) -> None:
    """Print the record of rotation NUMBER, or of the latest.

    With the root key the record's MAC of the root is checked; without it the page says
    that it was not.
    """
    vault = vault_with_root_key_if_there()
    query = select(ROTATION).order_by(ROTATION.c.id.desc()).limit(1)
    if number is not None:
        query = query.where(ROTATION.c.id == number)
    with reading(vault.engine) as db:
        row = db.execute(query).first()
        if row is None:
            raise click.UsageError(
                f"there is no rotation {number}"
                if number
                else "no card was ever rotated"
            )
        facts = facts_of(vault, db, row)
    with reader_may_leave():
        click.echo(json.dumps(facts) if as_json else page(facts, lang))


report.add_command(evidence)
