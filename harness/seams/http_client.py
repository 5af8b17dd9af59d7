"""The one place that opens HTTP clients of replicas, for surfaces and backup tools alike."""

from __future__ import annotations

import ssl

import httpx

CONNECT_SECONDS = 3.0


def open_http(timeout: float, url: str = "") -> httpx.Client:
    """A client that hears nothing of proxies, ``.netrc`` or certificates in the environment.

    Replicas speak plain HTTP, so it trusts no certificate at all; loading the usual ones takes longer than
    most calls. Each request gets a connection of its own: a service may be gone at any moment.

    Args:
        timeout: seconds without a byte after which a request fails.
        url: what paths without a host are put behind.
    """
    return httpx.Client(
        base_url=url,
        trust_env=False,
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        follow_redirects=False,
        timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_keepalive_connections=0),
    )
