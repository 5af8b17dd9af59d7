"""An S3 server in a container that is fenced: its volume stays, and is served again to whoever restores."""

from __future__ import annotations

from contextlib import closing

import pytest

from harness.contracts import Bench
from harness.facts import OPERATOR
from harness.scenario.models import Stack
from harness.seams.drivers import Reopening
from harness.seams.s3_items import S3ItemClient
from tests.conftest import fresh_sandbox

pytestmark = pytest.mark.docker

STACK = Stack.model_validate(
    {"services": {"uploads": {"kind": "s3", "bucket": "uploads", "collections": ["photos"]}}}
)


def test_a_fenced_one_is_served_again_beside_the_one_that_stands_in_for_it() -> None:
    with fresh_sandbox() as sandbox:
        bench = Bench(STACK, sandbox, {}, "docker")
        try:
            uploads = bench.provision("uploads")
            store = bench.driver_of(uploads)
            assert isinstance(store, Reopening)
            with closing(S3ItemClient(uploads, uploads.credentials[OPERATOR])) as client:
                client.put("photos", "a", b"a")
            before = list(store.rows(uploads, "photos", "", None))
            store.fence(uploads)
            fresh = bench.vessel(uploads, replace=True).start()
            assert list(store.rows(fresh, "photos", "", None)) == []
            again = store.reopen(uploads, bench.setting())
            assert again.port != fresh.port == uploads.port
            assert list(store.rows(again, "photos", "", None)) == before
            bench.destroy()
            assert bench.remains() == []
        finally:
            bench.close()
