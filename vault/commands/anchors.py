"""Sends an anchor away after each important act, and checks anchors."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import click
from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from ..card.scrub import one_line
from ..clock import age
from ..errors import VaultError
from ..ops.anchor import GIVEN, NOT_GIVEN, SUBJECT, Anchor, Given, parse_anchors
from ..ops.open_vault import OpenVault
from ..store.database import reading
from ..store.schema import AUDIT_ENTRY
from ..trail import Actor
from ..web.vault import Vault
from ..web.web_key import WebKey
from .output import counted
from .uses import try_record, warn
from .vaults import read_settings

ANCHOR_SECONDS = 30.0
"""How long the command may take."""

# The settings of the site and of the ops side, which no other program needs to know.
_OURS = ("VAULT_", "SECRET_KEY", "MAIL_", "DATABASE_", "AUDIT_", "PGPASS")
_NOT_FOUND = 127
_BY_HAND = 'cardvault audit anchor | sh -c "$AUDIT_ANCHOR_COMMAND"'

ANCHOR_FILE = click.option(
    "--anchor",
    "anchor_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What audit anchor printed earlier, or many of them, one a line: finds an "
    "older database put back.",
)


def give_anchor(vault: Vault, by: Actor) -> None:
    """Hand the trail's head to AUDIT_ANCHOR_COMMAND, if it is set.

    Call it after the act is committed, with a vault that has the web key then in use.
    It never raises and prints nothing on stdout, because the act is done; if the anchor
    can't be sent, it warns on stderr and records that in the trail.
    """
    command = read_settings().audit_anchor_command
    if not command:
        return
    try:
        with reading(vault.engine) as db:
            head = Anchor.of(db, vault.web_key.vault_id)
    except (SQLAlchemyError, VaultError) as error:
        warn(
            f"no anchor was given away: {one_line(' '.join(str(error).split()))}",
            "look closer with: cardvault audit verify; then give it by hand: "
            + _BY_HAND,
        )
        return
    problem = _hand_over(command, head.line() + "\n")
    if problem:
        warn(
            f"the anchor of entry {head.entries} was not given away: "
            f"AUDIT_ANCHOR_COMMAND {problem}",
            f"see what it says, and give it by hand: {_BY_HAND}",
        )
    _tell_trail(vault, by, head, problem)


def _tell_trail(vault: Vault, by: Actor, head: Anchor, problem: str) -> None:
    detail: dict[str, object] = {"entries": head.entries}
    unwritten = try_record(
        vault,
        NOT_GIVEN if problem else GIVEN,
        by,
        outcome="failure" if problem else "success",
        subject=SUBJECT,
        detail={**detail, "why": problem} if problem else detail,
    )
    if unwritten:
        warn(
            f"the trail has no entry about the anchor: {unwritten}",
            "look closer with: cardvault audit verify",
        )


def _hand_over(command: str, text: str) -> str:
    """Run the command with ``text`` on its standard input; returns what went wrong, or
    "".  Its stdout is dropped, so that the stdout of our command stays one object."""
    try:
        # The setting is a shell command.  In a session of its own it has no terminal to
        # ask anything on, and its child processes can be ended with it.
        process = subprocess.Popen(  # nosec B602
            command,
            shell=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=without_secrets(),
            text=True,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"could not be started: {error}"
    try:
        process.communicate(text, timeout=ANCHOR_SECONDS)
    except subprocess.TimeoutExpired:
        _end(process)
        return f"did not end within {ANCHOR_SECONDS:g} seconds"
    except KeyboardInterrupt:
        _end(process)
        return "was interrupted"
    if process.returncode < 0:
        return f"was ended by signal {-process.returncode}"
    if process.returncode == _NOT_FOUND:
        return f"ended with exit code {_NOT_FOUND}: no such command"
    return f"ended with exit code {process.returncode}" if process.returncode else ""


def without_secrets(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment without our settings and without any passphrase."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(_OURS) and "PASSPHRASE" not in name
    }


def _end(process: subprocess.Popen[str]) -> None:
    """End the command and its child processes.  Popen.wait would never return if Ctrl-C
    came just after Popen took its own lock, so the command is waited for here."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        _, status = os.waitpid(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)


def read_anchors(path: Path, vault_id: str) -> list[Anchor]:
    """The anchors of this vault in a file, the oldest first; raises UsageError when
    it holds none, or anything else.  Those of other vaults are left out."""
    try:
        kept = parse_anchors(path.read_text(encoding="utf-8-sig"))
    except ValueError:
        raise click.UsageError(
            f"{path} is not what cardvault audit anchor prints"
        ) from None
    ours = [anchor for anchor in kept if anchor.vault_id == vault_id]
    if not ours:
        other = one_line(kept[-1].vault_id)
        raise click.UsageError(f"{path} is of vault {other}, not of this one")
    return ours


def anchors_given(path: Path | None) -> list[Anchor]:
    """The anchors in the file that ``--anchor`` names, none without it.  Call it before
    reading the root key, so that nobody types shares for a wrong file."""
    if path is None:
        return []
    return read_anchors(path, WebKey.read(read_settings().web_key).vault_id)


def check_trail(vault: OpenVault, db: Connection, anchors: Sequence[Anchor]) -> int:
    """Check every entry of the trail and compare it with every anchor; returns how many
    entries there are.

    The newest anchor is not enough: if somebody put an older database back and used it,
    the newest anchor is of that false trail.  Raises IntegrityFault naming the first
    bad entry.
    """
    count = sum(1 for _ in vault.trail_entries(db))
    for anchor in anchors:
        query = select(AUDIT_ENTRY.c.mac).where(AUDIT_ENTRY.c.seq == anchor.entries)
        anchor.check(db.execute(query).scalar())
    return count


def print_held(anchors: Sequence[Anchor], now: int) -> None:
    """Print on stderr how many anchors agree, and how old the newest is at ``now``."""
    if anchors:
        click.echo(
            f"anchor  {counted(len(anchors), 'anchor')} held, "
            f"the newest of {age(anchors[-1].at, now)}",
            err=True,
        )


def print_given(given: Given, now: int) -> None:
    """Print on stderr how old the newest anchor sent away is at ``now``."""
    if given.at is not None:
        click.echo(f"anchor  given away {age(given.at, now)}", err=True)
    if given.failed_since:
        warn("the last anchor could not be given away", f"by hand: {_BY_HAND}")
