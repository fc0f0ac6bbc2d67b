"""cardvault pan-scan."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.places.site import BIN

from .shell import Shell


def test_it_says_where_and_shows_no_number(empty: Shell) -> None:
    """Exit 1 with file, offset and mask."""
    (empty.folder / "log").write_text("card 5555555555554444\n")
    ran = empty("pan-scan", "log")
    assert (ran.code, ran.out) == (1, "log\tbyte 5\t55**-****-****-4444\n")
    assert ran.err.startswith("1 number found\n")


def test_a_clean_place_is_exit_0(shell: Shell) -> None:
    """A vault with a card in it holds no number."""
    shell.seal()
    ran = shell("pan-scan", "instance")
    assert (ran.code, ran.out, ran.err) == (0, "", "0 numbers found\n")


def test_a_path_that_is_not_there_is_a_usage_error(empty: Shell) -> None:
    """Exit 2 names it."""
    ran = empty("pan-scan", "nowhere")
    assert ran.code == 2
    assert "nowhere" in ran.err


def test_what_can_not_be_read_is_named_and_counted(empty: Shell) -> None:
    """Exit 2, never 0; with a find elsewhere exit 1, and the count says that the
    rest was not read."""
    (empty.folder / "clean").write_text("nothing\n")
    (empty.folder / "log").write_text("card 5555555555554444\n")
    ran = empty("pan-scan", "/proc/self/mem", "clean")
    assert (ran.code, ran.out) == (2, "")
    assert "cardvault: error: /proc/self/mem: input/output error\n" in ran.err
    assert "0 numbers found, 1 place not looked into\n" in ran.err
    ran = empty("pan-scan", "/proc/self/mem", "log")
    assert (ran.code, ran.out) == (1, "log\tbyte 5\t55**-****-****-4444\n")
    assert "1 number found, 1 place not looked into\n" in ran.err


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    """As in ``cardvault pan-scan . | head -1``: nothing is said of a file."""
    line = "card 5555555555554444 of 4810000000020000\n"
    (tmp_path / "log").write_text(line * 9000)
    scan = subprocess.Popen(
        [BIN / "cardvault", "pan-scan", "log"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert scan.stdout is not None
    assert scan.stderr is not None
    assert scan.stdout.readline().startswith("log\t")
    scan.stdout.close()
    said = scan.stderr.read()
    scan.stderr.close()
    assert (scan.wait(120), said) == (1, "")


def test_a_files_name_ends_nothing_and_shows_no_number(tmp_path: Path) -> None:
    """Bytes of no alphabet, line breaks and a number in the name."""
    number = "5555555555554444"
    for name in (b"a\xff", b"b\nc", number.encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text(number)
    ran = subprocess.run(
        [BIN / "cardvault", "pan-scan", "."],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, number.encode() in ran.stdout + ran.stderr) == (1, False)
    lines = ran.stdout.decode().splitlines()
    assert [line.split("\t")[1] for line in lines] == ["its name", *["byte 0"] * 3]
    assert lines[2].startswith("a\\xff\t")
    assert ran.stderr.startswith(b"4 numbers found\n")
