"""The card vault: what the site may use is here, and nothing here opens a card
but OpenVault, which needs the root key.

Small things stand in modules of their own: ``database`` (engines, transactions),
``clock``, ``scrub`` (numbers cut out of text), ``brands`` (labels, mask), ``account``
(who runs a command), ``pan`` and ``token`` (how typed text is folded, random letters).
"""

from __future__ import annotations

from . import errors, migrations
from .audit import Actor, AuditEntry
from .expiry import Expiry
from .open_vault import OpenVault
from .pan import Pan
from .root_key import RootKey
from .settings import VaultSettings
from .site_seal import SiteSeal
from .token import Token
from .vault import Card, Vault
from .web_key import WebKey

__all__ = [
    "Actor",
    "AuditEntry",
    "Card",
    "Expiry",
    "OpenVault",
    "Pan",
    "RootKey",
    "SiteSeal",
    "Token",
    "Vault",
    "VaultSettings",
    "WebKey",
    "errors",
    "migrations",
]
