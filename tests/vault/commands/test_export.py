"""cardvault export."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from vault import Token
from vault.commands.progress import Stop

from .shell import Ran, Shell

Export = Callable[..., Ran]


@pytest.fixture
def identity() -> pyrage.x25519.Identity:
    """Somebody who may open exports."""
    return pyrage.x25519.Identity.generate()


@pytest.fixture
def export(shell: Shell, identity: pyrage.x25519.Identity) -> Export:
    """Type cardvault export to ``identity`` into cards.age."""
    recipient = str(identity.to_public())

    def run(
        *words: str, to: str = recipient, why: str = "billing", out: str = "cards.age"
    ) -> Ran:
        options = ("--recipient", to, "--reason", why, "--out", out)
        return shell("export", *options, *words)

    return run


def test_it_says_where_the_file_is_and_what_to_do_with_it(
    shell: Shell, export: Export, identity: pyrage.x25519.Identity
) -> None:
    """Three things for a person, one object for a machine; the numbers are inside."""
    (token,) = shell.seal()
    ran = export()
    size = Path("cards.age").stat().st_size
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        f"exported  cards.age   1 card, {size} bytes\n"
        "next      give the file to its recipient; destroy it after the run\n"
    )
    plain = pyrage.decrypt(Path("cards.age").read_bytes(), [identity])
    assert f"{token},4810000000020000,01,2030".encode() in plain
    told = json.loads(export("--json", out="again.age").out)
    assert (told["file"], told["cards"], told["left_out"]) == ("again.age", 1, 0)
    assert '"reason": "billing"' in shell("audit", "list").out
    assert shell("verify").code == 0


def test_a_card_left_out_is_exit_4(shell: Shell, export: Export) -> None:
    """It is named on stderr, and the next step too."""
    good, bad = shell.seal(2)
    shell.edit(f"UPDATE card SET mac = x'00' WHERE token = '{bad}'")
    ran = export()
    assert ran.code == 4
    assert ran.out.startswith("exported  cards.age   1 card")
    assert ran.err == (
        f"{bad}  is not as it was written (MAC), left out\n"
        "cardvault: warning: 1 card could not be opened and is not in the file\n"
        "cardvault: hint: look closer with: cardvault verify\n"
    )
    assert good not in ran.err


def test_tokens_choose_the_cards(shell: Shell, export: Export) -> None:
    """And a bad line is exit 2, before anything is written."""
    first, _ = shell.seal(2)
    Path("tokens.txt").write_text(f"{first}\n")
    assert "1 card," in export("--tokens", "tokens.txt").out
    Path("tokens.txt").write_text(f"{first}\n4810000000020000\n")
    ran = export("--tokens", "tokens.txt", out="again.age")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "cardvault: error: tokens.txt: line 2: is not a token\n"
        "cardvault: hint: nothing was written; mend the file and run the same command "
        "again\n"
    )
    assert not Path("again.age").exists()


def test_a_billing_run_is_one_command(
    shell: Shell, export: Export, identity: pyrage.x25519.Identity
) -> None:
    """Amounts beside numbers, as records of an acquirer's; the result counts rows."""
    first, second = shell.seal(2)
    amounts = f"\ufefftoken,no,amount\r\n{second},A1,980\r\n{first},A2,50\r\n"
    Path("amounts.csv").write_text(amounts, encoding="utf-8", newline="")
    ran = export("--with", "amounts.csv")
    assert (ran.code, ran.out.split(",")[0]) == (0, "exported  cards.age   2 rows")
    plain = pyrage.decrypt(Path("cards.age").read_bytes(), [identity])
    assert plain.decode() == (
        "token,card_number,exp_month,exp_year,no,amount\r\n"
        f"{second},4810000000020000,01,2030,A1,980\r\n"
        f"{first},4810000000020000,01,2030,A2,50\r\n"
    )
    words = ("--with", "amounts.csv", "--columns", "card_number,exp_yymm,amount,no")
    form = ("--encoding", "cp932", "--newline", "lf")
    assert export(*words, "--no-header", *form, out="b.age").code == 0
    plain = pyrage.decrypt(Path("b.age").read_bytes(), [identity])
    assert plain == b"4810000000020000,3001,980,A1\n4810000000020000,3001,50,A2\n"
    assert export(*words, "--fixed", "16,4,08,3", *form, out="c.age").code == 0
    plain = pyrage.decrypt(Path("c.age").read_bytes(), [identity])
    assert plain == (
        b"4810000000020000300100000980A1 \n4810000000020000300100000050A2 \n"
    )
    assert '"with": "amounts.csv"' in shell("audit", "list").out


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        ("exp_year", "leave such columns out, or give them other names"),
        ("card_number", "destroy the file after the run"),
    ],
)
def test_a_column_that_is_not_taken_is_told(
    shell: Shell,
    export: Export,
    identity: pyrage.x25519.Identity,
    column: str,
    hint: str,
) -> None:
    """The vault's own is written; a file with numbers in the clear has to go."""
    (token,) = shell.seal()
    Path("a.csv").write_text(f"token,{column},n\n{token},1999,7\n")
    ran = export("--with", "a.csv", "--no-header")
    assert ran.code == 0
    assert f"a.csv: {column} not read; the vault's own are written" in ran.err
    assert hint in ran.err
    plain = pyrage.decrypt(Path("cards.age").read_bytes(), [identity])
    assert plain == f"{token},4810000000020000,01,2030,7\r\n".encode()


def test_the_columns_of_an_export_without_a_file(
    shell: Shell, export: Export, identity: pyrage.x25519.Identity
) -> None:
    """The vault's own, in the order asked for."""
    shell.seal()
    assert export("--columns", "exp_mm_yy,card_number", "--no-header").code == 0
    plain = pyrage.decrypt(Path("cards.age").read_bytes(), [identity])
    assert plain == b"01/30,4810000000020000\r\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--with", "a.csv", "--columns", "price"), "--columns: there is no 'price'"),
        (("--columns", "amount"), "--columns: there is no 'amount'"),
        (("--with", "a.csv", "--fixed", "16"), "there are 1 widths for 5 columns"),
        (("--with", "b.csv"), "b.csv: line 2: no card has this token"),
        (("--with", "none.csv"), "none.csv' does not exist"),
        (("--with", "a.csv", "--tokens", "a.csv"), "give --tokens or --with"),
        (("--encoding", "utf-16"), "'utf-16' is not one of"),
    ],
)
def test_a_wish_that_can_not_be_is_exit_2_and_writes_nothing(
    shell: Shell, export: Export, words: tuple[str, ...], said: str
) -> None:
    """Before a card is opened; with the option or the line."""
    (token,) = shell.seal()
    Path("a.csv").write_text(f"token,amount\n{token},1\n")
    Path("b.csv").write_text(f"token,amount\n{Token.new()},1\n")
    ran = export(*words)
    assert (ran.code, ran.out, said in ran.err) == (2, "", True)
    assert list(Path().glob("cards.age*")) == []
    assert not [event for event, _, _ in shell.trail() if event.startswith("cards.")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"why": "  "}, "give a reason"),
        ({"to": "age1x"}, "recipient 1 (age1x): is not an age recipient"),
        ({"out": "-"}, "never go to a terminal or a pipe"),
        ({"out": "instance/root.key"}, "root.key is in the way"),
        ({"out": "nowhere/cards.age"}, "no such file or directory"),
        ({"out": "instance"}, "instance is in the way"),
    ],
)
def test_what_is_refused_is_exit_2_and_writes_nothing(
    shell: Shell, export: Export, words: dict[str, str], said: str
) -> None:
    """No reason, no such recipient, no file, one in the way."""
    shell.seal()
    before = shell.files()
    ran = export(**words)
    assert (ran.code, ran.out, said in ran.err) == (2, "", True)
    assert shell.files() == before


@pytest.mark.parametrize("option", ["--recipient", "--reason", "--out"])
def test_every_option_is_needed(shell: Shell, option: str) -> None:
    """Exit 2 names the one that is missing."""
    given = {"--recipient": "age1x", "--reason": "x", "--out": "cards.age"}
    del given[option]
    ran = shell("export", *(word for pair in given.items() for word in pair))
    assert (ran.code, option in ran.err) == (2, True)


def test_a_terminal_is_refused(export: Export) -> None:
    """/dev/tty or what stands behind another name."""
    controller, terminal = os.openpty()
    ran = export(out=os.ttyname(terminal))
    assert (ran.code, "never go to a terminal" in ran.err) == (2, True)
    os.set_blocking(controller, False)
    with pytest.raises(BlockingIOError):
        os.read(controller, 1)
    os.close(controller)
    os.close(terminal)


def test_a_wrong_root_key_writes_nothing(
    shell: Shell, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 5 and no file."""
    shell.seal()
    other = tmp_path / "elsewhere"
    other.mkdir()
    with monkeypatch.context() as here:
        here.chdir(other)
        assert shell("init", "--no-passphrase").code == 0
    shell.root = str(other / "instance/root.key")
    assert export().code == 5
    assert not Path("cards.age").exists()


def test_a_stop_asked_for_is_exit_3_and_leaves_no_file(
    shell: Shell, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C or SIGTERM; the same command makes it anew."""
    shell.seal()
    entered = Stop.__enter__

    def at_once(self: Stop) -> Stop:
        entered(self)
        self._note(2, None)
        return self

    with monkeypatch.context() as here:
        here.setattr(Stop, "__enter__", at_once)
        ran = export()
    assert ran.code == 3
    assert "run the same command again" in ran.err
    assert list(Path().glob("cards.age*")) == []
    assert export().code == 0


def test_the_file_is_its_owners_alone(shell: Shell, export: Export) -> None:
    """Whatever the umask."""
    shell.seal()
    export()
    assert stat.S_IMODE(Path("cards.age").stat().st_mode) == 0o600
