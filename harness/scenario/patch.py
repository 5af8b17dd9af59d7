"""JSON merge patches (RFC 7396): how a guard changes the stack."""

from __future__ import annotations

from pydantic import JsonValue


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
