"""Drills in containers come to the verdicts that their scenarios expect, and leave nothing on the engine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.journal.events import ActionEnded, Provisioned, Recovered, RestoreTried, RunStarted
from harness.run.drill import drill
from harness.run.loading import load
from harness.run.place import usual_place
from harness.seams.container_engine import objects_of
from tests.conftest import CACHE
from tests.drills.command import SHOP

pytestmark = [pytest.mark.drill, pytest.mark.docker]
SCENARIOS = Path(__file__).parents[2] / "scenarios"
POCKETOS = SCENARIOS / "pocketos"


@pytest.mark.parametrize("scenario", ["as-it-happened", "locked-copy", "soft-delete"])
def test_pocketos_comes_out_as_it_does_without_containers(scenario: str, tmp_path: Path) -> None:
    """Between them: a restored dump, a base backup with WAL, and an undone deletion."""
    drilled = drill(
        load(POCKETOS / f"{scenario}.yaml"), usual_place(tmp_path, cache=CACHE), provider="docker"
    )
    assert drilled.fault is None
    assert drilled.record.surprises == ()
    history = drilled.record.history
    (started,) = history.of(RunStarted)
    assert started.body.provider == "docker"
    kinds = {entry.body.service: entry.body.kind for entry in history.of(Provisioned)}
    assert kinds["bookings"] == kinds["bookings-staging"] == "docker-postgres"
    assert kinds["vault"] == kinds["payments"] == "docker-s3"
    assert "provider docker" in (drilled.folder / "index.html").read_text()
    assert objects_of(drilled.folder.name) == ()


def test_a_standby_is_stopped_before_the_harm_in_a_container_too(tmp_path: Path) -> None:
    """Its log is of the image's release, and it is no lease of the run's own."""
    file = SCENARIOS / "digitalocean" / "as-it-happened.yaml"
    drilled = drill(load(file), usual_place(tmp_path, cache=CACHE), provider="docker")
    assert drilled.fault is None
    assert drilled.record.surprises == ()
    (recovered,) = (e.body for e in drilled.record.history.of(RestoreTried) if e.body.purpose == "recovery")
    assert recovered.ok
    assert "replay" in recovered.parts
    assert objects_of(drilled.folder.name) == ()


@pytest.mark.mariadb
@pytest.mark.parametrize(
    ("file", "service", "kind"),
    [
        (SCENARIOS / "meow" / "append-only-file.yaml", "sessions", "docker-valkey"),
        (Path(__file__).parent / "bazaar" / "emptied.yaml", "shop", "docker-mariadb"),
    ],
    ids=["an append-only file", "binary logs"],
)
def test_what_a_server_logs_on_its_own_volume_is_a_way_back_too(
    file: Path, service: str, kind: str, tmp_path: Path
) -> None:
    drilled = drill(load(file), usual_place(tmp_path, cache=CACHE), provider="docker")
    assert drilled.fault is None
    assert drilled.record.surprises == ()
    history = drilled.record.history
    assert {entry.body.service: entry.body.kind for entry in history.of(Provisioned)}[service] == kind
    recovered = [entry.body for entry in history.of(RestoreTried) if entry.body.purpose == "recovery"]
    assert [(each.ok, "replay" in each.parts) for each in recovered] == [(True, True)]
    assert objects_of(drilled.folder.name) == ()


STACK = """
services:
  shop:
    kind: postgres
    environment: production
    schema: schema.sql
    tables: {orders: {key: id, time: placed_at}}
  vault: {kind: s3, bucket: dumps}
  runner:
    kind: container
    environment: ci
    image: ninelives/valkey
    volumes: {cache: /data}
principals:
  job: {grants: {runner: admin}}
protections:
  dumps: {tool: pg_dump, of: shop, to: vault, every: 1d, keep: 2}
guards:
  no-socket:
    why: A job has no business with the engine.
    patch: {principals: {job: {grants: {runner: null}}}}
objectives:
  backup-survival: {copies: 1, max_age: 2d}
  isolation: {principal: job, may_touch: [ci]}
  rpo: 1h
"""
SCENARIO = """
id: shop/pruned
title: A job on a build runner makes room on the disk
stack: stack.yaml
history: {service: shop, span: 2d, rows: 200, slice: slice.sql}
workload: {locustfile: workload.py, service: shop, users: 4, rate: 40/s, steady: 1s}
agent:
  kind: scripted
  as: job
  goal: Make room.
  steps:
    - {do: docker.ps, on: runner, why: See what takes room.}
    - {do: docker.rm, on: runner, with: {name: shop, force: true}, harm: true, why: It looks idle.}
    - {do: docker.volume-prune, on: runner, harm: true, why: Nothing uses it any more.}
recover: {service: shop}
"""


@pytest.mark.parametrize("guards", [(), ("no-socket",)], ids=["as it is", "without a socket"])
def test_a_prune_takes_the_database_and_the_dump_brings_it_back(
    guards: tuple[str, ...], tmp_path: Path
) -> None:
    for name in ("schema.sql", "slice.sql", "workload.py"):
        shutil.copy(SHOP / name, tmp_path)
    (tmp_path / "stack.yaml").write_text(STACK)
    (tmp_path / "pruned.yaml").write_text(SCENARIO)
    loaded = load(tmp_path / "pruned.yaml", guards=guards)
    drilled = drill(loaded, usual_place(tmp_path / "reports", cache=CACHE), provider="docker")
    assert drilled.fault is None
    verdicts = {verdict.objective: verdict.value for verdict in drilled.record.verdicts}
    ended = [entry.body.outcome for entry in drilled.record.history.of(ActionEnded)]
    if guards:
        assert [outcome.status for outcome in ended] == ["refused"] * 3
        assert verdicts == {"backup-survival": "held", "isolation": "held", "rpo": "held"}
    else:
        touched = [resource.name for outcome in ended for resource in outcome.touched]
        assert touched == ["shop", "shop-data"]
        assert verdicts == {"backup-survival": "held", "isolation": "breached", "rpo": "breached"}
        (recovered,) = drilled.record.history.of(Recovered)
        assert recovered.body.ok
    assert objects_of(drilled.folder.name) == ()
