"""Lists in Relay's shape. A cursor is the id of its node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.replicas.railway.refusals import ApiError
from harness.replicas.railway.state import Record


@dataclass(frozen=True)
class Page:
    """Which part of a list is wanted (Relay's cursor connections, section 4)."""

    after: str | None = None
    before: str | None = None
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class Edge:
    node: Record

    @property
    def cursor(self) -> str:
        return self.node.id


@dataclass(frozen=True)
class PageInfo:
    start_cursor: str | None
    end_cursor: str | None
    has_previous_page: bool
    has_next_page: bool


@dataclass(frozen=True)
class Connection:
    edges: tuple[Edge, ...]
    page_info: PageInfo


def page_of(records: Sequence[Record], page: Page) -> Connection:
    """The wanted part of a list.

    Raises:
        ApiError: a negative count.
    """
    if (page.first or 0) < 0 or (page.last or 0) < 0:
        raise ApiError("first and last must not be negative")
    ids = [record.id for record in records]
    start = ids.index(page.after) + 1 if page.after in ids else 0
    end = ids.index(page.before) if page.before in ids else len(ids)
    if page.first is not None:
        end = min(end, start + page.first)
    if page.last is not None:
        start = max(start, end - page.last)
    edges = tuple(Edge(record) for record in records[start:end])
    info = PageInfo(
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
        has_previous_page=start > 0,
        has_next_page=end < len(ids),
    )
    return Connection(edges, info)
