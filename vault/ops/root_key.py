"""Holds the root key: the seed that opens every card of one vault.

A new root's file has a MAC of the root that it is to replace.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .. import crypto
from ..crypto import Cipher, OpsKeys, RootSecret, Unshown
from ..errors import IntegrityFault, NotMadeByRoot, WrongRootKey
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

ROOT_KEY_FORMAT = "cardvault root key 1"
MIN_PASSPHRASE = 12
MISSING = "mount its medium; or unset VAULT_ROOT_KEY and give custodians' shares"
WORD_MISSING = "put it back; or unset VAULT_ROOT_PASSPHRASE_FILE and type it"
_SALT_BYTES = 16


class RootKey(Unshown):
    """The 32-byte seed that opens every card of one vault."""

    __slots__ = ("seed", "vault_id")

    def __init__(self, vault_id: str, seed: bytes) -> None:
        self.vault_id = vault_id
        self.seed = seed

    def secret(self) -> RootSecret:
        """The key pair derived from the seed."""
        return RootSecret(self.seed)

    @classmethod
    def parse(cls, text: str, source: Path | str, passphrase: str | None) -> RootKey:
        """Read the text of a root key file.

        Raises FileRefused when it is damaged, WrongRootKey when it is sealed
        and ``passphrase`` is missing or wrong; both name ``source``.
        """
        fields = parse_fields(source, text, ROOT_KEY_FORMAT)
        try:
            vault_id = str(fields["vault_id"])
            if "sealed" not in fields:
                seed = from_base64(fields["seed"])
            else:
                seed = _open_seed(fields["sealed"], vault_id, source, passphrase)
        except (KeyError, TypeError, ValueError):
            raise damaged(source) from None
        if len(seed) != crypto.KEY_BYTES:
            raise damaged(source)
        return cls(vault_id, seed)

    def text(self, passphrase: str | None, maker: OpsKeys | None = None) -> str:
        """The text of its file, sealed under ``passphrase``, or unsealed with None.
        ``maker`` is the root that a new root is to replace; its MAC is in the text."""
        fields: dict[str, Any] = {
            "format": ROOT_KEY_FORMAT,
            "vault_id": self.vault_id,
            "suite": crypto.SUITE,
            "root_id": self.secret().public.id,
        }
        if passphrase is None:
            fields["seed"] = to_base64(self.seed)
        else:
            fields["sealed"] = _seal_seed(self.seed, self.vault_id, passphrase)
        if maker is not None:
            fields["made_by"] = {maker.root_id: file_mac(maker, fields)}
        return to_json(fields)

    def write(
        self, path: Path, passphrase: str | None, maker: OpsKeys | None = None
    ) -> None:
        """Write the file; raises FileRefused when something is in the way."""
        write_private(path, self.text(passphrase, maker))

    @staticmethod
    def require_made_by(text: str, ops: OpsKeys, source: Path | str) -> None:
        """Raise NotMadeByRoot naming ``source`` unless the root of ``ops`` made the
        root key file that holds ``text``."""
        fields = parse_fields(source, text, ROOT_KEY_FORMAT)
        made_by = fields.pop("made_by", None)
        mac = made_by.get(ops.root_id) if isinstance(made_by, dict) else None
        if not is_mac(mac, file_mac(ops, fields)):
            raise NotMadeByRoot(str(source))

    @staticmethod
    def root_named(text: str, source: Path | str) -> str:
        """The root that a root key file's ``text`` says it is, without opening it."""
        return str(parse_fields(source, text, ROOT_KEY_FORMAT).get("root_id", ""))

    @staticmethod
    def is_sealed(text: str) -> bool:
        """Say whether a root key file's ``text`` asks for a passphrase."""
        return '"sealed"' in text

    def __repr__(self) -> str:
        return f"<RootKey of vault {self.vault_id}>"


def _seal_seed(seed: bytes, vault_id: str, passphrase: str) -> dict[str, Any]:
    salt = os.urandom(_SALT_BYTES)
    key = crypto.passphrase_key(passphrase, salt, **crypto.PASSPHRASE_COST)
    envelope = Cipher(key).seal(seed, vault_id.encode())
    return {
        "kdf": "argon2id",
        **crypto.PASSPHRASE_COST,
        "salt": to_base64(salt),
        "envelope": to_base64(envelope),
    }


def _open_seed(
    sealed: dict[str, Any], vault_id: str, source: Path | str, passphrase: str | None
) -> bytes:
    if passphrase is None:
        raise WrongRootKey(
            f"the root key {source} is sealed and no passphrase was given",
            hint="set VAULT_ROOT_PASSPHRASE_FILE or run this on a terminal; if it is "
            "forgotten and there are shares: unset VAULT_ROOT_KEY and give those",
        )
    cost = {name: int(sealed[name]) for name in crypto.PASSPHRASE_COST}
    key = crypto.passphrase_key(passphrase, from_base64(sealed["salt"]), **cost)
    try:
        envelope = from_base64(sealed["envelope"])
        return Cipher(key).open(envelope, vault_id.encode(), "the root key")
    except IntegrityFault:
        pass
    raise WrongRootKey(
        f"the passphrase does not open the root key {source}",
        hint="nothing was changed; try again with the right passphrase",
    )


def read_root_text(path: Path) -> str:
    """A root key file's text; raises FileRefused when it is missing or readable by
    others."""
    return read_private(path, MISSING)


def read_passphrase_file(path: Path) -> str:
    """The passphrase in a file; raises FileRefused as ``read_root_text`` does."""
    return read_private(path, WORD_MISSING).rstrip("\r\n")
