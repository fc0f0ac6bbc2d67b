"""``make bench``: every figure of docs/benchmarks.md, measured in one run.

``CARDS`` and ``ROUNDS`` in the environment make it shorter.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from statistics import median

from . import growing, moving, rotating, searching, serving, sharing, waiting
from .server import PROGRAMS

CARDS = int(os.environ.get("CARDS", "100000"))
ROUNDS = int(os.environ.get("ROUNDS", "5"))


def main() -> None:
    """Measure and print; the databases lie in a folder that goes again."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, cryptography {version('cryptography')}, "
        f"SQLAlchemy {version('SQLAlchemy')}"
    )
    with tempfile.TemporaryDirectory() as folder:
        _rotating(Path(folder) / "rotating")
        _sharing(Path(folder) / "sharing")
        _waiting(Path(folder) / "waiting")
        _serving(Path(folder) / "serving")
        _growing(Path(folder) / "growing")
        _searching(Path(folder) / "searching")
        _moving(Path(folder) / "moving")


def _rotating(folder: Path) -> None:
    _ratios("SQLite", rotating.measure(folder, CARDS, ROUNDS))


def _sharing(folder: Path) -> None:
    if PROGRAMS:
        _ratios("PostgreSQL", sharing.measure(folder, CARDS, ROUNDS))
    else:
        print("\nPostgreSQL is not installed")


def _ratios(where: str, rates: dict[str, list[float]]) -> None:
    """Every contender beside the first."""
    print(
        f"\nre-encrypting {CARDS:,} cards on {where}, {ROUNDS} rounds, median (range)"
    )
    base = next(iter(rates.values()))
    for name, measured in rates.items():
        ratios = [rate / raw for rate, raw in zip(measured, base, strict=True)]
        print(
            f"  {name:28} {median(measured):9,.0f} cards/s   "
            f"{median(ratios):.3f} x raw ({min(ratios):.3f}-{max(ratios):.3f})"
        )


def _waiting(folder: Path) -> None:
    waits = waiting.measure(folder / "beside", CARDS)
    print(f"\nwaiting for a turn beside it, {len(waits)} registrations")
    print(f"  {_spread(waits)}")
    print(f"\na registration in the vault by itself, {ROUNDS} rounds, median (range)")
    spent = waiting.cost(folder / "cost", ROUNDS)
    base = next(iter(spent.values()))
    for name, taken in spent.items():
        ratios = [ours / bare for ours, bare in zip(taken, base, strict=True)]
        print(
            f"  {name:28} {median(taken):6.2f} ms   {median(ratios):.2f} x "
            f"({min(ratios):.2f}-{max(ratios):.2f})"
        )
    print("\ntwenty writers one after the other, 5 s")
    for name, queued in (("without the queue", False), ("in the queue", True)):
        crowd = waiting.crowd(folder / name, queued=queued)
        print(
            f"  {name:28} {len(crowd.waits):,} registrations, {crowd.refused} refused   "
            f"{_spread(crowd.waits)}"
        )


def _serving(folder: Path) -> None:
    for where, postgresql in (("SQLite", False), ("PostgreSQL", True)):
        if postgresql and not PROGRAMS:
            continue
        print(f"\nover HTTP on {where}, {serving.SECONDS:.0f} s each")
        for name, answered in serving.measure(
            folder / where, CARDS // 5, postgresql=postgresql
        ):
            print(f"  {name}")
            for one in answered:
                print(f"    {_answered(one)}")
        print(f"\nPOST /cards beside slow searches on {where}")
        for name, one in serving.beside_searches(
            folder / f"{where} searching", CARDS // 5, postgresql=postgresql
        ):
            print(f"  {name:28} {_answered(one)}")


def _answered(one: serving.Answered) -> str:
    return (
        f"{one.clients:2} clients {one.rate:8,.1f}/s   median {one.median:7.1f} ms   "
        f"99 % {one.nearly_all:7.1f} ms   {one.errors} errors"
    )


def _spread(waits: list[float]) -> str:
    ordered = sorted(waits)
    median_, most, nearly_all = (
        ordered[len(ordered) * part // 100] for part in (50, 95, 99)
    )
    return (
        f"median {median_:.1f} ms, 95 % {most:.1f} ms, 99 % {nearly_all:.1f} ms, "
        f"longest {ordered[-1]:.1f} ms"
    )


def _growing(folder: Path) -> None:
    print("\ngrowing")
    for count in (1_000, CARDS, 10 * CARDS):
        size = growing.measure(folder / str(count), count)
        print(
            f"  {size.cards:9,} cards {size.rate:9,.0f} cards/s   "
            f"{size.memory:5.0f} MiB at most"
        )


def _searching(folder: Path) -> None:
    """Each page and search at three sizes, in milliseconds and beside the first page."""
    for count in (1_000, CARDS, 10 * CARDS):
        with searching.places(folder / str(count)) as urls:
            for engine_name, url in urls.items():
                print(f"\nthe list of {count:,} customers on {engine_name}, median")
                engine = searching.filled(url, count)
                took = searching.measure(engine)
                engine.dispose()
                first = next(iter(took.values())).median
                for name, one in took.items():
                    ratio = one.median / first
                    print(f"  {one.median:8.1f} ms  {ratio:6.1f} x  {name}")


def _moving(folder: Path) -> None:
    folder.mkdir()
    print("\nin and out, the whole commands, start and end included")
    for count in (CARDS // 10, CARDS):
        sheet, bare, ours = (
            folder / f"{name}-{count}" for name in ("sheet", "raw", "ours")
        )
        moving.write_sheet(sheet, count)
        _beside("import", count, moving.raw(bare, sheet), moving.imported(ours, sheet))
        raw = moving.raw_export(bare)
        _beside("export", count, raw, moving.exported(ours))
        _beside("  started already", count, raw, moving.exported_within(ours))
        _beside("export --with", count, moving.raw_billing(bare), moving.billed(ours))
        _beside("update", count, moving.raw_update(bare), moving.updated(ours))


def _beside(what: str, count: int, bare: float, ours: tuple[float, float]) -> None:
    seconds, memory = ours
    print(
        f"  {what} {count:9,} rows  {count / seconds:9,.0f} rows/s   "
        f"{bare / seconds:.3f} x raw ({count / bare:,.0f} rows/s)   "
        f"{memory:5.0f} MiB at most"
    )


if __name__ == "__main__":
    main()
