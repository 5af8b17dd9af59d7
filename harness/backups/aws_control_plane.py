"""The operator's access to an AWS account, and the harness's own access to its replica."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from harness.errors import HarnessError
from harness.facts import BACK_DOOR, BACK_DOOR_HEADER, OPERATOR, Endpoint
from harness.seams.aws_client import open_aws_client
from harness.seams.http_client import NoAnswerError, Request, send

TIMEOUT = 300.0


class AwsError(HarnessError):
    """The account did not answer, or said no.

    Attributes:
        code: of the error; empty when there was no answer.
    """

    def __init__(self, message: str, *, hint: str, code: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class AwsControlPlane:
    """Calls the API as the account's owner, and asks the replica what the API does not tell.

    Args:
        endpoint: of kind ``aws``.

    Raises:
        AwsError: from every method, when there is no answer or it is a no.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    def ask(self, service: str, operation: str, **parameters: Any) -> Mapping[str, Any]:
        """Make a call, and return its answer.

        Args:
            service: as botocore names it.
            operation: as its clients spell it: ``describe_db_snapshots``.
        """
        try:
            client = open_aws_client(service, self._endpoint, self._endpoint.credentials[OPERATOR])
            call: Callable[..., Mapping[str, Any]] = getattr(client, operation)
            return call(**parameters)
        except ClientError as error:
            said = error.response["Error"]
            raise AwsError(
                f"{self._endpoint.service} said to {operation}: {said.get('Code')}: {said.get('Message')}",
                hint="docs/aws.md lists what the replica does and refuses",
                code=str(said.get("Code", "")),
            ) from error
        except BotoCoreError as error:
            raise self._silence(error) from error

    def take(self, instance: str, kind: str, name: str, at: datetime) -> str:
        """Take a snapshot of an RDS instance as of an instant that is over; returns its identifier.

        Args:
            instance: identifier.
            kind: ``automated`` or ``manual``.
            name: of a manual one.
            at: the date it gets.
        """
        wanted = {"identifier": instance, "kind": kind, "name": name, "at": at.isoformat()}
        return str(self._back_door("POST", "snapshot", wanted)["id"])

    def place(self, instance: str) -> Path:
        """The directory of an RDS instance."""
        return Path(self._back_door("GET", "databases")["places"][instance])

    def volumes(self) -> Mapping[str, Any]:
        """Directories of EBS volumes under ``places``, and what is not public of ``snapshots``."""
        told: Mapping[str, Any] = self._back_door("GET", "volumes")
        return told

    def take_of_volume(self, volume: str, at: datetime) -> str:
        """Take a snapshot of an EBS volume as of an instant that is over; returns its id."""
        wanted = {"volume": volume, "at": at.isoformat()}
        return str(self._back_door("POST", "volume-snapshot", wanted)["id"])

    def recovery_points(self) -> Mapping[str, Mapping[str, Any]]:
        """Size and lock of each recovery point of AWS Backup, by ARN."""
        return {one["arn"]: one for one in self._back_door("GET", "recovery-points")}

    def take_into_vault(
        self, vault: str, resource: str, source: Path, at: datetime, days: int, environment: str | None
    ) -> str:
        """Put a copy into a vault as of an instant that is over; returns its ARN.

        Args:
            vault: its name.
            resource: ARN of what is copied, of this account or another.
            source: the directory of it.
            at: the date it gets.
            days: that it is kept.
            environment: that the source stands in.
        """
        wanted = {
            "vault": vault,
            "resource": resource,
            "source": str(source),
            "at": at.isoformat(),
            "days": days,
            "environment": environment,
        }
        return str(self._back_door("POST", "recovery-point", wanted)["arn"])

    def sizes(self) -> Mapping[str, int]:
        """Bytes of each RDS snapshot."""
        sizes: Mapping[str, int] = self._back_door("GET", "databases")["sizes"]
        return sizes

    def pass_time(self, until: datetime) -> None:
        """Have it be that date for locks, retention and the recycle bin, unless it is later already."""
        self._back_door("POST", "advance", {"to": until.isoformat()})

    def _back_door(self, method: str, what: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {BACK_DOOR_HEADER: self._endpoint.credentials[BACK_DOOR].secret.reveal()}
        try:
            answer = send(self._endpoint, Request.of(method, f"/_replica/{what}", headers, body), TIMEOUT)
        except NoAnswerError as error:
            raise self._silence(error) from error
        if answer.is_error:
            raise AwsError(
                f"{self._endpoint.service} said: {answer.text.strip()[:200]}",
                hint="docs/aws.md lists what the replica does and refuses",
                code=str(answer.status),
            )
        return answer.json()

    def _silence(self, error: Exception) -> AwsError:
        return AwsError(
            f"the control plane {self._endpoint.service} does not answer: {type(error).__name__}",
            hint="its process has died; see the server's log in the run's directory",
        )
