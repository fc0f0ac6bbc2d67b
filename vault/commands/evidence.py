"""``cardvault report evidence`` gathers what an assessor asks for into one folder."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import click
from sqlalchemy import select

from ..card.scrub import one_line
from ..errors import IntegrityFault
from ..ops.anchor import Anchor
from ..ops.doctor.machine import lock_file
from ..ops.evidence import (
    access,
    checks,
    custodians,
    keys,
    operators,
    parts,
    results,
    rotation_record,
    settings,
    status,
)
from ..ops.evidence.folder import NewFolder, require_room
from ..ops.evidence.index import Entry, contents, name_of
from ..ops.evidence.page import Head, page_of
from ..ops.evidence.words import LANGUAGES, Subject, Words
from ..ops.open_vault import OpenVault
from ..ops.verify import Finding
from ..store.database import reading
from ..store.files import disk_faults
from ..store.schema import ROTATION
from ..trail import Actor
from ..web.vault import Vault
from . import installed_version
from . import status as status_verb
from .anchors import ANCHOR_FILE, anchors_given, check_trail
from .output import counted
from .uses import note_result, record_use
from .vaults import EXAMPLE, actor, read_settings, vault_with_root_key_if_there
from .verify import check_rows

EVENT = "report.evidence"
EXIT_FOUND = 1


@click.command(
    epilog=EXAMPLE
    + "cardvault report evidence --out evidence-2026\n"
    + "  cardvault report evidence --out evidence-2026 --results results"
)
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The folder to make: a new one, or an empty one.",
)
@click.option(
    "--results",
    "given",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with what tests and scanners wrote; each file is copied.",
)
@ANCHOR_FILE
@click.pass_context
def evidence(
    context: click.Context, out: Path, given: Path | None, anchor_file: Path | None
) -> None:
    """Gather what an assessor asks for into a new folder, with an index to print.

    Pages are in Japanese and English, with JSON beside them. They hold no whole card
    number and nothing secret. With the root key at hand every card is opened and the
    whole trail checked, as verify and audit verify do; without it the pages say that
    this was not done.

    Exit code 1 when there is something to look at; the folder is whole all the same.
    """
    anchors = anchors_given(anchor_file)
    # resolve() would follow a link, which is to be refused.
    out = Path(os.path.abspath(out))  # noqa: PTH100
    require_room(out)
    vault = vault_with_root_key_if_there()
    by = actor()
    with vault.engine.begin() as db:
        vault.record(db, EVENT, by, detail={"folder": one_line(out.name)})
    run = _run(vault, anchors) if isinstance(vault, OpenVault) else None
    with disk_faults(out):
        written = _written(vault, by, out, given, run)
    click.echo(f"{out}: {counted(written.files, 'file')}, open {name_of('ja')} first")
    for title in written.wrong:
        click.echo(f"to look at  {title}", err=True)
    for title in written.missing:
        click.echo(f"not done    {title}", err=True)
    context.exit(EXIT_FOUND if written.wrong else 0)


@dataclass(frozen=True)
class Written:
    """How many files there are, the titles of what has something to look at, and of what
    was not looked at or not given."""

    files: int
    wrong: list[str]
    missing: list[str]


def _run(vault: OpenVault, anchors: Sequence[Anchor]) -> checks.Run:
    """Open every card, check every row and the whole trail; both results are recorded
    in the trail."""
    record_use(vault, vault.root_id, "report evidence")
    cards, faults = check_rows(vault)
    entries, broken = 0, []
    try:
        with reading(vault.engine) as db:
            entries = check_trail(vault, db, anchors)
    except IntegrityFault as fault:
        broken = [Finding(fault.subject, fault.problem)]
    counts = {"entries": entries, "anchors": len(anchors), "found": len(broken)}
    note_result(vault, "audit verify", well=not broken, counts=counts)
    return checks.Run(cards, entries, len(anchors), faults, broken)


def _written(
    vault: Vault, by: Actor, out: Path, given: Path | None, run: checks.Run | None
) -> Written:
    found = status_verb.look(vault)
    census = found.census
    head = Head(
        census.vault_id,
        census.root_id,
        vault.clock(),
        by.name,
        platform.node(),
        installed_version(),
    )
    serial = uuid4()
    known = (head.vault_id, head.root_id, census.next_root_id or "", str(serial))
    with NewFolder(out, known) as folder:
        entries = [
            _write(folder, head, subject) for subject in _subjects(vault, found, run)
        ]
        entries += _rotations(folder, vault)
        entries.append(_sbom(folder, head, serial))
        entries.append(_write(folder, head, results.take_in(folder, given)))
        for lang in LANGUAGES:
            folder.write(name_of(lang), contents(entries, head, lang))
        folder.publish()
        wrong = [entry.title.en for entry in entries if entry.wrong]
        missing = [entry.title.en for entry in entries if entry.missing]
        return Written(len(folder.names), wrong, missing)


def _subjects(
    vault: Vault, found: status_verb.Status, run: checks.Run | None
) -> Iterator[Subject]:
    """Every subject but the rotations and the results, in the order of the contents."""
    place = read_settings()
    yield status.of_status(status_verb.as_object(found), found.census.warnings())
    yield checks.of_checks(run, found.checks)
    with reading(vault.engine) as db:
        yield keys.inventory(vault, db, found.census)
        yield custodians.form()
        reached = access.access(place)
        yield reached.subject
        yield operators.review(place.site_database_url, db, vault.clock())
    yield settings.read_settings()
    installed = parts.installed(lock_file())
    yield parts.versions(installed, installed_version(), reached.servers)


def _write(folder: NewFolder, head: Head, subject: Subject) -> Entry:
    """Write a subject's files; returns its line of the contents."""
    both = []
    if subject.data is not None:
        both = [f"{subject.name}.json"]
        folder.write_json(both[0], subject.data)
    for lang in LANGUAGES:
        folder.write(f"{subject.name}.{lang}.html", page_of(subject, head, lang))
    both += subject.files
    ja, en = ([f"{subject.name}.{lang}.html", *both] for lang in LANGUAGES)
    return Entry(
        subject.title,
        subject.shows,
        subject.requirements,
        ja,
        en,
        subject.wrong,
        subject.missing,
    )


def _rotations(folder: NewFolder, vault: Vault) -> Iterator[Entry]:
    """Write the record of each rotation, the newest first."""
    with reading(vault.engine) as db:
        for row in db.execute(select(ROTATION).order_by(ROTATION.c.id.desc())).all():
            name = f"rotation-{row.id}"
            try:
                facts = rotation_record.facts_of(vault, db, row)
            except IntegrityFault as fault:
                yield _edited(row.id, fault)
                continue
            for lang in LANGUAGES:
                page = rotation_record.page(facts, lang)
                folder.write(f"{name}.{lang}.txt", page + "\n")
            folder.write(f"{name}.json", json.dumps(facts) + "\n")
            yield Entry(
                Words(f"鍵ローテーション実施記録 {row.id}", f"Key rotation {row.id}"),
                Words(
                    "実施者・理由・日時・件数・確認方法・結果（署名欄あり）。",
                    "Who, why, when, how many cards, how it was verified, the result; "
                    "with a place to sign.",
                ),
                "3.7.4, 3.7.5",
                (f"{name}.ja.txt", f"{name}.json"),
                (f"{name}.en.txt", f"{name}.json"),
                rotation_record.needs_a_look(facts),
            )


def _edited(number: int, fault: IntegrityFault) -> Entry:
    """The line about a record that can't be believed, so that it has no file."""
    return Entry(
        Words(f"鍵ローテーション実施記録 {number}", f"Key rotation {number}"),
        Words(f"記録を信用できません：{fault.problem}", f"no record: {fault.problem}"),
        "3.7.4, 3.7.5",
        (),
        (),
        wrong=True,
    )


def _sbom(folder: NewFolder, head: Head, serial: UUID) -> Entry:
    """Write the bill of materials."""
    name, installed = "sbom.cdx.json", parts.installed(lock_file())
    folder.write_json(name, parts.sbom(installed, head.version, head.at, serial))
    return Entry(
        Words("ソフトウェア部品表（SBOM）", "Bill of materials (SBOM)"),
        Words(
            "導入済みの全部品（CycloneDX 1.6形式：版、ライセンス、ハッシュ）。",
            "Every part installed, as CycloneDX 1.6: version, licence, hashes.",
        ),
        "6.3.2",
        (name,),
        (name,),
    )
