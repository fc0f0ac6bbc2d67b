"""Holds the web key: what a web process seals cards and signs rows with.

Its file has a MAC of the root that made it, so that an ops command uses no file that
somebody else put there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import crypto
from ..crypto import OpsKeys, RootPublic, RootSecret, Unshown
from ..errors import NotMadeByRoot
from ..store.key_file import (
    damaged,
    file_mac,
    from_base64,
    is_mac,
    parse_fields,
    read_private,
    to_base64,
    to_json,
    write_private,
)

WEB_KEY_FORMAT = "cardvault web key 2"
MISSING = (
    "put it back from where you keep it; if it is lost: cardvault web-key recover; only "
    "where there is no vault yet: cardvault init"
)


class WebKey(Unshown):
    """The key a web process holds: it seals and checks, and opens nothing.

    ``sealing_key`` is 32 bytes; row MACs and the trail's head depend on it.
    ``replaces`` is the ``name`` of the web key it replaces, so that an older file can't
    be used in its stead.  ``made_by`` has a MAC in hex for each root that made it, by
    the root's name; during a root rotation there are two.
    """

    __slots__ = ("made_by", "replaces", "root", "sealing_key", "source", "vault_id")

    def __init__(
        self,
        vault_id: str,
        root: RootPublic,
        sealing_key: bytes,
        *,
        replaces: str = "",
        made_by: Mapping[str, str] | None = None,
        source: Path | None = None,
    ) -> None:
        self.vault_id = vault_id
        self.root = root
        self.sealing_key = sealing_key
        self.replaces = replaces
        self.made_by = dict(made_by or {})
        self.source = source

    @classmethod
    def new(cls, root: RootSecret) -> WebKey:
        """A web key for a new vault under ``root``."""
        bare = cls(crypto.new_key()[:16].hex(), root.public, crypto.new_key())
        return bare.signed(root.ops)

    def successor(
        self, *makers: OpsKeys, root: RootPublic, sealing_key: bytes
    ) -> WebKey:
        """The web key that replaces this one, with the MACs of ``makers``."""
        bare = WebKey(self.vault_id, root, sealing_key, replaces=self.name)
        return bare.signed(*makers)

    def signed(self, *makers: OpsKeys) -> WebKey:
        """The same web key with the MACs of ``makers`` and no others."""
        made_by = {ops.root_id: file_mac(ops, self._fields()) for ops in makers}
        return WebKey(
            self.vault_id,
            self.root,
            self.sealing_key,
            replaces=self.replaces,
            made_by=made_by,
            source=self.source,
        )

    def require_made_by(self, ops: OpsKeys) -> None:
        """Raise NotMadeByRoot naming the file unless the root of ``ops`` made it."""
        mac = self.made_by.get(ops.root_id)
        if not is_mac(mac, file_mac(ops, self._fields())):
            raise NotMadeByRoot(str(self.source or "the web key"))

    @property
    def name(self) -> str:
        """This web key's name, 32 hex digits; the key can't be found from it."""
        return crypto.derive(self.sealing_key, "cardvault web key name", 16).hex()

    @classmethod
    def read(cls, path: Path) -> WebKey:
        """Read a web key file; raises FileRefused naming the file."""
        fields = parse_fields(path, read_private(path, MISSING), WEB_KEY_FORMAT)
        try:
            read = cls(
                vault_id=str(fields["vault_id"]),
                root=RootPublic(from_base64(fields["root_public"])),
                sealing_key=from_base64(fields["sealing_key"]),
                replaces=str(fields["replaces"]),
                made_by={str(k): str(v) for k, v in dict(fields["made_by"]).items()},
                source=path,
            )
        except (KeyError, TypeError, ValueError):
            raise damaged(path) from None
        if len(read.sealing_key) != crypto.KEY_BYTES:
            raise damaged(path)
        return read

    def write(self, path: Path) -> None:
        """Write the file; raises FileRefused when something is in the way."""
        write_private(path, self.text())

    def text(self) -> str:
        """The text of its file."""
        return to_json({**self._fields(), "made_by": dict(self.made_by)})

    def _fields(self) -> dict[str, Any]:
        """Everything in the file but the MACs."""
        return {
            "format": WEB_KEY_FORMAT,
            "vault_id": self.vault_id,
            "suite": crypto.SUITE,
            "root_id": self.root.id,
            "root_public": to_base64(self.root.encoded),
            "sealing_key": to_base64(self.sealing_key),
            "replaces": self.replaces,
        }

    def __repr__(self) -> str:
        return f"<WebKey of vault {self.vault_id}>"
