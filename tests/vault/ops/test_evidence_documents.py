"""docs/pci-dss.md leads to files, chapters, tests and rows that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.places.site import ROOT
from vault import crypto

DOCS = ROOT / "docs"
PAGE = (DOCS / "pci-dss.md").read_text(encoding="utf-8")
KEYS = (DOCS / "keys.md").read_text(encoding="utf-8")
SECURITY = (DOCS / "security.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if re.match(r"\| \d", line)]
# The stems of what the folder holds; rotation's number is a letter in the page.
FILES = {
    *("status", "checks", "keys", "custodians", "access", "operators", "settings"),
    *("versions", "results", "sbom.cdx.json", "rotation-N"),
}


def slug(heading: str) -> str:
    """A heading's name in a link, as the forge makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_requirement_has_its_four_cells() -> None:
    """From the first to the twelfth, none twice."""
    chapters = {line.split("|")[1].split(".")[0].strip() for line in LINES}
    assert chapters == set(map(str, range(1, 13)))
    assert {len(line.split("|")) for line in LINES} == {6}
    numbers = [line.split("|")[1].split(" ")[1].strip(",") for line in LINES]
    assert len(numbers) == len(set(numbers)) > 60


def test_the_evidence_it_names_is_in_the_folder() -> None:
    """Each name behind the word evidence, until the next clause."""
    clauses = re.findall(r"[Ee]vidence ((?:`[\w.-]+`(?:, )?)+)", PAGE)
    named = {name for clause in clauses for name in re.findall(r"`([^`]+)`", clause)}
    assert named == FILES


def test_the_rows_and_tests_it_names_exist() -> None:
    """Rows of security.md by their id, and the files of tests."""
    rows = set(
        re.findall(r"\b(?:AUT|OTP|SES|WEB|INP|PAN|VLT|AUD|REL|ATH)-\d\d\b", PAGE)
    )
    assert len(rows) > 25
    assert [row for row in sorted(rows) if f"| {row} " not in SECURITY] == []
    for quoted in re.findall(r'row "([^"]+)"', PAGE):
        assert f"| {quoted}".lower() in SECURITY.lower(), quoted
    for path in re.findall(r"`((?:tests|deploy)/[\w./-]+)`", PAGE):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["pci-dss.md", "keys.md", "data-flow.md"])
def test_links_lead_to_chapters_that_are_there(name: str) -> None:
    """Each link with a # names a heading of that document."""
    text = (DOCS / name).read_text(encoding="utf-8")
    for path, chapter in re.findall(r"\]\(([\w./-]+)#([\w-]+)\)", text):
        target = (DOCS / Path(path)).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)$", target, re.M)
        assert chapter in {slug(heading) for heading in headings}, f"{path}#{chapter}"


def test_the_keys_are_of_the_algorithms_in_use() -> None:
    """What the code calls its suite is what the page says."""
    assert crypto.SUITE == "HPKE MLKEM1024-P384 HKDF-SHA512 AES-256-GCM"
    for word in ("HPKE", "ML-KEM-1024", "P-384", "HKDF-SHA-512", "AES-256-GCM"):
        assert word in KEYS
