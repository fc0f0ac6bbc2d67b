"""Short secrets the web layer keeps: sealed at rest, opened by their site alone."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from vault import SiteSeal
from vault.errors import IntegrityFault

pytestmark = pytest.mark.mutation("vault/web/site_seal.py", area="sealing")

OLD = "the site's secret of last year, long enough"
NEW = "the site's secret of this year, long enough"
SEED = b"twenty bytes of seed"


def seal_of(*secrets: str, purpose: str = "seeds") -> SiteSeal:
    """A seal under these secrets of the site."""
    return SiteSeal(secrets, purpose)


def test_what_is_sealed_comes_back() -> None:
    """For the subject it was sealed for, from another object of the same site."""
    envelope = seal_of(NEW).seal(SEED, "taro")
    assert SEED not in envelope
    assert seal_of(NEW).open(envelope, "taro") == SEED


def test_the_same_secret_is_sealed_differently_each_time() -> None:
    """A fresh nonce: two operators with one seed can't be told."""
    seal = seal_of(NEW)
    assert seal.seal(SEED, "taro") != seal.seal(SEED, "taro")


def test_an_older_secret_still_opens() -> None:
    """SECRET_KEY_FALLBACKS: the newest seals, any opens."""
    envelope = seal_of(OLD).seal(SEED, "taro")
    assert seal_of(NEW, OLD).open(envelope, "taro") == SEED
    with pytest.raises(IntegrityFault):
        seal_of(OLD).open(seal_of(NEW, OLD).seal(SEED, "taro"), "taro")


@pytest.mark.parametrize(
    ("seal", "subject"),
    [
        (seal_of(OLD), "taro"),
        (seal_of(NEW, purpose="others"), "taro"),
        (seal_of(NEW), "hanako"),
    ],
    ids=["another secret", "another purpose", "another subject"],
)
def test_nobody_elses_opens(seal: SiteSeal, subject: str) -> None:
    """One error naming the subject, and nothing given back."""
    envelope = seal_of(NEW).seal(SEED, "taro")
    with pytest.raises(IntegrityFault) as refused:
        seal.open(envelope, subject)
    assert str(refused.value) == f"{subject}: can't be opened with this SECRET_KEY"


@pytest.mark.parametrize("bit", [0, 95, 96, 200, -1])
def test_an_edited_envelope_does_not_open(bit: int) -> None:
    """Nonce, text and tag alike; nor does a piece of one."""
    envelope = bytearray(seal_of(NEW).seal(SEED, "taro"))
    envelope[bit // 8] ^= 1 << bit % 8
    for broken in (bytes(envelope), bytes(envelope[:20]), b""):
        with pytest.raises(IntegrityFault):
            seal_of(NEW).open(broken, "taro")


def test_it_takes_short_secrets_alone() -> None:
    """64 bytes, not one more."""
    seal_of(NEW).seal(b"x" * 64, "taro")
    with pytest.raises(ValueError, match="64 bytes"):
        seal_of(NEW).seal(b"x" * 65, "taro")


def test_it_shows_nothing_of_itself() -> None:
    """It is not printed, pickled, copied or written as JSON."""
    assert repr(seal_of(NEW)) == "<SiteSeal hidden>"
    for copied in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError):
            copied(seal_of(NEW))
