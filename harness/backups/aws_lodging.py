"""Where in an AWS account a database lies, and how its files get from there into a fresh replica."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.backups.aws_control_plane import AwsControlPlane, AwsError
from harness.errors import BackupError, RestoreError
from harness.facts import Endpoint, RecoveryPoint
from harness.scenario.models import AwsService, PostgresService
from harness.seams.drivers import PartTimer, Setting, Vessel

DATA = "pgdata"


@dataclass(frozen=True)
class Lodging:
    """The RDS instance or the EBS volume that a database lies on.

    Attributes:
        account: the service of kind ``aws``.
        name: of the instance or the volume.
        model: of the account.
        environment: that the database stands in.
    """

    account: str
    name: str
    model: AwsService
    environment: str | None

    @property
    def on_volume(self) -> bool:
        """Whether it is an EBS volume."""
        return self.name in self.model.volumes


def lodging_of(protection: str, source: Endpoint, setting: Setting) -> Lodging:
    """Where a database lies.

    Raises:
        BackupError: in no AWS account.
    """
    service = setting.stack.services.get(source.service)
    place = service.volume if isinstance(service, PostgresService) else None
    account, _, name = (place or "").partition("/")
    model = setting.stack.services.get(account)
    if not isinstance(model, AwsService) or account not in setting.peers:
        raise BackupError(
            f"{protection}: {source.service} does not lie in an AWS account",
            hint=f"give {source.service} a `volume: <aws service>/<RDS instance or EBS volume>`",
        )
    return Lodging(account, name, model, source.environment)


def volume_id(aws: AwsControlPlane, name: str) -> str | None:
    """The id of the EBS volume of that name; None when it is gone."""
    filters = [{"Name": "tag:Name", "Values": [name]}]
    volumes = aws.ask("ec2", "describe_volumes", Filters=filters)["Volumes"]
    return str(volumes[0]["VolumeId"]) if volumes else None


def bring_back(point: RecoveryPoint, into: Vessel, mark: PartTimer, make: Callable[[], Path]) -> Endpoint:
    """Have AWS make a resource of a copy, and start a fresh replica on its files.

    On AWS the files would stay in the new resource.

    Args:
        point: that is restored.
        into: where to.
        mark: is told ``restore``, and ``replay`` when the server begins to recover.
        make: makes the resource, and returns its directory.

    Raises:
        RestoreError: AWS says no, or there is no database in it that starts.
    """
    mark("restore")
    try:
        data = make() / DATA
        if not (data / "PG_VERSION").is_file():
            raise RestoreError(
                f"{point.id} holds no database",
                hint="it was taken before the database was there; take another",
            )
        into.directory.rmdir()
        shutil.move(data, into.directory)
    except AwsError as error:
        raise RestoreError(
            f"{point.id} cannot be restored: {error.message}", hint="it was deleted; take another point"
        ) from error
    except OSError as error:
        raise RestoreError(
            f"{point.id} cannot be put in place: {error}", hint="see that the disk is not full"
        ) from error
    mark("replay")
    return into.start()
