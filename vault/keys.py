"""The two key files: the web key, which seals, and the root key, which opens.

Both are one JSON object, made exclusively with mode 0600 and never overwritten.  A
web key file and a new root's file bear a MAC of the root that made them, so that
nobody but the root can lay one ready for an ops command to take up.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import sealing
from .errors import IntegrityFault, KeyFileError, NotMadeByRoot, WrongRootKey
from .part import Part
from .sealing import Cipher, OpsKeys, RootPublic, RootSecret

WEB_KEY_FORMAT = "cardvault web key 2"
ROOT_KEY_FORMAT = "cardvault root key 1"
MIN_PASSPHRASE = 12
_SALT_BYTES = 16


@dataclass(frozen=True, repr=False)
class WebKey:
    """What a web process holds: it seals and checks, and opens nothing.

    ``sealing_key`` is 32 bytes; row MACs and the trail's head depend on it.
    ``replaces`` is the ``name`` of the web key it was made to take the place of, so
    that no older file can be laid ready in its stead.  ``made_by`` has a MAC in hex
    for each root that made it, by the root's name: at a root rotation two.
    """

    vault_id: str
    root: RootPublic
    sealing_key: bytes
    replaces: str = ""
    made_by: Mapping[str, str] = field(default_factory=dict)
    source: Path | None = field(default=None, compare=False)

    @classmethod
    def new(cls, root: RootSecret) -> WebKey:
        """A web key for a new vault under ``root``."""
        bare = cls(sealing.new_key()[:16].hex(), root.public, sealing.new_key())
        return bare.signed(root.ops)

    def successor(
        self, *makers: OpsKeys, root: RootPublic, sealing_key: bytes
    ) -> WebKey:
        """The web key that is to take this one's place, made by ``makers``."""
        bare = WebKey(self.vault_id, root, sealing_key, replaces=self.name)
        return bare.signed(*makers)

    def signed(self, *makers: OpsKeys) -> WebKey:
        """The same with the MACs of ``makers`` and no other."""
        made_by = {ops.root_id: _file_mac(ops, self._fields()) for ops in makers}
        return replace(self, made_by=made_by)

    def require_made_by(self, ops: OpsKeys) -> None:
        """Raise NotMadeByRoot naming the file unless the root of ``ops`` made it."""
        mac = self.made_by.get(ops.root_id, "")
        if not sealing.same(_ascii(mac), _ascii(_file_mac(ops, self._fields()))):
            raise NotMadeByRoot(str(self.source or "the web key"))

    @property
    def name(self) -> str:
        """This web key's name, 32 hex digits: it tells nothing of the key."""
        return sealing.derive(self.sealing_key, "cardvault web key name", 16).hex()

    @classmethod
    def read(cls, path: Path) -> WebKey:
        """Read a web key file; raises KeyFileError naming the file."""
        fields = _fields(path, _read_private(path), WEB_KEY_FORMAT)
        try:
            read = cls(
                vault_id=str(fields["vault_id"]),
                root=RootPublic(_unbase64(fields["root_public"])),
                sealing_key=_unbase64(fields["sealing_key"]),
                replaces=str(fields["replaces"]),
                made_by={str(k): str(v) for k, v in dict(fields["made_by"]).items()},
                source=path,
            )
        except (KeyError, TypeError, ValueError):
            raise _damaged(path) from None
        if len(read.sealing_key) != sealing.KEY_BYTES:
            raise _damaged(path)
        return read

    def write(self, path: Path) -> None:
        """Write the file; raises KeyFileError when something is in the way."""
        write_private(path, self.text())

    def text(self) -> str:
        """What its file holds."""
        return _json({**self._fields(), "made_by": dict(self.made_by)})

    def _fields(self) -> dict[str, Any]:
        """Everything in the file but the MACs."""
        return {
            "format": WEB_KEY_FORMAT,
            "vault_id": self.vault_id,
            "suite": sealing.SUITE,
            "root_id": self.root.id,
            "root_public": _base64(self.root.encoded),
            "sealing_key": _base64(self.sealing_key),
            "replaces": self.replaces,
        }

    def __repr__(self) -> str:
        return f"<WebKey of vault {self.vault_id}>"


@dataclass(frozen=True, repr=False)
class RootKey:
    """The 32-byte seed that opens every card of one vault."""

    vault_id: str
    seed: bytes

    def secret(self) -> RootSecret:
        """The key pair derived from the seed."""
        return RootSecret(self.seed)

    @classmethod
    def parse(cls, text: str, source: Path | str, passphrase: str | None) -> RootKey:
        """Read what a root key file holds.

        Raises KeyFileError when it is damaged, WrongRootKey when it is sealed
        and ``passphrase`` is missing or wrong; both name ``source``.
        """
        fields = _fields(source, text, ROOT_KEY_FORMAT)
        try:
            vault_id = str(fields["vault_id"])
            if "sealed" not in fields:
                seed = _unbase64(fields["seed"])
            else:
                seed = _open_seed(fields["sealed"], vault_id, source, passphrase)
        except (KeyError, TypeError, ValueError):
            raise _damaged(source) from None
        if len(seed) != sealing.KEY_BYTES:
            raise _damaged(source)
        return cls(vault_id, seed)

    def text(self, passphrase: str | None, maker: OpsKeys | None = None) -> str:
        """What its file holds: sealed under ``passphrase``, or bare with None; a new
        root's also the MAC of ``maker``, the root it is to follow."""
        fields: dict[str, Any] = {
            "format": ROOT_KEY_FORMAT,
            "vault_id": self.vault_id,
            "suite": sealing.SUITE,
            "root_id": self.secret().public.id,
        }
        if passphrase is None:
            fields["seed"] = _base64(self.seed)
        else:
            fields["sealed"] = _seal_seed(self.seed, self.vault_id, passphrase)
        if maker is not None:
            fields["made_by"] = {maker.root_id: _file_mac(maker, fields)}
        return _json(fields)

    def write(
        self, path: Path, passphrase: str | None, maker: OpsKeys | None = None
    ) -> None:
        """Write the file; raises KeyFileError when something is in the way."""
        write_private(path, self.text(passphrase, maker))

    @staticmethod
    def require_made_by(text: str, ops: OpsKeys, source: Path | str) -> None:
        """Raise NotMadeByRoot naming ``source`` unless the root of ``ops`` made the
        root key file that holds ``text``."""
        fields = _fields(source, text, ROOT_KEY_FORMAT)
        made_by = fields.pop("made_by", None)
        mac = made_by.get(ops.root_id) if isinstance(made_by, dict) else None
        if not sealing.same(_ascii(str(mac)), _ascii(_file_mac(ops, fields))):
            raise NotMadeByRoot(str(source))

    @staticmethod
    def root_named(text: str, source: Path | str) -> str:
        """The root that a root key file's ``text`` says it is, without opening it."""
        return str(_fields(source, text, ROOT_KEY_FORMAT).get("root_id", ""))

    @staticmethod
    def is_sealed(text: str) -> bool:
        """Say whether a root key file's ``text`` asks for a passphrase."""
        return '"sealed"' in text

    def __repr__(self) -> str:
        return f"<RootKey of vault {self.vault_id}>"


def _seal_seed(seed: bytes, vault_id: str, passphrase: str) -> dict[str, Any]:
    salt = os.urandom(_SALT_BYTES)
    key = sealing.passphrase_key(passphrase, salt, **sealing.PASSPHRASE_COST)
    envelope = Cipher(key).seal(seed, vault_id.encode())
    return {
        "kdf": "argon2id",
        **sealing.PASSPHRASE_COST,
        "salt": _base64(salt),
        "envelope": _base64(envelope),
    }


def _open_seed(
    sealed: dict[str, Any], vault_id: str, source: Path | str, passphrase: str | None
) -> bytes:
    if passphrase is None:
        raise WrongRootKey(
            f"the root key {source} is sealed and no passphrase was given",
            hint="set VAULT_ROOT_PASSPHRASE_FILE or run this on a terminal",
        )
    cost = {name: int(sealed[name]) for name in sealing.PASSPHRASE_COST}
    key = sealing.passphrase_key(passphrase, _unbase64(sealed["salt"]), **cost)
    try:
        envelope = _unbase64(sealed["envelope"])
        return Cipher(key).open(envelope, vault_id.encode(), "the root key")
    except IntegrityFault:
        pass
    raise WrongRootKey(
        f"the passphrase does not open the root key {source}",
        hint="nothing was changed; try again with the right passphrase",
    )


def read_root_text(path: Path) -> str:
    """A root key file's text; raises KeyFileError when it is missing or loose."""
    return _read_private(path)


def write_private(path: Path, text: str) -> None:
    """Make ``path`` with mode 0600, durably and only if nothing is there: whole or
    not at all.  Its folder is never made: it may be a medium that is not mounted.

    Raises KeyFileError naming the path.
    """
    try:
        with Part(path) as part:
            part.file.write(text.encode())
            part.sync()
            part.put_in_place()
    except OSError as error:
        why, hint = str(error.strerror).lower(), ""
        if error.errno == errno.ENOENT:
            why = f"the folder {path.parent} is not there"
            hint = f"mount it, or make it: mkdir -m 700 {path.parent}"
        raise KeyFileError(f"{path} can't be written: {why}", hint=hint) from None


def _read_private(path: Path) -> str:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise KeyFileError(
                f"{path} can be read by others", hint=f"chmod 600 {path}"
            )
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise KeyFileError(
            f"{path} is not there", hint="a new place is made with: cardvault init"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise _damaged(path) from None


def _fields(source: Path | str, text: str, form: str) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError:
        raise _damaged(source) from None
    if not isinstance(fields, dict):
        raise _damaged(source)
    found = fields.get("format")
    if found == "cardvault web key 1":
        raise KeyFileError(
            f"{source} was made by an earlier version, whose vaults are not taken over",
            hint="move it, its root key and its database away and make a new vault "
            "with: cardvault init",
        )
    if found != form:
        raise KeyFileError(f"{source} is not a {form[:-2]}")
    if fields.get("suite") != sealing.SUITE:
        raise KeyFileError(f"{source} is for another suite than {sealing.SUITE}")
    return fields


def _damaged(source: Path | str) -> KeyFileError:
    return KeyFileError(f"{source} is damaged", hint="put back a copy of it")


def _file_mac(ops: OpsKeys, fields: Mapping[str, Any]) -> str:
    """The MAC of a key file in hex, over everything in it but the MACs themselves."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return ops.mac.sign(b"cardvault key file " + text.encode()).hex()


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace")


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, indent=2) + "\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unbase64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
