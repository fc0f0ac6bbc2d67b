"""The manifest of a backup: what it holds, under a MAC of the web key's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import crypto
from ...crypto import Mac
from ...errors import FileRefused, IntegrityFault, WrongVault
from ...web.web_key import WebKey
from ..anchor import Anchor

FORMAT = "cardvault backup 1"
VAULT, SITE = "vault.db", "site.db"
"""The two databases' names inside a backup."""

DAMAGED_HINT = "nothing was restored; take another backup"
_KEY_HINT = "nothing was restored; set VAULT_WEB_KEY to the web key file of that time"


@dataclass(frozen=True)
class Member:
    """One database in a backup: ``sha256`` in hex, ``bytes`` its size."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """What the copies in a backup hold.

    ``made_at`` is seconds since 1970 UTC; ``roots`` names the root that opens it
    and the one being prepared, if any; ``site`` is rows by table of the site's
    database; ``anchor`` is the head of the copied trail.
    """

    vault_id: str
    made_at: int
    generation: int
    roots: tuple[str, ...]
    cards: int
    site: dict[str, int]
    anchor: Anchor
    members: tuple[Member, ...]

    def as_object(self) -> dict[str, Any]:
        """The manifest as it is printed and kept, without its MAC."""
        return {
            "format": FORMAT,
            "vault": self.vault_id,
            "made_at": self.made_at,
            "generation": self.generation,
            "roots": list(self.roots),
            "cards": self.cards,
            "site": self.site,
            "anchor": self.anchor.as_object(),
            "members": [vars(member) for member in self.members],
        }

    def sealed(self, web_key: WebKey) -> bytes:
        """The manifest as a file, with a MAC over the rest of it.  Because it holds the
        digests too, no byte of a backup can be changed without the web key file."""
        fields = {**self.as_object(), "web_key": _key_name(web_key)}
        fields["mac"] = _mac(fields, web_key)
        return json.dumps(fields, indent=2, ensure_ascii=False).encode()

    @classmethod
    def parse(cls, text: bytes, web_key: WebKey, source: Path) -> Manifest:
        """Read and check a manifest.  Raises IntegrityFault naming ``source`` when it
        was changed, WrongVault when it is another vault's, FileRefused when it was made
        under another sealing key."""
        try:
            fields = json.loads(text)
            if fields["format"] != FORMAT:
                raise ValueError(fields["format"])
            vault_id, key_name = str(fields["vault"]), fields.pop("web_key")
            mac = bytes.fromhex(fields.pop("mac"))
        except (KeyError, TypeError, ValueError):
            raise IntegrityFault(
                str(source), "is not a backup this code can read", hint=DAMAGED_HINT
            ) from None
        if vault_id != web_key.vault_id:
            raise WrongVault(
                f"{source} is of vault {vault_id}, "
                f"the web key of vault {web_key.vault_id}",
                hint="nothing was restored; check VAULT_WEB_KEY",
            )
        if key_name != _key_name(web_key):
            raise FileRefused(
                f"{source} was made under another sealing key than the web key's",
                hint=_KEY_HINT,
            )
        good = bytes.fromhex(_mac({**fields, "web_key": key_name}, web_key))
        if not crypto.same(mac, good):
            raise IntegrityFault(
                str(source), "its manifest is not as written", hint=DAMAGED_HINT
            )
        return cls._of(fields)

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> Manifest:
        return cls(
            vault_id=fields["vault"],
            made_at=fields["made_at"],
            generation=fields["generation"],
            roots=tuple(fields["roots"]),
            cards=fields["cards"],
            site=fields["site"],
            anchor=Anchor.from_object(fields["anchor"]),
            members=tuple(Member(**member) for member in fields["members"]),
        )

    def require_root(self, web_key: WebKey, source: Path) -> None:
        """Raise FileRefused when this web key's root came after the backup, so that
        the site could not start on the restored database."""
        if web_key.root.id not in self.roots:
            raise FileRefused(
                f"{source} is for root {self.roots[0]}, "
                f"the web key for root {web_key.root.id}",
                hint=_KEY_HINT,
            )


def _key_name(web_key: WebKey) -> str:
    name = crypto.derive(web_key.sealing_key, "cardvault web key name")
    return crypto.fingerprint(name)


def _mac(fields: dict[str, Any], web_key: WebKey) -> str:
    key = crypto.derive(web_key.sealing_key, "cardvault backup manifest")
    return Mac(key).sign(json.dumps(fields, sort_keys=True).encode()).hex()
