"""Somebody who types what a document tells them to."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.forked import words
from tests.places.site import BIN, ROOT


def settings_in_code() -> set[str]:
    """Every environment variable config.py and vault/settings.py name."""
    sources = [ROOT / "config.py", ROOT / "vault" / "settings.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    named = set(re.findall(r'(?:read\.\w+|environ\.get)\(\s*"([A-Z0-9_]+)"', text))
    return named | {"SECRET_KEY_FILE"}


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Type a line into a shell in ``folder``, as the README's reader would; what
    it says is in ``stdout``, in its order."""
    others = {k: v for k, v in os.environ.items() if k not in settings_in_code()}
    environ = {
        **others,
        "PATH": f"{words().folder}:{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": "a secret of at least thirty-two bytes",
        "ALLOW_INSECURE_LOOPBACK": "1",
        "ARGON2_MEMORY_KIB": "19456",
        "COLUMNS": "200",
    }
    return subprocess.run(
        line,
        shell=True,
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
