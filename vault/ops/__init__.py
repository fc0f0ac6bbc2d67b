"""The ops role: with the root key at hand it opens, rotates, exports and verifies.

No web process imports anything of it; import-linter and a test hold that.
"""

from __future__ import annotations

from .open_vault import OpenVault
from .root_key import RootKey
from .verify import Finding

__all__ = ["Finding", "OpenVault", "RootKey"]
