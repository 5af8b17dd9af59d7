"""What the other services keep records of: networks, clusters, load balancers, identities.

Nothing real stands behind them, so that deleting one deletes a record. It is listed all the same, because it
can be deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends

from harness.replicas.aws.audit import Touched
from harness.replicas.aws.parts import Check, Own
from harness.replicas.aws.wire import ApiCall

GONE = "INACTIVE"
ENVIRONMENT = "environment"
"""The tag that says in which environment of the stack something stands."""


class Records:
    """The records of one account in one region.

    Args:
        account, region: that they belong to.
    """

    def __init__(self, account: str, region: str) -> None:
        self._ec2 = ec2_backends[account][region]
        self._ecs = ecs_backends[account][region]
        self._elb = elbv2_backends[account][region]
        self._iam = iam_backends[account]["aws"]
        # Those that every account has from the start are nobody's work; moto makes them on first use.
        self._born = {touched for touched, _ in self._network()}

    @property
    def checks(self) -> Mapping[str, Check]:
        return {}

    @property
    def own(self) -> Mapping[str, Own]:
        return {}

    def settle(self, call: ApiCall) -> None:
        """Nothing is real here."""

    def pass_time(self) -> None:
        """Nothing falls due."""

    def tags(self, call: ApiCall) -> Mapping[str, str]:
        """The tags of the network, the cluster or the service that a call is about."""
        if call.service == "ec2":
            subnets = {id: one for zone in self._ec2.subnets.values() for id, one in zone.items()}
            every = {**self._ec2.vpcs, **subnets, **self._ec2.internet_gateways}
            named = [every[value] for value in call.parameters.values() if _is_name(value) and value in every]
            return {tag["key"]: tag["value"] for one in named for tag in one.get_tags()}
        if call.service == "ecs":
            cluster = _last(call.get("cluster"))
            service = self._ecs.services.get(f"{cluster}:{_last(call.get('service'))}")
            found = service or self._ecs.clusters.get(cluster)
            return {tag["Key"]: tag["Value"] for tag in _upper(found.tags if found else ())}
        return {}

    def listing(self) -> Iterator[tuple[Touched, str]]:
        """What can be deleted there, but for what every account is born with."""
        for touched, state in self._network():
            if touched not in self._born:
                yield touched, state
        yield from self._containers()
        for balancer in self._elb.load_balancers.values():
            tags = self._elb.tagging_service.list_tags_for_resource(balancer.arn)["Tags"]
            yield Touched("load-balancer", balancer.name, _environment(tags)), balancer.arn
        for user in self._iam.users.values():
            keys = sorted((key.access_key_id, key.status) for key in user.access_keys)
            policies = (user.policies, sorted(user.managed_policies))
            yield Touched("iam-user", user.name), f"{keys} {policies}"
        for role in self._iam.roles.values():
            yield Touched("iam-role", role.name), f"{role.policies} {sorted(role.managed_policies)}"

    def _network(self) -> Iterator[tuple[Touched, str]]:
        for vpc in self._ec2.vpcs.values():
            yield _tagged("vpc", vpc.id, vpc), ""
        for zone in self._ec2.subnets.values():
            for subnet in zone.values():
                yield _tagged("subnet", subnet.id, subnet), ""
        for gateway in self._ec2.internet_gateways.values():
            yield _tagged("internet-gateway", gateway.id, gateway), str(gateway.attachment_state)
        for groups in self._ec2.groups.values():
            for group in groups.values():
                if group.name != "default":
                    yield _tagged("security-group", group.id, group), ""
        for instance in self._instances():
            if instance.state != "terminated":
                yield _tagged("instance", instance.id, instance), instance.state

    def _instances(self) -> Iterator[Any]:
        for reservation in self._ec2.reservations.values():
            yield from reservation.instances

    def _containers(self) -> Iterator[tuple[Touched, str]]:
        for cluster in self._ecs.clusters.values():
            if cluster.status != GONE:
                environment = _environment(_upper(cluster.tags))
                yield Touched("ecs-cluster", cluster.name, environment), cluster.status
        for service in self._ecs.services.values():
            if service.status != GONE:
                name = f"{service.cluster_name}/{service.name}"
                environment = _environment(_upper(service.tags))
                yield Touched("ecs-service", name, environment), f"{service.status} {service.desired_count}"


def _is_name(value: object) -> bool:
    return isinstance(value, str)


def _last(name: str | None) -> str:
    """The name in an ARN, or a name as it is; ECS takes either."""
    return (name or "default").rpartition("/")[2]


def _tagged(kind: str, name: str, resource: Any) -> Touched:
    tags = [{"Key": tag["key"], "Value": tag["value"]} for tag in resource.get_tags()]
    return Touched(kind, name, _environment(tags))


def _environment(tags: Iterable[Mapping[str, str]]) -> str | None:
    return next((tag["Value"] for tag in tags if tag["Key"] == ENVIRONMENT), None)


def _upper(tags: Iterable[Mapping[str, str]] | None) -> list[Mapping[str, str]]:
    """Tags of ECS, which writes their keys small."""
    return [{"Key": tag["key"], "Value": tag["value"]} for tag in tags or ()]
