"""Every use of the root key leaves an entry in the trail, and so does a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from sqlalchemy.exc import SQLAlchemyError

from ..card.scrub import one_line
from ..clock import system_clock
from ..errors import VaultError, WrongRootKey
from ..store.database import connect, sqlite_path
from ..trail import Actor
from ..web.vault import Vault
from ..web.web_key import WebKey
from .vaults import actor, settings

USED, REFUSED = "root.used", "root.refused"
_WRITES_NOTHING = "cardvault: this command writes nothing"


class Verbs(click.Group):
    """The verbs of cardvault; a wrong root key or share leaves an entry."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb that was typed."""
        try:
            return super().invoke(ctx)
        except WrongRootKey as error:
            if not ctx.meta.get(_WRITES_NOTHING):
                note_refusal(str(ctx.invoked_subcommand), error)
            raise


def writes_nothing(context: click.Context) -> None:
    """Keep this command from leaving an entry, whatever becomes of it."""
    context.meta[_WRITES_NOTHING] = True


def record_use(vault: Vault, root_id: str, command: str) -> None:
    """Leave the entry that ``command`` opens with the root ``root_id``, before it
    does; raises what keeps the trail from being written."""
    with vault.engine.begin() as db:
        vault.record(
            db, USED, actor(), subject=f"root {root_id}", detail={"command": command}
        )


def note_use(vault: Vault, root_id: str, command: str) -> None:
    """The same for a command that has to work on a damaged vault too: where the
    trail can't be written it warns, and the command goes on."""
    problem = try_record(
        vault, USED, actor(), subject=f"root {root_id}", detail={"command": command}
    )
    if problem:
        warn(
            f"the trail has no entry of this use of the root key: {problem}",
            "note it by hand: who, when, why",
        )


def note_use_here(root_id: str, command: str) -> None:
    """The same for a command that opens something else than the vault of this
    place: nothing happens where there is none."""
    vault = vault_here()
    if vault is not None:
        note_use(vault, root_id, command)
        vault.engine.dispose()


def note_refusal(command: str, error: WrongRootKey) -> None:
    """Leave the entry that a root key or share was refused, where it can be left:
    the refusal is the same without it.  No error names any part of a key."""
    vault = vault_here()
    if vault is not None:
        detail = {"command": command, "why": str(error)}
        try_record(vault, REFUSED, actor(), outcome="failure", detail=detail)
        vault.engine.dispose()


def vault_here() -> Vault | None:
    """The vault the settings name, when its database is there and is its own."""
    place = settings()
    database = sqlite_path(place.database_url)
    if database is not None and not database.is_file():
        return None  # to connect would make it
    try:
        web_key = WebKey.read(place.web_key)
        vault = Vault(web_key, connect(place.database_url), system_clock)
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
    """Say on stderr what went wrong beside the act, and what to do."""
    click.echo(f"cardvault: warning: {what}", err=True)
    click.echo(f"cardvault: hint: {hint}", err=True)
