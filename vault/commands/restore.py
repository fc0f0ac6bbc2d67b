"""``cardvault restore`` puts a backup in place, or tries that."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..card.scrub import one_line
from ..clock import system_clock
from ..errors import FileRefused, IntegrityFault
from ..ops.anchor import Anchor
from ..ops.backup import drill as drills
from ..ops.backup import restore as restores
from ..settings import VaultSettings
from ..store.database import connect
from ..store.files import disk_faults
from ..web.vault import Vault
from ..web.web_key import WebKey
from .anchors import give_anchor, read_anchors
from .backup import JSON, database_files, end_tidily, show
from .uses import note_result_here, note_use_here
from .vaults import EXAMPLE, actor, read_root_key, read_settings

NEXT = (
    "flask --app wsgi migrate --check",
    "cardvault verify",
    "cardvault audit verify --anchor FILE",
    "flask --app wsgi cards reconcile",
)


@click.command(
    epilog=EXAMPLE + "cardvault restore site-2026-11-23.backup --drill --anchor anchor"
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--drill",
    "as_drill",
    is_flag=True,
    help="Restore to a scratch folder, open every card there, remove it.",
)
@click.option(
    "--anchor",
    "anchor_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What audit anchor printed last: refuses an older backup.",
)
@click.option(
    "--accept-older",
    is_flag=True,
    help="Restore although the backup is older than --anchor.",
)
@JSON
@click.pass_context
def restore(
    context: click.Context,
    file: Path,
    as_drill: bool,
    anchor_file: Path | None,
    accept_older: bool,
    as_json: bool,
) -> None:
    """Put both databases of the backup FILE where the settings say, if nothing is
    there. Needs the web key file; with --drill the root key too.

    All is checked before anything is put in place. If it is killed, run it again. Exit
    code 1: the backup is damaged, older than the anchor, or (--drill) has bad cards,
    each named; 2: something is in the way, or the keys are others; 5: a wrong root
    key.
    """
    if accept_older and anchor_file is None:
        raise click.UsageError("--accept-older says something of --anchor; give both")
    settings = read_settings()
    if not settings.web_key.exists():
        raise FileRefused(
            f"{settings.web_key} is not there",
            hint="put the web key file back first; no backup holds it",
        )
    web_key = WebKey.read(settings.web_key)
    anchor = read_anchors(anchor_file, web_key.vault_id)[-1] if anchor_file else None
    end_tidily()
    with disk_faults(file), restores.opening(file, web_key) as opened:
        if anchor is not None:
            anchor = _require_no_older(opened, anchor, accept_older)
        if as_drill:
            code = _drill(opened, web_key, settings, anchor, as_json)
        else:
            code = _restore(opened, web_key, settings, anchor, as_json)
    context.exit(code)


def _restore(
    opened: restores.Backup,
    web_key: WebKey,
    settings: VaultSettings,
    anchor: Anchor | None,
    as_json: bool,
) -> int:
    vault_place, site_place = database_files(settings, "pg_restore")
    opened.manifest.require_root(web_key, opened.path)
    for folder in (vault_place.parent, site_place.parent):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    restores.restore(opened, vault_place, site_place, anchor)
    if settings.audit_anchor_command:
        restored = Vault(web_key, connect(settings.database_url), system_clock)
        give_anchor(restored, actor())
    if as_json:
        facts = {**opened.manifest.as_object(), "next": list(NEXT)}
        click.echo(json.dumps(facts, ensure_ascii=False))
        return 0
    click.echo(f"vault   {vault_place}")
    click.echo(f"site    {site_place}")
    show(opened.manifest)
    for word, step in zip(("next", "", "", ""), NEXT, strict=True):
        click.echo(f"{word:<8}{step}")
    return 0


def _drill(
    opened: restores.Backup,
    web_key: WebKey,
    settings: VaultSettings,
    anchor: Anchor | None,
    as_json: bool,
) -> int:
    root_key = read_root_key(settings, web_key.vault_id)
    root_id = root_key.secret().public.id
    if root_id in opened.manifest.roots:
        note_use_here(root_id, "restore --drill")
    done = drills.drill(opened, web_key, root_key, system_clock, anchor)
    cards, took = opened.manifest.cards, round(done.seconds, 1)
    counts = {"opened": cards, "found": len(done.findings)}
    note_result_here("restore --drill", well=not done.findings, counts=counts)
    if as_json:
        found = [vars(finding) for finding in done.findings]
        facts = {"ok": not found, "cards": cards, "seconds": took, "findings": found}
        click.echo(json.dumps(facts))
        return 1 if found else 0
    for finding in done.findings:
        click.echo(one_line(f"{finding.subject}  {finding.problem}"))
    if done.findings:
        click.echo(
            f"{len(done.findings)} found in {opened.path}; the drill took {took} s"
        )
        return 1
    click.echo(f"{cards:,} cards opened, every row and audit entry as written")
    click.echo(f"the drill took {took} s; no card of this place was touched")
    return 0


def _require_no_older(
    opened: restores.Backup, anchor: Anchor, accepted: bool
) -> Anchor | None:
    """Raise IntegrityFault when the backup is older than the anchor.  Returns the
    anchor its trail must have, or None when an older backup is accepted."""
    entries = opened.manifest.anchor.entries
    if entries >= anchor.entries:
        return anchor
    if not accepted:
        raise IntegrityFault(
            str(opened.path),
            f"is older than the anchor: its trail has {entries:,} entries, "
            f"{anchor.entries:,} were anchored",
            hint="take a newer backup, or accept the loss with --accept-older",
        )
    return None
