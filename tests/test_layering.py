"""The promises about which code may know what."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kill_points import points_in
from tests.mutation import areas, held
from vault.kill_points import kill_point

ROOT = Path(__file__).resolve().parent.parent
CHANGING = re.compile(r"\b(delete|update|drop)$")
CHANGES = re.compile(r"(?i)\b(?:delete from|update|drop table|truncate) +\W?audit_\w+")
TESTS = [*ROOT.glob("tests/**/*.py")]
SOURCES = [*ROOT.glob("app/**/*.py"), *ROOT.glob("vault/**/*.py"), ROOT / "config.py"]


def imports_of(path: Path) -> set[str]:
    """The top-level names a file imports, at any depth of the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


def test_the_import_contracts_hold() -> None:
    """Every contract in setup.cfg is kept."""
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--config", "setup.cfg", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_cipher_library_is_imported_in_one_file() -> None:
    """vault/crypto.py and nothing else."""
    found = [path for path in SOURCES if "cryptography" in imports_of(path)]
    assert found == [ROOT / "vault" / "crypto.py"]


LOADED = """
import importlib, pkgutil, sys, app, vault

for found in pkgutil.walk_packages(app.__path__, "app."):
    if ".migrations" not in found.name:
        importlib.import_module(found.name)
opening = ("vault.ops", "vault.commands")
sys.exit(", ".join(n for n in sys.modules if n.startswith(opening)) or 0)
"""


def test_a_web_process_has_loaded_nothing_that_opens() -> None:
    """A fresh interpreter that has everything of the site's imported."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("vault", {"app", "config", "wsgi", "flask", "werkzeug"}),
        ("config.py", {"app", "wsgi", "flask"}),
        ("app", {"wsgi"}),
    ],
)
def test_imports_go_one_way(folder: str, forbidden: set[str]) -> None:
    """wsgi, app, config, vault: nothing looks back up."""
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] == folder:
            assert not imports_of(path) & forbidden, path


def test_a_numbers_digits_leave_their_type_in_two_places_at_most() -> None:
    """expose_digits is greppable, and hardly ever called (PAN-02)."""
    calls = [
        f"{path.name}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if ".expose_digits(" in line
    ]
    assert 1 <= len(calls) <= 2, calls


def test_no_template_trusts_text() -> None:
    """No page marks anything as safe, and none holds a script or a style."""
    for path in ROOT.glob("templates/**/*.html"):
        page = path.read_text(encoding="utf-8")
        assert "|safe" not in page.replace(" ", ""), path
        assert "<style" not in page, path
        assert "style=" not in page, path
        assert "<script>" not in page, path


def test_nothing_removes_or_rewrites_an_entry_of_the_trail() -> None:
    """No DELETE, UPDATE or DROP of it is in the code, as an expression or as text;
    the head is moved in one place (AUD-04)."""
    calls, texts = [], []
    for path in SOURCES:
        if path.parent.name == "versions":
            continue  # going down a revision drops every table
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and CHANGING.search(ast.unparse(node.func)):
                if "AUDIT_" in (given := ast.unparse(node)):
                    calls.append(given)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts += CHANGES.findall(node.value)
    assert calls == ["update(AUDIT_HEAD)"]
    assert texts == []


def test_every_named_instant_is_one_a_test_kills_at() -> None:
    """Each file with a kill point is one whose points a test asks for; points that
    are added to it are killed at without being listed (REL-02)."""
    asked: set[Path] = set()
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "points_in":
                patterns = [ast.literal_eval(word) for word in node.args]
                asked |= {file for word in patterns for file in ROOT.glob(word)}
    assert len(points_in("app/**/*.py", "vault/**/*.py")) > 20
    call = re.compile(rf"(?<!def )\b{kill_point.__name__}\(")
    files = {file for file in SOURCES if call.search(file.read_text(encoding="utf-8"))}
    assert files - asked == set()


def modules_of(path: Path) -> set[str]:
    """The full names of the modules a file imports, and of what it takes out of
    them."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *filter(None, [node.module])])
            names |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return names


def test_no_test_module_is_imported() -> None:
    """What two of them need is in actors/, in places/ or in a module beside them."""
    for path in TESTS:
        for name in modules_of(path):
            parts = name.split(".")
            is_test = any(re.match(r"test_|conftest$", part) for part in parts[1:])
            assert parts[0] != "tests" or not is_test, f"{path}: {name}"


def test_a_measurement_shares_operators_and_places_with_the_tests_alone() -> None:
    """Both drive the site by its pages, so one of each is kept; cases stay apart."""
    for path in ROOT.glob("bench/**/*.py"):
        for name in modules_of(path):
            shared = name.startswith(("tests.actors", "tests.places"))
            assert shared or not name.startswith("tests"), f"{path}: {name}"


@pytest.mark.parametrize("folder", ["deploy", "app", "vault"])
def test_nothing_but_a_test_imports_the_tests(folder: str) -> None:
    """What is run for customers needs nothing that tests need."""
    for path in ROOT.glob(f"{folder}/**/*.py"):
        assert "tests" not in imports_of(path), path


def test_what_the_mutation_run_changes_is_there() -> None:
    """Each marked file of tests names files of the code; no area has lost all of its."""
    assert set(areas()) == {
        "card numbers",
        "code check",
        "sealing",
        "session",
    }
    for one in held():
        assert one.paths, one.tests
        assert [path for path in one.paths if not (ROOT / path).is_file()] == []
