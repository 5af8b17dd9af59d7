"""``ninelives sign``: make a stored run a bundle that somebody else can verify."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.evidence import needs_evidence
from harness.cli.exits import Exit, exit_of_error, explain, worst
from harness.cli.places import find_run, with_reports
from harness.errors import HarnessError, RequestError


@click.command("sign")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="NINELIVES_KEY",
    default=Path("ninelives.key"),
    show_default=True,
    help="The private key, from `ninelives keygen`.",
)
@click.option(
    "--operator",
    envvar="NINELIVES_OPERATOR",
    required=True,
    help="Who signs: a name, a team, a pipeline.",
)
@click.option("--url", help="Of the job that played the run; it is signed too.")
@with_reports
@needs_evidence
def command(run: Path, key: Path, operator: str, url: str | None, reports: Path) -> Exit:
    """Add a manifest and two signed statements to RUN, whatever became of it.

    RUN is its folder; or, in the folder of reports, its name, its number or `latest`. Of a
    folder of reports, every run that is over and not signed yet is signed.
    """
    from harness.evidence.bundle import sign_run
    from harness.evidence.keys import read_signer
    from harness.evidence.sequence import unsigned_in
    from harness.journal.roll import ROLL_FILE
    from harness.run.judge import judge_run

    folder = find_run(run, reports)
    runs = unsigned_in(folder) if (folder / ROLL_FILE).exists() else (folder,)
    if key.resolve().is_relative_to(folder.resolve()):
        raise RequestError(f"{key} lies in {folder}", hint="keep keys apart from what is handed out")
    signer = read_signer(key)
    codes = [Exit.AS_EXPECTED]
    for path in runs:
        try:
            manifest = sign_run(path, signer, operator, judge_run, url)
        except HarnessError as error:
            # One that cannot be signed must not keep the others from it.
            click.echo(f"error: {explain(error)}", err=True)
            codes.append(exit_of_error(error))
            continue
        click.echo(
            f"signed {path}: run {manifest.run.number}, {len(manifest.files)} files, "
            f"key {signer.public_key.keyid[:16]}"
        )
    return worst(codes)
