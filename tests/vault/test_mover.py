"""Moving envelopes from one key to another, and the keys made of something else."""

from __future__ import annotations

import pytest
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vault import crypto, errors

OLD, NEW = crypto.Cipher(bytes(32)), crypto.Cipher(b"n" * 32)
BEFORE, AFTER = b"aad before", b"aad after"


class Forgetful:
    """A cipher that seals and then doesn't give back what it was given."""

    def __init__(self, answer: bytes | None) -> None:
        self._answer = answer

    def encrypt(self, _nonce: bytes, plaintext: bytes, _aad: bytes) -> bytes:
        """Something of the right length."""
        return plaintext + bytes(16)

    def decrypt(self, _nonce: bytes, _sealed: bytes, _aad: bytes) -> bytes:
        """The wrong answer, or none."""
        if self._answer is None:
            raise InvalidTag
        return self._answer


def test_what_is_moved_opens_under_the_new_key_alone() -> None:
    """For its new aad; what was in it comes back beside the envelope."""
    plain, moved = NEW.mover(1)(OLD, OLD.seal(b"text", BEFORE), BEFORE, AFTER, "card")
    assert plain == b"text"
    assert NEW.open(moved, AFTER, "card") == b"text"
    for cipher, aad in ((OLD, AFTER), (NEW, BEFORE)):
        with pytest.raises(errors.IntegrityFault):
            cipher.open(moved, aad, "card")


def test_it_moves_as_many_as_it_was_made_for() -> None:
    """Each under 12 random bytes of its own, and then no more."""
    move, envelope = NEW.mover(3), OLD.seal(b"text", BEFORE)
    moved = [move(OLD, envelope, BEFORE, AFTER, "card")[1] for _ in range(3)]
    assert len({one[:12] for one in moved}) == 3
    assert {len(one) for one in moved} == {len(envelope)}
    with pytest.raises(StopIteration):
        move(OLD, envelope, BEFORE, AFTER, "card")


def test_one_that_does_not_open_is_named_and_costs_no_nonce() -> None:
    """The next one still moves."""
    move, envelope = NEW.mover(1), OLD.seal(b"text", BEFORE)
    for damaged, aad in ((envelope[:-1], BEFORE), (envelope, AFTER)):
        with pytest.raises(errors.IntegrityFault, match="^card 7: can't be opened$"):
            move(OLD, damaged, aad, AFTER, "card 7")
    assert move(OLD, envelope, BEFORE, AFTER, "card 7")[0] == b"text"


@pytest.mark.parametrize("answer", [b"tex", None])
def test_one_that_does_not_open_again_is_not_given_out(answer: bytes | None) -> None:
    """A new envelope is opened before anybody gives up the old one."""
    new = crypto.Cipher(bytes(32))
    new._aead = Forgetful(answer)  # type: ignore[assignment]
    with pytest.raises(errors.IntegrityFault) as refused:
        new.mover(1)(OLD, OLD.seal(b"text", BEFORE), BEFORE, AFTER, "card 7")
    assert str(refused.value) == "card 7: did not open again when sealed"


def test_a_passphrase_makes_the_key_another_library_makes() -> None:
    """Argon2id of the passphrase's UTF-8, every cost as given."""
    made = crypto.passphrase_key(
        "合言葉", b"a salt of 16 b..", iterations=2, lanes=3, memory_kib=64
    )
    assert made == hash_secret_raw(
        "合言葉".encode(), b"a salt of 16 b..", 2, 64, 3, 32, Type.ID
    )


def test_a_key_is_derived_for_its_purpose_alone() -> None:
    """HKDF-SHA-512 without salt, 32 bytes unless more are asked for."""
    key = crypto.derive(bytes(32), "one purpose")
    assert key == HKDF(SHA512(), 32, salt=None, info=b"one purpose").derive(bytes(32))
    assert key != crypto.derive(bytes(32), "another purpose")
    assert len(crypto.derive(bytes(32), "one purpose", 72)) == 72


def test_a_new_key_is_random() -> None:
    """32 bytes, never the same."""
    keys = {crypto.new_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(key) for key in keys} == {32}


def test_a_fingerprint_is_half_of_half_a_hash() -> None:
    """The first 16 hex digits of SHA-256 (FIPS 180-2, "abc")."""
    assert crypto.fingerprint(b"abc") == "ba7816bf8f01cfea"
