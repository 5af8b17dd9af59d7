"""What the verbs of evidence share: the packages that they need."""

from __future__ import annotations

from harness.cli.extras import needs

needs_evidence = needs("signed evidence", "evidence", "cryptography", "rfc8785", "securesystemslib")
