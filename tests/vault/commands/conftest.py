"""A place to type cardvault in."""

from __future__ import annotations

from .typed_at import empty, inited, shell

__all__ = ["empty", "inited", "shell"]
