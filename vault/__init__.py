"""The card vault as the web role has it: seals, checks and describes cards.

Nothing here opens a card or imports what does.  That is ``vault.ops``, which needs
the root key.
"""

from __future__ import annotations

from . import errors
from .card.expiry import Expiry
from .card.pan import Pan
from .card.token import Token
from .settings import VaultSettings
from .trail import Actor, AuditEntry
from .web.site_seal import SiteSeal
from .web.vault import Card, Vault
from .web.web_key import WebKey

__all__ = [
    "Actor",
    "AuditEntry",
    "Card",
    "Expiry",
    "Pan",
    "SiteSeal",
    "Token",
    "Vault",
    "VaultSettings",
    "WebKey",
    "errors",
]
