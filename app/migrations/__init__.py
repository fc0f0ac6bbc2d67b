"""The migrations of the site's database."""

from __future__ import annotations

from pathlib import Path

from vault.store.migrations import History

HISTORY = History(Path(__file__).parent, "alembic_version_site")
