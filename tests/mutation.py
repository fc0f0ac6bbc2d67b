"""Runs mutmut, and prints the score, file by file, and what survived.

A file of tests says what it holds: ``pytestmark = pytest.mark.mutation("vault/x.py",
area="sealing")``.  The files it names are changed, and the tests in it must notice.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parents[1]
MUTANTS = Path("mutants")
# mutmut's exit codes: a test failed, pytest itself did, or time ran out.
KILLED = {1, 3, -24, 24, 36, 152, 255}
FLOOR = 90
MARK = "pytest.mark.mutation"
# mutmut reads its lists from setup.cfg alone.  It runs in a fresh interpreter: this
# one has loaded `tests` from beside the copy that is changed.  It sends its signal to
# a process's number when that one's time is up, even long after it ended, when the
# number may be another program's: so only its own children get it.
RUN = """
import json, os, sys
from pathlib import Path
from types import SimpleNamespace
from mutmut.__main__ import cli
from mutmut.configuration import config
from mutmut.workers import timeout

def kill(pid, number):
    stat = Path(f"/proc/{pid}/stat")
    if stat.exists() and stat.read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
        os.kill(pid, number)

timeout.os = SimpleNamespace(kill=kill, getpid=os.getpid)
chosen = config()
chosen.only_mutate, chosen.pytest_add_cli_args_test_selection = json.loads(sys.argv[1])
cli(["run"])
"""


class Held(NamedTuple):
    """What one file of tests holds: paths of the code, and the area they are in."""

    tests: str
    paths: list[str]
    area: str


def held() -> list[Held]:
    """Every file of tests that is marked, by name."""
    found = []
    for path in sorted(ROOT.glob("tests/**/test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == MARK:
                paths = [ast.literal_eval(word) for word in node.args]
                (area,) = [ast.literal_eval(word.value) for word in node.keywords]
                found.append(Held(str(path.relative_to(ROOT)), paths, area))
    return found


def areas() -> dict[str, list[str]]:
    """The files of each area."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in held():
        found[one.area] |= set(one.paths)
    return {area: sorted(paths) for area, paths in sorted(found.items())}


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


def run() -> int:
    """Change the files and run the tests; returns mutmut's exit code."""
    paths = sorted({path for one in held() for path in one.paths})
    lists = json.dumps([paths, [one.tests for one in held()]])
    return subprocess.run([sys.executable, "-c", RUN, lists], check=False).returncode


def main() -> None:
    """Run it; then every file, every area, all, and the survivors, as ``mutmut
    show`` names them.  Exit 1 when an area or the whole is below the floor."""
    if code := run():
        sys.exit(code)
    click.echo(f"{'file':24} {'mutants':>8} {'killed':>8} {'score':>9}")
    everything: dict[str, int | None] = {}
    enough = True
    for area, paths in areas().items():
        of_area: dict[str, int | None] = {}
        for path in paths:
            row(path, results(path))
            of_area |= results(path)
        enough &= row(f"  {area}", of_area)
        everything |= of_area
    enough &= row("all", everything)
    for name, ended in everything.items():
        if ended not in KILLED:
            click.echo(f"survived {name}")
    sys.exit(not enough)


if __name__ == "__main__":
    main()
