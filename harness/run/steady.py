"""Everything must be well before the agent acts, or what follows proves nothing."""

from __future__ import annotations

from harness.errors import WorkloadError
from harness.journal.events import SteadyStateChecked, WitnessTaken
from harness.journal.ledger import read_ledger
from harness.journal.witness import write_lines
from harness.run.compare import tracked_lines
from harness.run.ground import Ground
from harness.run.traffic import Traffic

WITNESS = "witness.jsonl"
LEAST_SHARE = 0.5
"""Of the wanted rate; below it the workload does not show what a loss would look like."""


def steady_state(ground: Ground, traffic: Traffic) -> bool:
    """Watch the workload for the time that the scenario asks for.

    Returns:
        Whether writes were acknowledged at half the wanted rate at least, none failed, and the service
        answered all the while.

    Raises:
        ScenarioFileError: the locustfile has raised.
    """
    wanted = ground.plan.loaded.scenario.workload
    began = ground.clock.stamp()
    detail = ""
    try:
        traffic.wait_for_first_acknowledgement()
        began = ground.clock.stamp()
        ground.clock.sleep(wanted.steady.total_seconds())
    except WorkloadError as error:
        detail = error.message
    seconds = ground.clock.stamp().since(began)
    acknowledged, failed = read_ledger(traffic.ledger).count_since(began.mono)
    detail = detail or traffic.complaint()
    if not detail and failed:
        detail = f"{failed} writes failed"
    if not detail and acknowledged < LEAST_SHARE * wanted.rate * seconds:
        detail = f"{acknowledged} writes in {seconds:.1f} s, wanted {wanted.rate:g} a second"
    traffic.check_locustfile()
    detail = ground.redactor().clean_log(detail)
    ground.journal.write(
        SteadyStateChecked(
            ok=not detail, acknowledged=acknowledged, failed=failed, seconds=seconds, detail=detail
        )
    )
    return not detail


def take_witness(ground: Ground) -> WitnessTaken:
    """Read keys, hashes and times of every tracked row and put them beside the ledger."""
    service = ground.plan.target
    before = ground.clock.stamp()
    written = write_lines(
        ground.journal.folder / WITNESS, tracked_lines(ground, service, ground.endpoints[service])
    )
    witness = WitnessTaken(
        service=service,
        file=WITNESS,
        sha256=written.sha256,
        content=written.content,
        before=before,
        after=ground.clock.stamp(),
    )
    ground.journal.write(witness)
    return witness
