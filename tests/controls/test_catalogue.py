"""The catalogue names what its issuers have, and nothing that they took back."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from harness.archive.policy import Policy
from harness.controls.catalogue import Framework, frameworks, mistaken, observations, written_out
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
SERIES = (*(f"CC{n}" for n in range(12)), "A1", "C1", "PI1", *(f"P{n}" for n in range(12)))
CATEGORIES = tuple(
    f"{a}{b}.{c}{d}" for a, b, c, d in product("DGIPR", "CDEPRSV", "ACDIMOPRS", "ACDEIMNOPRSTV")
)
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


@pytest.mark.parametrize(
    ("framework", "identifier", "message"),
    [
        ("nist-800-53", "CP-99", "is no identifier"),
        ("nist-800-53", "CP-9(99)", "is no identifier"),
        ("nist-800-53", "SI-7(13)", "is no identifier"),
        ("nist-800-53", "ZZ-1", "is no identifier"),
        ("nist-800-53", "AC-13", "is withdrawn"),
        ("nist-800-53", "CP-5", "is withdrawn"),
        ("nist-csf", "PR.DS-99", "is no identifier"),
        ("nist-csf", "PR.DS-06", "is withdrawn"),
        ("nist-csf", "ID.AM-06", "is no identifier"),
        ("iso-27001", "A.8.99", "is no identifier"),
        ("iso-27001", "A.5.38", "is no identifier"),
        ("iso-22301", "8.7", "is no identifier"),
        ("cis", "11.99", "is no identifier"),
        ("cis", "11.6", "is no identifier"),
        ("soc2", "CC9.9", "is no identifier"),
        ("soc2", "A1.4", "is no identifier"),
        ("dora", "99", "is no identifier"),
        ("hipaa", "164.308(a)(9)", "is no identifier"),
        ("pci-dss", "13.1", "is no identifier"),
        ("pci-dss", "6.6.1", "is no identifier"),
        ("caf", "C6.a", "is no identifier"),
        ("owasp", "ASI11", "is no identifier"),
        ("attack", "T1562.008", "is withdrawn"),
    ],
)
def test_what_an_issuer_does_not_have_cannot_come_into_the_catalogue(
    framework: str, identifier: str, message: str
) -> None:
    shipped = frameworks()[framework].model_dump(by_alias=True)
    more = {"id": identifier, "because": "Somebody has mistyped it."}
    with pytest.raises(ValidationError, match=rf"{re.escape(identifier)} {message}"):
        Framework.model_validate({**shipped, "never": [*shipped["never"], more]})


@pytest.mark.parametrize(
    ("framework", "names", "count"),
    [
        ("iso-27001", [f"A.{part}.{n}" for part in range(10) for n in range(100)], 93),
        ("cis", [f"{part}.{n}" for part in range(30) for n in range(100)], 153),
        ("soc2", [f"{part}.{n}" for part in SERIES for n in range(20)], 61),
        ("nist-csf", [f"{part}-{n:02}" for part in CATEGORIES for n in range(100)], 106),
        ("owasp", [f"LLM{n:02}:2025" for n in range(100)] + [f"ASI{n:02}" for n in range(100)], 20),
    ],
)
def test_there_are_as_many_identifiers_as_the_issuer_counts(
    framework: str, names: list[str], count: int
) -> None:
    ids = frameworks()[framework].ids
    assert sum(re.fullmatch(ids, name) is not None for name in names) == count


def test_nist_has_298_controls_in_20_families_and_709_enhancements_and_seven_since() -> None:
    issued = set(written_out(frameworks()["nist-800-53"].issued))
    families = frameworks()["nist-800-53"].issued
    controls = {one for one in issued if "(" not in one}
    assert (len(families), len(controls), len(issued)) == (20, 298 + 2, 1007 + 7)
    assert issued.isdisjoint(frameworks()["nist-800-53"].withdrawn)


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
