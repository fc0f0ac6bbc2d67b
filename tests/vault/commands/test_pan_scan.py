"""cardvault pan-scan."""

from __future__ import annotations

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
