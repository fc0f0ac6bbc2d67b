"""A text is encrypted to the recipients that age has, and to nothing else."""

from __future__ import annotations

import io

import pyrage
import pytest

from tests.actors.age_tag import HardwareKey
from vault import errors
from vault.ops.age_file import encrypt, require_recipients

X25519 = str(pyrage.x25519.Identity.generate().to_public())


def encrypted(text: bytes, *recipients: str) -> bytes:
    """The age file of ``text``."""
    file = io.BytesIO()
    encrypt(iter([text]), file, require_recipients(recipients))
    return file.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("age1nonsense", "recipient 2 (age1nonsense): is not an age recipient"),
        ("age1tag1nonsense", "recipient 2 (age1tag1nonsense): is not an age recipient"),
        ("bob@example.jp", "recipient 2: is not an age recipient"),
        ("AGE-SECRET-KEY-1XYZ", "recipient 2: is a secret key"),
        ("AGE-SECRET-KEY-PQ-1XYZ", "recipient 2: is a secret key"),
        ("AGE-PLUGIN-YUBIKEY-1XYZ", "recipient 2: is a secret key"),
        ("", "recipient 2: is not an age recipient"),
    ],
)
def test_a_bad_recipient_is_named(text: str, shown: str) -> None:
    """Which one it is; a secret key is not shown."""
    with pytest.raises(errors.InputError) as refused:
        require_recipients([X25519, text])
    assert str(refused.value).startswith(shown)
    assert "XYZ" not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["age1yubikey1qxyz", "age1pq1" + "q" * 1950, "age1tagpq1" + "q" * 2000]
)
def test_a_recipient_of_another_kind_is_refused_with_what_is_taken(text: str) -> None:
    """A plugin's and a post-quantum one; a long one is not shown whole."""
    with pytest.raises(errors.InputError) as refused:
        require_recipients([text])
    assert "only age1... of X25519, age1tag1... and age1tagpq1... are taken" in str(
        refused.value
    )
    assert len(str(refused.value)) < 300


def test_no_recipient_is_refused() -> None:
    """Nobody could open it."""
    with pytest.raises(errors.InputError, match="there is none"):
        require_recipients([])


def test_a_hardware_keys_recipient_opens_it() -> None:
    """A file for age1tag and for an identity of age-keygen opens with either."""
    key, identity = HardwareKey(), pyrage.x25519.Identity.generate()
    sealed = encrypted(b"4 cards", key.tag, str(identity.to_public()))
    assert key.open(sealed) == b"4 cards"
    assert pyrage.decrypt(sealed, [identity]) == b"4 cards"


def test_a_post_quantum_recipient_is_taken_alone() -> None:
    """Its file has no stanza that a quantum computer could open; beside another kind
    it is refused, because the file would be no safer than that one."""
    key = HardwareKey()
    header = encrypted(b"4 cards", key.tagpq, key.tagpq).partition(b"\n---")[0]
    kinds = [line.split()[1] for line in header.split(b"\n") if line[:3] == b"-> "]
    assert kinds.count(b"mlkem768p256tag") == 2
    assert not {b"X25519", b"p256tag"} & set(kinds)
    for other in (X25519, key.tag):
        for both in ([key.tagpq, other], [other, key.tagpq]):
            with pytest.raises(errors.InputError, match="its own kind alone"):
                require_recipients(both)


class _FullDisk(io.BytesIO):
    """A file that takes so many bytes and no more."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write, or raise as a full disk does."""
        self.room -= len(data)
        if self.room < 0:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 100, 250])
def test_a_full_disk_is_noticed_with_the_last_bytes_too(room: int) -> None:
    """The library drops what its last write raises; we don't."""
    assert len(encrypted(b"x" * 50, X25519)) > 250
    keys = require_recipients([X25519])
    with pytest.raises(OSError, match="No space"):
        encrypt(iter([b"x" * 50]), _FullDisk(room), keys)
