"""The settings of the vault: its database, its key files and the anchor command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_DATABASE_URL = "sqlite:///instance/vault.db"
DEFAULT_SITE_DATABASE_URL = "sqlite:///instance/site.db"
DEFAULT_WEB_KEY = "instance/web.key"
# Settings of the site's that ``cardvault doctor`` looks at; config.py reads them.
SITE_NAMES = (
    "SECRET_KEY_FILE",
    "PROXY_HOPS",
    "MAIL_SERVER",
    "MAIL_PORT",
    "MAIL_TLS",
    "MAIL_USE_TLS",
    "MAIL_USERNAME",
    "MAIL_PASSWORD_FILE",
    "MAIL_DEFAULT_SENDER",
)


@dataclass(frozen=True)
class VaultSettings:
    """``database_url`` is SQLAlchemy's; relative SQLite paths are relative to
    the working directory.  The root settings and the command that gets
    each anchor belong to the ops role alone: a web process has none of them."""

    database_url: str = DEFAULT_DATABASE_URL
    web_key: Path = Path(DEFAULT_WEB_KEY)
    root_key: Path | None = None
    root_key_command: str = ""
    root_passphrase_file: Path | None = None
    site_database_url: str = DEFAULT_SITE_DATABASE_URL
    audit_anchor_command: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> VaultSettings:
        """Read ``VAULT_DATABASE_URL``, ``VAULT_WEB_KEY``, ``VAULT_ROOT_KEY``,
        ``VAULT_ROOT_KEY_COMMAND``, ``VAULT_ROOT_PASSPHRASE_FILE``,
        ``DATABASE_URL`` and ``AUDIT_ANCHOR_COMMAND``."""
        root_key = environ.get("VAULT_ROOT_KEY")
        passphrase_file = environ.get("VAULT_ROOT_PASSPHRASE_FILE")
        return cls(
            database_url=environ.get("VAULT_DATABASE_URL") or DEFAULT_DATABASE_URL,
            web_key=Path(environ.get("VAULT_WEB_KEY") or DEFAULT_WEB_KEY),
            root_key=Path(root_key) if root_key else None,
            root_key_command=environ.get("VAULT_ROOT_KEY_COMMAND", ""),
            root_passphrase_file=Path(passphrase_file) if passphrase_file else None,
            site_database_url=environ.get("DATABASE_URL") or DEFAULT_SITE_DATABASE_URL,
            audit_anchor_command=environ.get("AUDIT_ANCHOR_COMMAND", ""),
        )


def site_words(environ: Mapping[str, str]) -> dict[str, str]:
    """Those of ``SITE_NAMES`` that are set, unchecked."""
    return {name: environ[name] for name in SITE_NAMES if environ.get(name)}
