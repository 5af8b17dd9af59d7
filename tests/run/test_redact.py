"""Minted credentials never reach what is written."""

from __future__ import annotations

from pathlib import Path

from harness.facts import Credential, Endpoint, Lease, Secret
from harness.run.redact import Redactor


def test_every_credential_is_replaced_by_whose_it_is(tmp_path: Path) -> None:
    secret = Secret.mint()
    lease = Lease(run_id="r", service="db", kind="postgres", directory=tmp_path)
    credentials = {"bob": Credential("bob", "password", "bob", secret)}
    endpoint = Endpoint(lease, "postgres", "127.0.0.1", 1, "db", None, tmp_path, credentials)
    clean = Redactor([endpoint]).clean(f"password {secret.reveal()} is wrong for {secret.reveal()}")
    assert clean == "password [secret of bob] is wrong for [secret of bob]"


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret.mint()
    assert secret.reveal() not in f"{secret!r} {secret} {[secret]}"
