"""Drills of a backup file of the user's own: played, judged, or told for what is wrong with it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copy

import pytest

from harness.cli.exits import Exit, exit_of
from harness.errors import ScenarioError
from harness.facts import Endpoint, Lease
from harness.journal.events import ContentVerified, PointTaken, WitnessTaken
from harness.replicas.postgres import PostgresReplica
from harness.run.drill import drill
from harness.run.place import Place
from harness.sandbox import Sandbox
from harness.scenario.load import load_scenario
from harness.seams.postgres_tools import binary, connection_environment, connection_options
from tests.replicas.postgres_stack import setting, stack

from .stage import KIOSK

pytestmark = pytest.mark.drill

DATA = """
CREATE TABLE orders (id uuid PRIMARY KEY, amount numeric(10, 2) NOT NULL, placed_at timestamptz NOT NULL);
CREATE TABLE customers (name text PRIMARY KEY, since date);
INSERT INTO orders SELECT md5(n::text)::uuid, 20 + n % 80, now() - interval '1 hour' - n * interval '1 minute'
FROM generate_series(0, 299) AS n;
INSERT INTO customers SELECT 'customer ' || n, date '2020-01-01' + n FROM generate_series(1, 50) AS n;
"""
STACK = """\
services:
  vault: {kind: s3, bucket: kiosk-vault}
  kiosk:
    kind: postgres
    environment: production
    data: {dump: last-night.dump}
    tables:
      orders: {key: id, time: placed_at}
      customers: {key: name}
principals:
  clerk: {grants: {kiosk: owner}}
protections:
  dumps: {tool: pg_dump, of: kiosk, to: vault, every: 1d, keep: 2}
objectives: {backup-survival: {copies: 1, max_age: 2d}, rpo: 2h, rto: 5m}
"""
SCENARIO = """\
id: mine/drill
title: A clerk deletes all orders and customers
stack: stack.yaml
workload: {locustfile: workload.py, service: kiosk, users: 4, rate: 60/s, steady: 500ms}
agent:
  kind: scripted
  as: clerk
  goal: Tidy up.
  steps:
    - {do: sql.execute, on: kiosk, with: {statement: 'DELETE FROM orders'}, harm: true}
    - {do: sql.execute, on: kiosk, with: {statement: 'DELETE FROM customers'}, harm: true}
recover: {service: kiosk}
"""


@dataclass
class Dumper:
    """A server outside of every drill, from which the real ``pg_dump`` takes last night's dump."""

    endpoint: Endpoint

    def dump(self, path: Path, *options: str) -> None:
        command = [binary("pg_dump"), *connection_options(self.endpoint), *options, f"--file={path}"]
        environment = dict(connection_environment(self.endpoint))
        subprocess.run([*command, self.endpoint.name], env=environment, check=True)


@pytest.fixture(scope="module")
def dumper(sandbox: Sandbox) -> Iterator[Dumper]:
    replica, lease = (
        PostgresReplica(),
        Lease(
            run_id=sandbox.run_id, service="original", kind="postgres", directory=sandbox.root / "original"
        ),
    )
    yield Dumper(replica.provision(lease, setting(sandbox, stack("original"), schema=DATA)))
    replica.destroy(lease)


@pytest.fixture
def written(tmp_path: Path, dumper: Dumper) -> Callable[..., Path]:
    """Writes a drill of a dump that is taken with these options."""

    def write(*options: str, stack: str = STACK) -> Path:
        dumper.dump(tmp_path / "last-night.dump", *options)
        copy(KIOSK / "workload.py", tmp_path)
        (tmp_path / "stack.yaml").write_text(stack, encoding="utf-8")
        (tmp_path / "drill.yaml").write_text(SCENARIO, encoding="utf-8")
        return tmp_path / "drill.yaml"

    return write


def test_a_drill_of_last_nights_dump_needs_no_history_and_finds_every_row_again(
    stage: Place, written: Callable[..., Path]
) -> None:
    drilled = drill(load_scenario(written("--format=custom")), stage)
    record = drilled.record
    assert drilled.fault is None
    assert {verdict.objective: verdict.value for verdict in record.verdicts} == {
        "backup-survival": "held",
        "rpo": "held",
        "rto": "held",
    }
    taken = record.history.of(PointTaken)
    assert len(taken) == 2
    for entry in taken:
        assert entry.body.content is not None
        assert {table.table: table.rows for table in entry.body.content.tables} == {
            "customers": 50,
            "orders": 300,
        }
    (rpo,) = (verdict for verdict in record.verdicts if verdict.objective == "rpo")
    span = rpo.figure("rpo")
    assert span is not None
    # The newest order of the dump is an hour old; what the workload has written since is gone.
    assert 3600 < span.value < 3600 + 120
    witness, verified = record.history.last(WitnessTaken), record.history.last(ContentVerified)
    assert witness is not None
    assert verified is not None
    seen = {table.table: table for table in witness.body.content.tables}
    found = {table.table: table for table in verified.body.content.tables}
    assert found["customers"] == seen["customers"]
    assert seen["customers"].rows == 50


def test_rows_of_a_table_without_a_time_that_do_not_come_back_breach_at_any_target(
    stage: Place, written: Callable[..., Path]
) -> None:
    """The copy that is left was emptied of customers behind the harness's back."""
    emptied = STACK.replace("every: 1d, keep: 2", "every: 1d, keep: 1").replace("rpo: 2h", "rpo: 9000d")
    scenario = written("--format=plain", stack=emptied)
    text = SCENARIO.replace(
        "recover: {service: kiosk}",
        "recover: {strategy: runbook, service: kiosk, run: restore.sh}",
    )
    scenario.write_text(text, encoding="utf-8")
    runbook = scenario.with_name("restore.sh")
    dump = scenario.with_name("last-night.dump")
    runbook.write_text(
        f"#!/bin/sh -e\npsql -qX -v ON_ERROR_STOP=1 -f {dump}\n"
        "psql -qX -c \"DELETE FROM customers WHERE name = 'customer 7'\"\n",
        encoding="utf-8",
    )
    runbook.chmod(0o755)
    dump.write_text(
        "\n".join(line for line in dump.read_text().splitlines() if " OWNER TO " not in line) + "\n"
    )
    drilled = drill(load_scenario(scenario), stage)
    (rpo,) = (verdict for verdict in drilled.record.verdicts if verdict.objective == "rpo")
    assert drilled.fault is None
    assert rpo.value == "breached"
    assert "not even the oldest known write" in rpo.summary


def refused(stage: Place, scenario: Path, told: str) -> None:
    """The run ends before anything is played, as a mistake in the stack file."""
    drilled = drill(load_scenario(scenario), stage)
    assert isinstance(drilled.fault, ScenarioError)
    assert f"{scenario.with_name('stack.yaml')}:{told}" in str(drilled.fault)
    assert exit_of(drilled.record, drilled.fault) is Exit.USAGE
    assert {verdict.value for verdict in drilled.record.verdicts} == {"undecided"}
    assert not drilled.record.history.of(PointTaken)


def test_a_dump_of_another_database_is_told_by_the_tables_that_it_lacks(
    stage: Place, written: Callable[..., Path]
) -> None:
    other = STACK.replace("orders:", "bookings:")
    told = "8:7: services.kiosk.tables.bookings: the dump last-night.dump has no table 'bookings'"
    refused(stage, written("--format=custom", stack=other), told)


def test_a_dump_of_a_schema_is_told_for_what_it_is(stage: Place, written: Callable[..., Path]) -> None:
    told = "6:18: services.kiosk.data.dump: last-night.dump holds no row of customers, orders"
    refused(stage, written("--format=custom", "--schema-only"), told)


def test_a_column_that_does_not_tell_rows_apart_is_told(stage: Place, written: Callable[..., Path]) -> None:
    other = STACK.replace("orders: {key: id", "orders: {key: amount")
    told = "8:21: services.kiosk.tables.orders.key: the column 'amount' is no key of 'orders'"
    refused(stage, written("--format=custom", stack=other), told)


def test_a_dump_that_was_cut_is_told_with_the_place_that_names_it(
    stage: Place, written: Callable[..., Path]
) -> None:
    scenario = written("--format=custom")
    dump = scenario.with_name("last-night.dump")
    dump.write_bytes(dump.read_bytes()[:-50])
    refused(stage, scenario, f"6:18: services.kiosk.data.dump: {dump} cannot be loaded: could not read")
