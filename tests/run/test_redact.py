"""Minted credentials never reach what is written."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from harness.facts import Credential, Endpoint, Lease, Secret
from harness.run.redact import Redactor


def redactor(**secrets: str) -> Redactor:
    nowhere = Path("/nowhere")
    lease = Lease(run_id="r", service="db", kind="postgres", directory=nowhere)
    credentials = {name: Credential(name, "password", name, Secret(text)) for name, text in secrets.items()}
    return Redactor([Endpoint(lease, "postgres", "127.0.0.1", 1, "db", None, nowhere, credentials)])


def test_every_credential_is_replaced_by_whose_it_is() -> None:
    secret = Secret.mint().reveal()
    clean = redactor(bob=secret).clean(f"password {secret} is wrong for {secret}")
    assert clean == "password [secret of bob] is wrong for [secret of bob]"


@pytest.mark.parametrize("short", ["", "e", "secret?"])
def test_a_third_partys_credential_that_any_text_is_full_of_leaves_it_alone(short: str) -> None:
    text = "the server has started, and there is no secret? " * 10_000
    both = redactor(trusted=short, bob="a-longer-one")
    assert both.clean(text) == both.clean_log(text) == text
    assert both.clean_log("a-longer-one") == "[secret of bob]"


def test_nothing_is_replaced_twice_and_the_longest_first() -> None:
    names = redactor(amy="password", bob="password-two", eve="secret of bob")
    text = f"password-two {base64.b64encode(b'password-two').decode()} PASSWORD"
    assert names.clean_log(text) == "[secret of bob] [secret of bob] [secret of amy]"
    assert names.clean(text).startswith("[secret of bob] ")
    assert redactor().clean_log(text) == text


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret.mint()
    assert secret.reveal() not in f"{secret!r} {secret} {[secret]}"
