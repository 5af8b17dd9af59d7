"""A client of the locustfile's own: what it raises is told as the ledger has to know it."""

from __future__ import annotations

from http.client import RemoteDisconnected

import pytest

from harness.seams.items import ItemRefusedError, ItemUnansweredError, content_hash
from harness.workload import RefusedError
from harness.workload.own_client import OwnItems


class Shelf:
    """Keeps items in memory, and raises whatever it is told to."""

    def __init__(self) -> None:
        self.items: dict[str, bytes] = {}
        self.error: Exception | None = None

    def put(self, collection: str, key: str, body: bytes) -> None:
        if self.error:
            raise self.error
        self.items[f"{collection}/{key}"] = body

    def get(self, collection: str, key: str) -> bytes | None:
        if self.error:
            raise self.error
        return self.items.get(f"{collection}/{key}")

    def delete(self, collection: str, key: str) -> None:
        del self.items[f"{collection}/{key}"]


def test_the_hash_of_an_item_is_that_of_its_content() -> None:
    shelf = Shelf()
    items = OwnItems(shelf)
    assert items.put("parcels", "a", b"one") == content_hash(b"one")
    assert items.get("parcels", "a") == b"one"
    assert items.delete("parcels", "a") == content_hash(b"one")
    assert (items.get("parcels", "a"), items.delete("parcels", "a"), shelf.items) == (None, None, {})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RefusedError("full"), ItemRefusedError),
        (ConnectionRefusedError("nobody there"), ItemRefusedError),
        (ConnectionResetError("gone"), ItemUnansweredError),
        (TimeoutError(), ItemUnansweredError),
        (RemoteDisconnected("no answer"), ItemUnansweredError),
        (KeyError("a mistake of the locustfile"), KeyError),
    ],
)
def test_only_what_was_surely_not_written_is_a_refusal(error: Exception, expected: type[Exception]) -> None:
    shelf = Shelf()
    shelf.error = error
    with pytest.raises(expected):
        OwnItems(shelf).put("parcels", "a", b"one")
    with pytest.raises(expected):
        OwnItems(shelf).get("parcels", "a")
