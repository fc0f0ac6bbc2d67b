"""Runs ``cardvault`` when ``python -m vault`` is typed."""

from __future__ import annotations

from .commands import main

main()
