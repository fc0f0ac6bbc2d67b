"""Seals, opens, signs, derives, wraps and makes one-time passwords; no other module
imports the cipher library.

The library is pyca/cryptography: AES-256-GCM (NIST SP 800-38D), HMAC-SHA-256
(RFC 2104), HOTP (RFC 4226), HKDF-SHA-512 (RFC 5869), Argon2id (RFC 9106) and HPKE (RFC 9180)
with the ML-KEM-1024 and P-384 hybrid of draft-ietf-hpke-pq.
"""

from __future__ import annotations

import hmac
import os
import unicodedata
from collections.abc import Callable, Iterator
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP384R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512, Hash
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM1024P384PrivateKey,
    MLKEM1024P384PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.twofactor.hotp import HOTP

from .errors import IntegrityFault

KEY_BYTES = 32
NONCE_BYTES = 12

SUITE = "HPKE MLKEM1024-P384 HKDF-SHA512 AES-256-GCM"
OPS_SUITE = "AES-256-GCM under HKDF-SHA512 of the root's seed"
"""How a data key that the ops side minted is wrapped: nobody without the root can."""

_HPKE = Suite(KEM.MLKEM1024_P384, KDF.HKDF_SHA512, AEAD.AES_256_GCM)
_MLKEM_SEED_BYTES = 64
_MLKEM_PUBLIC_BYTES = 1568
# 48 bytes hold the order of P-384; 24 more bring the bias of the remainder to 2^-192.
_SCALAR_BYTES = 72
_P384_ORDER = int(
    "ffffffffffffffffffffffffffffffffffffffffffffffff"
    "c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
    16,
)


def new_key() -> bytes:
    """32 random bytes."""
    return os.urandom(KEY_BYTES)


def derive(key: bytes, purpose: str, length: int = KEY_BYTES) -> bytes:
    """A key for one ``purpose`` from a uniform ``key`` (HKDF, RFC 5869)."""
    return HKDF(SHA512(), length, salt=None, info=purpose.encode()).derive(key)


def fingerprint(data: bytes) -> str:
    """The first 16 hex digits of SHA-256 of ``data``, as its public name."""
    digest = Hash(SHA256())
    digest.update(data)
    return digest.finalize()[:8].hex()


def one_time_password(seed: bytes, counter: int, digits: int) -> str:
    """The password of ``digits`` (6 to 8) digits for a ``counter`` (0 or more), by
    HMAC-SHA-1 (RFC 4226 section 5.3).  ``seed`` is 16 bytes or more.  Raises ValueError
    for anything else."""
    # Authenticator apps know SHA-1 alone for certain; HMAC does not need a hash
    # without collisions.
    hotp = HOTP(seed, digits, SHA1())  # noqa: S303  # nosec B303
    return hotp.generate(counter).decode()


same = hmac.compare_digest
"""Compares two byte strings in constant time."""


class Unshown:
    """The base of what holds a secret: it can't be shown, pickled or copied."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} hidden>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} is never pickled or copied")


Mover = Callable[["Cipher", bytes, bytes, bytes, str], tuple[bytes, bytes]]
Sealer = Callable[[bytes, bytes], bytes]


class Cipher(Unshown):
    """AES-256-GCM under one key; an envelope is nonce (12 bytes), text, tag (16)."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        """Raises ValueError unless ``key`` is 32 bytes, so that AES-128 can't be used
        by mistake."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a key is {KEY_BYTES} bytes")
        self._aead = AESGCM(key)

    def seal(self, plaintext: bytes, aad: bytes) -> bytes:
        """The envelope of ``plaintext`` bound to ``aad``, under a fresh nonce."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plaintext, aad)

    def open(self, envelope: bytes, aad: bytes, subject: str) -> bytes:
        """The plaintext of ``envelope``; raises IntegrityFault naming ``subject``,
        whatever the reason, and then returns no part of it."""
        try:
            return self._aead.decrypt(
                envelope[:NONCE_BYTES], envelope[NONCE_BYTES:], aad
            )
        except (InvalidTag, ValueError, TypeError):
            pass
        raise IntegrityFault(subject, "can't be opened")

    def sealer(self, count: int) -> Sealer:
        """A function that seals up to ``count`` texts as ``seal`` does.  It draws its
        nonces at once, so one thread uses it for one batch; it raises StopIteration
        after ``count``."""
        nonces, encrypt = _nonces(count), self._aead.encrypt

        def seal(plaintext: bytes, aad: bytes) -> bytes:
            nonce = next(nonces)
            return nonce + encrypt(nonce, plaintext, aad)

        return seal

    def mover(self, count: int) -> Mover:
        """A function that re-encrypts up to ``count`` envelopes from other ciphers
        under this one.  It draws its nonces at once, so one thread uses it for one
        batch.

        It opens the envelope under ``old``, seals what was in it, opens that again and
        compares, and returns the plaintext and the new envelope.  It raises as ``open``
        does, and StopIteration after ``count``.
        """
        nonces, aead = _nonces(count), self._aead

        def move(
            old: Cipher, envelope: bytes, old_aad: bytes, aad: bytes, subject: str
        ) -> tuple[bytes, bytes]:
            plain = old.open(envelope, old_aad, subject)
            nonce = next(nonces)
            sealed = aead.encrypt(nonce, plain, aad)
            try:
                same_again = aead.decrypt(nonce, sealed, aad) == plain
            except InvalidTag:
                same_again = False
            if not same_again:
                raise IntegrityFault(subject, "did not open again when sealed")
            return plain, nonce + sealed

        return move


def _nonces(count: int) -> Iterator[bytes]:
    """``count`` fresh nonces, drawn at once."""
    drawn = os.urandom(NONCE_BYTES * count)
    return (drawn[at : at + NONCE_BYTES] for at in range(0, len(drawn), NONCE_BYTES))


class Mac(Unshown):
    """HMAC-SHA-256 under one key."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = HMAC(key, SHA256())

    def sign(self, data: bytes) -> bytes:
        """The 32-byte MAC of ``data``."""
        # A copy of the keyed state is three times faster than a new object.
        running = self._keyed.copy()
        running.update(data)
        return running.finalize()


class OpsKeys(Unshown):
    """The keys that only a holder of the root's seed has (HKDF-SHA-512, a label each).

    HPKE's base mode and the row MACs don't prove that the ops side made something,
    because whoever holds the web key file can make both.  So what the ops side acts
    upon is wrapped or signed with these keys.
    """

    __slots__ = ("_genesis", "_wrap", "mac", "root_id")

    def __init__(self, seed: bytes, root_id: str) -> None:
        self.root_id = root_id
        self.mac = Mac(derive(seed, "cardvault ops MAC"))
        self._wrap = Cipher(derive(seed, "cardvault ops wrap"))
        self._genesis = Cipher(derive(seed, "cardvault genesis"))

    def wrap(self, secret: bytes, info: bytes) -> bytes:
        """``secret``, a data key that the ops side minted, sealed and bound to
        ``info``."""
        return self._wrap.seal(secret, info)

    def unwrap(self, wrapped: bytes, info: bytes, subject: str) -> bytes:
        """What ``wrap`` sealed; raises IntegrityFault naming ``subject``."""
        return self._wrap.open(wrapped, info, subject)

    def seal_genesis(self, key: bytes, info: bytes) -> bytes:
        """The key of the trail's first entry, sealed and bound to ``info``."""
        return self._genesis.seal(key, info)

    def open_genesis(self, sealed: bytes, info: bytes) -> bytes:
        """What ``seal_genesis`` sealed; raises IntegrityFault."""
        return self._genesis.open(sealed, info, "audit genesis")


class RootPublic:
    """The root's public half, which wraps keys and can't unwrap them."""

    __slots__ = ("_key", "encoded")

    encoded: bytes

    def __init__(self, encoded: bytes) -> None:
        """``encoded`` is the ML-KEM-1024 key (1,568 bytes), then the P-384 point
        uncompressed (97 bytes); raises ValueError on anything else."""
        self.encoded = encoded
        self._key = MLKEM1024P384PublicKey(
            MLKEM1024PublicKey.from_public_bytes(encoded[:_MLKEM_PUBLIC_BYTES]),
            EllipticCurvePublicKey.from_encoded_point(
                SECP384R1(), encoded[_MLKEM_PUBLIC_BYTES:]
            ),
        )

    @property
    def id(self) -> str:
        """The name of this root, 16 hex digits."""
        return fingerprint(self.encoded)

    def wrap(self, secret: bytes, info: bytes) -> bytes:
        """``secret`` sealed to the root and bound to ``info`` (RFC 9180)."""
        return _HPKE.encrypt(secret, self._key, info=info)


class RootSecret(Unshown):
    """The root's secret half, derived whole from a 32-byte seed."""

    __slots__ = ("_key", "ops", "public")

    public: RootPublic
    ops: OpsKeys

    def __init__(self, seed: bytes) -> None:
        if len(seed) != KEY_BYTES:
            raise ValueError("a root seed is 32 bytes")
        mlkem = MLKEM1024PrivateKey.from_seed_bytes(
            derive(seed, "cardvault root ML-KEM-1024", _MLKEM_SEED_BYTES)
        )
        p384 = _scalar(derive(seed, "cardvault root P-384", _SCALAR_BYTES))
        self._key = MLKEM1024P384PrivateKey(mlkem, p384)
        point = p384.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        self.public = RootPublic(mlkem.public_key().public_bytes_raw() + point)
        self.ops = OpsKeys(seed, self.public.id)

    def unwrap(self, wrapped: bytes, info: bytes, subject: str) -> bytes:
        """What ``wrap`` sealed; raises IntegrityFault naming ``subject``."""
        try:
            return _HPKE.decrypt(wrapped, self._key, info=info)
        except (InvalidTag, ValueError, TypeError):
            pass
        raise IntegrityFault(subject, "can't be unwrapped with this root key")


def _scalar(wide: bytes) -> EllipticCurvePrivateKey:
    number = int.from_bytes(wide, "big") % (_P384_ORDER - 1) + 1
    return derive_private_key(number, SECP384R1())


PASSPHRASE_COST = {"iterations": 3, "lanes": 4, "memory_kib": 256 * 1024}


def passphrase_key(
    passphrase: str, salt: bytes, *, iterations: int, lanes: int, memory_kib: int
) -> bytes:
    """The key a passphrase opens a root key file with (Argon2id, RFC 9106).

    The passphrase is brought to NFC first, because two keyboards may send the same
    accented letter as different characters.
    """
    return Argon2id(
        salt=salt,
        length=KEY_BYTES,
        iterations=iterations,
        lanes=lanes,
        memory_cost=memory_kib,
    ).derive(unicodedata.normalize("NFC", passphrase).encode())


def self_test() -> None:
    """Check AES-256-GCM and HMAC-SHA-256 against published answers.

    GCM: test case 14 of McGrew and Viega's specification; HMAC: RFC 4231 case
    2.  Raises IntegrityFault when the library answers otherwise, so that a
    broken build never seals a card.
    """
    sealed = AESGCM(bytes(32)).encrypt(bytes(12), bytes(16), None)
    answer = "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    if sealed.hex() != answer:
        raise IntegrityFault("AES-256-GCM", "fails its known answer")
    mac = Mac(b"Jefe").sign(b"what do ya want for nothing?")
    answer = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    if mac.hex() != answer:
        raise IntegrityFault("HMAC-SHA-256", "fails its known answer")
