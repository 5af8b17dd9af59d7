"""MariaDB: a real server on loopback, the one that this machine has."""

from harness.replicas.mariadb.replica import MariadbReplica

__all__ = ["MariadbReplica"]
