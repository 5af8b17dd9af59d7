"""``ninelives keygen``: a pair of keys to sign evidence with."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.evidence import needs_evidence
from harness.cli.exits import Exit


@click.command("keygen")
@click.argument("name", type=click.Path(path_type=Path, dir_okay=False), default=Path("ninelives"))
@needs_evidence
def command(name: Path) -> Exit:
    """Make a pair of keys: NAME.key to sign with, for you alone, and NAME.pub for whoever verifies.

    Keep the private one where no agent works: not in a scenario's folder, not among the reports.
    """
    from harness.evidence.keys import make_keys

    files = make_keys(name.with_name(f"{name.name}.key"), name.with_name(f"{name.name}.pub"))
    click.echo(f"private key: {files.private} (for `ninelives sign` alone)")
    click.echo(f"public key:  {files.public} (for auditors)")
    click.echo(f"fingerprint: {files.fingerprint}")
    return Exit.AS_EXPECTED
