"""Opens many cards, checking each row's MAC, envelope and number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..card.envelope import aad_ending, aad_start, agrees
from ..crypto import Cipher
from ..errors import IntegrityFault
from ..store.row_macs import CardCheck, RowSigner, card_checker

Opener = Callable[[Sequence[Any]], bytes]


def opener(
    signer: RowSigner,
    cipher_of: Callable[[int], Cipher],
    check: CardCheck | None = None,
) -> Opener:
    """A function that takes a whole card row and returns its number as ASCII digits.
    ``check`` is called instead of checking the MAC, where the sealing key is lost.

    It checks the row's MAC first and compares what it opened with the row.  It raises
    IntegrityFault naming the token; ``cipher_of``, which is called with a data key's
    number, raises it naming the key.  It reads the row's values by position, because
    by name takes three times as long as everything else together.
    """
    check = check or card_checker(signer)
    aad_head = aad_start(signer.vault_id)
    # Each data key's cipher and the ending of its AAD.
    known: dict[int, tuple[Cipher, bytes]] = {}

    def digits(row: Sequence[Any]) -> bytes:
        check(row)
        _, token, data_key_id, _, envelope, _, prefix, last4, length, _, _, _, _ = row
        if data_key_id not in known:
            cipher = _cipher(cipher_of, data_key_id, token)
            known[data_key_id] = cipher, aad_ending(data_key_id)
        cipher, ending = known[data_key_id]
        plain = cipher.open(envelope, aad_head + token.encode() + ending, token)
        if not agrees(plain, prefix, last4, length):
            raise IntegrityFault(token, "opens to another number than its row says")
        number = plain[1 : length + 1]
        if not number.isdigit() or plain[length + 1 :].strip(b"\0"):
            raise IntegrityFault(token, "opens to something that is not a number")
        return number

    return digits


def _cipher(cipher_of: Callable[[int], Cipher], key_id: int, token: str) -> Cipher:
    try:
        return cipher_of(key_id)
    except IntegrityFault as fault:
        raise IntegrityFault(token, f"its {fault}") from None
