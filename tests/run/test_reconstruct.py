"""What a reconstruction brought back is counted against the rows as they were."""

from __future__ import annotations

from harness.run.reconstruct import count


def test_only_rows_that_the_copy_lacked_count_as_rebuilt() -> None:
    true = {"a": [1, 2], "b": [3, 4], "c": [5, 6], "d": [7, 8]}
    before = {"a": [1, 2]}
    after = {"a": [1, 2], "b": [3, 0], "c": [5, 6], "x": [9, 9]}
    counted = count("bookings", true, before, after)
    assert (counted.lost, counted.rebuilt) == (3, 2)
    assert (counted.fields, counted.fields_equal) == (6, 3)


def test_nothing_lost_is_nothing_to_rebuild() -> None:
    rows = {"a": [1]}
    counted = count("bookings", rows, rows, rows)
    assert (counted.lost, counted.rebuilt, counted.fields, counted.fields_equal) == (0, 0, 0, 0)
