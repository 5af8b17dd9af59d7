"""Reads what the service's own log says of a principal, and has that principal try to change the log."""

from __future__ import annotations

from datetime import datetime, timedelta
from secrets import token_hex

from harness.facts import Action, Outcome
from harness.journal.events import LogEntry, LogRead, LogTampered
from harness.run.ground import Ground
from harness.seams.drivers import Logged, Logging
from harness.seams.lookup import lookup

LONGEST_TEXT = 20_000
"""Characters of an entry that are kept: a log may hold statements of a gigabyte, a journal may not."""

SLACK = timedelta(seconds=1)
"""By how much the log's clock may be behind ours; both are this machine's."""


def read_log(ground: Ground, principal: str, since: datetime) -> None:
    """Put on record what the log of the drill's service says of a principal, if it has such a log.

    Before it is read, a call is made with the principal's credential, which a log that works must tell.

    Args:
        ground: the run; the agent is done.
        principal: whose deeds are looked for.
        since: when the agent began.

    Raises:
        DatabaseError: the log cannot be read.
    """
    service = ground.plan.target
    replica, endpoint = ground.plan.replicas[service], ground.endpoints[service]
    if not isinstance(replica, Logging):
        return
    redactor = ground.redactor()

    def run(statement: str) -> Outcome:
        surface = lookup("surfaces", "sql")(principal, endpoint, ground.clock)
        action = Action(number=1, surface="sql", verb="execute", service=service)
        outcome: Outcome = surface.perform(action, {"statement": statement})
        return outcome.model_copy(update={"detail": redactor.clean(outcome.detail)})

    def shown(entry: Logged) -> LogEntry:
        owner = next((c.principal for c in endpoint.credentials.values() if c.name == entry.name), entry.name)
        text = redactor.clean(entry.text)
        kept = text[:LONGEST_TEXT]
        return LogEntry(at=entry.at, principal=owner, text=kept, whole=kept == text)

    mark = f"ninelives_{token_hex(4)}"
    call = run(f"CREATE TEMP TABLE {mark} (seen int)")
    entries = (shown(entry) for entry in replica.statements(endpoint) if entry.at >= since - SLACK)
    ground.journal.write(
        LogRead(
            service=service,
            principal=principal,
            mark=mark,
            call=call,
            entries=tuple(entry for entry in entries if entry.principal == principal or mark in entry.text),
        )
    )
    for what, statement in replica.against_log(endpoint).items():
        outcome = run(statement)
        ground.journal.write(LogTampered(service=service, principal=principal, what=what, outcome=outcome))
