"""A new root that is begun, cut off, finished or given up."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shamir_mnemonic import generate_mnemonics

from vault.ops import RootKey, root_rotation
from vault.ops.root_shares import split

from .shell import Shell

WEB_NEW, ROOT_NEW = Path("instance/web.key.new"), Path("instance/root.key.new")
NEW = {"VAULT_WEB_KEY": str(WEB_NEW), "VAULT_ROOT_KEY": str(ROOT_NEW)}
ABANDON = ("root", "rotate", "--abandon")
FINALIZE = ("root", "rotate", "--finalize")


@pytest.fixture
def by_shares(empty: Shell) -> tuple[Shell, str]:
    """A vault whose root is held as shares, and what opens it on standard input."""
    lines = empty("init", "--shares", "3", "--threshold", "2").out.splitlines()[:3]
    empty.root = ""
    return empty, "\n".join(lines[:2]) + "\n\n"


def next_of(shell: Shell) -> str:
    """What status says is to be typed next."""
    return str(json.loads(shell("status", "--json").out)["next"])


def test_a_prepared_root_can_be_given_up(shell: Shell) -> None:
    """Its files and wrappings go, the vault's root stays, and another may come."""
    shell.seal(2)
    assert shell("rotate").code == 0
    assert shell("root", "rotate").code == 0
    assert "--abandon" in shell("status").out
    ran = shell(*ABANDON)
    assert (ran.code, "is given up" in ran.out) == (0, True)
    assert not WEB_NEW.exists()
    assert not ROOT_NEW.exists()
    assert next_of(shell) == "cardvault verify"
    assert shell("verify").code == 0
    again = shell(*ABANDON)
    assert (again.code, "no new root" in again.err) == (2, True)
    assert shell("root", "rotate").code == 0
    assert shell(*FINALIZE).code == 0
    assert shell("verify", **NEW).code == 0


def test_new_shares_that_were_lost_leave_a_way_on(by_shares: tuple[Shell, str]) -> None:
    """status names the preparation; running it again asks for the lost shares and
    says how to give them up; then a new root is made (r1)."""
    shell, shares = by_shares
    shell.seal()
    lost = shell("root", "rotate", given=shares)
    assert lost.code == 0
    told = shell("status").out
    assert "not finalized" in told
    assert "--abandon" in told
    again = shell("root", "rotate", given=shares)
    assert again.code == 2
    assert "cardvault root rotate --abandon" in again.err
    assert again.out == ""
    assert shell(*ABANDON, given=shares).code == 0
    fresh = shell("root", "rotate", given=shares)
    new = "\n".join(fresh.out.splitlines()[:2]) + "\n\n"
    assert shell(*FINALIZE, given=shares + new).code == 0
    assert shell("verify", given=new, VAULT_WEB_KEY=str(WEB_NEW)).code == 0


@pytest.mark.parametrize("kept", ["both", "root.key.new"])
def test_files_of_a_run_that_was_cut_off_are_said(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """status, --finalize and doctor lead back to root rotate, which goes on with
    them; nobody is told to put the new web key in place (r2)."""
    shell.seal()

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(root_rotation, "prepare", cut)
        assert shell("root", "rotate").code == 3
    if kept != "both":
        WEB_NEW.unlink()
    assert next_of(shell) == "cardvault root rotate"
    assert "cut off" in shell("status").out
    assert "cut off" in shell("doctor").out
    if kept == "both":
        ran = shell(*FINALIZE)
        assert (ran.code, "go on with: cardvault root rotate" in ran.err) == (2, True)
    root = ROOT_NEW.read_bytes()
    assert shell("root", "rotate").code == 0
    assert ROOT_NEW.read_bytes() == root
    assert shell(*FINALIZE).code == 0
    assert shell("verify", **NEW).code == 0


def test_a_cut_off_root_that_was_given_up_is_never_taken_again(shell: Shell) -> None:
    """Though its files bear the root's mark: somebody may have kept a copy."""
    shell.seal()
    assert shell("root", "rotate").code == 0
    copies = {path: path.read_bytes() for path in (WEB_NEW, ROOT_NEW)}
    assert shell(*ABANDON).code == 0
    for path, data in copies.items():
        path.write_bytes(data)
        path.chmod(0o600)
    ran = shell("root", "rotate")
    assert (ran.code, "was given up and is never taken again" in ran.err) == (2, True)
    assert shell(*ABANDON).code == 0
    assert not ROOT_NEW.exists()


def test_a_new_web_key_file_that_was_lost_is_made_again(shell: Shell) -> None:
    """The new root is at hand, so nothing is lost with it."""
    shell.seal()
    assert shell("root", "rotate").code == 0
    WEB_NEW.unlink()
    assert next_of(shell) == "cardvault root rotate"
    assert shell("root", "rotate").code == 0
    assert shell(*FINALIZE).code == 0
    assert shell("verify", **NEW).code == 0


def test_a_new_root_file_that_was_lost_is_said(shell: Shell) -> None:
    """It opens nothing yet, and giving the root up is the way on."""
    shell.seal()
    assert shell("root", "rotate").code == 0
    ROOT_NEW.unlink()
    assert next_of(shell) == "cardvault root rotate --abandon"
    for words in (("root", "rotate"), FINALIZE):
        ran = shell(*words)
        assert (ran.code, "root.key.new" in ran.err) == (2, True)
    assert shell(*ABANDON).code == 0
    assert shell("verify").code == 0


def test_a_copy_of_the_web_key_is_no_new_root(shell: Shell) -> None:
    """root rotate made no new root of it and said that it did (M4)."""
    shutil.copy("instance/web.key", WEB_NEW)
    for words in (("root", "rotate"), ("web-key", "rotate")):
        ran = shell(*words)
        assert ran.code == 2
        assert "web.key.new" in ran.err
    assert "rm instance/web.key.new" in shell("status").out


def test_a_finished_root_that_was_not_put_in_place_is_said(shell: Shell) -> None:
    """Its file bears the mark of the root before it."""
    shell.seal()
    assert shell("root", "rotate").code == 0
    assert shell(*FINALIZE).code == 0
    assert "mv instance/web.key.new instance/web.key" in shell("status").err
    WEB_NEW.replace("instance/web.key")
    assert next_of(shell) == "mv instance/root.key.new instance/root.key"
    new = {"VAULT_ROOT_KEY": str(ROOT_NEW)}
    assert shell("verify", **new).code == 0
    ROOT_NEW.replace("instance/root.key")
    assert shell("root", "rotate").code == 0
    assert shell(*FINALIZE).code == 0


def test_a_finished_web_key_rotation_is_said(shell: Shell) -> None:
    """Every command says where the new file goes."""
    shell.seal()
    assert shell("web-key", "rotate").code == 0
    for words in (("status",), ("rotate",)):
        ran = shell(*words)
        assert ran.code == 2
        assert "mv instance/web.key.new instance/web.key" in ran.err
    ran = shell("doctor")
    assert ran.code == 1
    assert "mv instance/web.key.new instance/web.key" in ran.out
    WEB_NEW.replace("instance/web.key")
    assert shell("verify").code == 0


def test_a_passphrase_change_cut_off_is_no_new_root(shell: Shell) -> None:
    """What it left is written over by the next, and root rotate doesn't see it (M4)."""
    Path("instance/root.key.resealed").write_text("half")
    assert shell("root", "passphrase", given="correct horse battery\n").code == 0
    assert not Path("instance/root.key.resealed").exists()
    assert shell("verify").code == 5


def test_every_share_given_is_tried(shell: Shell) -> None:
    """Those beyond the threshold too (r3)."""
    key = RootKey.parse(Path(shell.root).read_text(), "root.key", None)
    lines = split(key, 5, 3)
    ran = shell("root", "check-shares", given="\n".join(lines))
    assert (ran.code, "5 shares open root" in ran.out) == (0, True)
    for place in range(5):
        words = lines[place].split()
        # The share of another split with the same identifier opens another root.
        words[-1], words[-2] = words[-2], words[-1]
        harmed = [*lines[:place], " ".join(words), *lines[place + 1 :]]
        ran = shell("root", "check-shares", given="\n".join(harmed))
        assert (ran.code, f"share {place + 1} is damaged" in ran.err) == (5, True)


def test_split_by_shares_asks_once(by_shares: tuple[Shell, str]) -> None:
    """What was typed once is enough (r4)."""
    shell, shares = by_shares
    ran = shell("root", "split", "--shares", "4", "--threshold", "3", given=shares)
    assert (ran.code, len(ran.out.splitlines())) == (0, 4)
    given = "\n".join(ran.out.splitlines()[1:]) + "\n\n"
    assert shell("verify", given=given).code == 0


def test_shares_of_another_programs_secret_are_said(
    by_shares: tuple[Shell, str],
) -> None:
    """A wallet's look the same and are 16 bytes: exit 5, no trace (L6)."""
    shell, _ = by_shares
    wallet = generate_mnemonics(1, [(2, 2)], bytes(16))[0]
    for words in (("verify",), ("root", "check-shares")):
        ran = shell(*words, given="\n".join(wallet) + "\n\n")
        assert (ran.code, "16 bytes, no vault's root" in ran.err) == (5, True)
