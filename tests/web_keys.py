"""Makes web keys that no program makes: for thieves, and for what is refused."""

from __future__ import annotations

from typing import Any

from vault import WebKey


def changed(key: WebKey, **changes: Any) -> WebKey:
    """``key`` with some of its fields exchanged and its root's MACs left as they are."""
    fields = {name: getattr(key, name) for name in WebKey.__slots__}
    return WebKey(**{**fields, **changes})
