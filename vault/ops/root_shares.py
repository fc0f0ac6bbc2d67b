"""Splits the root key into custodians' shares and combines them (SLIP-39, k of n)."""

from __future__ import annotations

from collections.abc import Sequence

from shamir_mnemonic import MnemonicError, Share, combine_mnemonics, generate_mnemonics

from ..crypto import KEY_BYTES
from ..errors import InputError, WrongRootKey
from .root_key import RootKey

MAX_SHARES = 16


def split(root_key: RootKey, shares: int, threshold: int) -> list[str]:
    """``shares`` lines of 33 words; any ``threshold`` of them are the root key.

    Raises InputError when the two numbers don't fit (SLIP-39: 2 of 2 to 16 of
    16).
    """
    if not 2 <= threshold <= shares <= MAX_SHARES:
        raise InputError(
            "shares", f"give --shares from 2 to {MAX_SHARES} and --threshold from 2"
        )
    lines: list[str] = generate_mnemonics(1, [(threshold, shares)], root_key.seed)[0]
    return lines


def combine(shares: Sequence[str], vault_id: str) -> RootKey:
    """The root key from as many shares as its threshold, or more.

    Every share is tried, those beyond the threshold too.  Raises WrongRootKey naming
    the first (by its number) that is damaged, of another root or given twice, or
    saying how many are still missing.
    """
    read = [_read(number, text) for number, text in enumerate(shares, 1)]
    if not read:
        raise WrongRootKey(
            "no share was given", hint="give one a line, an empty line ends"
        )
    kept: list[str] = []
    seen: dict[int, int] = {}
    for number, (share, text) in enumerate(zip(read, shares, strict=True), 1):
        if share.identifier != read[0].identifier:
            raise WrongRootKey(f"share {number} is of another root than share 1")
        if share.index in seen:
            raise WrongRootKey(f"share {number} is share {seen[share.index]} again")
        seen[share.index] = number
        kept.append(text)
    threshold = read[0].member_threshold
    if len(kept) < threshold:
        raise WrongRootKey(
            f"{len(kept)} of {threshold} shares were given",
            hint=f"{threshold - len(kept)} more needed; nothing was changed",
        )
    seed = _seed(kept[:threshold])
    if len(seed) != KEY_BYTES:
        raise WrongRootKey(
            f"the shares are of a secret of {len(seed)} bytes, no vault's root",
            hint="another program's shares, a wallet's for instance, look the same",
        )
    for number, text in enumerate(kept[threshold:], threshold + 1):
        if _seed([*kept[: threshold - 1], text]) != seed:
            raise WrongRootKey(f"share {number} does not belong to the others")
    return RootKey(vault_id, seed)


def _seed(shares: Sequence[str]) -> bytes:
    try:
        seed: bytes = combine_mnemonics(list(shares))
    except MnemonicError:
        raise WrongRootKey("the shares don't belong together") from None
    return seed


def _read(number: int, text: str) -> Share:
    try:
        return Share.from_mnemonic(text)
    except MnemonicError:
        pass
    # The library's message quotes words of the share.
    raise WrongRootKey(
        f"share {number} is damaged: a word is wrong or missing",
        hint="compare it with the custodian's paper, word by word",
    )
