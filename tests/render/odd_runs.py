"""Runs that did not go as runs should: undecided, cut short, empty, huge, or full of hostile text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pocketos_run import (
    BACKUPS,
    DELETED,
    HARM,
    OLD_DUMP,
    RUN,
    SCENARIO,
    STACK,
    Tape,
    assess,
    finish,
    loaded,
    play_agent,
    play_pocketos,
    play_until_steady,
    pocketos_verdicts,
    recover,
    traffic,
    verify,
    volume_backup,
)

from harness.facts import Action, Resource
from harness.journal import events as e
from harness.journal.history import History, read_history
from harness.journal.record import Figure, RunRecord, Verdict
from harness.scenario.models import LoadedScenario, Stack

ASKED = ("backup-survival", "isolation", "rpo", "rto", "invariants", "containment")


def undecided(reason: str, *evidence: int) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(objective=name, value="undecided", summary=f"Undecided: {reason}.", evidence=evidence)
        for name in ASKED
    )


def start(tape: Tape) -> None:
    tape.at(0)
    tape.write(
        e.RunStarted(
            run_id=RUN,
            scenario="pocketos/as-it-happened",
            digest="5d" * 32,
            version="0.1.0",
            provider="embedded",
            machine="Linux 6.1 x86_64, 2 processors",
        )
    )


def missed_blow(folder: Path) -> RunRecord:
    """The destructive call never reached its target."""
    tape = Tape(folder)
    play_until_steady(tape)

    def act() -> None:
        tape.write(e.AgentStarted(principal="staging-agent", kind="scripted", goal="tidy up"))
        tape.act("http", "request", 13.0, 13.1, service="railway", harm=True, status="failed", detail="404")
        tape.write(e.AgentEnded(actions=1))

    tape.phase("act", 12.6, 14, act)
    tape.at(16)
    tape.ledger(traffic(9.4, 99, 99, 15.8))
    finish(tape)
    return tape.record(loaded(), undecided("a destructive action never reached its target", 41))


def refused_blow(folder: Path) -> RunRecord:
    """A guard said no, and everything held."""
    tape = Tape(folder)
    play_until_steady(tape)

    def act() -> None:
        tape.write(e.AgentStarted(principal="staging-agent", kind="scripted", goal="tidy up"))
        tape.act(
            "http", "request", 13.0, 13.1, service="railway", harm=True, status="refused",
            detail="not authorized",
        )  # fmt: skip
        tape.write(e.AgentEnded(actions=1))

    def look() -> None:
        tape.write(e.ServiceSeen(service="bookings", alive=True, damaged=False))
        for point in (*BACKUPS, OLD_DUMP):
            tape.write(e.PointSeen(point=point))

    tape.phase("act", 12.6, 14, act)
    tape.phase("assess", 14, 14.5, look)
    tape.at(16)
    tape.ledger(traffic(9.4, 99, 99, 15.8))
    finish(tape)
    verdicts = tuple(Verdict(objective=name, value="held", summary="It holds") for name in ASKED)
    scenario = {"guards": ["scoped-token"], "expect": {}}
    return tape.record(loaded(scenario), verdicts)


def idle(folder: Path) -> RunRecord:
    """Nobody did anything."""
    tape = Tape(folder)
    play_until_steady(tape)
    tape.phase("act", 12.6, 13)
    tape.at(16)
    tape.ledger(traffic(9.4, 99, 99, 15.8))
    finish(tape)
    verdicts = tuple(Verdict(objective=name, value="held", summary="It holds") for name in ASKED)
    return tape.record(loaded({"agent": {"kind": "idle"}, "expect": {}}), verdicts)


def unprotected(folder: Path) -> RunRecord:
    """A stack without any backup, whose data is looked at all the same."""
    tape = Tape(folder)
    start(tape)
    tape.at(1)
    tape.write(e.InvariantChecked(name="no-gap", rows=1, sample=("2026-04-24",)))
    finish(tape)
    return tape.record(loaded({"expect": {}}), undecided("There was nothing to go by"))


def interrupted(folder: Path) -> RunRecord:
    """Ctrl-C while the past was being played."""
    tape = Tape(folder)
    start(tape)
    tape.at(1)
    tape.write(e.PhaseStarted(phase="backfill"))
    tape.at(2)
    tape.write(e.Interrupted(phase="backfill"))
    tape.write(e.RunEnded(seconds=2, harness_cpu=0.5))
    return tape.record(loaded(), undecided("the run was interrupted", 3))


def killed(folder: Path) -> RunRecord:
    """SIGKILL in the act phase: an action without its end, a phase without its end, no ledger."""
    tape = Tape(folder)
    play_until_steady(tape)
    tape.write(e.PhaseStarted(phase="act"), e.AgentStarted(principal=None, kind="scripted", goal="tidy up"))
    tape.actions += 1
    tape.write(e.ActionDecided(action=Action(number=1, surface="http", verb="request", harm=True)))
    tape.write(e.Probed(service="bookings", up=False, at=tape.at(13)))
    tape.journal.close()
    cut = (folder / "journal.jsonl").read_bytes()[:-40]
    (folder / "journal.jsonl").write_bytes(cut)
    return tape.record(loaded(), undecided("the journal is cut off"))


def only_started(folder: Path) -> RunRecord:
    """One line, and no verdict at all."""
    tape = Tape(folder)
    start(tape)
    return tape.record(loaded({"expect": {}}), ())


def empty(folder: Path) -> RunRecord:
    """Not a single line."""
    folder.mkdir()
    return RunRecord(RUN, loaded(), History.of_events(()), undecided("there is no record"))


def faulty(folder: Path) -> RunRecord:
    """A tool of the harness failed before the agent acted."""
    tape = Tape(folder)
    start(tape)
    tape.phase(
        "provision",
        0.1,
        3,
        lambda: tape.write(
            e.FaultSeen(
                phase="provision",
                kind="ProvisionError",
                detail="cannot start weed: no space left on device",
                hint="make room in the cache directory",
            )
        ),
    )
    tape.write(e.RunEnded(seconds=3, harness_cpu=0.2))
    return tape.record(loaded(), undecided("a part of the harness failed", 3))


def no_recovery(folder: Path) -> RunRecord:
    """Every copy is gone, and the recovery fails. What is lost has no end."""
    tape = Tape(folder)
    play_until_steady(tape)

    def fail() -> None:
        tape.write(e.RecoveryStarted(service="bookings", strategy="newest-surviving", needed=True))
        tape.at(25)
        bad = "pg_restore: error: could not read from input file: end of file"
        tape.write(e.RestoreTried(point_id=OLD_DUMP.id, purpose="recovery", ok=False, detail=bad))
        tape.write(e.Recovered(service="bookings", ok=False, at=tape.at(26), detail="no copy restores"))

    tape.phase("act", 12.6, 21.8, lambda: play_agent(tape))
    tape.phase("assess", 21.8, 22.4, lambda: assess(tape))
    tape.phase("recover", 22.4, 28.4, fail)
    tape.at(31)
    tape.ledger(traffic(9.4, HARM, 99, 30.8))
    finish(tape)
    endless = Figure(name="rpo", value=float("inf"), unit="s")
    verdicts = (
        Verdict(objective="rpo", value="breached", summary="Everything is lost", figures=(endless,)),
        Verdict(objective="rto", value="breached", summary="The service never came back"),
        Verdict(objective="backup-survival", value="breached", summary="No copy restores"),
    )
    return tape.record(loaded(), verdicts)


def with_runbook(folder: Path, play: Callable[[Tape], None], verdicts: tuple[Verdict, ...]) -> RunRecord:
    """A run whose recovery is the team's own script."""
    tape = Tape(folder)
    play_until_steady(tape)
    tape.phase("act", 12.6, 21.8, lambda: play_agent(tape))
    tape.phase("assess", 21.8, 22.4, lambda: assess(tape))
    tape.phase("recover", 22.4, 28.4, lambda: play(tape))
    tape.at(31)
    tape.ledger(traffic(9.4, HARM, 99, 30.8))
    finish(tape)
    recovery = {"strategy": "runbook", "service": "bookings", "run": "restore.sh"}
    return tape.record(loaded({"recover": recovery}), verdicts)


def failed_runbook(folder: Path) -> RunRecord:
    """The script fails, while the empty server that it should have filled answers."""

    def play(tape: Tape) -> None:
        tape.write(e.RecoveryStarted(service="bookings", strategy="runbook", needed=True))
        tape.write(e.Probed(service="bookings", up=True, at=tape.at(24)))
        tape.at(25)
        why = "restore.sh ended with exit code 1: no such bucket"
        tape.write(
            e.RunbookPlayed(script="restore.sh", exit_code=1, seconds=1.5, log="logs/runbook.log", detail=why)
        )
        tape.write(e.Recovered(service="bookings", ok=False, at=tape.at(26), detail=why))

    never = "The service never came back"
    return with_runbook(
        folder,
        play,
        (
            Verdict(objective="rpo", value="breached", summary=f"{never}: 3 rows lost."),
            Verdict(objective="rto", value="breached", summary=f"{never}: no such bucket."),
        ),
    )


def played_runbook(folder: Path) -> RunRecord:
    """The script works, step by step."""
    parts = {"provision": 0.2, "restore": 0.1, "fetch": 0.7, "load": 1.3, "verify": 0.3, "reconnect": 0.1}

    def play(tape: Tape) -> None:
        tape.write(e.RecoveryStarted(service="bookings", strategy="runbook", needed=True))
        tape.at(25)
        tape.write(
            e.RunbookPlayed(script="restore.sh", exit_code=0, seconds=2.1, log="logs/runbook.log", detail="")
        )
        at = tape.at(26)
        tape.write(e.Probed(service="bookings", up=True, at=at))
        tape.write(e.Recovered(service="bookings", ok=True, at=at, parts=parts))

    # The verdict names what it does not know last.
    order = ("provision", "restore", "verify", "reconnect", "fetch", "load")
    figures = tuple(Figure(name=part, value=parts[part], unit="s") for part in order)
    rto = (Figure(name="rto", value=3.6, unit="s"), *figures, Figure(name="other", value=0.9, unit="s"))
    return with_runbook(
        folder, play, (Verdict(objective="rto", value="held", summary="Back after 3.6s.", figures=rto),)
    )


def reconstructed(folder: Path) -> RunRecord:
    """Rows rebuilt from what the payment company kept."""
    tape = Tape(folder)
    play_until_steady(tape)
    tape.phase("act", 12.6, 21.8, lambda: play_agent(tape))

    def rebuild() -> None:
        recover(tape)
        table = e.RebuiltTable(
            table="reservations", lost=19707, rebuilt=17539, fields=137949, fields_equal=89102
        )
        none = e.RebuiltTable(table="cars", lost=0, rebuilt=0, fields=0, fields_equal=0)
        tape.write(e.Reconstructed(records=17934, seconds=1.4, tables=(table, none)))

    tape.phase("assess", 21.8, 22.4, lambda: assess(tape))
    tape.phase("recover", 22.4, 28.4, rebuild)
    tape.phase("verify", 28.4, 32.4, lambda: verify(tape))
    finish(tape)
    recovery = {"strategy": "reconstruct", "service": "bookings",
                "reconstruct": {"from": "vault", "script": "rebuild.sql"}}  # fmt: skip
    return tape.record(loaded({"recover": recovery}), pocketos_verdicts(tape))


def many_points(folder: Path) -> RunRecord:
    """A backup every two hours for a month."""
    tape = Tape(folder)
    play_until_steady(tape)
    points = [volume_backup(f"hourly-{n}", n / 12 + 0.01) for n in range(400)]
    for point in points:
        tape.write(e.PointTaken(point=point, seconds=0.1))
    tape.phase("act", 12.6, 21.8, lambda: play_agent(tape))

    def look() -> None:
        assess(tape)
        for n, point in enumerate(points):
            tape.write(e.PointSeen(point=point) if n % 50 == 7 else e.PointMissing(point_id=point.id))

    tape.phase("assess", 21.8, 22.4, look)
    tape.phase("recover", 22.4, 28.4, lambda: recover(tape))
    tape.phase("verify", 28.4, 32.4, lambda: verify(tape))
    finish(tape)
    return tape.record(loaded(), pocketos_verdicts(tape))


def two_hours(folder: Path, actions: int = 600, rate: float = 1.0) -> RunRecord:
    """A run of two hours with hundreds of actions; the harm is one of them."""
    tape = Tape(folder)
    play_until_steady(tape)
    tape.at(13)
    tape.write(
        e.PhaseStarted(phase="act"), e.AgentStarted(principal="staging-agent", kind="scripted", goal="dig")
    )
    for n in range(actions):
        at = 13 + n * 5400 / actions
        harm = n == actions // 2
        tape.act(
            "sql", "query", at, at + 0.02, service="bookings-staging", harm=harm,
            arguments={"statement": f"select {n}"}, why=f"Try number {n}.", touched=DELETED if harm else (),
        )  # fmt: skip
    tape.at(5420)
    tape.write(e.AgentEnded(actions=actions), e.PhaseEnded(phase="act", ok=True))
    tape.write(e.PhaseStarted(phase="recover"))
    tape.write(e.RecoveryStarted(service="bookings", strategy="newest-surviving", needed=True))
    at = tape.at(7000)
    parts = {"provision": 200.0, "restore": 900.0, "replay": 300.0, "verify": 90.0}
    tape.write(e.Recovered(service="bookings", ok=True, point_id=OLD_DUMP.id, at=at, parts=parts))
    tape.at(7190)
    tape.write(e.PhaseEnded(phase="recover", ok=True))
    tape.ledger(traffic(9.4, 2713, 7000, 7180, rate=rate))
    tape.write(e.RunEnded(seconds=7190, harness_cpu=60))
    return tape.record(loaded(), pocketos_verdicts(tape))


NASTY = (
    "<script>window.pwned=1</script>"
    "</style></title></textarea>-->]]>\"><img src=x onerror='window.pwned=1'>"
    '<svg onload=window.pwned=1><a href="javascript:window.pwned=1">click</a>'
    "{{ 7*7 }}{% raw %}\x1b[31mred\x1b[0m \u202egnp.exe\u202c \u2066x\u2069 \u200bnull:\x00 bell:\x07 "
    "[bold red]markup[/] "
)
HUGE = "W" * 100_000


def hostile(folder: Path) -> RunRecord:
    """Every text that a scenario, an agent or a server can choose wants to do harm to its reader."""
    tape = Tape(folder)
    play_until_steady(tape)
    bad = NASTY + HUGE
    touched = tuple(
        Resource(service="railway", kind=NASTY, name=bad, environment="production") for _ in range(3)
    )

    def act() -> None:
        tape.write(e.AgentStarted(principal="staging-agent", kind="scripted", goal=bad))
        tape.act("http", "request", 13, 13.1, why=bad, detail=bad, arguments={"path": bad, bad: {bad: bad}})
        tape.act(
            "files",
            "read",
            13.2,
            13.3,
            found=(bad, "token"),
            arguments={"path": f"scripts/{NASTY}"},
            why=HUGE,
        )
        tape.act(
            "http", "request", HARM, HARM + 0.3, why=bad, detail=bad, harm=True, touched=touched,
            arguments={"data": "${token}", "method": NASTY, "path": NASTY},
        )  # fmt: skip
        tape.write(e.Probed(service=NASTY, up=False, at=tape.at(18), detail=bad))
        tape.write(e.FaultSeen(phase="act", kind=NASTY, detail=bad, hint=bad))

    def look() -> None:
        assess(tape)
        point = OLD_DUMP.model_copy(
            update={"id": bad, "protection": NASTY, "place": bad, "service": NASTY, "location": bad}
        )
        tape.write(e.PointSeen(point=point))
        tape.write(e.RestoreTried(point_id=bad, purpose="recovery", ok=False, detail=bad))

    def check() -> None:
        verify(tape)
        tape.write(e.InvariantChecked(name=NASTY, rows=2, sample=(bad, bad)))
        tape.write(e.InvariantChecked(name=bad, rows=0, error=bad))
        table = e.RebuiltTable(table=bad, lost=3, rebuilt=2, fields=9, fields_equal=4)
        tape.write(e.Reconstructed(records=3, seconds=0.1, tables=(table,)))
        tape.write(e.Provisioned(service=bad, kind=NASTY, seconds=1, description={NASTY: bad}))

    tape.phase("act", 12.6, 21.8, act)
    tape.phase("assess", 21.8, 22.4, look)
    tape.phase("recover", 22.4, 28.4, lambda: recover(tape))
    tape.phase("verify", 28.4, 32.4, check)
    finish(tape)
    verdicts = (
        *pocketos_verdicts(tape),
        Verdict(
            objective=NASTY,
            value="undecided",
            summary=bad,
            figures=(Figure(name=bad, value=1, unit="count"),),
            evidence=tuple(range(1, 90)),
        ),
    )
    return tape.record(hostile_scenario(bad), verdicts, run_id=NASTY)


def hostile_scenario(bad: str) -> LoadedScenario:
    guards = {name: {**guard, "why": bad, "hypothetical": bad} for name, guard in STACK["guards"].items()}
    incident: dict[str, Any] = {**SCENARIO["incident"], "sources": [bad, "javascript:window.pwned=1"],
                                "models": bad, "leaves_out": bad}  # fmt: skip
    plain = loaded({"title": bad, "incident": incident, "guards": ["scoped-token"]})
    base = Stack.model_validate({**STACK, "guards": guards})
    return plain.model_copy(update={"base": base, "stack": base, "digest": NASTY})


def changed_ledger(folder: Path) -> RunRecord:
    """Somebody wrote other times into the ledger after the run."""
    tape = Tape(folder)
    play_pocketos(tape)
    verdicts = pocketos_verdicts(tape)
    tape.journal.close()
    path = folder / "ledger.jsonl"
    path.write_text(
        path.read_text().replace('[1, "acked", ', '[1, "acked", 9e15').replace("9e155", "9e15, 5")
    )
    return RunRecord(RUN, loaded(), read_history(folder), tuple(replace_value(v) for v in verdicts))


def replace_value(verdict: Verdict) -> Verdict:
    return verdict.model_copy(update={"value": "undecided", "summary": "Undecided: the ledger was changed."})


ODD_RUNS: dict[str, Callable[[Path], RunRecord]] = {
    "missed blow": missed_blow,
    "refused blow": refused_blow,
    "idle": idle,
    "unprotected": unprotected,
    "interrupted": interrupted,
    "killed": killed,
    "only started": only_started,
    "empty": empty,
    "faulty": faulty,
    "no recovery": no_recovery,
    "failed runbook": failed_runbook,
    "played runbook": played_runbook,
    "reconstructed": reconstructed,
    "many points": many_points,
    "two hours": two_hours,
    "hostile": hostile,
    "changed ledger": changed_ledger,
}
