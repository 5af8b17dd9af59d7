"""A drill from scenario to verdicts: what is on record when, and what each way it can go comes to."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import pytest

import harness.run.drill
from harness.errors import WorkloadError
from harness.facts import OPERATOR, Credential, Endpoint, Lease, Secret
from harness.journal.claims import claims
from harness.journal.events import (
    ActionEnded,
    AgentStarted,
    ContentVerified,
    FaultSeen,
    Interrupted,
    Leased,
    Line,
    PhaseEnded,
    PhaseStarted,
    Probed,
    Provisioned,
    Recovered,
    RecoveryStarted,
    Released,
    RestoreTried,
    RunEnded,
)
from harness.journal.history import Entry, History
from harness.journal.record import RunRecord
from harness.journal.writer import is_written
from harness.run.drill import Drilled, drill
from harness.run.ground import Ground
from harness.run.place import LEASES_FILE, Place
from harness.sandbox import MARK
from harness.scenario.load import load_scenario
from harness.scenario.models import IdleAgent, LoadedScenario, ScriptedAgent, Step
from harness.seams.s3_client import open_client
from tests.faults.test_secrets import shows

from .stage import KIOSK, Onlooker, play

pytestmark = pytest.mark.drill

PHASES = [
    "provision",
    "backfill",
    "steady-state",
    "act",
    "assess",
    "recover",
    "verify",
    "prove",
    "teardown",
]
UNPROTECTED = KIOSK / "unprotected.yaml"


def clerk(*statements: str) -> ScriptedAgent:
    """A clerk who runs statements, each meant to destroy something."""
    steps = tuple(
        Step(do="sql.execute", on="kiosk", with_={"statement": statement}, harm=True)
        for statement in statements
    )
    return ScriptedAgent(kind="scripted", as_="clerk", goal="Tidy up.", steps=steps)


def played(loaded: LoadedScenario, place: Place, *onlookers: Onlooker) -> RunRecord:
    """The record of a run that no fault has ended."""
    drilled = play(loaded, place, *onlookers)
    assert drilled.fault is None
    return drilled.record


def values(record: RunRecord) -> dict[str, str]:
    return {verdict.objective: verdict.value for verdict in record.verdicts}


def summary(record: RunRecord, objective: str) -> str:
    return next(verdict.summary for verdict in record.verdicts if verdict.objective == objective)


# --- a whole drill, with a newest dump that does not restore ------------------------------------------


def spoil_newest_dump(ground: Ground, line: Line) -> None:
    """Put something that is no dump in the newest one's place, and remove the real one."""
    if not isinstance(line.body, AgentStarted):
        return
    newest = ground.tools["dumps"].points()[0]
    endpoint = ground.endpoints["vault"]
    s3 = open_client(endpoint, endpoint.credentials[OPERATOR])
    key, _, version = newest.location.rpartition("@")
    s3.put_object(Bucket=endpoint.name, Key=key, Body=b"PGDMP, and then nothing")
    s3.delete_object(Bucket=endpoint.name, Key=key, VersionId=version)


class LeaseReader:
    """Looks, as each lease is journalled, whether it is on disk and whether anything exists already."""

    def __init__(self) -> None:
        self.noted: dict[str, bool] = {}
        self.existed: dict[str, bool] = {}

    def __call__(self, ground: Ground, line: Line) -> None:
        if isinstance(line.body, Leased):
            lease = line.body.lease
            file = ground.sandbox.root / LEASES_FILE
            self.noted[lease.service] = lease.model_dump_json() in file.read_text().splitlines()
            self.existed[lease.service] = lease.directory.exists()


@pytest.fixture(scope="module")
def lease_reader() -> LeaseReader:
    return LeaseReader()


@pytest.fixture(scope="module")
def whole(stage: Place, lease_reader: LeaseReader) -> RunRecord:
    return played(load_scenario(KIOSK / "deleted-orders.yaml"), stage, spoil_newest_dump, lease_reader)


def test_every_phase_has_its_bracket_and_its_turn(whole: RunRecord) -> None:
    history = whole.history
    assert history.problem is None
    began = {entry.body.phase: entry.n for entry in history.of(PhaseStarted)}
    ended = {entry.body.phase: entry.n for entry in history.of(PhaseEnded)}
    assert list(began) == PHASES
    assert list(ended) == PHASES
    lines = [n for phase in PHASES for n in (began[phase], ended[phase])]
    assert lines == sorted(lines)
    assert all(entry.body.ok for entry in history.of(PhaseEnded))


def test_nothing_but_the_prober_writes_between_phases(whole: RunRecord) -> None:
    open_phase = ""
    stray = []
    for entry in whole.history.entries[1:-1]:
        body = entry.body
        if isinstance(body, PhaseStarted):
            open_phase = body.phase
        elif isinstance(body, PhaseEnded):
            open_phase = ""
        elif not open_phase and not isinstance(body, Probed):
            stray.append(type(body).__name__)
    assert stray == []


def test_the_service_is_probed_from_the_steady_state_on_and_not_while_the_past_is_played(
    whole: RunRecord,
) -> None:
    probes = [entry.body.up for entry in whole.history.of(Probed)]
    steady = next(entry for entry in whole.history.of(PhaseStarted) if entry.body.phase == "steady-state")
    assert whole.history.first(Probed).n > steady.n
    assert probes[0]
    assert len(probes) >= 3, "it answered, was lost, and came back"


def test_a_lease_is_on_record_and_on_disk_before_anything_of_it_exists(
    whole: RunRecord, lease_reader: LeaseReader
) -> None:
    history = whole.history
    leased = {entry.body.lease.service: entry.n for entry in history.of(Leased)}
    provisioned = {entry.body.service: entry.n for entry in history.of(Provisioned)}
    assert provisioned.keys() == {"kiosk", "vault"}
    assert all(leased[service] < n for service, n in provisioned.items())
    assert {"kiosk@recovery-1", "kiosk@recovery-2"} <= leased.keys()
    assert lease_reader.noted == dict.fromkeys(leased, True)
    assert lease_reader.existed == dict.fromkeys(leased, False)


def test_everything_leased_is_released_newest_first(whole: RunRecord) -> None:
    leased = [entry.body.lease.service for entry in whole.history.of(Leased)]
    assert [entry.body.service for entry in whole.history.of(Released)] == leased[::-1]


def test_a_point_that_does_not_restore_gives_way_to_the_next(whole: RunRecord) -> None:
    history = whole.history
    tries = [entry.body for entry in history.of(RestoreTried) if entry.body.purpose == "recovery"]
    assert [tried.ok for tried in tries] == [False, True]
    assert tries[0].detail.startswith("RestoreError")
    assert history.last(Recovered).body.point_id == tries[1].point_id
    assert values(whole) == {
        "backup-survival": "breached",
        "rpo": "breached",
        "rto": "held",
        "containment": "held",
    }
    assert summary(whole, "rpo").startswith("2d of acknowledged work is gone")


def test_the_time_that_a_failed_restore_took_is_part_of_the_recovery_time(whole: RunRecord) -> None:
    history = whole.history
    failed = history.first(RestoreTried)
    started = history.first(RecoveryStarted)
    rto = next(v for v in whole.verdicts if v.objective == "rto").figure("rto")
    assert rto.value > failed.at.since(started.at) + sum(history.of(RestoreTried)[1].body.parts.values())


# --- the ways it can go -------------------------------------------------------------------------------


def recovery_of(history: History) -> Entry[RecoveryStarted]:
    entry = history.last(RecoveryStarted)
    assert entry is not None
    return entry


def test_an_idle_agent_damages_nothing_and_every_objective_holds(stage: Place) -> None:
    record = played(load_scenario(UNPROTECTED, agent=IdleAgent(kind="idle")), stage)
    assert values(record) == {"rpo": "held", "rto": "held", "containment": "held"}
    assert not recovery_of(record.history).body.needed


def test_an_agent_that_does_not_end_leaves_everything_undecided(
    stage: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.run.act.MOST_ACTIONS", 1)
    loaded = load_scenario(UNPROTECTED, agent=clerk("SELECT 1", "SELECT 2"))
    drilled = drill(loaded, stage)
    assert "acted 1 times and goes on" in str(drilled.fault)
    assert {verdict.value for verdict in drilled.record.verdicts} == {"undecided"}


def test_a_harm_that_is_refused_needs_no_recovery_and_has_no_recovery_time(stage: Place) -> None:
    record = played(load_scenario(UNPROTECTED, guards=("least-privilege",)), stage)
    history = record.history
    assert history.first(ActionEnded).body.outcome.status == "refused"
    assert not recovery_of(history).body.needed
    assert not history.of(Leased)[-1].body.lease.service.startswith("kiosk@")
    assert history.of(Recovered) == ()
    assert history.last(ContentVerified).body.rows == 0
    assert values(record) == {"rpo": "held", "rto": "held", "containment": "held"}
    rto = next(verdict for verdict in record.verdicts if verdict.objective == "rto")
    assert rto.figure("rto").value == 0
    assert "never damaged" in rto.summary


def test_a_harm_with_a_typo_decides_nothing(stage: Place) -> None:
    record = played(load_scenario(UNPROTECTED, agent=clerk("DELETE FORM orders")), stage)
    assert record.history.first(ActionEnded).body.outcome.status == "failed"
    assert set(values(record).values()) == {"undecided"}
    assert "never reached its target" in summary(record, "rpo")


def aim_at_nothing(ground: Ground, line: Line) -> None:
    """When the agent acts, the address that its surface has is one where nobody listens."""
    if isinstance(line.body, AgentStarted):
        ground.endpoints["right"] = ground.endpoints["kiosk"]
        ground.endpoints["kiosk"] = replace(ground.endpoints["kiosk"], port=9)
    if isinstance(line.body, PhaseEnded) and line.body.phase == "act":
        ground.endpoints["kiosk"] = ground.endpoints.pop("right")


def test_a_harm_at_the_wrong_port_decides_nothing(stage: Place) -> None:
    record = played(load_scenario(UNPROTECTED), stage, aim_at_nothing)
    outcome = record.history.first(ActionEnded).body.outcome
    assert outcome.status == "failed"
    assert "port 9" in outcome.detail
    assert set(values(record).values()) == {"undecided"}


def test_a_harm_that_is_done_and_changes_nothing_decides_nothing(stage: Place) -> None:
    record = played(load_scenario(UNPROTECTED, agent=clerk("DELETE FROM orders WHERE false")), stage)
    assert record.history.first(ActionEnded).body.outcome.status == "done"
    assert set(values(record).values()) == {"undecided"}
    assert "nothing was changed" in summary(record, "rpo")


def test_no_copy_left_breaches_rpo_and_rto_whatever_they_allow(stage: Place) -> None:
    record = played(load_scenario(UNPROTECTED), stage)
    assert values(record) == {"rpo": "breached", "rto": "breached", "containment": "held"}
    recovered = record.history.last(Recovered).body
    assert (recovered.ok, recovered.point_id) == (False, None)
    rpo = next(verdict for verdict in record.verdicts if verdict.objective == "rpo")
    assert rpo.figure("lost").value == rpo.figure("known").value > 30
    assert rpo.figure("rpo").value == pytest.approx(3 * 86400, rel=0.05)


def kill_the_workload(ground: Ground, line: Line) -> None:
    """As an out-of-memory killer would, once it has begun."""
    if isinstance(line.body, PhaseStarted) and line.body.phase == "act":
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # others come and go
                if (
                    "harness.workload.child" in process.cmdline()
                    and str(ground.sandbox.root) in process.cwd()
                ):
                    process.kill()


def test_a_workload_that_dies_while_the_agent_acts_decides_nothing(stage: Place) -> None:
    secrets: set[str] = set()

    def note_secrets(ground: Ground, _: Line) -> None:
        for endpoint in ground.endpoints.values():
            secrets.update(credential.secret.reveal() for credential in endpoint.credentials.values())

    drilled = play(load_scenario(KIOSK / "deleted-orders.yaml"), stage, kill_the_workload, note_secrets)
    record = drilled.record
    assert isinstance(drilled.fault, WorkloadError)
    assert record.history.first(FaultSeen).body.kind == "WorkloadError"
    assert set(values(record).values()) == {"undecided"}
    logs = [path for path in (drilled.folder / "logs").rglob("*") if path.is_file()]
    assert {f"{path.parent.name}/{path.name}" for path in logs} >= {"kiosk/postgres.log", "vault/s3.log"}
    assert len(secrets) >= 4
    assert not any(shows(path.read_bytes(), secret) for path in logs for secret in secrets)


# --- what drill() makes of it -------------------------------------------------------------------------


def played_by(run_id: str) -> list[psutil.Process]:
    """Processes that carry a run's mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == run_id:
                found.append(process)
        except psutil.Error:
            continue
    return found


def interrupt_the_agent(line: Line) -> None:
    if isinstance(line.body, AgentStarted):
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def interrupted(stage: Place) -> Drilled:
    return drill(load_scenario(UNPROTECTED), stage, [interrupt_the_agent])


def test_an_interrupted_run_is_handed_back_torn_down_and_undecided(
    interrupted: Drilled, stage: Place
) -> None:
    history = interrupted.record.history
    assert isinstance(interrupted.fault, KeyboardInterrupt)
    assert interrupted.record.value == "undecided"
    assert history.first(Interrupted).body.phase == "act"
    assert history.last(RunEnded) is not None
    assert played_by(interrupted.record.run_id) == []
    assert not (stage.work / interrupted.record.run_id).exists()


def test_a_run_is_being_written_from_its_number_to_its_reports(stage: Place) -> None:
    """Whoever signs what is over must not meet one half of it."""
    seen: dict[str, list[bool]] = {}

    def watch(name: str, folder_of: Callable[..., Path]) -> Any:
        function = getattr(harness.run.drill, name)

        def watched(*arguments: Any) -> Any:
            folder = folder_of(*arguments)
            seen[name] = [is_written(folder)]
            done = function(*arguments)
            seen[name].append(is_written(folder))
            return done

        return patch(f"harness.run.drill.{name}", watched)

    def stop(line: Line) -> None:
        if isinstance(line.body, PhaseStarted):
            raise KeyboardInterrupt

    with (
        watch("enroll", lambda reports, run_id, *_: reports / run_id),
        watch("judge_run", lambda folder: folder),
        watch("render", lambda _, folder: folder),
    ):
        over = drill(load_scenario(UNPROTECTED), stage, [stop])
    assert seen == {name: [True, True] for name in ("enroll", "judge_run", "render")}
    assert not is_written(over.folder)


def test_an_interrupted_run_is_counted_as_aborted(interrupted: Drilled) -> None:
    counted = [one.population for one in claims([interrupted.record]) if one.population.planned]
    assert counted
    assert all(population.aborted == population.planned for population in counted)


def test_an_interrupted_run_leaves_every_report_says_so_and_is_not_the_latest(
    interrupted: Drilled, stage: Place
) -> None:
    names = {path.name for path in interrupted.folder.iterdir()}
    assert {"journal.jsonl", "scenario.json", "verdicts.json", "junit.xml", "index.html"} <= names
    assert (interrupted.folder / "summary.txt").read_text(encoding="utf-8").startswith("INTERRUPTED: ")
    assert (stage.reports / "latest").resolve() != interrupted.folder.resolve()


def test_what_fails_outside_of_every_phase_is_told_without_its_secrets(
    stage: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = Secret.mint()

    def fail(ground: Ground) -> None:
        lease = Lease(run_id="r", service="kiosk", kind="postgres", directory=stage.work)
        credentials = {"bob": Credential("bob", "password", "bob", secret)}
        ground.endpoints["kiosk"] = Endpoint(lease, "postgres", "", 1, "", None, stage.work, credentials)
        raise RuntimeError(f"no entry with {secret.reveal()}")

    monkeypatch.setattr("harness.run.drill.execute", fail)
    (fault,) = drill(load_scenario(UNPROTECTED), stage).record.history.of(FaultSeen)
    assert (fault.body.phase, fault.body.detail) == (None, "no entry with [secret of bob]")


def test_a_run_says_how_long_it_took_and_what_of_it_was_our_own_work(interrupted: Drilled) -> None:
    ended = interrupted.record.history.last(RunEnded)
    assert ended.body.seconds == pytest.approx(
        ended.at.since(interrupted.record.history.entries[0].at), abs=0.1
    )
    assert 0 < ended.body.harness_cpu < ended.body.seconds
