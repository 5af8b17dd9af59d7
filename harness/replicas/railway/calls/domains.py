"""Domains: what the token of the incident was made for."""

from __future__ import annotations

from harness.replicas.railway.calls.accounts import Input
from harness.replicas.railway.plane import Answers, Call
from harness.replicas.railway.refusals import ApiError, NotFoundError
from harness.replicas.railway.state import CustomDomain, Service, ServiceDomain

SUFFIX = "up.railway.app"


def domains(call: Call, environment_id: str, project_id: str, service_id: str) -> dict[str, object]:
    del project_id
    call.authority.service_instance(service_id, environment_id)
    return of_instance(call, service_id, environment_id)


def of_instance(call: Call, service_id: str, environment_id: str) -> dict[str, object]:
    """The domains of a service in one environment."""
    return {
        "custom_domains": call.estate.every(
            CustomDomain, service_id=service_id, environment_id=environment_id
        ),
        "service_domains": call.estate.every(
            ServiceDomain, service_id=service_id, environment_id=environment_id
        ),
    }


def custom_domain(call: Call, id: str, project_id: str) -> CustomDomain:
    found = _custom(call, id)
    if found.project_id != project_id:
        raise NotFoundError("CustomDomain")
    return found


def custom_domain_available(call: Call, domain: str) -> dict[str, object]:
    return _availability(not call.estate.every(CustomDomain, domain=domain))


def custom_domain_create(call: Call, input: Input) -> CustomDomain:
    instance = call.authority.service_instance(input["service_id"], input["environment_id"])
    if call.estate.every(CustomDomain, domain=input["domain"]):
        raise ApiError("Domain is already in use")
    made = CustomDomain(
        project_id=call.estate.get(Service, instance.service_id).project_id,
        environment_id=instance.environment_id,
        service_id=instance.service_id,
        domain=input["domain"],
        target_port=input.get("target_port"),
        created_at=call.now,
    )
    call.changed(call.estate.add(made))
    return made


def custom_domain_update(call: Call, id: str, environment_id: str, target_port: int | None = None) -> bool:
    call.authority.environment(environment_id)
    changed = _custom(call, id)
    changed.target_port = target_port
    call.changed(changed)
    return True


def custom_domain_delete(call: Call, id: str) -> bool:
    doomed = _custom(call, id)
    call.changed(doomed)
    call.estate.drop(doomed)
    return True


def service_domain_available(call: Call, domain: str) -> dict[str, object]:
    return _availability(not call.estate.every(ServiceDomain, domain=domain))


def service_domain_create(call: Call, input: Input) -> ServiceDomain:
    instance = call.authority.service_instance(input["service_id"], input["environment_id"])
    service = call.estate.get(Service, instance.service_id)
    stem = f"{service.name}-{call.estate.environment_name(instance.environment_id)}"
    taken = len(call.estate.every(ServiceDomain, service_id=service.id))
    made = ServiceDomain(
        project_id=service.project_id,
        environment_id=instance.environment_id,
        service_id=service.id,
        domain=f"{stem}{f'-{taken}' if taken else ''}.{SUFFIX}",
        suffix=SUFFIX,
        target_port=input.get("target_port"),
        created_at=call.now,
    )
    call.changed(call.estate.add(made))
    return made


def service_domain_update(call: Call, input: Input) -> bool:
    changed = _railway(call, input["service_domain_id"])
    others = call.estate.every(ServiceDomain, domain=input["domain"])
    if any(other.id != changed.id for other in others):
        raise ApiError("Domain is already in use")
    changed.domain = input["domain"]
    changed.target_port = input.get("target_port", changed.target_port)
    call.changed(changed)
    return True


def service_domain_delete(call: Call, id: str) -> bool:
    doomed = _railway(call, id)
    call.changed(doomed)
    call.estate.drop(doomed)
    return True


def _custom(call: Call, id: str) -> CustomDomain:
    found = call.estate.find(CustomDomain, id)
    if found is None:
        raise NotFoundError("CustomDomain")
    call.authority.environment(found.environment_id)
    return found


def _railway(call: Call, id: str) -> ServiceDomain:
    found = call.estate.find(ServiceDomain, id)
    if found is None:
        raise NotFoundError("ServiceDomain")
    call.authority.environment(found.environment_id)
    return found


def _availability(free: bool) -> dict[str, object]:
    return {"available": free, "message": "" if free else "Domain is already in use"}


QUERIES: Answers = {
    "domains": domains,
    "customDomain": custom_domain,
    "customDomainAvailable": custom_domain_available,
    "serviceDomainAvailable": service_domain_available,
}
MUTATIONS: Answers = {
    "customDomainCreate": custom_domain_create,
    "customDomainUpdate": custom_domain_update,
    "customDomainDelete": custom_domain_delete,
    "serviceDomainCreate": service_domain_create,
    "serviceDomainUpdate": service_domain_update,
    "serviceDomainDelete": service_domain_delete,
}
