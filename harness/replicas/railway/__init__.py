"""A replica of Railway's control plane: GraphQL over HTTP, bound to real directories and real servers.

A volume instance is a directory, a database replica's files lie in it, and deleting the volume removes the
directory while the server runs.

What is observed of Railway and what is modelled (grades: A, the vendor's or the owner's own words; B,
several secondary reports; C, one report):

- observed, A: the names of operations, types and enums; the kinds of token, their headers and scopes; that
  no token can be narrowed to some operations; the rate limits; that `volumeDelete` takes no environment;
  that the incident's call had no JSON content type; that a delete through the API was immediate and after
  April 2026 waits 48 hours; that the owner restores by a mailed link; schedules, retention, the 50 % limit
  and what a restore does.
- inferred from A: that `volumeDelete` reaches the instances of every environment.
- observed, A / B: that backups went with their volume. In the profile `legacy` they are gone; in `current`
  they are hidden and come back with it.
- modelled: how messages are worded beyond the four that have been seen; that a backup is removed an hour
  after its expiry; that newer backups go as soon as a restore has copied its data; that a project token is
  refused on objects that span environments; that deleting a service leaves its volumes detached; that
  point-in-time restores fail, since no volume here archives its WAL; that each token is counted alone.
- hypothetical: the `scoped` token, which may call the operations that it was made for, and deletions that
  have to be confirmed. Railway has neither.
- left out: OAuth tokens, two-factor codes, billing, plugins, builds and logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.replicas.railway.replica import RailwayReplica

__all__ = ["RailwayReplica"]


def __getattr__(name: str) -> object:
    # The server's process imports this package too, and must not pay for what only the harness needs.
    if name == "RailwayReplica":
        from harness.replicas.railway.replica import RailwayReplica

        return RailwayReplica
    raise AttributeError(name)
