"""``cardvault report evidence`` on PostgreSQL, typed as the role of the ops commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .roles import Roles

pytestmark = pytest.mark.postgres


def test_roles_and_grants_are_as_the_server_has_them(
    roles: Roles, tmp_path: Path
) -> None:
    """The vault's by its catalogue, down to columns; the site's database is another
    role's, and both pages about it say how to get what is missing."""
    ops, out = roles.place("ops1"), tmp_path / "evidence"
    ran = ops.ops("report", "evidence", "--out", str(out))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    access = json.loads((out / "access.json").read_text())
    vault = access["vault"]
    assert (vault["role"], vault["as_granted"]) == ("ops1", True)
    assert vault["settings"]["ssl"] == "on"
    by_name = {row[0]: row for row in vault["roles"]}
    assert by_name["ops1"][7] == ["cardsite_ops"]
    assert not by_name["cardsite_web"][1]
    granted = {tuple(row[:3]) for row in vault["grants"]}
    assert ("audit_entry", "cardsite_web", "INSERT") in granted
    for forbidden in ("UPDATE", "DELETE", "TRUNCATE"):
        assert ("audit_entry", "cardsite_web", forbidden) not in granted
    columns = {
        tuple(row[:3]): row[3] for row in vault["grants"] if row[0] == "audit_head"
    }
    head = columns["audit_head", "cardsite_web", "UPDATE"]
    assert set(head.split(", ")) == {"seq", "sealed_chain_key"}
    assert ("audit_entry", "cardsite_owner", "DELETE") in granted
    assert "denied" in access["site"]["not_reached"]
    assert "not done    Access rights" in ran.stderr
    review = json.loads((out / "operators.json").read_text())
    assert "operators list --csv" in review["command"]
    assert "接続できず未確認" in (out / "access.ja.html").read_text(encoding="utf-8")
    versions = json.loads((out / "versions.json").read_text())
    assert versions["system"]["PostgreSQL (vault)"]


def test_a_grant_that_is_not_ours_is_something_to_look_at(
    roles: Roles, tmp_path: Path
) -> None:
    """The exit code, the contents and the page say so."""
    ops, out = roles.place("ops1"), tmp_path / "evidence"
    change = 'psql -d vault -c "{} DELETE ON audit_entry {} cardsite_web"\n'
    try:
        assert roles.type(change.format("GRANT", "TO")).returncode == 0
        ran = ops.ops("report", "evidence", "--out", str(out))
        assert (ran.returncode, "Access rights" in ran.stderr) == (1, True)
        found = json.loads((out / "access.json").read_text())["vault"]
        assert found["as_granted"] is False
        assert ["audit_entry", "cardsite_web", "DELETE"] in [
            row[:3] for row in found["grants"]
        ]
    finally:
        roles.type(change.format("REVOKE", "FROM"))
