"""cardvault status --openmetrics, and the alerts that read it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from vault import Actor
from vault.commands.openmetrics import Family, as_text
from vault.ops.rotation.start import take_up

from .shell import Shell

ROOT = Path(__file__).resolve().parents[3]
ALERTS = (ROOT / "deploy" / "alerts.yml").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

# The rules of the format (OpenMetrics 1.0, "ABNF"), as far as gauges need them.
NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
ESCAPED = r'(?:[^\\"\n]|\\[\\"n])*'
LABEL = rf'[a-zA-Z_][a-zA-Z0-9_]*="{ESCAPED}"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?\d+)")
DESCRIPTOR = re.compile(rf"# (TYPE|UNIT|HELP) ({NAME}) ({ESCAPED})")
ORDER = ["TYPE", "UNIT", "HELP"]


def parsed(text: str) -> dict[str, dict[str, int]]:
    """The samples of each metric by their labels, read by the format's rules."""
    assert text.endswith("# EOF\n")
    lines = text.removesuffix("# EOF\n").splitlines()
    families: dict[str, dict[str, int]] = {}
    said: list[str] = []
    name = ""
    for line in lines:
        if line.startswith("#"):
            found = DESCRIPTOR.fullmatch(line)
            assert found, line
            kind, named, rest = found.groups()
            if kind == "TYPE":
                # A family comes once, and nothing of it after another has begun.
                assert named not in families, line
                name, said, families[named] = named, [], {}
                assert rest == "gauge", line
            assert named == name, line
            assert kind not in said, line
            said.append(kind)
            assert said == [word for word in ORDER if word in said], line
            if kind == "UNIT":
                assert named.endswith(f"_{rest}"), line
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        named, labels, value = found.groups()
        assert named == name, line
        assert (labels or "") not in families[name], line
        families[name][labels or ""] = int(value)
    return families


def test_it_is_valid_and_says_what_status_says(shell: Shell) -> None:
    """Cards, generations, trail, anchors, checks; and one end."""
    shell.seal(3)
    shell("verify")
    shell("audit", "verify")
    ran = shell("status", "--openmetrics")
    told = json.loads(shell("status", "--json").out)
    metrics = parsed(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert metrics["cardvault_cards"] == {"": 3}
    assert metrics["cardvault_generation"] == {"": 1}
    assert metrics["cardvault_generation_cards"] == {'generation="1"': 3}
    assert metrics["cardvault_trail_entries"] == {"": told["audit_seq"]}
    assert metrics["cardvault_rotation_unfinished"] == {"": 0}
    assert metrics["cardvault_anchor_given_timestamp_seconds"] == {"": 0}
    checked = metrics["cardvault_check_timestamp_seconds"]
    assert checked['check="verify"'] == told["checks"]["verify"]["at"] > 0
    assert checked['check="audit verify"'] == told["checks"]["audit verify"]["at"]
    assert checked['check="duplicates"'] == 0
    assert set(metrics["cardvault_check_failed"].values()) == {0}
    made = metrics["cardvault_oldest_key_timestamp_seconds"][""]
    now = metrics["cardvault_status_timestamp_seconds"][""]
    assert 0 < made <= now


def test_a_check_that_found_something_is_seen(shell: Shell) -> None:
    """By the machine, and by who reads status."""
    (token,) = shell.seal()
    shell.edit(f"UPDATE card SET prefix = '99' WHERE token = '{token}'")
    assert shell("verify").code == 1
    failed = parsed(shell("status", "--openmetrics").out)["cardvault_check_failed"]
    assert failed['check="verify"'] == 1
    assert "verify, " in shell("status").out
    assert "it found something" in shell("status").out


def test_an_unfinished_rotation_is_seen(shell: Shell) -> None:
    """With how far it is and what is left."""
    shell.seal(4)
    rotation = take_up(shell.open_vault(), Actor("ops", "command"), "")
    running = parsed(shell("status", "--openmetrics").out)["cardvault_rotation_running"]
    rotation.release()
    metrics = parsed(shell("status", "--openmetrics").out)
    assert (running, metrics["cardvault_rotation_running"]) == ({"": 1}, {"": 0})
    assert metrics["cardvault_rotation_unfinished"] == {"": 1}
    assert metrics["cardvault_rotation_reencrypted_cards"] == {"": 0}
    assert metrics["cardvault_older_cards"] == {"": 4}


def test_an_empty_vault_has_every_metric_too(shell: Shell) -> None:
    """So that no alert is silent because its metric is missing."""
    empty = set(parsed(shell("status", "--openmetrics").out))
    shell.seal()
    assert set(parsed(shell("status", "--openmetrics").out)) == empty


def test_one_format_at_a_time(shell: Shell) -> None:
    """Exit 2."""
    ran = shell("status", "--json", "--openmetrics")
    assert (ran.code, "give one" in ran.err) == (2, True)


def test_unruly_text_is_escaped() -> None:
    """A label or a help may hold anything."""
    text = as_text([Family("x", 'a\n"\\', (({"of": 'a\n"\\'}, 1),))])
    assert parsed(text) == {"cardvault_x": {r'of="a\n\"\\"': 1}}


def rules() -> list[dict[str, Any]]:
    """Every rule of deploy/alerts.yml."""
    groups = yaml.safe_load(ALERTS)["groups"]
    assert len({group["name"] for group in groups}) == len(groups)
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_reads_a_metric_there_is(shell: Shell) -> None:
    """And every label in it is one the metric has."""
    shell.seal()
    metrics = parsed(shell("status", "--openmetrics").out)
    for rule in rules():
        named = re.findall(
            r"\b(cardvault_\w+)(?:\{(\w+)=~?\"([^\"]*)\"\})?", rule["expr"]
        )
        assert named, rule["alert"]
        for name, label, value in named:
            assert name in metrics, rule["alert"]
            if label:
                found = [key for key in metrics[name] if key.startswith(f'{label}="')]
                values = {key.partition('"')[2].rstrip('"') for key in found}
                assert any(re.fullmatch(value, one) for one in values), rule["alert"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_is_whole(rule: dict[str, Any]) -> None:
    """With how long, how bad, what it says, and a chapter of the runbook there is."""
    assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Cardvault[A-Z]\w+", rule["alert"])
    assert re.fullmatch(r"\d+[mhd]", rule["for"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert set(rule["annotations"]) == {"summary", "runbook"}
    page, _, chapter = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operations.md"
    headings = re.findall(r"^#+ (.*)$", RUNBOOK, re.M)
    assert chapter in {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def test_no_alert_is_there_twice() -> None:
    """Each has a name of its own."""
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
