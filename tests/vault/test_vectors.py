"""AES-256-GCM against NIST's CAVP vectors, as the vault uses it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import cryptography_vectors
import pytest

from vault.errors import IntegrityFault
from vault.sealing import Cipher

IV_BITS, TAG_BITS = 96, 128


def cases() -> Iterator[dict[str, str]]:
    """The decryptions with the vault's nonce and tag lengths; a case whose tag is
    wrong has FAIL instead of PT."""
    path = "ciphers/AES/GCM/gcmDecrypt256.rsp"
    with cryptography_vectors.open_vector_file(path, "r") as file:
        lengths: dict[str, int] = {}
        for block in file.read().split("\n\n"):
            lengths |= {n: int(v) for n, v in re.findall(r"\[(\w+) = (\d+)\]", block)}
            values = dict(re.findall(r"^(\w+)(?: = (\w*))?$", block, re.M))
            wanted = (lengths.get("IVlen"), lengths.get("Taglen"))
            if "Key" in values and wanted == (IV_BITS, TAG_BITS):
                yield values


def test_every_published_answer_is_given() -> None:
    """What has a right tag opens to its text, what has a wrong one opens nothing."""
    right = wrong = 0
    for case in cases():
        key, nonce, text, tag, aad, plain = (
            bytes.fromhex(case.get(name, ""))
            for name in ("Key", "IV", "CT", "Tag", "AAD", "PT")
        )
        cipher, envelope = Cipher(key), nonce + text + tag
        if "FAIL" in case:
            wrong += 1
            with pytest.raises(IntegrityFault):
                cipher.open(envelope, aad, "vector")
        else:
            right += 1
            assert cipher.open(envelope, aad, "vector") == plain
    assert right > 100
    assert wrong > 100
