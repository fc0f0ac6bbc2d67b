"""flask cards import: a file of customers, checked as the form checks."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import Engine, delete, event, inspect, select, update
from sqlalchemy.orm import Session

from app.cards import texts
from app.cards.importing import batches
from app.cards.importing.command import progress
from app.cards.importing.file import Sheet
from app.cards.importing.heading import SheetError
from app.cards.models import Customer, ImportJob
from app.cards.search import index
from app.db import work
from tests.actors.operator_client import A_CARD, Desk
from tests.places.vault import VaultPlace
from vault.card.token import ALL
from vault.store.schema import CARD, DATA_KEY

HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"
VISA = "48**-****-****-0000"
GOOD = "山田 太郎,090-0000-0000,4810000000020000,1,2030\n"
OTHER = "鈴木 花子,03-1234-5678,5555-5555-5555-4444,12,30\n"


def run(app: Flask, *args: str) -> Result:
    """Run ``flask cards`` with ``args``."""
    return app.test_cli_runner().invoke(args=["cards", *args])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the file to be imported lies."""
    return tmp_path / "customers.csv"


def customers(app: Flask) -> list[Customer]:
    """Every customer in the order of registration."""
    with Session(app.extensions["site_engine"]) as site:
        return list(site.scalars(select(Customer).order_by(Customer.id)))


def read(path: Path) -> list[dict[str, str]]:
    """A results file's rows."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_good_rows_go_in_and_bad_ones_are_named(
    app: Flask, file: Path, tmp_path: Path, place: VaultPlace
) -> None:
    """A results line a row, in the file's order; the rest is told and left out."""
    file.write_text(HEADING + GOOD + ",x,1234,13,\n" + OTHER)
    ran = run(app, "import", str(file), "--results", str(tmp_path / "results.csv"))
    assert ran.exit_code == 1
    assert f"line 3: customer_name: {texts.NAME_EMPTY}" in ran.stdout
    assert ran.stdout.endswith(
        "3 rows: 2 imported, 0 imported that look like a stored card, 1 refused\n"
        "next       put the refused rows, mended, into a file of their own\n"
        f"next       destroy {file}: it holds card numbers (shred -u)\n"
    )
    stored = customers(app)
    assert [c.masked for c in stored] == ["48**-****-****-0000", "55**-****-****-4444"]
    rows = read(tmp_path / "results.csv")
    assert [row["line"] for row in rows] == ["2", "3", "4"]
    assert [row["token"] for row in rows] == [stored[0].token, "", stored[1].token]
    assert place.findings() == {}


def test_a_batch_costs_one_key_and_one_entry(
    app: Flask, file: Path, place: VaultPlace
) -> None:
    """Not a data key and an entry a row."""
    file.write_text(HEADING + 40 * GOOD)
    assert run(app, "import", str(file)).exit_code == 0
    with place.engine.connect() as db:
        assert [key.seals for key in db.execute(select(DATA_KEY))] == [40]


def test_run_again_nothing_is_imported_twice(
    app: Flask, file: Path, tmp_path: Path
) -> None:
    """The same file is known again under any name, and gives the same tokens."""
    file.write_text(HEADING + GOOD + GOOD)
    first, again = tmp_path / "first.csv", tmp_path / "again.csv"
    assert run(app, "import", str(file), "--results", str(first)).exit_code == 0
    renamed = file.rename(tmp_path / "renamed.csv")
    assert run(app, "import", str(renamed), "--results", str(again)).exit_code == 0
    assert len(customers(app)) == 2
    assert first.read_bytes() == again.read_bytes()


def test_a_job_that_was_cut_off_goes_on(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in stays in; the rest follows in the same order."""
    monkeypatch.setattr(batches, "BATCH", 2)
    file.write_text(HEADING + GOOD + OTHER + GOOD + OTHER + GOOD)
    real, calls = batches.take_in, iter([True, False])

    def cut(*args: object) -> object:
        if next(calls, False):
            return real(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(batches, "take_in", cut)
    stopped = run(app, "import", str(file))
    assert (stopped.exit_code, len(customers(app))) == (3, 2)
    assert "run the same command again" in stopped.stderr
    monkeypatch.setattr(batches, "take_in", real)
    assert run(app, "import", str(file)).exit_code == 0
    assert [c.brand for c in customers(app)] == ["visa", "mastercard"] * 2 + ["visa"]


@pytest.mark.parametrize("size", [1, 3, 4, 9])
def test_a_job_goes_on_in_batches_of_another_size(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """As after an upgrade in between: no row is left out and none goes in twice."""
    numbers = [f"090-0000-000{place}" for place in range(7)]
    rows = [GOOD.replace("090-0000-0000", number) for number in numbers]
    file.write_text(HEADING + "".join(rows))
    real, calls = batches.take_in, iter([True, False])

    def cut(*args: object) -> object:
        if next(calls, False):
            return real(*args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(batches, "BATCH", 2)
    with monkeypatch.context() as patched:
        patched.setattr(batches, "take_in", cut)
        assert run(app, "import", str(file)).exit_code == 3
    monkeypatch.setattr(batches, "BATCH", size)
    assert run(app, "import", str(file)).exit_code == 0
    assert [customer.phone for customer in customers(app)] == numbers
    tokens = [customer.token for customer in customers(app)]
    assert tokens == sorted(tokens)


def test_a_batch_is_one_statement_a_table(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of however many rows; a row that is refused has a result alone."""
    monkeypatch.setattr(batches, "BATCH", 4)
    file.write_text(HEADING + 3 * GOOD + "x,x,x,x,x\n" + 3 * GOOD)
    written: list[str] = []

    def note(_db: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            written.append(statement.split("INTO ")[1].split(maxsplit=1)[0])

    vault = app.extensions["vault"]
    for engine in (app.extensions["site_engine"], vault.engine):
        event.listen(engine, "before_cursor_execute", note)
    assert run(app, "import", str(file)).exit_code == 1
    assert len(customers(app)) == 6
    for table in ("card", "customer", "customer_words", "import_row"):
        assert written.count(table) == 2, table


def test_each_batch_gets_the_next_tokens_and_public_ids(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new entries of a batch stand together in each index, so that a batch
    changes few of an index's pages."""
    monkeypatch.setattr(batches, "BATCH", 3)
    file.write_text(HEADING + 20 * GOOD)
    assert run(app, "import", str(file)).exit_code == 0
    taken = [(customer.token, customer.public_id) for customer in customers(app)]
    for place in range(2):
        named = [names[place] for names in taken]
        assert named == sorted(named)


def test_a_batch_is_prepared_before_anything_is_locked(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody who registers a card waits while rows are checked, folded or compared
    with what is stored."""
    file.write_text(HEADING + GOOD)
    real, locked = batches.prepare, []

    def watched(*args: Any) -> batches.Prepared:
        locked.append(work().writes)
        return real(*args)

    monkeypatch.setattr(batches, "prepare", watched)
    assert run(app, "import", str(file)).exit_code == 0
    assert locked == [False]


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_how_far_it_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that goes on begins where the last one ended; elsewhere nothing is shown."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress("import", 10, 4) as advance:
        advance(3)
        advance(3)
    shown = terminal.getvalue()
    assert shown.index("4/10") < shown.index("10/10")
    assert "import" in shown
    assert re.search("[0-9]/s", shown)
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with progress("import", 10, 4) as advance:
        advance(6)
    assert not file.getvalue()


def test_starting_loads_nothing_that_only_a_migration_needs() -> None:
    """Alembic takes an eighth of the time in which each command starts."""
    code = "import sys, app.cards.commands, app.cli; sys.exit('alembic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_two_processes_take_no_row_twice(app: Flask, file: Path) -> None:
    """A batch that another process has taken in is refused whole."""
    file.write_text(HEADING + GOOD)
    assert run(app, "import", str(file)).exit_code == 0
    with Session(app.extensions["site_engine"]) as site:
        vault, none = app.extensions["vault"], batches.Prepared([], [], ALL)
        with vault.engine.connect() as db, pytest.raises(batches.Overtaken):
            batches.take_in(site, vault, db, 1, 0, none, app.extensions)  # type: ignore[arg-type]
        with pytest.raises(batches.Overtaken):
            batches.begin(site, Sheet(file), 0, app.extensions, 0)  # type: ignore[arg-type]


def test_likenesses_in_a_later_file_are_told_and_imported(
    app: Flask, file: Path, tmp_path: Path
) -> None:
    """Look-alikes within one file say nothing; a stored one's does."""
    file.write_text(HEADING + GOOD + GOOD)
    out = tmp_path / "results.csv"
    run(app, "import", str(file), "--results", str(out))
    assert [row["status"] for row in read(out)] == ["imported", "imported"]
    file.write_text(HEADING + OTHER + GOOD)
    out.unlink()
    run(app, "import", str(file), "--results", str(out))
    assert [row["status"] for row in read(out)] == ["imported", "possible_duplicate"]
    assert len(customers(app)) == 4


def test_a_dry_run_leaves_every_byte(app: Flask, file: Path, tmp_path: Path) -> None:
    """Every row is checked, the results are written, and nothing else is."""
    file.write_text(HEADING + GOOD + "x,x,x,x,x\n")
    folder = Path(app.extensions["site_engine"].url.database).parent

    def held() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in folder.iterdir() if "db" in p.suffix}

    before = {name: data for name, data in held().items() if "shm" not in name}
    out = tmp_path / "results.csv"
    ran = run(app, "import", str(file), "--dry-run", "--results", str(out))
    assert (ran.exit_code, customers(app)) == (1, [])
    assert [row["status"] for row in read(out)] == ["would_import", "refused"]
    assert {n: d for n, d in held().items() if n in before and d} == {
        n: d for n, d in before.items() if d
    }


def test_a_results_file_of_something_else_is_kept(
    app: Flask, file: Path, tmp_path: Path
) -> None:
    """Exit 2 before anything is imported; the input is never overwritten."""
    file.write_text(HEADING + GOOD)
    other = tmp_path / "other.csv"
    other.write_text("a letter")
    for path in (other, file):
        ran = run(app, "import", str(file), "--results", str(path))
        assert (ran.exit_code, customers(app)) == (2, [])
        assert "holds something else" in ran.stderr
    assert other.read_text() == "a letter"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (HEADING.encode(), "has a heading and no row"),
        (b"customer_name,phone\n", "the column card_number is missing"),
        (HEADING.encode().replace(b"phone", b"exp_year"), "phone is missing"),
        (b"phone," + HEADING.encode() + b"x", "phone is there twice"),
        (b"note," + HEADING.encode() + b"x", "columns besides"),
        ((HEADING + GOOD).encode("utf-16"), "neither UTF-8 nor CP932"),
        (HEADING.encode() + b"\x81\xff\n", "neither UTF-8 nor CP932"),
        ((HEADING + '"open,090\n' + GOOD).encode(), "line 3 is not CSV"),
        ((HEADING + '"a"b,c\n').encode(), "line 2 is not CSV"),
        ((HEADING + "x" * 10_000_000 + "\n").encode(), "a field is over 131,072"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_read_says_why(
    app: Flask, file: Path, content: bytes, said: str
) -> None:
    """One clear line, exit 2, nothing imported and nothing of the file shown."""
    file.write_bytes(content)
    for flags in ((), ("--dry-run",)):
        ran = run(app, "import", str(file), *flags)
        assert (ran.exit_code, customers(app)) == (2, [])
        assert said in ran.stderr
        assert ran.stderr.startswith("error: ")
        assert "hint: " in ran.stderr
        assert len(ran.output) < 500


def test_a_folder_or_a_missing_file_is_named(app: Flask, tmp_path: Path) -> None:
    """What can't be opened is said with the system's reason."""
    for path in (tmp_path, tmp_path / "none.csv"):
        assert f"{path} can't be read: " in run(app, "import", str(path)).stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_spreadsheets_encodings_are_read(app: Flask, file: Path, encoding: str) -> None:
    """UTF-8 with and without its mark, and CP932 as Excel saves it in Japan."""
    file.write_bytes(
        (HEADING + "髙橋 ①,０９０ー００００ー００００," + GOOD[20:]).encode(encoding)
    )
    ran = run(app, "import", str(file))
    assert ran.exit_code == 0, ran.output
    assert [(c.name, c.phone) for c in customers(app)] == [("髙橋 ①", "090-0000-0000")]


BAD = [
    ("", "090-0000-0000", "4810000000020000", "1", "2030", "customer_name"),
    ("あ" * 101, "090-0000-0000", "4810000000020000", "1", "2030", "customer_name"),
    ("a\x00b", "090-0000-0000", "4810000000020000", "1", "2030", "customer_name"),
    ('"a\nb"', "090-0000-0000", "4810000000020000", "1", "2030", "customer_name"),
    ("a\ufff9b", "090-0000-0000", "4810000000020000", "1", "2030", "customer_name"),
    (
        "4810000000020000",
        "090-0000-0000",
        "4810000000020000",
        "1",
        "2030",
        "customer_name",
    ),
    (
        "４８１０００００００２０００００",
        "0312345678",
        "4810000000020000",
        "1",
        "2030",
        "customer_name",
    ),
    ("山田 123", "090-0000-0000", "4810000000020000", "1", "2030", "customer_name"),
    ("山田 1234", "090-0000-0000", "4810000000020000", "1", "2030", "customer_name"),
    ("A", "", "4810000000020000", "1", "2030", "phone"),
    ("A", "9000000000", "4810000000020000", "1", "2030", "phone"),
    ("A", "090-0000-00", "4810000000020000", "1", "2030", "phone"),
    ("A", "090-0000-000000", "4810000000020000", "1", "2030", "phone"),
    ("A", "090--0000-0000", "4810000000020000", "1", "2030", "phone"),
    ("A", "電話", "4810000000020000", "1", "2030", "phone"),
    ("A", "4810000000020000", "4810000000020000", "1", "2030", "phone"),
    ("A", "+82-90-0000-0000", "4810000000020000", "1", "2030", "phone"),
    ("A", "0312345678", "", "1", "2030", "card_number"),
    ("A", "0312345678", "-", "1", "2030", "card_number"),
    ("A", "0312345678", "4810x00000020000", "1", "2030", "card_number"),
    ("A", "0312345678", "①810000000020000", "1", "2030", "card_number"),
    ("A", "0312345678", "4.81E+15", "1", "2030", "card_number"),
    ("A", "0312345678", "4810000000020001", "1", "2030", "card_number"),
    ("A", "0312345678", "481000000002", "1", "2030", "card_number"),
    ("A", "0312345678", "48100000000200001", "1", "2030", "card_number"),
    ("A", "0312345678", "9999999999999995", "1", "2030", "card_number"),
    ("A", "0312345678", "0000000000000000", "1", "2030", "card_number"),
    ("A", "0312345678", "3" * 40, "1", "2030", "card_number"),
    ("A", "0312345678", "=4810000000020000", "1", "2030", "card_number"),
    ("A", "0312345678", "4810000000020000", "", "2030", "exp_month"),
    ("A", "0312345678", "4810000000020000", "0", "2030", "exp_month"),
    ("A", "0312345678", "4810000000020000", "13", "2030", "exp_month"),
    ("A", "0312345678", "4810000000020000", "Jan", "2030", "exp_month"),
    ("A", "0312345678", "4810000000020000", "1.5", "2030", "exp_month"),
    ("A", "0312345678", "4810000000020000", "", "", "exp_month"),
    ("A", "0312345678", "4810000000020000", "1", "", "exp_month"),
    ("A", "0312345678", "4810000000020000", "1", "203", "exp_year"),
    ("A", "0312345678", "4810000000020000", "1", "2030.0", "exp_year"),
    ("A", "0312345678", "4810000000020000", "10", "2026", "exp_month"),
    ("A", "0312345678", "4810000000020000", "12", "2046", "exp_year"),
    ("A", "0312345678", "4810000000020000", "1", "9999", "exp_year"),
]


def test_forty_kinds_of_bad_row_are_named_by_line_and_column(
    app: Flask, file: Path, tmp_path: Path
) -> None:
    """Each with the form's own words; no value of a row is repeated anywhere."""
    lines = [",".join(cells) for *cells, _ in BAD]
    file.write_text(HEADING + "\n".join([*lines, "a,b,c,d,e,f", "a,b"]) + "\n")
    out = tmp_path / "results.csv"
    ran = run(app, "import", str(file), "--dry-run", "--results", str(out))
    rows = read(out)
    assert (ran.exit_code, len(rows)) == (1, len(BAD) + 2)
    for (*_, column), row in zip(BAD, rows, strict=False):
        assert row["status"] == "refused", row
        assert row["error"].startswith(f"{column}: "), row
        assert f"line {row['line']}: {column}: " in ran.stdout
    assert rows[-2]["error"] == texts.wrong_width(6)
    shown = ran.output + out.read_text()
    assert not [cells for *cells, _ in BAD if len(cells[2]) > 9 and cells[2] in shown]


def test_an_imported_customer_is_like_any_other(
    app: Flask, file: Path, desk: Desk
) -> None:
    """On the list, with its history, and open to changes."""
    file.write_text(HEADING + GOOD)
    run(app, "import", str(file))
    customer = customers(app)[0]
    page = desk.open(f"/cards/{customer.public_id}/edit").text
    assert "山田 太郎" in page
    assert texts.IMPORTED in page
    history = page.partition('id="history"')[2]
    assert "管理者（一括登録）" in history
    assert f"カード番号：{customer.masked}\n有効期限：{customer.expires}" in history


def test_reconcile_removes_what_a_crash_left(
    app: Flask, file: Path, place: VaultPlace
) -> None:
    """A card without a customer, once it is an hour old, and nothing before."""
    file.write_text(HEADING + GOOD + OTHER)
    run(app, "import", str(file))
    assert run(app, "reconcile").exit_code == 0
    with Session(app.extensions["site_engine"]) as site:
        gone = select(Customer.id).where(Customer.brand == "visa")
        index.remove(site, site.scalars(gone).one())
        site.execute(delete(Customer).where(Customer.brand == "visa"))
        site.commit()
    place.clock.advance(3599)
    for flags in ((), ("--apply",)):
        ran = run(app, "reconcile", *flags)
        young = "no customer refers to it; under an hour old, left alone"
        assert (ran.exit_code, young in ran.stdout) == (1, True)
        assert "next" not in ran.stdout
    place.clock.advance(1)
    ran = run(app, "reconcile")
    assert (ran.exit_code, "no customer refers to it" in ran.stdout) == (1, True)
    assert "under an hour" not in ran.stdout
    assert "cards reconcile --apply\n" in ran.stdout
    ran = run(app, "reconcile", "--apply")
    assert (ran.exit_code, "removed" in ran.stdout) == (1, True)
    assert run(app, "reconcile").stdout == (
        "every card has its customer, every customer a card\n"
    )
    with place.engine.connect() as db:
        assert [row.brand for row in db.execute(select(CARD))] == ["mastercard"]
    assert place.findings() == {}


def test_reconcile_names_customers_without_a_card(
    app: Flask, file: Path, place: VaultPlace
) -> None:
    """They are reported, with or without --apply, and never removed."""
    file.write_text(HEADING + GOOD)
    run(app, "import", str(file))
    with place.engine.begin() as db:
        db.execute(delete(CARD))
    for flags in ((), ("--apply",)):
        ran = run(app, "reconcile", *flags)
        customer = customers(app)[0]
        line = f"{customer.public_id}\t{customer.token}\tmissing"
        assert (ran.exit_code, line in ran.stdout) == (1, True)
        assert "next" not in ran.stdout


def test_the_list_is_for_billing_to_join(app: Flask, desk: Desk) -> None:
    """Token, name, phone and mask; no formula; the trail tells."""
    desk.register(**{**A_CARD, "customer_name": "=1+1"})
    customer = customers(app)[0]
    ran = run(app, "list", "--csv")
    who = f"{customer.token},{customer.public_id},'=1+1,090-0000-0000,{VISA}"
    heading = "token,public_id,customer_name,phone,card,exp_month,exp_year\r\n"
    assert ran.stdout_bytes.decode() == f'\ufeff{heading}{who},"=""01""",2030\r\n'
    bare = run(app, "list", "--csv", "--no-bom")
    assert bare.stdout_bytes.decode() == f"{heading}{who},01,2030\r\n"
    assert run(app, "list", "--no-bom").exit_code == 2
    assert f"{customer.token}\t" in run(app, "list").stdout


def test_a_sheet_counts_lines_as_an_editor_does(file: Path) -> None:
    """A quoted line break and a blank line move the count along."""
    file.write_text(HEADING + 'a,"b\nc",d,e,f\n\n' + GOOD)
    sheet = Sheet(file)
    assert [record.line for record in sheet.records()] == [2, 5]
    assert sheet.rows == 2


def rows_of(engine: Engine) -> list[tuple[object, ...]]:
    """Every row of every table of the site's database, but for how the search's index
    keeps its own, which depends on what was there before."""
    with engine.connect() as db:
        names = inspect(db).get_table_names()
        tables = [name for name in names if not name.startswith("customer_words_")]
        return [
            tuple(row)
            for table in tables
            for row in db.exec_driver_sql(f"SELECT * FROM {table}").all()
        ]


def test_nothing_is_kept_that_was_made_of_a_files_bytes(app: Flask, file: Path) -> None:
    """Two files that differ in the hidden digits of their numbers alone leave the same
    behind, but what was drawn by chance: so no number can be tried on it (PAN-08)."""
    engine = app.extensions["site_engine"]
    left = []
    for number in ("4810000000020000", "4877000000020000"):
        file.write_text(HEADING + f"山田 太郎,090-0000-0000,{number},1,2030\n")
        assert run(app, "import", str(file)).exit_code == 0
        drawn = {name for c in customers(app) for name in (c.token, c.public_id)}
        left.append(
            {
                tuple("drawn" if value in drawn else value for value in row)
                for row in rows_of(engine)
            }
        )
        with engine.begin() as db:
            for table in ("import_row", "import_job", "customer_words", "customer"):
                db.exec_driver_sql(f"DELETE FROM {table}")
    assert left[0] == left[1]


@pytest.fixture
def known(app: Flask, file: Path) -> Path:
    """A file of three rows that was imported, one of them refused."""
    file.write_text(HEADING + GOOD + "x,x,x,x,x\n" + OTHER)
    assert run(app, "import", str(file)).exit_code == 1
    assert len(customers(app)) == 2
    return file


def changed(app: Flask, statement: str) -> None:
    """Change the site's database."""
    with app.extensions["site_engine"].begin() as db:
        db.exec_driver_sql(statement)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("山田 太郎", "山田 次郎"),
        ("090-0000-0000", "090-0000-0001"),
        ("4810000000020000", "4810000000020018"),
        ("4810000000020000", "4910000000020009"),
        (",1,2030", ",2,2030"),
        ("x,x,x,x,x", "x,x,1,x,x"),
        ("x,x,x,x,x", "y x,x,x,x"),
        ("\nx,", "\n\nx"),
        ("5555-5555-5555-4444", "5105-1051-0510-5100"),
    ],
)
def test_a_file_of_the_same_size_is_another(
    app: Flask, known: Path, before: str, after: str
) -> None:
    """One letter of one row is enough, however long ago the other was imported."""
    text = known.read_text()
    other = text.replace(before, after)
    assert len(other.encode()) == len(text.encode())
    assert other != text
    known.write_text(other)
    assert run(app, "import", str(known)).exit_code == 1
    assert len(customers(app)) == 4


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE customer SET phone = '03', rev = 2",
        "UPDATE customer SET name = 'x', rev = 2",
        "UPDATE customer SET token = token || 'x', last4 = '1', expiry = 1, rev = 2",
        "DELETE FROM customer WHERE brand = 'visa'",
        "UPDATE import_row SET prefix = '', length = 0, expiry = 0",
    ],
)
def test_a_file_is_known_whatever_became_of_some_customers(
    app: Flask, known: Path, tmp_path: Path, place: VaultPlace, statement: str
) -> None:
    """Changed, replaced or deleted since, long after its cards expired, or imported
    by an older site: nothing goes in twice, and the results are the first run's."""
    first, again = tmp_path / "first.csv", tmp_path / "again.csv"
    run(app, "import", str(known), "--results", str(first))
    changed(app, statement)
    before = len(customers(app))
    place.clock.advance(10 * 365 * 86400)
    ran = run(app, "import", str(known), "--results", str(again))
    assert (ran.exit_code, len(customers(app))) == (1, before)
    assert "3 of 3 rows are in already" in ran.stderr
    assert first.read_bytes() == again.read_bytes()


def test_a_file_whose_customers_are_all_gone_is_as_good_as_new(
    app: Flask, known: Path
) -> None:
    """Nobody is there twice, and who was deleted by mistake comes back."""
    changed(app, "DELETE FROM customer")
    assert run(app, "import", str(known)).exit_code == 1
    assert len(customers(app)) == 2


def test_a_file_killed_before_its_first_batch_leaves_no_job(
    app: Flask, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job is committed with its first customers, by whom its file is known."""
    file.write_text(HEADING + GOOD)

    def cut(*_args: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(batches, "take_in", cut)
        assert run(app, "import", str(file)).exit_code == 3
    with Session(app.extensions["site_engine"]) as site:
        assert site.scalars(select(ImportJob)).all() == []
    assert run(app, "import", str(file)).exit_code == 0


def test_a_missing_sheet_is_named(file: Path) -> None:
    """Before anything is asked of it."""
    with pytest.raises(SheetError):
        Sheet(file.with_name("none"))


def test_what_the_tables_hold_is_shown_harmless(
    app: Flask, file: Path, place: VaultPlace
) -> None:
    """Whoever writes to the databases moves no cursor of the person who looks."""
    nasty = "x\x1b[2K\rok\u202e\u200b"
    file.write_text(HEADING + GOOD + OTHER)
    run(app, "import", str(file))
    with Session(app.extensions["site_engine"]) as site:
        first, second = site.scalars(select(Customer).order_by(Customer.id))
        first.name, second.token = f"{nasty}\nok", f"{nasty}2"
        site.commit()
    with place.engine.begin() as db:
        db.execute(update(CARD).where(CARD.c.id == 2).values(token=nasty))
        db.execute(delete(CARD).where(CARD.c.id == 1))
    place.clock.advance(3600)
    for words in (("list",), ("list", "--csv", "--no-bom"), ("reconcile",)):
        shown = run(app, *words).stdout
        assert "x\ufffd[2K\ufffdok\ufffd" in shown
        lines = shown.splitlines()
        assert [ln for ln in lines if not ln.replace("\t", "").isprintable()] == []
        assert len(lines) == (3 if "--csv" in words else len(lines))


def test_an_error_names_a_file_harmless(app: Flask, tmp_path: Path) -> None:
    """Its name is whoever's who made it."""
    ran = run(app, "import", str(tmp_path / "x\x1b[2K\r\nok.csv"))
    assert (ran.exit_code, "x\ufffd[2K ok.csv" in ran.stderr) == (2, True)
    assert all(line.isprintable() for line in ran.stderr.splitlines())
