"""Who may what.

| token | header | reaches |
|---|---|---|
| account | `Authorization: Bearer` | everything its owner can reach |
| workspace | `Authorization: Bearer` | the projects of one workspace; not the account (`me`, ...) |
| project | `Project-Access-Token` | one environment of one project |
| scoped | `Authorization: Bearer` | as account, but only the operations it was made for; hypothetical |

A project token may change an object of the whole project (a volume, a service) only when all of it stands
in the token's environment. Railway says that such tokens are "scoped to a specific environment" (grade A);
what they do to objects that span environments is not documented, and modelled so.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.replicas.handover import digest
from harness.replicas.railway.refusals import (
    NO_PROJECT_TOKEN,
    HiddenError,
    NotAuthorizedError,
    NotFoundError,
)
from harness.replicas.railway.state import (
    Environment,
    Estate,
    Project,
    Record,
    Service,
    ServiceInstance,
    Token,
    User,
    Volume,
    VolumeInstance,
    Workspace,
)

BEARER = "bearer "


@dataclass(frozen=True)
class Caller:
    """Who sent a request: a token, or nobody that we know.

    Attributes:
        refusal: what everything is answered with when there is no valid token.
    """

    token: Token | None
    refusal: str = "Not Authorized"

    @property
    def principal(self) -> str:
        return self.token.principal if self.token else ""

    @property
    def kind(self) -> str:
        return self.token.kind if self.token else "none"

    @property
    def key(self) -> str:
        """What its requests are counted under."""
        return self.token.id if self.token else "none"


def identify(estate: Estate, bearer: str | None, project_token: str | None) -> Caller:
    """Find the token of a request.

    Args:
        estate: where tokens are kept.
        bearer: the header ``Authorization``.
        project_token: the header ``Project-Access-Token``.
    """
    if project_token is not None:
        token = _find(estate, project_token)
        if token is None or token.kind != "project":
            return Caller(None, NO_PROJECT_TOKEN)
        return Caller(token)
    if bearer is None or not bearer.lower().startswith(BEARER):
        return Caller(None)
    token = _find(estate, bearer[len(BEARER) :].strip())
    return Caller(token if token is not None and token.kind != "project" else None)


def _find(estate: Estate, secret: str) -> Token | None:
    found = estate.every(Token, digest=digest(secret))
    return found[0] if found else None


class Authority:
    """Finds objects for a caller, and refuses those that are out of its reach.

    Every method raises ``NotAuthorizedError`` when the token does not reach that far, ``NotFoundError``
    when the object does not exist and the caller might have known, and ``HiddenError`` when it must not.
    """

    def __init__(self, estate: Estate, caller: Caller) -> None:
        self._estate = estate
        self._caller = caller

    def admit(self, operation: str) -> None:
        """Whether the caller may call that operation at all."""
        token = self._caller.token
        if token is None:
            raise NotAuthorizedError(self._caller.refusal)
        if token.kind == "scoped" and operation not in token.allow:
            raise NotAuthorizedError

    @property
    def token(self) -> Token:
        """The caller's token."""
        if self._caller.token is None:
            raise NotAuthorizedError(self._caller.refusal)
        return self._caller.token

    @property
    def is_narrow(self) -> bool:
        """Whether the caller sees one environment only."""
        return self.token.kind == "project"

    def account(self) -> User:
        """The account, for tokens that speak for it."""
        if self.token.kind not in ("account", "scoped"):
            raise NotAuthorizedError
        return self._estate.user

    def workspaces(self) -> tuple[Workspace, ...]:
        """The workspaces that the token reaches."""
        if self.is_narrow:
            raise NotAuthorizedError
        every = self._estate.every(Workspace)
        if self.token.kind == "workspace":
            return tuple(one for one in every if one.id == self.token.workspace_id)
        return every

    def workspace(self, id: str) -> Workspace:
        """One workspace."""
        if self.is_narrow:
            raise self._out_of_reach(Workspace, id)
        reached = {one.id: one for one in self.workspaces()}
        if id not in reached:
            raise self._missing(Workspace)
        return reached[id]

    def project(self, id: str, *, whole: bool = True, buried: bool = False) -> Project:
        """A project.

        Args:
            id: of the project.
            whole: the call concerns all of it, not one environment.
            buried: one that is deleted and waits will do.
        """
        token = self.token
        if token.kind == "project" and (whole or id != token.project_id):
            raise self._out_of_reach(Project, id)
        project = self._estate.find(Project, id, buried=buried)
        if project is None:
            raise self._missing(Project)
        if token.kind == "workspace" and project.workspace_id != token.workspace_id:
            raise NotAuthorizedError
        return project

    def environment(self, id: str) -> Environment:
        """An environment."""
        if self.token.kind == "project" and id != self.token.environment_id:
            raise self._out_of_reach(Environment, id)
        environment = self._estate.find(Environment, id)
        if environment is None:
            raise self._missing(Environment)
        self.project(environment.project_id, whole=False)
        return environment

    def service(self, id: str, *, change: bool = False) -> Service:
        """A service; to change it, all of its instances must be in reach."""
        service = self._estate.find(Service, id)
        if service is None:
            raise self._missing(Service)
        self._check_span(service.project_id, self._estate.every(ServiceInstance, service_id=id), change)
        return service

    def service_instance(self, service_id: str, environment_id: str) -> ServiceInstance:
        """A service in one environment."""
        self.environment(environment_id)
        found = self._estate.every(ServiceInstance, service_id=service_id, environment_id=environment_id)
        if not found:
            raise NotFoundError("ServiceInstance")
        return found[0]

    def volume(self, id: str, *, change: bool = False) -> Volume:
        """A volume; to change it, all of its instances must be in reach."""
        volume = self._estate.find(Volume, id)
        if volume is None:
            raise self._missing(Volume)
        self._check_span(volume.project_id, self._estate.every(VolumeInstance, volume_id=id), change)
        return volume

    def volume_instance(self, id: str, *, buried: bool = False) -> VolumeInstance:
        """A volume in one environment; one whose deletion is pending only if asked for."""
        instance = self._estate.find(VolumeInstance, id, buried=buried)
        if instance is None:
            raise self._missing(VolumeInstance)
        if self.is_narrow and instance.environment_id != self.token.environment_id:
            raise NotAuthorizedError
        self._reach_project(self._estate.get(Volume, instance.volume_id).project_id)
        return instance

    def _reach_project(self, project_id: str) -> None:
        project = self._estate.get(Project, project_id)
        reaches_all = self.token.kind in ("account", "scoped")
        if not (reaches_all or project.workspace_id == self.token.workspace_id or self.is_narrow):
            raise NotAuthorizedError

    def _check_span(
        self, project_id: str, instances: tuple[ServiceInstance | VolumeInstance, ...], change: bool
    ) -> None:
        self.project(project_id, whole=False)
        if not self.is_narrow:
            return
        inside = [one.environment_id == self.token.environment_id for one in instances]
        if not any(inside) or (change and not all(inside)):
            raise NotAuthorizedError

    def _missing(self, kind: type[Record]) -> Exception:
        """A narrow token is not told what exists elsewhere."""
        return HiddenError() if self.is_narrow else NotFoundError(kind.__name__)

    def _out_of_reach(self, kind: type[Record], id: str) -> Exception:
        """The answer is the same whether there is such an object or not; the audit log tells them apart."""
        return HiddenError() if self._estate.find(kind, id) is None else NotAuthorizedError()
