"""A vault on files of a test's own, and a clock that a test turns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from vault import Expiry, Vault, WebKey
from vault.ops import OpenVault, RootKey
from vault.ops.verify import verify

# 2026-11-23 12:00 in Japan.
NOON = 1795402800
VISA = "4810000000020000"
EXPIRY = Expiry(2030, 1)


@dataclass
class FakeClock:
    """A clock that stands still until it is turned."""

    now: int = NOON

    def __call__(self) -> int:
        return self.now

    def advance(self, seconds: int) -> None:
        """Turn the clock."""
        self.now += seconds


@dataclass(frozen=True)
class VaultPlace:
    """A founded vault: its keys, its database, and both roles on it."""

    folder: Path
    url: str
    web_key: WebKey
    root_key: RootKey
    engine: Engine
    clock: FakeClock

    def vault(self) -> Vault:
        """A web role as a new process would have it."""
        return Vault(self.web_key, self.engine, self.clock)

    def open_vault(self) -> OpenVault:
        """The ops role."""
        return OpenVault(self.web_key, self.root_key, self.engine, self.clock)

    def findings(self) -> dict[str, str]:
        """What ``verify`` finds, problem by subject."""
        with self.engine.connect() as db:
            return {f.subject: f.problem for f in verify(self.open_vault(), db)}
