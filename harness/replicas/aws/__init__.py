"""A replica of an AWS account's control plane: moto's records, AWS's rules, real directories and servers.

Every SDK and the ``aws`` command work against it unchanged, given its address. A request is let in by its
signature and by the IAM policies of whoever signed it, resources and conditions included. An RDS instance is
the data directory of a running PostgreSQL server, and a snapshot is a copy of it: deleting the instance kills
the server and removes the files.

``operations.py`` says of every operation whether it behaves as AWS documents it or is modelled;
``docs/aws.md`` shows that table. What moto would only pretend to do is answered ``NotImplemented``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.replicas.aws.replica import AwsReplica

__all__ = ["AwsReplica"]


def __getattr__(name: str) -> object:
    # The server's process imports this package too, and must not pay for what only the harness needs.
    if name == "AwsReplica":
        from harness.replicas.aws.replica import AwsReplica

        return AwsReplica
    raise AttributeError(name)
