"""The only step of a run that touches systems. Read top to bottom: this is a drill."""

from __future__ import annotations

from harness.run.act import act
from harness.run.assess import assess, list_points, take_inventory
from harness.run.backfill import backfill
from harness.run.delete_alone import delete_alone
from harness.run.ground import Ground, phase
from harness.run.intrude import intrude
from harness.run.provision import provisioned
from harness.run.reconstruct import read_fields
from harness.run.recover import recover
from harness.run.steady import steady_state, take_witness
from harness.run.tamper import tamper
from harness.run.traffic import go, stop, traffic
from harness.run.trail import read_log
from harness.run.verify import prove, verify


def execute(ground: Ground) -> None:
    """Play the drill. Everything that is observed goes to the journal; nothing is judged.

    Raises:
        HarnessError: a replica, a tool or the journal failed; it is in the journal if that still works.
        KeyboardInterrupt: the user wants to stop; everything has been torn down.
    """
    with provisioned(ground), traffic(ground) as world:
        with phase(ground, "backfill"):
            backfill(ground, world.workload.look)
            for tool in ground.tools.values():
                tool.start()
        with phase(ground, "steady-state"):
            go(ground, world)
            if not steady_state(ground, world):
                return
            witness = take_witness(ground)
            if ground.plan.loaded.scenario.recover.reconstruct is not None:
                ground.fields = read_fields(ground, ground.endpoints[ground.plan.target])
            points, inventory = list_points(ground), take_inventory(ground, "before")
            world.check_locustfile()
        began = ground.clock.stamp()
        with phase(ground, "act"):
            for service in ground.plan.replicas:
                ground.check_marker(service)
            outcomes = act(ground, world)
        with phase(ground, "assess"):
            remains = assess(ground, inventory, points, outcomes)
            trail = ground.plan.loaded.objectives.audit_trail
            if trail is not None:
                read_log(ground, trail.principal, began.wall)
        with phase(ground, "recover"):
            recovery = recover(ground, world, remains, outcomes, witness)
        with phase(ground, "verify"):
            stop(ground, world)
            if recovery.serves:
                verify(ground, witness)
        with phase(ground, "prove"):
            prove(ground, remains, recovery, outcomes, witness)
        objectives = ground.plan.loaded.objectives
        shut_out, locked = objectives.isolation, objectives.immutability
        dual = objectives.dual_control
        again = shut_out is not None and shut_out.after_restore
        if locked is not None or dual is not None or again:
            with phase(ground, "try"):
                if shut_out is not None and shut_out.after_restore and recovery.serves:
                    intrude(ground, shut_out)
                if locked is not None:
                    tamper(ground, remains, locked)
                if dual is not None:
                    delete_alone(ground, dual)
