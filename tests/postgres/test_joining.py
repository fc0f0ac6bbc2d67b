"""Another host helps: it takes ranges, and leaves the rest to the first."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest
from sqlalchemy import select, text, update

from tests.places.vault import FakeClock
from tests.postgres.many import CARDS, PATIENCE_SECONDS, Many, until
from vault import Actor, errors
from vault.ops.rotation.ranges import Range, ranges_of
from vault.ops.rotation.start import take_up
from vault.store.schema import CARD, ROTATION_RANGE
from vault.trail import read_entries

pytestmark = [pytest.mark.postgres, pytest.mark.faults]

OPS = Actor("ops", "command")
# Slow enough to be found at work.
SLOWLY = ("--batch", "20", "--max-rate", "20")
ELSEWHERE = (
    "unshare",
    *(() if os.getuid() == 0 else ("--user", "--map-root-user")),
    "--uts",
    "sh",
    "-c",
    'hostname elsewhere && exec "$@"',
    "sh",
)


@pytest.fixture(autouse=True)
def _elsewhere() -> None:
    """A host of another name needs a namespace of its own."""
    done = subprocess.run([*ELSEWHERE, "true"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"unshare: {done.stderr.decode().strip()}")


def test_another_host_helps(many: Many) -> None:
    """A second rotate there answers 6; with --join it takes ranges, is named by status
    and report, says what it did, and ends; so does the trail."""
    first = many.start(*SLOWLY, "--json")
    until(lambda: many.batches() > 0)
    second = many.rotate(before=ELSEWHERE)
    assert (second.returncode, "rotate --join" in second.stderr) == (6, True)

    helper = many.start("--join", *SLOWLY, before=ELSEWHERE)
    until(lambda: len(many.holders()) == 2)
    shown = many.place.run("cardvault", "status").stdout
    assert f"held by {os.uname().nodename} process {first.pid}" in shown
    assert f"process {first.pid}, elsewhere process {helper.pid}" in shown
    told = json.loads(
        many.place.run("cardvault", "report", "rotation", "--json").stdout
    )
    assert told["at_work"][-1] == f"elsewhere process {helper.pid}"
    assert 0 < told["reencrypted"] <= many.done()
    plan = many.rotate("--join", "--dry-run").stdout
    assert "would go on with rotation 1, 0 of 3 ranges done" in plan
    helper.send_signal(signal.SIGINT)
    assert "go on with: cardvault rotate --join" in helper.communicate()[1]
    assert helper.returncode == 3

    helped = many.rotate(
        "--join", "--workers", "2", "--reason", "slow", "--json", before=ELSEWHERE
    )
    assert helped.returncode == 0, helped.stderr
    part = json.loads(helped.stdout)
    assert (part["joined"], part["ranges"] >= 1) == (1, True)
    first.terminate()
    first.communicate()
    ran = many.rotate("--json", before=ELSEWHERE)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["reencrypted"] == CARDS
    assert 0 < part["reencrypted"] < CARDS
    with many.engine.connect() as db:
        joined = [e for e in read_entries(db) if e.event == "rotation.joined"]
    assert [entry.detail["reason"] for entry in joined] == ["", "slow"]
    assert joined[1].detail["process"].startswith("elsewhere process ")
    many.require_whole()


def test_the_first_waits_for_a_helpers_range_and_takes_a_dead_ones(many: Many) -> None:
    """Killed, the helper is seen to be dead on this host, and its range is taken."""
    many.kill_at("begun")
    helper = many.start("--join", *SLOWLY)
    until(lambda: many.holders() == {helper.pid})
    first = many.start("--workers", "2", "--json")
    until(lambda: many.done() > 4000 and many.holders() == {helper.pid})
    assert first.poll() is None
    helper.kill()
    helper.communicate()
    out, err = first.communicate()
    assert first.returncode == 0, err
    assert json.loads(out)["reencrypted"] == CARDS
    many.require_whole()


def test_without_a_rotation_there_is_nothing_to_join(many: Many) -> None:
    """Exit 2 says how to begin one."""
    ran = many.rotate("--join")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        "cardvault: error: no rotation is running\n"
        "cardvault: hint: begin one with: cardvault rotate\n"
    )


def test_a_helper_of_nobody_says_who_is_missing(many: Many) -> None:
    """The first died: the helper does its part, exit 0, and names what is left."""
    many.kill_at("begun")
    ran = many.rotate("--join")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == (
        f"helped rotation 1: {CARDS:,} cards re-encrypted in 3 ranges, 0 newer, "
        "0 unreadable; no more ranges to take\n"
    )
    assert "no process is left to finish rotation 1" in ran.stderr
    assert many.rotate("--join").stdout.startswith("helped rotation 1: 0 cards")
    assert many.rotate().returncode == 0
    many.require_whole()


def test_a_silent_helpers_range_is_taken_after_a_minute(many: Many) -> None:
    """Until then the first waits and shows that it lives itself."""
    clock = FakeClock()
    ops = many.open_vault(clock)
    rotation = take_up(ops, OPS, "")
    with many.engine.begin() as db:
        theirs = Range(ops, ROTATION_RANGE, ranges_of(ops, db, rotation.id)[1])
        theirs.write(db, lease="elsewhere/boot 17 99")
    steps = rotation.reencrypt(1000)
    done = [next(steps).done for _ in range(7)]
    assert done[-3:] == [CARDS - 2000] * 3
    clock.advance(59)
    next(steps)
    assert rotation.row["lease_at"] == clock()
    clock.advance(2)
    assert [step.done for step in steps][-1] == CARDS
    with many.engine.begin() as db, pytest.raises(errors.LeaseHeld, match="taken over"):
        theirs.write(db)
    for _ in rotation.read_back():
        pass
    rotation.finish(OPS)
    many.require_whole()


def test_a_range_edited_by_hand_is_named_and_one_removed_destroys_no_key(
    many: Many,
) -> None:
    """A cursor set forth would leave cards behind: exit 1 names the range.  Without
    the row nobody does its cards: exit 7, no key is destroyed, and again is right."""
    many.kill_at("begun")
    with many.engine.begin() as db:
        cursor = db.execute(select(ROTATION_RANGE.c.card_cursor)).scalars().all()[1]
        db.execute(text("UPDATE rotation_range SET card_cursor = 3999 WHERE id = 2"))
    ran = many.rotate("--workers", "2")
    assert (ran.returncode, "rotation range 2: is not" in ran.stderr) == (1, True)
    with many.engine.begin() as db:
        back = {"card_cursor": cursor}
        db.execute(update(ROTATION_RANGE).where(ROTATION_RANGE.c.id == 2), back)
        db.execute(text("DELETE FROM rotation_range WHERE id = 3"))
    ran = many.rotate("--json")
    told = json.loads(ran.stdout)
    assert ran.returncode == 7
    assert (told["left"], told["keys_destroyed"]) == (2000, 0)
    assert many.rotate().returncode == 0
    many.require_whole()


def test_ranges_are_signed_anew_with_everything_else(many: Many) -> None:
    """web-key rotate between a killed rotation and the next command."""
    many.kill_at("batch-committed")
    assert many.place.ops("web-key", "rotate").returncode == 0
    (many.place.folder / "web.key.new").rename(many.place.folder / "web.key")
    ran = many.rotate("--workers", "2")
    assert ran.returncode == 0, ran.stderr
    many.require_whole()


def test_rows_that_are_not_all_written_undo_the_batch(many: Many) -> None:
    """Something in the database keeps one row as it was: nothing is half done."""
    with many.engine.begin() as db:
        token = db.execute(select(CARD.c.token).where(CARD.c.id == 2500)).scalar_one()
        # It waits for this card: a rotation begins on no database with a trigger.
        db.execute(select(CARD.c.id).where(CARD.c.id == 1).with_for_update())
        run = many.start("--batch", "1000")
        until(lambda: bool(many.holders()))
        db.execute(
            text(
                "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN RETURN NULL; END'"
            )
        )
        db.execute(
            text(
                "CREATE TRIGGER keep BEFORE UPDATE ON card FOR EACH ROW "
                f"WHEN (old.token = '{token}') EXECUTE FUNCTION keep()"
            )
        )
    _, said = run.communicate(timeout=PATIENCE_SECONDS)
    assert (run.returncode, "999 of 1000 were written" in said) == (1, True)
    assert many.done() == 2000
    with many.engine.begin() as db:
        db.execute(text("DROP TRIGGER keep ON card"))
    assert many.rotate().returncode == 0
    many.require_whole()
