"""Who runs a command: the account, as the operating system knows it."""

from __future__ import annotations

import os
import pwd

from .card.scrub import one_line

MAX_NAME = 64


def account_name() -> str:
    """The account this process runs as: ``taro``, ``root (sudo: jiro)``, or
    ``uid 1234`` when the account has no name.

    LOGNAME and USER are never read: whoever types the command sets them as they
    like.  So they do with SUDO_USER, which is read for root alone: an account that
    became root may write anything anyhow, and then sudo's word is the better one.
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
