"""Replicas that run in containers, on this machine's engine (provider ``docker``).

One network a run; ports published on loopback only; every container, volume and network labelled with its
lease, so that cleaning up works from the lease alone, in any process (``engine``).
"""
