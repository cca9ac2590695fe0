"""What schemas are made of.

    class Adam(Component): learning_rate: Positive = 0.001 ...      the arguments of one component, checked by pydantic
    optimizer: Annotated[Part, Slot("optimizer", default="adam")]   a place where one component of a kind belongs
    Part("adam", Adam(learning_rate=0.001, ...))                    what stands there in the end

The keys of a Component are the arguments of the constructor that the catalog names, with the same defaults.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

MAX_SIZE = 1_000_000


class Component(BaseModel):
    """Arguments of a component or keys of a section; strict, closed, and built only when first used."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        defer_build=True,
        frozen=True,
        arbitrary_types_allowed=True,
        protected_namespaces=(),
    )
    main: ClassVar[str | None] = None  # the argument that `name: value` stands for
    aside: ClassVar[tuple[str, ...]] = ()  # keys that change nothing of what is computed

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """What is wrong with the values together: (key, message); called whatever is wrong with each of them."""
        return iter(())


@dataclass(frozen=True)
class Part:
    """A component by name with its checked arguments."""

    name: str
    arguments: Component


@dataclass(frozen=True)
class Slot:
    """Marks a field that takes a component of a kind (a list of them if `many`); `default` is in short form.

    One for `later` stays a plain value: it is checked where what it depends on is known.
    """

    kind: str
    many: bool = False
    default: str | None = None
    later: bool = False


@dataclass(frozen=True)
class Section:
    """A field whose value is a map of its own with the keys of `schema`."""

    schema: type[Component]


@dataclass(frozen=True)
class Named:
    """A field whose value is a map from names that the spec chooses; `inside` stands under each."""

    inside: Slot | Section


@dataclass(frozen=True)
class FileMark:
    """Marks a field that is a path; it is relative to the directory of the text that it stands in."""


Inside = Slot | Section | Named | FileMark | None


@cache
def fields(schema: type[Component]) -> dict[str, Inside]:
    """What stands inside each field of a schema; None for plain values."""
    found: dict[str, Inside] = {}
    for name, info in schema.model_fields.items():
        choices = [info.annotation, *getattr(info.annotation, "__args__", ())]
        marks = [*info.metadata, *(mark for choice in choices for mark in getattr(choice, "__metadata__", ()))]
        sections = [Section(c) for c in choices if isinstance(c, type) and issubclass(c, Component)]
        found[name] = next(
            (mark for mark in [*marks, *sections] if isinstance(mark, Slot | FileMark | Section | Named)), None
        )
    return found


@cache
def set_aside(schema: type[Component]) -> frozenset[str]:
    """The fields of a schema that change nothing of what is computed: where files lie, how often the state is saved."""
    return frozenset(schema.aside) | {name for name, mark in fields(schema).items() if isinstance(mark, FileMark)}


def to_plain(value: Any) -> Any:
    """A checked value as the maps, lists and scalars of a spec in long form, with absolute paths."""
    if isinstance(value, Part):
        return {value.name: to_plain(value.arguments)}
    if isinstance(value, Component):
        found = {name: to_plain(getattr(value, name)) for name in type(value).model_fields}
        paths = [name for name, mark in fields(type(value)).items() if isinstance(mark, FileMark) and found[name]]
        return found | {name: _absolute(found[name]) for name in paths}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def _absolute(paths: str | list[str]) -> str | list[str]:
    return absolute(paths) if isinstance(paths, str) else [absolute(path) for path in paths]


def absolute(path: str) -> str:
    """The path from the root, as text that can be written in UTF-8 whatever the locale decoded it to."""
    return os.fsencode(os.path.abspath(path)).decode("utf-8")


def _file(value: object) -> object:
    if isinstance(value, str) and value:  # not pydantic's own test, which refuses what a C locale decodes names to
        return value
    raise PydanticCustomError("words", "", {"words": "a path"})


def _files(value: object) -> object:
    if (isinstance(value, str) and value) or (isinstance(value, list) and value and all(map(_is_name, value))):
        return value
    raise PydanticCustomError("words", "", {"words": "a path, or a list of at least one,"})


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _size(value: object) -> object:
    if value in ("classes", "vocab") or (type(value) is int and 1 <= value <= MAX_SIZE):
        return value
    words = f"a whole number from 1 to {MAX_SIZE:,}, or 'classes' or 'vocab',"
    raise PydanticCustomError("words", "", {"words": words})


def _column(value: object) -> object:
    if (isinstance(value, str) and value) or type(value) is int:
        return value
    raise PydanticCustomError("words", "", {"words": "a column's name or its index"})


def _columns(value: object) -> object:
    one = _is_name(value) or type(value) is int
    if one or (isinstance(value, list) and value and all(_is_name(item) or type(item) is int for item in value)):
        return value
    raise PydanticCustomError("words", "", {"words": "a column's name or its index, or a list of at least one,"})


COLUMN: list[Any] = [{"type": "integer"}, {"type": "string", "minLength": 1}]
PATH: dict[str, Any] = {"type": "string", "minLength": 1, "format": "path"}
Size = Annotated[
    int | str,
    PlainValidator(_size),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_SIZE}, {"enum": ["classes", "vocab"]}]}),
]
Column = Annotated[
    int | str,
    PlainValidator(_column),
    WithJsonSchema({"anyOf": COLUMN}),
]
Columns = Annotated[
    int | str | list[int | str],
    PlainValidator(_columns),
    WithJsonSchema({"anyOf": [*COLUMN, {"type": "array", "items": {"anyOf": COLUMN}, "minItems": 1}]}),
]
File = Annotated[str, FileMark(), PlainValidator(_file), WithJsonSchema(PATH)]
Several = Annotated[
    str | list[str],
    FileMark(),
    PlainValidator(_files),
    WithJsonSchema({"anyOf": [PATH, {"type": "array", "items": PATH, "minItems": 1}]}),
]
Count = Annotated[int, Field(ge=1, le=2**53)]
Whole = Annotated[int, Field(ge=0, le=2**53)]
Positive = Annotated[float, Field(gt=0)]
Scale = Annotated[float, Field(gt=0, le=1e30)]  # of numbers that are float32 afterwards
NotNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Factor = Annotated[float, Field(gt=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
