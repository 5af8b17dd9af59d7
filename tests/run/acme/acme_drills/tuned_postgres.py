"""PostgreSQL with the settings that a team runs it with, which the drill's database comes up with."""

from __future__ import annotations

from collections.abc import Mapping

from harness.facts import Endpoint, Lease
from harness.replicas.postgres import PostgresReplica
from harness.scenario.models import PostgresService
from harness.seams.drivers import Setting


class TunedPostgres(PostgresReplica):
    """``services: {db: {kind: postgres, driver: tuned-postgres, settings: {work_mem: 8MB}}}``."""

    def provision(self, lease: Lease, setting: Setting) -> Endpoint:
        """Bring it up as the built-in driver does, and set what the stack asks for."""
        endpoint = super().provision(lease, setting)
        service = setting.stack.services[lease.service]
        assert isinstance(service, PostgresService)
        for name, value in service.settings.items():
            statement = f"ALTER DATABASE {endpoint.name} SET {name} = :value"
            self.execute(endpoint, statement, {"value": str(value)})
        return endpoint

    def describe(self, endpoint: Endpoint) -> Mapping[str, str]:
        """As the built-in driver, and ``work_mem``."""
        ((memory,),) = self.query(endpoint, "SHOW work_mem", {})
        return {**super().describe(endpoint), "work_mem": str(memory)}
