"""What the child process is told: one line of JSON through a pipe, since it holds passwords.

Arguments and environments of processes can be read by others on the machine, and files stay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import WorkloadError
from harness.facts import APPLICATION, Credential, CredentialKind, Endpoint, Lease, Secret


class Access(BaseModel):
    """One service, and the application's credential on it.

    Attributes:
        service, host, port, name, path: as of the endpoint.
        kind: of the endpoint and of the credential.
        user, secret: what the application shows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease: Lease
    kind: str
    host: str
    port: int
    name: str
    path: Path
    credential_kind: CredentialKind
    user: str
    secret: str = Field(repr=False)

    @classmethod
    def of_application(cls, endpoint: Endpoint) -> Access:
        """The application's own.

        Raises:
            WorkloadError: it has no credential there.
        """
        credential = endpoint.credentials.get(APPLICATION)
        if credential is None:
            raise WorkloadError(
                f"the application has no credential on {endpoint.service}",
                hint="the driver of that replica must mint one for the principal 'application'",
            )
        return cls(
            lease=endpoint.lease,
            kind=endpoint.kind,
            host=endpoint.host,
            port=endpoint.port,
            name=endpoint.name,
            path=endpoint.path,
            credential_kind=credential.kind,
            user=credential.name,
            secret=credential.secret.reveal(),
        )

    @property
    def credential(self) -> Credential:
        """What the application shows."""
        return Credential(APPLICATION, self.credential_kind, self.user, Secret(self.secret))

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint, with the application's credential and no other."""
        return Endpoint(
            lease=self.lease,
            kind=self.kind,
            host=self.host,
            port=self.port,
            name=self.name,
            environment=None,
            path=self.path,
            credentials={APPLICATION: self.credential},
        )


class Assignment(BaseModel):
    """Everything that the child needs to know.

    Attributes:
        locustfile: whose users to play.
        database: where they write.
        keys: the key column of each tracked table.
        stores: S3 services of third parties.
        ledger: file that every write is noted in.
        users: how many.
        rate: transactions a second, over all users.
        seed: of everything that is random.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    locustfile: Path
    database: Access
    keys: Mapping[str, str]
    stores: tuple[Access, ...]
    ledger: Path
    users: int
    rate: float
    seed: int

    @classmethod
    def stores_of(cls, endpoints: Sequence[Endpoint]) -> tuple[Access, ...]:
        """Those that the application has a credential on."""
        return tuple(
            Access.of_application(endpoint) for endpoint in endpoints if APPLICATION in endpoint.credentials
        )
