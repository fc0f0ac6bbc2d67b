"""Names the account that runs a command, as the operating system knows it."""

from __future__ import annotations

import os
import pwd

from .card.scrub import one_line

MAX_NAME = 64


def account_name() -> str:
    """The account this process runs as: ``taro``, ``root (sudo: jiro)``, or
    ``uid 1234`` when the account has no name.

    LOGNAME and USER are never read, because whoever types the command can set them.
    They can set SUDO_USER too, so it is read for root alone: an account that became
    root could write any name into the trail anyhow, and sudo sets the right one.
    """
    uid = os.getuid()
    try:
        name = _bounded(pwd.getpwuid(uid).pw_name)
    except KeyError:
        name = f"uid {uid}"
    before = _bounded(os.environ.get("SUDO_USER") or "") if uid == 0 else ""
    return f"{name} (sudo: {before})" if before else name


def _bounded(text: str) -> str:
    return one_line(text[:MAX_NAME]).strip()
