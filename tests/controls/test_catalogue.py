"""The catalogue names what its issuers have, and nothing that they took back."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from harness.archive.policy import Policy
from harness.controls.catalogue import Framework, frameworks, mistaken, observations
from harness.seams.lookup import names

FRAMEWORK: dict[str, Any] = {
    "framework": "made-up",
    "title": "Made up",
    "version": "1",
    "link": "https://example.org",
    "sure": "A",
    "ids": r"[A-Z]{2}-[0-9]+",
    "withdrawn": ["CP-8"],
    "controls": [{"id": "CP-9", "asks": "Backups.", "shown_by": ["O1"]}],
}
ABOUT_NONE = {"containment", "invariants"}


def test_every_file_can_be_read() -> None:
    assert set(frameworks()) == {
        *("attack", "atlas", "caf", "cis", "dora", "hipaa", "iso-22301", "iso-27001"),
        *("nis2", "nist-800-53", "nist-csf", "owasp", "pci-dss", "soc2"),
    }
    assert all(framework.known for framework in frameworks().values())


def test_each_observation_is_asked_for_by_some_control() -> None:
    asked = {one for framework in frameworks().values() for c in framework.controls for one in c.shown_by}
    assert asked == observations().keys()


def test_each_objective_is_about_an_observation_and_each_that_is_named_exists() -> None:
    mapped = {objective for one in observations().values() for objective in one.objectives}
    assert mapped == set(names("objectives")) - ABOUT_NONE


def test_what_a_gate_decides_is_a_rule_of_policies() -> None:
    gates = {one.gate for one in observations().values() if one.gate is not None}
    assert gates == {"restore-cadence", "retests"}
    assert gates <= {field.alias or name for name, field in Policy.model_fields.items()}


def test_a_dual_authorisation_is_not_shown_by_isolation() -> None:
    """The one control that is about a second person must not be supported by anything else."""
    (dual,) = (one for one in frameworks()["nist-800-53"].controls if one.id == "CP-9(7)")
    assert dual.shown_by == ("O6",)


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("CP-8", "CP-8 is withdrawn from Made up 1"),
        ("backup", "backup is no identifier of Made up 1"),
        ("CP-9", "CP-9 stands twice"),
    ],
)
def test_an_identifier_that_is_withdrawn_unknown_or_doubled_is_refused(identifier: str, message: str) -> None:
    more = {"id": identifier, "asks": "Something.", "shown_by": ["O1"]}
    with pytest.raises(ValidationError, match=message):
        Framework.model_validate({**FRAMEWORK, "controls": [*FRAMEWORK["controls"], more]})


def test_a_statement_is_decided_by_what_shows_its_control_alone() -> None:
    decides = [{"id": "x", "by": ["O1", "O2"]}]
    control = {"id": "CP-7", "asks": "Sites.", "shown_by": ["O1"], "decides": decides}
    with pytest.raises(ValidationError, match=r"x rests on \['O2'\], which do not show CP-7"):
        Framework.model_validate({**FRAMEWORK, "controls": [control]})


@pytest.mark.parametrize("withdrawn", ["CP-9(4)", "CP-10(1)", "CP-10(3)"])
def test_what_nist_took_back_cannot_be_named(withdrawn: str) -> None:
    found = mistaken(f"nist-800-53:{withdrawn}")
    assert found is not None
    assert found[0] == f"{withdrawn} is withdrawn from NIST SP 800-53 Revision 5"


@pytest.mark.parametrize("named", ["nist-800-53:CP-9(7)", "dora:26", "attack:T1485", "ours:4.2", "CP-9"])
def test_what_is_in_the_catalogue_or_somebodys_own_can_be_named(named: str) -> None:
    assert mistaken(named) is None


@pytest.mark.parametrize("named", ["nist-800-53:CP-99", "nist-800-53", "soc2:"])
def test_what_a_shipped_framework_does_not_have_cannot(named: str) -> None:
    found = mistaken(named)
    assert found is not None
    assert "the catalogue has no" in found[0]
