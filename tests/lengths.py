"""How long the tests are that prove more the longer they run: kills at random instants,
every interleaving of two acts, many cards.

The suite takes a short length of each.  ``AT_LENGTH=1 make test`` takes the long ones.
"""

from __future__ import annotations

import os


def at_length(short: int, long: int) -> int:
    """``long`` when AT_LENGTH is set, else ``short``."""
    return long if os.environ.get("AT_LENGTH") else short
