"""Records in the trail every use of the root key, and every refused key or share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from ..card.scrub import one_line
from ..clock import system_clock
from ..errors import VaultError, WrongRootKey
from ..ops.checks import DONE
from ..store.database import connect
from ..store.sqlite import sqlite_path
from ..trail import Actor
from ..web.vault import Vault
from ..web.web_key import WebKey
from .vaults import actor, read_settings

USED, REFUSED = "root.used", "root.refused"
_WRITES_NOTHING = "cardvault: this command writes nothing"


class Verbs(click.Group):
    """The verbs of cardvault; a wrong root key or share is recorded in the trail."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb that was typed."""
        try:
            return super().invoke(ctx)
        except WrongRootKey as error:
            if not ctx.meta.get(_WRITES_NOTHING):
                note_refusal(str(ctx.invoked_subcommand), error)
            raise


def writes_nothing(context: click.Context) -> None:
    """Make this command record nothing in the trail, whatever happens."""
    context.meta[_WRITES_NOTHING] = True


def record_use(vault: Vault, root_id: str, command: str) -> None:
    """Record that ``command`` is about to open with the root ``root_id``; raises when
    the trail can't be written."""
    with vault.engine.begin() as db:
        vault.record(
            db, USED, actor(), subject=f"root {root_id}", detail={"command": command}
        )


def note_use(vault: Vault, root_id: str, command: str) -> None:
    """Do the same for a command that must work on a damaged vault too: when the trail
    can't be written, warn and let the command go on."""
    problem = try_record(
        vault, USED, actor(), subject=f"root {root_id}", detail={"command": command}
    )
    if problem:
        warn(
            f"the trail has no entry of this use of the root key: {problem}",
            "note it by hand: who, when, why",
        )


def note_result(
    vault: Vault, check: str, *, well: bool, counts: Mapping[str, int]
) -> None:
    """Record how ``check``, one of ``checks.CHECKS``, came out, with its ``counts``;
    when the trail can't be written, warn.  The check is done, so nothing is raised.
    In an entry ``cards`` and ``rev`` mean what was done to cards, so no count has such
    a name."""
    problem = try_record(
        vault,
        DONE,
        actor(),
        outcome="success" if well else "failure",
        subject=check,
        detail=counts,
    )
    if problem:
        warn(
            f"the trail has no entry of what this found: {problem}",
            "keep what it printed, with who and when",
        )


def note_result_here(check: str, *, well: bool, counts: Mapping[str, int]) -> None:
    """Do the same for a check of something else than the vault of the settings;
    without such a vault nothing is recorded."""
    vault = vault_here()
    if vault is not None:
        note_result(vault, check, well=well, counts=counts)
        vault.engine.dispose()


def note_use_here(root_id: str, command: str) -> None:
    """Do the same for a command that opens something else than the vault of the
    settings; without such a vault nothing is recorded."""
    vault = vault_here()
    if vault is not None:
        note_use(vault, root_id, command)
        vault.engine.dispose()


def note_refusal(command: str, error: WrongRootKey) -> None:
    """Record that a root key or share was refused, if the trail can be written; it is
    refused all the same.  The error names no part of a key."""
    vault = vault_here()
    if vault is not None:
        detail = {"command": command, "why": str(error)}
        try_record(vault, REFUSED, actor(), outcome="failure", detail=detail)
        vault.engine.dispose()


def vault_here() -> Vault | None:
    """The vault the settings name, or None when its database is missing or is another
    vault's."""
    settings = read_settings()
    database = sqlite_path(settings.database_url)
    if database is not None and not database.is_file():
        return None  # connecting would create the file
    try:
        web_key = WebKey.read(settings.web_key)
        vault = Vault(web_key, connect(settings.database_url), system_clock)
        vault.require_ready()
    except (SQLAlchemyError, VaultError):
        return None
    return vault


def try_record(
    vault: Vault,
    event: str,
    by: Actor,
    *,
    outcome: str = "success",
    subject: str = "",
    detail: Mapping[str, Any] | None = None,
) -> str:
    """Append to the trail in a transaction of its own; returns why it could not be,
    or "".  It never waits for another writer longer than a moment."""
    try:
        with vault.engine.begin() as db:
            vault.record(db, event, by, outcome=outcome, subject=subject, detail=detail)
    except VaultError as error:
        return one_line(str(error))
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or type(error).__name__
        return one_line(" ".join(str(cause).split()))
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        # A damaged head may hold a value of any type.
        return "audit head: is not as it was written"
    return ""


def warn(what: str, hint: str) -> None:
    """Print a warning on stderr and what to do; the command's own work is done."""
    click.echo(f"cardvault: warning: {what}", err=True)
    click.echo(f"cardvault: hint: {hint}", err=True)
