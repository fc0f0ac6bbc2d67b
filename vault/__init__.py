"""The card vault: what the site may use is here, and nothing here opens a card
but OpenVault, which needs the root key."""

from __future__ import annotations

from . import errors, migrations
from .audit import Actor, AuditEntry
from .brands import LABELS as BRAND_LABELS
from .brands import mask
from .clock import Clock, system_clock
from .database import checkpoint, connect, reading
from .expiry import Expiry
from .keys import RootKey, WebKey
from .open_vault import OpenVault
from .pan import Pan, fold_typed, luhn_ok
from .scrub import holds_card_number, scrub
from .settings import VaultSettings
from .site_seal import SiteSeal
from .token import Token, random_letters
from .vault import Card, Vault

__all__ = [
    "BRAND_LABELS",
    "Actor",
    "AuditEntry",
    "Card",
    "Clock",
    "Expiry",
    "OpenVault",
    "Pan",
    "RootKey",
    "SiteSeal",
    "Token",
    "Vault",
    "VaultSettings",
    "WebKey",
    "checkpoint",
    "connect",
    "errors",
    "fold_typed",
    "holds_card_number",
    "luhn_ok",
    "mask",
    "migrations",
    "random_letters",
    "reading",
    "scrub",
    "system_clock",
]
