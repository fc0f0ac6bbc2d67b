"""``cardvault rotate`` re-encrypts every card under a new data key."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path

import click

from ..errors import IntegrityFault
from ..ops.anchor import Anchor, newest_given
from ..ops.open_vault import OpenVault
from ..ops.rotation.helper import join
from ..ops.rotation.start import take_up
from ..ops.rotation.workers import RangeWork, RateLimit, WorkerProcesses
from ..store.database import reading, takes_several
from .anchors import (
    ANCHOR_FILE,
    anchors_given,
    check_trail,
    give_anchor,
    print_given,
    print_held,
)
from .leavings import clear
from .progress import Stop, follow, progress
from .rotate_output import (
    print_helped,
    print_interrupted,
    print_plan,
    print_result,
    print_resumed,
)
from .uses import writes_nothing
from .vaults import EXAMPLE, HintedUsage, actor, vault_with_root_key

BATCH = 2000
MAX_BATCH = 5000
MAX_WORKERS = 16
NOT_HELD_HINT = (
    "nothing was rotated; docs/operations.md says what to do, "
    "under: When an anchor does not hold"
)


@click.command(
    epilog=EXAMPLE
    + 'VAULT_ROOT_KEY=/media/usb/root.key cardvault rotate --reason "yearly"\n'
    "  VAULT_ROOT_KEY=/media/usb/root.key cardvault rotate --workers 4\n"
    "  VAULT_ROOT_KEY=/media/usb/root.key cardvault rotate --join"
)
@click.option("--dry-run", is_flag=True, help="Say what would happen; change nothing.")
@click.option(
    "--max-rate",
    type=click.IntRange(1),
    help="At most so many cards a second, all workers of this command together.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, MAX_BATCH),
    default=BATCH,
    show_default=True,
    help="Cards a transaction.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, MAX_WORKERS),
    default=1,
    show_default=True,
    help="Processes that re-encrypt side by side; on PostgreSQL alone.",
)
@click.option(
    "--join", "joins", is_flag=True, help="Help the rotation that runs already."
)
@ANCHOR_FILE
@click.option("--reason", default="", help="Why, for the rotation record.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def rotate(
    context: click.Context,
    dry_run: bool,
    max_rate: int | None,
    batch: int,
    workers: int,
    joins: bool,
    anchor_file: Path | None,
    reason: str,
    as_json: bool,
) -> None:
    """Re-encrypt every card under a new data key, while the site is in use.

    Raises the generation, re-encrypts batch by batch, reads every card back and then
    destroys the older data keys. If it is stopped or killed, the same command goes on
    from there. Needs the root key.

    On PostgreSQL several processes may share the work: with --workers on this host,
    and with --join on another host or here. A command with --join takes ranges of cards
    until none is free and leaves reading back and finishing to the first one.

    With --anchor the whole trail is checked and compared with FILE before anything is
    written; with exit code 1 the first bad entry is named.

    Exit code 3: interrupted; 4: some cards could not be opened; 6: another
    rotation runs; 7: finished, but older cards are left.
    """
    if dry_run:
        writes_nothing(context)
    anchors = anchors_given(anchor_file)
    vault = vault_with_root_key(read_only=dry_run)
    _require_several(vault, workers, joins)
    _hold(vault, anchors)
    if dry_run:
        print_plan(vault, as_json)
        return
    limits = _Limits(batch, max_rate, workers)
    context.exit((_join if joins else _rotate)(vault, limits, reason, as_json))


def _hold(vault: OpenVault, anchors: Sequence[Anchor]) -> None:
    """Compare the trail with the anchors, and print how old the newest one sent away
    is; raises IntegrityFault naming the first bad entry."""
    with reading(vault.engine) as db:
        try:
            if anchors:
                check_trail(vault, db, anchors)
        except IntegrityFault as fault:
            fault.hint = fault.hint or NOT_HELD_HINT
            raise
        given = newest_given(db)
    print_held(anchors, vault.clock())
    print_given(given, vault.clock())


def _require_several(vault: OpenVault, workers: int, joins: bool) -> None:
    if (joins or workers > 1) and not takes_several(vault.engine):
        raise HintedUsage(
            f"{'--join' if joins else '--workers'}: SQLite takes one writer at a time",
            hint="leave it out; several processes need a vault on PostgreSQL",
        )


@dataclass(frozen=True)
class _Limits:
    """The options that limit a run: batch size, rate and number of processes."""

    batch: int
    max_rate: int | None
    workers: int

    @property
    def size(self) -> int:
        """How many cards a batch has: with a rate, at most what one process may do in a
        second."""
        if self.max_rate is None:
            return self.batch
        return min(self.batch, max(1, self.max_rate // self.workers))

    def rate(self, stop: Stop) -> RateLimit:
        """The speed limit for this process when it works alone."""
        return RateLimit(self.max_rate, stop.is_asked)

    def processes(
        self, vault: OpenVault, work: RangeWork, stop: Stop
    ) -> AbstractContextManager[WorkerProcesses | None]:
        """The processes that share the work; None when this one works alone."""
        if self.workers == 1:
            return nullcontext()
        return WorkerProcesses(
            vault.engine, self.workers, work, self.size, self.max_rate, stop.is_asked
        )


def _rotate(vault: OpenVault, limits: _Limits, reason: str, as_json: bool) -> int:
    rotation = take_up(vault, actor(), reason)
    if rotation.resumed:
        print_resumed(rotation)
    with Stop() as stop:
        with (
            limits.processes(vault, rotation.work_on_ranges, stop) as others,
            progress() as shown,
            closing(
                rotation.reencrypt(limits.size, limits.rate(stop), others)
            ) as steps,
        ):
            whole = follow(steps, shown, stop)
        with progress() as shown:
            whole = whole and follow(rotation.read_back(), shown, stop)
        if not whole:
            rotation.release()
            return print_interrupted(rotation, as_json)
        rotation.finish(actor())
    give_anchor(vault, actor())
    clear(vault.engine)
    return print_result(rotation, as_json)


def _join(vault: OpenVault, limits: _Limits, reason: str, as_json: bool) -> int:
    helper = join(vault, actor(), reason)
    if helper is None:
        raise HintedUsage(
            "no rotation is running", hint="begin one with: cardvault rotate"
        )
    with (
        Stop() as stop,
        limits.processes(vault, helper.work_on_ranges, stop) as others,
        progress() as shown,
        closing(helper.reencrypt(limits.size, limits.rate(stop), others)) as steps,
    ):
        whole = follow(steps, shown, stop)
    return print_helped(helper, whole, as_json)
