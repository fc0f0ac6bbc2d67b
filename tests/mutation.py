"""``make mutation``'s last words: the score, file by file, and what survived."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

MUTANTS = Path("mutants")
# mutmut's exit codes: a test failed, pytest itself did, or time ran out.
KILLED = {1, 3, -24, 24, 36, 152, 255}
FLOOR = 90
AREAS = {
    "sealing": ["vault/crypto.py", "vault/web/site_seal.py"],
    "card numbers": ["vault/card/pan.py", "vault/card/scrub.py"],
    "code check": [
        "app/auth/code_views.py",
        "app/auth/codes.py",
        "app/auth/service.py",
        "app/auth/totp.py",
    ],
    "session": ["app/auth/guard.py", "app/auth/logins.py"],
}


def results(path: str) -> dict[str, int | None]:
    """How the tests ended for each mutant of a file."""
    text = (MUTANTS / f"{path}.meta").read_text(encoding="utf-8")
    ended: dict[str, int | None] = json.loads(text)["exit_code_by_key"]
    return ended


def row(name: str, ended: dict[str, int | None]) -> bool:
    """Say a line of the table; False when it is below the floor."""
    killed = sum(code in KILLED for code in ended.values())
    score = 100 * killed / len(ended)
    click.echo(f"{name:24} {len(ended):8} {killed:8} {score:7.1f} %")
    return score >= FLOOR


def main() -> None:
    """Every file, every area, all; then the survivors, as ``mutmut show`` names
    them.  Exit 1 when an area or the whole is below the floor."""
    click.echo(f"{'file':24} {'mutants':>8} {'killed':>8} {'score':>9}")
    everything: dict[str, int | None] = {}
    enough = True
    for area, paths in AREAS.items():
        of_area: dict[str, int | None] = {}
        for path in paths:
            row(path, results(path))
            of_area |= results(path)
        enough &= row(f"  {area}", of_area)
        everything |= of_area
    enough &= row("all", everything)
    for name, code in everything.items():
        if code not in KILLED:
            click.echo(f"survived {name}")
    sys.exit(not enough)


if __name__ == "__main__":
    main()
