"""The output of the commands."""

from __future__ import annotations

import os
import subprocess
import sys

LISTING = """
import sys
from vault.commands.output import reader_may_leave
with reader_may_leave():
    print("a line")
sys.exit(4)
"""


def test_a_short_listing_ends_quietly_when_its_reader_left() -> None:
    """It meets the closed pipe when it is flushed, and its exit code stays."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-c", LISTING]
    ran = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, check=False)
    os.close(write_end)
    assert (ran.returncode, ran.stderr) == (4, b"")
