"""PostgreSQL in a container, of any image with the official one's contract.

The image's own entry point makes one empty cluster, once for a machine and image (``cluster``). A container
copies it onto the replica's volume and gives it roles and passwords before it begins to listen (``server``).
From there on everything is as with the embedded server: settings, content, restores.
"""

from harness.replicas.containers.postgres.replica import ContainerPostgresReplica

__all__ = ["ContainerPostgresReplica"]
