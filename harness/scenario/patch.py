"""JSON merge patches (RFC 7396): how a guard changes the stack, and a scenario another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import JsonValue

from harness.scenario.positions import KeyPath


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """What ``target`` becomes. Neither argument is changed.

    Mappings are merged key by key; ``null`` removes a key; everything else replaces what was there
    (RFC 7396, section 2).
    """
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def written_places(path: KeyPath, guards: Sequence[str]) -> Iterator[KeyPath]:
    """Where a stack file may say a value that counts, the place that wins first.

    Args:
        path: of the value, as the stack has it.
        guards: that are on, in the order in which they are applied.
    """
    yield from (("guards", guard, "patch", *path) for guard in reversed(guards))
    yield path


def vain_removals(
    target: JsonValue, patch: JsonValue, path: KeyPath = ()
) -> Iterator[tuple[KeyPath, list[str]]]:
    """Each null in a patch that removes nothing, as a misspelt name does, with the names that are there."""
    there = target if isinstance(target, dict) else {}
    for key, value in patch.items() if isinstance(patch, dict) else ():
        if value is None and key not in there:
            yield (*path, key), list(there)
        yield from vain_removals(there.get(key), value, (*path, key))
