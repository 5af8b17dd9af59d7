"""Canonical JSON (RFC 8785): one value, one sequence of bytes, whoever writes it."""

from __future__ import annotations

import json
from typing import Any

import rfc8785
from pydantic import BaseModel


def canonical(value: BaseModel | dict[str, Any]) -> bytes:
    """The bytes of a value.

    Args:
        value: a model, without its fields that are None and with endless numbers as text; or strings,
            booleans, nulls, finite numbers, lists and objects of them.
    """
    plain = (
        json.loads(value.model_dump_json(by_alias=True, exclude_none=True))
        if isinstance(value, BaseModel)
        else value
    )
    return rfc8785.dumps(plain)
