"""Types one of the project's commands and ends it at a named kill point, as a power
cut would: ``python -m tests.killed batch-ready:3 cardvault rotate``; or asks it there
to end, as Ctrl-C would: ``batch-ready:3:SIGINT``.

The processes that the command forks end there too, each at its own third time.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib.metadata import entry_points

from vault.kill_points import listen


def kill_at(step: str) -> None:
    """Have this process killed when it comes to ``step``, a name, for the first
    time, or to ``name:7`` for the seventh; ``name:7:SIGTERM`` sends that signal."""
    name, times, sent = (*step.split(":"), "", "")[:3]
    left, number = int(times or 1), signal.Signals[sent or "SIGKILL"]

    def count(kill_point: str) -> None:
        nonlocal left
        left -= kill_point == name
        if left == 0:
            os.kill(os.getpid(), number)

    listen(count)


def launch(step: str, command: str) -> list[str]:
    """What to run in place of ``command``, so that it is killed at ``step``."""
    return [sys.executable, "-m", "tests.killed", step, command]


def main() -> None:
    """Arm this process and be the command."""
    _, step, command, *words = sys.argv
    (script,) = entry_points(group="console_scripts", name=command)
    kill_at(step)
    sys.argv = [command, *words]
    sys.exit(script.load()())


if __name__ == "__main__":
    main()
