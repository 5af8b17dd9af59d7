"""Durations, rates and paths: what is read, what is refused, and that writing and reading agree."""

from __future__ import annotations

from datetime import timedelta
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from harness.scenario import models
from harness.scenario.models import (
    LONGEST,
    SECONDS,
    Duration,
    OtherProtection,
    Period,
    PgDump,
    PostgresPitr,
    Rate,
    RelativePath,
    Workload,
    format_duration,
    format_rate,
    parse_duration,
    parse_rate,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15m", 900),
        ("90d", 7_776_000),
        ("1h30m", 5400),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("0s", 0),
        ("2w", 1_209_600),
        ("1d 2h", None),
        ("15", None),
        ("m", None),
        ("-1m", None),
        ("1M", None),
        ("1m\n", None),
        ("", None),
        ("\u0661\u0665m", None),
        ("9" * 400 + "d", None),
        ("36501d", None),
        ("1e9s", None),
    ],
)
def test_durations(text: str, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(ValueError, match="duration"):
            parse_duration(text)
    else:
        assert parse_duration(text) == timedelta(seconds=seconds)


numbers = st.integers(0, 10**9).map(str) | st.decimals(0, 10**6, places=3).map(str)


def joined(parts: list[tuple[str, str]]) -> str:
    return "".join(number + unit for number, unit in parts)


@given(st.integers(0, LONGEST // timedelta(milliseconds=1)))
def test_a_duration_that_was_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@given(st.lists(st.tuples(numbers, st.sampled_from(list(SECONDS))), min_size=1, max_size=4).map(joined))
def test_a_duration_that_was_read_is_written_so_that_it_is_read_as_the_same(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError:
        return
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50/s", 50),
        ("600/m", 10),
        ("100/m", 1.666667),
        ("0.5/s", 0.5),
        ("0/s", None),
        ("50", None),
        ("5/h", None),
    ],
)
def test_rates(text: str, rate: float | None) -> None:
    if rate is None:
        with pytest.raises(ValueError, match="rate"):
            parse_rate(text)
    else:
        assert parse_rate(text) == rate
        assert parse_rate(format_rate(rate)) == rate


@given(st.tuples(numbers, st.sampled_from(["/s", "/m"])).map("".join))
def test_a_rate_that_was_read_is_written_so_that_it_is_read_as_the_same(text: str) -> None:
    try:
        rate = parse_rate(text)
    except ValueError:
        return
    assert parse_rate(format_rate(rate)) == rate


def test_numbers_are_no_rates_in_a_file_and_are_in_python() -> None:
    assert TypeAdapter(Rate).validate_python(5.0) == 5
    with pytest.raises(ValidationError):
        TypeAdapter(Rate).validate_json("5.0")
    assert Workload(locustfile="w.py", service="a", rate=2.0).rate == 2


def test_a_period_is_longer_than_nothing_and_a_duration_need_not_be() -> None:
    assert TypeAdapter(Duration).validate_python("0s") == timedelta(0)
    with pytest.raises(ValidationError, match="above zero"):
        TypeAdapter(Period).validate_python("0s")


@given(st.text("ab./ \\", max_size=12))
def test_a_relative_path_stays_in_its_folder(text: str) -> None:
    try:
        TypeAdapter(RelativePath).validate_python(text)
    except ValidationError:
        return
    path = PurePosixPath(text)
    assert not path.is_absolute()
    assert ".." not in path.parts
    assert path.parts


@pytest.mark.parametrize(
    "text", ["schema.sql", "workspace/", "workspace/.env", "a b/c.sql", "invariants/é.sql"]
)
def test_ordinary_paths_are_accepted(text: str) -> None:
    assert TypeAdapter(RelativePath).validate_python(text) == text


def test_every_field_says_what_it_means() -> None:
    silent = [
        f"{model.__name__}.{name}"
        for model in vars(models).values()
        if isinstance(model, type) and issubclass(model, models.Model) and model is not models.Model
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert silent == []


def test_every_model_refuses_keys_that_it_does_not_know() -> None:
    loose = [
        model.__name__
        for model in vars(models).values()
        if isinstance(model, type)
        and issubclass(model, BaseModel)
        and model is not BaseModel
        and (model.model_config.get("extra"), model.model_config.get("frozen")) != ("forbid", True)
    ]
    assert loose == []


def test_there_is_no_field_for_a_real_system() -> None:
    words = {
        "url",
        "dsn",
        "host",
        "port",
        "password",
        "secret",
        "credential",
        "endpoint",
        "address",
        "key_id",
    }
    fields = {
        name.rstrip("_")
        for model in vars(models).values()
        if isinstance(model, type) and issubclass(model, models.Model)
        for name in model.model_fields
    }
    assert fields & words == set()


def test_only_what_is_shipped_all_the_time_may_lag() -> None:
    loose = {"of": "db", "to": "vault"}
    made = [
        PgDump.model_validate({"tool": "pg_dump", "every": "1d", "keep": 2, **loose}),
        PostgresPitr.model_validate({"tool": "postgres-pitr", "ship_every": "5s", **loose}),
        OtherProtection.model_validate({"tool": "acme", "ship_every": "7s", **loose}),
        OtherProtection.model_validate({"tool": "acme", **loose}),
    ]
    assert [protection.lag.total_seconds() for protection in made] == [0, 5, 7, 0]
