"""Valkey: a real server on loopback, with a user for every principal."""

from harness.replicas.valkey.replica import ValkeyReplica

__all__ = ["ValkeyReplica"]
