"""The table of operations: each is one that AWS has and that something here carries out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from botocore import xform_name
from moto.core.utils import get_service_model

from harness.clock import SystemClock
from harness.replicas.aws.door import WHO_AM_I
from harness.replicas.aws.handover import Handover, UserSeed
from harness.replicas.aws.operations import OPERATIONS, Operation
from harness.replicas.aws.plane import Plane
from harness.replicas.aws.wire import MODELS


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Plane:
    root = str(tmp_path_factory.mktemp("aws"))
    owner = UserSeed("operator", "AKIAIOSFODNN7EXAMPLE", "secret", None)
    return Plane(
        Handover("m", "111122223333", "eu-west-1", (owner,), (), (), (), "", root, None), SystemClock()
    )


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda one: one.name)
def test_an_operation_of_the_table_is_of_aws_and_carried_out(plane: Plane, operation: Operation) -> None:
    service, _, name = operation.name.partition(".")
    assert name in get_service_model(MODELS[service]).operation_names
    ours = operation.name == WHO_AM_I or any(operation.name in part.own for part in plane.parts)
    assert ours or _moto_has(MODELS[service], name)


def test_what_is_treated_specially_is_in_the_table(plane: Plane) -> None:
    special = {name for part in plane.parts for name in (*part.own, *part.checks)}
    assert special <= OPERATIONS.keys()


def test_what_only_keeps_records_says_so() -> None:
    for operation in OPERATIONS.values():
        if "nothing real" in operation.does:
            assert operation.grade == "modelled"


def _moto_has(service: str, operation: str) -> bool:
    answers = vars(import_module(f"moto.{service}.responses")).values()
    return any(isinstance(one, type) and hasattr(one, xform_name(operation)) for one in answers)


def test_the_page_says_where_it_comes_from() -> None:
    page = Path(__file__).parents[3] / "docs" / "aws.md"
    assert all(f"`{name}`" in page.read_text(encoding="utf-8") for name in OPERATIONS)
