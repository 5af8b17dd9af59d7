"""Confirming what somebody has asked to delete."""

from __future__ import annotations

from typing import Any

from harness.replicas.railway.audit import Touched
from harness.replicas.railway.confirmation import ConfirmationNeededError, Pending
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import NotFoundError


def deletion_confirm(call: Call, id: str) -> dict[str, Any]:
    """Carried out as who asked, if the confirmer could have asked for the same, and it still is the same."""
    plane = call.plane
    pending = plane.confirmations.pending(id, call.caller.principal)
    for caller in (call.caller, pending.caller):
        if _would_delete(Call(plane, caller, rehearsed=True), pending) != pending.about:
            raise NotFoundError("Confirmation")
    plane.confirmations.drop(id)
    carried = Call(plane, pending.caller, confirmed=True)
    answer = pending.answer(carried, **pending.arguments)
    call.touch(carried.touched)
    started = answer.get("workflow_id") if isinstance(answer, dict) else None
    return {"operation": pending.operation, "workflow_id": started}


def _would_delete(call: Call, pending: Pending) -> tuple[Touched, ...] | None:
    call.authority.admit(pending.operation)
    try:
        pending.answer(call, **pending.arguments)
    except ConfirmationNeededError as needed:
        return needed.about
    return None


MUTATIONS: Answers = {"deletionConfirm": deletion_confirm}
