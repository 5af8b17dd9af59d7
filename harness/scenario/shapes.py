"""What the models say may stand at a place of a file, read from their annotations.

Pydantic names places by its own means: the tags of unions stand between the keys. ``trace`` follows the
models along such a place, to where the user wrote the value.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, Discriminator, Tag
from pydantic.fields import FieldInfo

from harness.scenario.positions import KeyPath


def inner(shape: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without ``Annotated`` and ``| None``, and the metadata that was around it."""
    metadata: tuple[Any, ...] = ()
    while True:
        arguments = get_args(shape)
        if get_origin(shape) is Annotated:
            shape, metadata = arguments[0], (*metadata, *arguments[1:])
        elif get_origin(shape) in (Union, UnionType) and len(arguments) == 2 and arguments[1] is NoneType:
            shape = arguments[0]
        else:
            return shape, metadata


def members(shape: Any) -> tuple[Any, dict[str, Any]]:
    """The function that tells the members of a tagged union apart, and the members by tag."""
    bare, metadata = inner(shape)
    chooser = next((data.discriminator for data in metadata if isinstance(data, Discriminator)), None)
    if chooser is None:
        return None, {}
    tagged = {member: inner(member)[1] for member in get_args(bare)}
    return chooser, {
        data.tag: member for member, found in tagged.items() for data in found if isinstance(data, Tag)
    }


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the key that stands in a file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def shape_of(field: FieldInfo) -> Any:
    """The type of a field, with its metadata."""
    return Annotated[field.annotation, *field.metadata, None]


def is_model(shape: Any) -> bool:
    """Whether a type without its metadata is a model."""
    return isinstance(shape, type) and issubclass(shape, BaseModel)


def below(shape: Any, part: object) -> Any:
    """The shape of a child."""
    bare, _ = inner(shape)
    if is_model(bare):
        field = fields(bare).get(str(part))
        return shape_of(field) if field else Any
    arguments = get_args(bare)
    if get_origin(bare) is dict:
        return arguments[1]
    return arguments[0] if get_origin(bare) is tuple else Any


@dataclass(frozen=True)
class Place:
    """A place of a file, and what the models say of it.

    Attributes:
        path: in the file.
        owner: the model whose key the last part of the path is.
        key: of the innermost field around the place.
        field: that field.
        shape: what may stand there.
        of_key: the key is meant, not its value.
    """

    path: KeyPath
    owner: type[BaseModel] | None
    key: str
    field: FieldInfo | None
    shape: Any
    of_key: bool


def trace(kind: type[BaseModel], location: tuple[int | str, ...]) -> Place:
    """The place that pydantic means by a location."""
    shape: Any = kind
    container: Any = None
    path: KeyPath = ()
    owner: type[BaseModel] | None = None
    key, field = "", None
    for part in location:
        _, choices = members(shape)
        if part == "[key]" and get_origin(container) is dict:
            return Place(path, None, key, field, container, of_key=True)
        if choices:
            shape, container = choices[str(part)], None
            continue
        container, _ = inner(shape)
        owner = container if is_model(container) else None
        if owner and part in fields(owner):
            key, field = str(part), fields(owner)[str(part)]
        shape = below(shape, part)
        path = (*path, part)
    return Place(path, owner, key, field, shape, of_key=False)
