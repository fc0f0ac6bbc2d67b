"""cardvault root and web-key."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from vault.commands.init import CLEAR, show_shares
from vault.ops.root_shares import split

from .shell import PASSPHRASE, Shell, foreign_share


def test_the_root_can_be_changed(shell: Shell) -> None:
    """Both roots work until --finalize, the old web key seals on until then, and
    afterwards only the new ones do; --finalize may be given twice."""
    shell.seal(2)
    ran = shell("root", "rotate")
    assert ran.code == 0
    assert "next          cardvault root rotate --finalize" in ran.out
    assert shell("root", "rotate").code == 0
    shell.seal()
    new = {
        "VAULT_WEB_KEY": "instance/web.key.new",
        "VAULT_ROOT_KEY": "instance/root.key.new",
    }
    assert shell("verify").code == 0
    assert "is prepared and not finalized" in shell("status").out
    assert shell("root", "rotate", "--finalize").code == 0
    assert shell("root", "rotate", "--finalize").code == 0
    assert shell("verify", **new).code == 0
    old = shell("status")
    assert (old.code, "restart the site" in old.err) == (2, True)
    assert shell("verify", VAULT_WEB_KEY="instance/web.key.new").code == 5


def test_a_sealed_root_changes_under_its_passphrase(empty: Shell) -> None:
    """The new root file is sealed too."""
    secret = empty.folder / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    given = {"VAULT_ROOT_PASSPHRASE_FILE": str(secret)}
    empty("init", **given)
    assert empty("root", "rotate", **given).code == 0
    assert '"sealed"' in (empty.folder / "instance/root.key.new").read_text()
    assert empty("root", "rotate", "--finalize", **given).code == 0


def test_a_root_by_shares_changes_to_new_shares(empty: Shell) -> None:
    """The new shares are printed once, and --finalize wants enough of them back."""
    shares = empty("init", "--shares", "2", "--threshold", "2").out.splitlines()[:2]
    empty.root = ""
    old = "\n".join(shares) + "\n\n"
    ran = empty("root", "rotate", given=old)
    assert ran.code == 0
    fresh = ran.out.splitlines()[:3]
    assert empty("root", "rotate", "--finalize", given=old + old).code == 5
    assert (
        empty("root", "rotate", "--finalize", given=old + fresh[0] + "\n\n").code == 5
    )
    given = old + "\n".join(fresh[:2]) + "\n\n"
    assert empty("root", "rotate", "--finalize", given=given).code == 0
    new = "\n".join(fresh[1:]) + "\n\n"
    assert empty("verify", given=new, VAULT_WEB_KEY="instance/web.key.new").code == 0


def test_a_root_split_into_shares_stays_as_it_is(shell: Shell) -> None:
    """split prints shares that check-shares takes; another vault's it doesn't."""
    ran = shell("root", "split", "--shares", "3", "--threshold", "2")
    shares = ran.out.splitlines()
    given = "\n".join(shares)
    assert "3 shares open root" in shell("root", "check-shares", given=given).out
    foreign = "\n".join([foreign_share()])
    assert shell("root", "check-shares", given=foreign).code == 5
    assert shell("root", "check-shares").code == 2
    assert shell("root", "split", "--shares", "1", "--threshold", "1").code == 2
    assert shell("verify").code == 0


def test_the_passphrase_can_be_changed(shell: Shell) -> None:
    """The file is replaced whole; a short one is refused and changes nothing."""
    before = (shell.folder / shell.root).read_text()
    assert shell("root", "passphrase", given="short\n").code == 2
    assert (shell.folder / shell.root).read_text() == before
    assert shell("root", "passphrase", given=PASSPHRASE + "\n").code == 0
    assert shell("verify").code == 5
    secret = shell.folder / "passphrase"
    secret.write_text(PASSPHRASE)
    secret.chmod(0o600)
    assert shell("verify", VAULT_ROOT_PASSPHRASE_FILE=str(secret)).code == 0
    assert shell("root", "passphrase", VAULT_ROOT_KEY="").code == 2


def test_the_web_key_can_be_changed(shell: Shell) -> None:
    """Every row is signed anew; the old file is refused, running it again says
    it is done."""
    shell.seal(3)
    shell("rotate")
    assert shell("web-key", "rotate").code == 0
    new = {"VAULT_WEB_KEY": "instance/web.key.new"}
    assert shell("verify", **new).code == 0
    assert shell("audit", "verify", **new).code == 0
    ran = shell("verify")
    assert (ran.code, "mv instance/web.key.new instance/web.key" in ran.err) == (
        2,
        True,
    )
    assert "already" in shell("web-key", "rotate").out


def test_a_new_web_key_hides_no_edit(shell: Shell) -> None:
    """An edited row stops it before anything is signed anew."""
    token = shell.seal()[0]
    shell.edit("UPDATE card SET expiry = 204012")
    ran = shell("web-key", "rotate")
    assert (ran.code, token in ran.err) == (1, True)
    other = shell.folder / "instance" / "web.key.new"
    other.unlink()
    shell(
        "init",
        "--no-passphrase",
        VAULT_WEB_KEY=str(other),
        VAULT_ROOT_KEY="r",
        VAULT_DATABASE_URL="sqlite:///o.db",
    )
    ran = shell("web-key", "rotate")
    assert (ran.code, "not made by this vault's root" in ran.err) == (5, True)


def test_shares_may_begin_with_a_bom(shell: Shell) -> None:
    """A file of shares as a Windows editor saves it opens the vault."""
    shares = split(shell.open_vault().root_key, 3, 2)[:2]
    given = "\ufeff" + "\r\n".join(shares) + "\r\n\r\n"
    assert shell("verify", given=given, VAULT_ROOT_KEY="").code == 0


def test_a_key_file_may_begin_with_a_bom(shell: Shell) -> None:
    """The root key file and the web key file."""
    for name in ("root.key", "web.key"):
        path = shell.folder / "instance" / name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert shell("verify").code == 0


def test_shares_become_a_sealed_root_key_file(shell: Shell) -> None:
    """Whoever lost the passphrase has a file again; nothing is written over."""
    shares = split(shell.open_vault().root_key, 3, 2)
    given, out = "\n".join(shares[:2]) + "\n\n", "instance/joined.key"
    Path("word").write_text(PASSPHRASE)
    Path("word").chmod(0o600)
    word = {"VAULT_ROOT_PASSPHRASE_FILE": "word", "VAULT_ROOT_KEY": ""}
    ran = shell("root", "join", "--out", out, given=given, **word)
    assert (ran.code, out in ran.out) == (0, True)
    assert Path(out).stat().st_mode & 0o777 == 0o600
    assert '"seed"' not in Path(out).read_text()
    opened = shell("verify", **{**word, "VAULT_ROOT_KEY": out})
    assert opened.code == 0
    trail = shell.trail()
    uses = [detail["command"] for event, _, detail in trail if event == "root.used"]
    assert uses == ["root join", "verify"]
    before = Path(out).read_bytes()
    again = shell("root", "join", "--out", out, given=given, **word)
    assert (again.code, "in the way" in again.err) == (2, True)
    assert Path(out).read_bytes() == before


def test_join_refuses_too_few_foreign_and_unsealed(shell: Shell) -> None:
    """Nothing is written then; without a passphrase no share is asked for."""
    shares = split(shell.open_vault().root_key, 3, 2)
    Path("word").write_text(PASSPHRASE)
    Path("word").chmod(0o600)
    word = {"VAULT_ROOT_PASSPHRASE_FILE": "word", "VAULT_ROOT_KEY": ""}
    words = ("root", "join", "--out", "new.key")
    for given in (shares[0], foreign_share(), f"{shares[0]}\n{foreign_share()}"):
        assert shell(*words, given=given + "\n\n", **word).code == 5
    ran = shell(*words, given="\n".join(shares), VAULT_ROOT_KEY="")
    assert (ran.code, "VAULT_ROOT_PASSPHRASE_FILE" in ran.err) == (2, True)
    Path("word").write_text("short")
    assert shell(*words, given="\n".join(shares), **word).code == 2
    assert not Path("new.key").exists()


def test_a_forgotten_passphrase_leads_to_the_shares(shell: Shell) -> None:
    """The hint says that VAULT_ROOT_KEY may be left out."""
    shell("root", "passphrase", given=PASSPHRASE + "\n")
    ran = shell("verify")
    assert (ran.code, "unset VAULT_ROOT_KEY" in ran.err) == (5, True)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_each_share_is_alone_on_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One custodian after the other; on a pipe they are lines."""
    shown = _Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stdin", _Terminal("\n" * 4))
    show_shares(["one", "two"], 2)
    assert shown.getvalue() == f"one\n{CLEAR}two\n{CLEAR}"
    piped = io.StringIO()
    monkeypatch.setattr(sys, "stdout", piped)
    show_shares(["one", "two"], 2)
    assert piped.getvalue() == "one\ntwo\n"
