"""The operator's access to Railway's control plane, and the harness's own access to its replica."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.clock import Clock
from harness.errors import HarnessError
from harness.facts import BACK_DOOR, BACK_DOOR_HEADER, OPERATOR, SECOND_PERSON, Endpoint
from harness.seams.http_client import Answer, NoAnswerError, Request, send
from harness.seams.railway_client import CONFIRM, SaidNoError, ask

TIMEOUT = 300.0


class ControlPlaneError(HarnessError):
    """The control plane did not answer, or said no.

    Attributes:
        said: its own words; empty when it did not answer.
        waits: the id under which what was asked for waits to be confirmed; empty when it does not.
    """

    def __init__(self, message: str, *, hint: str, said: str = "", waits: str = "") -> None:
        super().__init__(message, hint=hint)
        self.said = said
        self.waits = waits


@dataclass(frozen=True)
class MountedVolume:
    """A volume in one environment, as the replica sees it.

    Attributes:
        id: of the volume instance.
        name: ``<environment>/<volume>``.
        directory: where it is mounted, also while its deletion is pending.
        pending: it was deleted, and its owner can still take that back.
        restored_by: the workflow that made it, if it is a restored backup.
    """

    id: str
    name: str
    directory: Path
    pending: bool
    restored_by: str | None


@dataclass(frozen=True)
class Mail:
    """A mail in the owner's mailbox.

    Attributes:
        at: when it came.
        link: path of the link in it; empty when it has none.
        about: names of the objects it speaks of.
    """

    at: datetime
    link: str
    about: frozenset[str]


class RailwayControlPlane:
    """Calls the API as the operator, and asks the replica what the API does not tell.

    Args:
        endpoint: of the control plane.
        clock: for waiting when there were too many requests.

    Raises:
        ControlPlaneError: from every method, when there is no answer or it is a no.
    """

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self._endpoint = endpoint
        self._clock = clock

    def ask(self, document: str, **variables: Any) -> Any:
        """The ``data`` of a GraphQL document's answer."""
        return self._ask(OPERATOR, document, variables)

    def confirm(self, id: str) -> Any:
        """Have a second person confirm what waits; the ``data`` of the answer."""
        return self._ask(SECOND_PERSON, CONFIRM, {"id": id})

    def _ask(self, principal: str, document: str, variables: Mapping[str, Any]) -> Any:
        try:
            return ask(self._endpoint, principal, document, variables, clock=self._clock, timeout=TIMEOUT)
        except NoAnswerError as error:
            raise self._silent(error) from error
        except SaidNoError as error:
            raise self._refused(error.said, error.extensions.get("confirmationId", "")) from error

    def volumes(self) -> tuple[MountedVolume, ...]:
        """Every volume instance, those whose deletion is pending too."""
        return tuple(
            MountedVolume(
                one["id"],
                f"{one['environment']}/{one['volume']}",
                Path(one["directory"]),
                one["pending"],
                one["restoredBy"],
            )
            for one in self._back_door("GET", "volumes")
        )

    def mails(self) -> tuple[Mail, ...]:
        """The owner's mailbox, oldest first."""
        return tuple(
            Mail(
                datetime.fromisoformat(mail["at"]),
                mail["link"],
                frozenset(one["name"] for one in mail["about"]),
            )
            for mail in self._back_door("GET", "mail")
        )

    def follow(self, link: str) -> None:
        """Open a link of a mail, as the owner."""
        answer = self._send("GET", link, {}, None)
        if answer.is_error:
            raise self._refused(answer.text.strip())

    def back_up(self, volume_instance_id: str, kind: str, at: datetime) -> str:
        """Take a backup as a schedule would have; returns its id.

        Args:
            volume_instance_id: of what.
            kind: ``DAILY``, ``WEEKLY`` or ``MONTHLY``.
            at: the date it gets.
        """
        wanted = {"volumeInstanceId": volume_instance_id, "kind": kind, "at": at.isoformat()}
        return str(self._back_door("POST", "scheduled-backup", wanted)["id"])

    def pass_time(self, until: datetime) -> None:
        """Have it be that date there, unless it is later already; what is due by then is carried out."""
        self._back_door("POST", "advance", {"to": until.isoformat()})

    def _back_door(self, method: str, what: str, body: Mapping[str, Any] | None = None) -> Any:
        secret = self._endpoint.credentials[BACK_DOOR].secret
        answer = self._send(method, f"/_replica/{what}", {BACK_DOOR_HEADER: secret.reveal()}, body)
        if answer.is_error:
            raise self._refused(answer.text.strip()[:200])
        return answer.json()

    def _send(
        self, method: str, path: str, headers: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> Answer:
        try:
            return send(self._endpoint, Request.of(method, path, headers, body), TIMEOUT)
        except NoAnswerError as error:
            raise self._silent(error) from error

    def _silent(self, error: NoAnswerError) -> ControlPlaneError:
        return ControlPlaneError(
            f"the control plane {self._endpoint.service} does not answer: {error}",
            hint="its process has died; see the server's log in the run's directory",
        )

    def _refused(self, said: str, waits: str = "") -> ControlPlaneError:
        return ControlPlaneError(
            f"the control plane {self._endpoint.service} said: {said}",
            hint="docs/railway.md lists what the control plane does and refuses",
            said=said,
            waits=waits,
        )
