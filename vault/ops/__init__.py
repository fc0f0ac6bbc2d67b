"""The ops role: opens, rotates, exports and verifies with the root key.

No web process imports anything of it; import-linter and a test check that.
"""

from __future__ import annotations

from .open_vault import OpenVault
from .root_key import RootKey
from .verify import Finding

__all__ = ["Finding", "OpenVault", "RootKey"]
