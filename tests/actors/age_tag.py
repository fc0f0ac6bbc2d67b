"""Recipients that an age hardware key hands out, and the opening of a file for one."""

from __future__ import annotations

import base64
import random

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_SUITE = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_Q, _COEFFICIENTS = 3329, 768


class HardwareKey:
    """A P-256 key as a security key holds it, and the recipients it hands out."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def tag(self) -> str:
        """Its age1tag recipient."""
        point = self._key.public_key().public_bytes(
            Encoding.X962, PublicFormat.CompressedPoint
        )
        return _bech32("age1tag", point)

    @property
    def tagpq(self) -> str:
        """Its age1tagpq recipient, with an ML-KEM key that nobody has the secret of."""
        draw = random.Random(768)
        packed = bytearray()
        for _ in range(_COEFFICIENTS // 2):
            low, high = draw.randrange(_Q), draw.randrange(_Q)
            packed += (low | high << 12).to_bytes(3, "little")
        point = self._key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        return _bech32("age1tagpq", bytes(packed) + draw.randbytes(32) + point)

    def open(self, sealed: bytes) -> bytes:
        """The text of a small age file for ``tag`` (C2SP age, age-plugin-tag)."""
        header, _, rest = sealed.partition(b"\n---")
        lines = header.split(b"\n")
        at = next(n for n, line in enumerate(lines) if line.startswith(b"-> p256tag "))
        encapsulated = _bytes(lines[at].split(b" ")[3])
        file_key = _SUITE.decrypt(
            encapsulated + _bytes(lines[at + 1]),
            self._key,
            info=b"age-encryption.org/p256tag",
        )
        nonce, payload = rest.partition(b"\n")[2][:16], rest.partition(b"\n")[2][16:]
        key = HKDF(SHA256(), 32, nonce, b"payload").derive(file_key)
        return ChaCha20Poly1305(key).decrypt(bytes(11) + b"\x01", payload, None)


def _bytes(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def _bech32(prefix: str, data: bytes) -> str:
    number = int.from_bytes(data) << (-8 * len(data) % 5)
    count = -(-8 * len(data) // 5)
    values = [number >> 5 * (count - 1 - place) & 31 for place in range(count)]
    high, low = [ord(c) >> 5 for c in prefix], [ord(c) & 31 for c in prefix]
    check = _checksum([*high, 0, *low, *values, *[0] * 6]) ^ 1
    ending = [check >> 5 * (5 - place) & 31 for place in range(6)]
    return f"{prefix}1" + "".join(_LETTERS[value] for value in [*values, *ending])


def _checksum(values: list[int]) -> int:
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(_GENERATORS):
            check ^= generator if top >> place & 1 else 0
    return check
