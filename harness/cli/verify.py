"""``ninelives verify``: whether signed runs are what was signed, and all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.evidence import needs_evidence
from harness.cli.exits import Exit
from harness.errors import RequestError
from harness.render.wording import clean

if TYPE_CHECKING:
    # Only what is installed with the extra has it.
    from harness.evidence.verification import Checked
    from harness.journal.roll import Enrolled


@click.command("verify")
@click.argument(
    "bundles", nargs=-1, required=True, type=click.Path(path_type=Path, file_okay=False, exists=True)
)
@click.option(
    "--key",
    "key_files",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="NINELIVES_PUBLIC_KEY",
    required=True,
    multiple=True,
    help="The public key of whoever signed; several may be given.",
)
@click.option(
    "--since",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="The number of the first run that has to be there, when several are verified.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document, for programs.")
@needs_evidence
def command(bundles: tuple[Path, ...], key_files: tuple[Path, ...], since: int, as_json: bool) -> Exit:
    """Verify signed runs, offline: signatures, every file, every verdict, and that none is left out.

    BUNDLES are signed run folders, or folders of them. Of a single run folder, only that run is verified.

    Exit code: 0 when all matches, whatever the verdicts are, 1 when something does not, 3 and 4 as for
    `ninelives run`.
    """
    from harness.evidence.keys import read_public
    from harness.evidence.sequence import gaps
    from harness.evidence.verification import verify_bundle
    from harness.run.judge import judge_run

    keys = tuple(read_public(file) for file in key_files)
    folders, roll, wrong = _folders(bundles)
    checked = []
    for folder in folders:
        checked.append(verify_bundle(folder, keys, judge_run))
        if not as_json:
            _show(checked[-1])
    alone = folders == bundles and len(folders) == 1
    if not alone:
        wrong += tuple(gaps(checked, roll, since))
    matches = not wrong and not any(bundle.mismatches for bundle in checked)
    if as_json:
        click.echo(_document(checked, wrong, sequence_checked=not alone, matches=matches))
    else:
        _show_sequence(checked, wrong, alone=alone)
    return Exit.AS_EXPECTED if matches else Exit.BREACHED


def _folders(named: tuple[Path, ...]) -> tuple[tuple[Path, ...], tuple[Enrolled, ...], tuple[str, ...]]:
    """Run folders, the lines of the rolls beside them, and what is wrong with those."""
    from harness.evidence.sequence import bundles_in
    from harness.journal.history import SCENARIO_FILE
    from harness.journal.roll import MANIFEST_FILE, read_roll

    folders: list[Path] = []
    roll: list[Enrolled] = []
    wrong: list[str] = []
    for path in named:
        if any((path / name).exists() for name in (MANIFEST_FILE, SCENARIO_FILE)):
            folders.append(path)
            continue
        within = bundles_in(path)
        if not within:
            raise RequestError(
                f"there is no signed run in {path}", hint="name a signed run folder, or a folder of them"
            )
        folders += within
        lines, problem = read_roll(path)
        roll += lines
        wrong += [problem] if problem else []
    return tuple(folders), tuple(roll), tuple(wrong)


def _show(bundle: Checked) -> None:
    manifest, record = bundle.manifest, bundle.record
    number = f"run {manifest.run.number}" if manifest else "no run"
    if not bundle.mismatches:
        assert manifest is not None
        value = record.value if record else "undecided"
        told = (
            f"MATCHES  {bundle.folder}: {number}, {manifest.scenario.id}, {value}; "
            f"{len(manifest.files)} files, signed by {manifest.operator} with {bundle.signed_by[:16]}"
        )
        click.echo(clean(told))
        if not bundle.drawn:
            other = (
                f"another ninelives ({manifest.tool.signed}) signed it, so its reports were not drawn again"
            )
            click.echo(
                clean(f"note: {other}: their verdicts and figures were compared in verdicts.json alone")
            )
        return
    for line in bundle.mismatches:
        click.echo(clean(f"MISMATCH {bundle.folder}: {line}"))


def _show_sequence(checked: Sequence[Checked], wrong: tuple[str, ...], *, alone: bool) -> None:
    if alone and checked[0].manifest is not None:
        click.echo("the runs before and after it were not looked at: name their folder to have that done")
    for line in wrong:
        click.echo(clean(f"MISMATCH {line}"))


def _document(
    checked: Sequence[Checked], wrong: tuple[str, ...], *, sequence_checked: bool, matches: bool
) -> str:
    """The answer for programs. Texts are as they were found: whoever shows them must not trust them."""
    document = {
        "schema": 1,
        "matches": matches,
        "sequence_checked": sequence_checked,
        "sequence_mismatches": wrong,
        "bundles": [_entry(bundle) for bundle in checked],
    }
    return json.dumps(document, indent=1)


def _entry(bundle: Checked) -> dict[str, object]:
    manifest, record = bundle.manifest, bundle.record
    sure = manifest is not None and not bundle.mismatches
    return {
        "folder": str(bundle.folder),
        "matches": not bundle.mismatches,
        "mismatches": bundle.mismatches,
        "reports_drawn_again": bundle.drawn,
        "signed_by": bundle.signed_by or None,
        "run": manifest.run.enrolled.run_id if manifest else None,
        "number": manifest.run.number if manifest else None,
        "scenario": manifest.scenario.id if manifest else None,
        "operator": manifest.operator if manifest else None,
        "files": len(manifest.files) if manifest else None,
        # What was not signed as it lies there has no verdict.
        "verdict": (record.value if record else "undecided") if sure else None,
    }
