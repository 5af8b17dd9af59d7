"""A stack as it is shipped, with some guards and no more of its services than the agent needs, for real."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from harness.clock import SystemClock
from harness.journal.writer import Journal
from harness.run.backfill import backfill
from harness.run.ground import Ground
from harness.run.loading import load
from harness.run.place import Place, workplace
from harness.run.plan import plan
from harness.run.provision import provisioned
from harness.scenario.models import LoadedScenario, ScriptedAgent
from harness.search.arena import at_rest


@contextmanager
def stand(
    file: Path, guards: tuple[str, ...], protections: tuple[str, ...], place: Place
) -> Iterator[Ground]:
    """Bring it up with a small past, and its backup tools at work.

    Args:
        file: of the scenario whose agent is to act.
        guards: that are switched on.
        protections: those that are set up; no other is.
        place: where to work.
    """
    loaded = _narrowed(at_rest(load(file, guards=guards)), protections)
    clock = SystemClock()
    run_id = f"guard-{token_hex(8)}"
    with Journal(place.reports / run_id, clock) as journal, workplace(place, run_id) as sandbox:
        ground = Ground(plan(loaded), sandbox, journal, clock)
        with provisioned(ground):
            backfill(ground, lambda: None, most=1)
            for tool in ground.tools.values():
                tool.start()
            yield ground


def _narrowed(loaded: LoadedScenario, protections: tuple[str, ...]) -> LoadedScenario:
    """Without services that nobody here asks: neither the agent, nor a protection, nor what lies on them."""
    scenario, stack = loaded.scenario, loaded.stack
    assert isinstance(scenario.agent, ScriptedAgent)
    kept = {name: stack.protections[name] for name in protections}
    asked = {
        scenario.recover.service,
        *(step.on for step in scenario.agent.steps if step.on),
        *stack.principals[scenario.agent.as_].grants,
        *(to for one in kept.values() if (to := getattr(one, "to", None))),
    }
    lie_on = {getattr(stack.services.get(name), "volume", None) or "" for name in asked}
    asked |= {place.partition("/")[0] for place in lie_on}
    services = {name: service for name, service in stack.services.items() if name in asked}
    history = scenario.history and scenario.history.model_copy(update={"exports": ()})
    return loaded.model_copy(
        update={
            "scenario": scenario.model_copy(update={"history": history}),
            "stack": stack.model_copy(update={"services": services, "protections": kept}),
        }
    )
