"""``python -m vault`` is ``cardvault``."""

from __future__ import annotations

from .commands import main

main()
