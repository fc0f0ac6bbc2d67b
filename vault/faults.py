"""Named instants at which a test may kill the process."""

from __future__ import annotations

import os
import signal

VARIABLE = "CARDVAULT_TEST_KILL_AT"


def instant(name: str) -> None:
    """End the process here and now, as a power cut would, when a test asks."""
    if os.environ.get(VARIABLE) == name:
        os.kill(os.getpid(), signal.SIGKILL)
