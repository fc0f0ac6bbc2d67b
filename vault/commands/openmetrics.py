"""Writes the status as OpenMetrics text, which Prometheus's node_exporter reads from a
file too.

Every metric is a gauge and no sample has a time of its own, because node_exporter's
older text format knows no other way.  A moment is a Unix time and no age, so that an
alert goes on counting when the file is no longer written; 0 means never.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..ops.anchor import Given
from ..ops.census import Census
from ..ops.checks import CHECKS, Done, LastDay
from ..ops.rotation.status import RotationStatus

PREFIX = "cardvault_"
SECONDS = "seconds"
_AT = "_timestamp_seconds"

Sample = tuple[Mapping[str, str], int]


@dataclass(frozen=True)
class Family:
    """One metric: its name without PREFIX, what it says, and its samples, each with
    labels and a value."""

    name: str
    says: str
    samples: tuple[Sample, ...]

    def lines(self) -> Iterator[str]:
        """The metric as lines of text."""
        name = PREFIX + self.name
        yield f"# TYPE {name} gauge"
        if self.name.endswith(f"_{SECONDS}"):
            yield f"# UNIT {name} {SECONDS}"
        yield f"# HELP {name} {_escaped(self.says)}"
        for labels, value in self.samples:
            pairs = ",".join(
                f'{key}="{_escaped(text)}"' for key, text in labels.items()
            )
            yield f"{name}{'{' + pairs + '}' if pairs else ''} {value}"


def as_text(families: Iterable[Family]) -> str:
    """The whole exposition, its end marked, so that half a file is known as such."""
    lines = [line for family in families for line in family.lines()]
    return "\n".join([*lines, "# EOF", ""])


def one(name: str, says: str, value: int) -> Family:
    """A metric without labels."""
    return Family(name, says, (({}, value),))


def of_cards(census: Census, now: int) -> Iterator[Family]:
    """Cards, generations and how old the oldest of them are."""
    yield one("cards", "Cards in the vault.", census.cards)
    yield one("generation", "The generation new cards belong to.", census.generation)
    yield Family(
        "generation_cards",
        "Cards by generation.",
        tuple(
            ({"generation": str(number)}, count)
            for number, count in sorted(census.generations.items())
        ),
    )
    made = _oldest_keys(census, now)
    yield Family(
        "generation_oldest_key" + _AT,
        "When the oldest data key that still has cards was made, by generation.",
        tuple(({"generation": str(n)}, at) for n, at in sorted(made.items())),
    )
    yield one(
        "oldest_key" + _AT,
        "When the oldest data key that still has cards was made: no card was sealed "
        "before that. 0 without cards.",
        min(made.values(), default=0),
    )
    yield one(
        "older_cards", "Cards of generations before the vault's.", census.older_cards
    )
    yield one("quarantined_cards", "Cards that can't be opened.", census.quarantined)


def _oldest_keys(census: Census, now: int) -> dict[int, int]:
    made: dict[int, int] = {}
    for key in census.keys:
        if key.cards:
            at = now - key.age
            made[key.generation] = min(made.get(key.generation, at), at)
    return made


def of_rotation(rotation: RotationStatus | None) -> Iterator[Family]:
    """The rotation that was begun and not finished, if there is one."""
    yield one("rotation_unfinished", "1 while one is unfinished.", int(bool(rotation)))
    yield one(
        "rotation_running",
        "Processes at work on it.",
        len(rotation.at_work) if rotation else 0,
    )
    yield one(
        "rotation_reencrypted_cards",
        "Cards it has re-encrypted; cardvault_older_cards are left.",
        rotation.reencrypted if rotation else 0,
    )


def of_trail(entries: int, given: Given, day: LastDay) -> Iterator[Family]:
    """The trail's length, its anchors and the last day's logins."""
    yield one("trail_entries", "Entries of the audit trail.", entries)
    yield one(
        "anchor_given" + _AT,
        "When an anchor was last sent away; 0 for never.",
        given.at or 0,
    )
    yield one(
        "anchor_failed",
        "1 when sending an anchor failed since then.",
        int(given.failed_since),
    )
    yield one(
        "failed_logins_last_day",
        "Wrong passwords, codes and passkeys of the last 24 hours.",
        day.failed_logins,
    )
    yield one("locks_last_day", "Login IDs locked in the last 24 hours.", day.locks)
    yield one(
        "mails_given_up_last_day",
        "Code mails of the last 24 hours that the trail says no server took.",
        day.mails_given_up,
    )


def of_checks(checks: Mapping[str, Done], backup: int | None) -> Iterator[Family]:
    """When each check last ended and how it came out, and when a backup was begun."""
    never = Done(0, well=True)
    yield one(
        "backup" + _AT,
        "When cardvault backup last began to write a file; 0 when not in 40 days.",
        backup or 0,
    )
    last = [({"check": name}, checks.get(name, never)) for name in CHECKS]
    yield Family(
        "check" + _AT,
        "When a check last ended; 0 for never.",
        tuple((labels, done.at) for labels, done in last),
    )
    yield Family(
        "check_failed",
        "1 when that check found something.",
        tuple((labels, int(not done.well)) for labels, done in last),
    )


def of_itself(warnings: int, half_done: int, now: int) -> Iterator[Family]:
    """What the status warns of, and when it was made."""
    yield one("warnings", "Lines of warning that cardvault status shows.", warnings)
    yield one(
        "half_done",
        "Acts begun and not finished, as cardvault status names.",
        half_done,
    )
    yield one("status" + _AT, "When these lines were made.", now)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
