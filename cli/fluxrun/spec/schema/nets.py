"""Nets: layers that a spec declares itself, with the weights, states, sub-models and the formula of each."""

from __future__ import annotations

import re
from math import isfinite
from typing import Annotated, Any, ClassVar

from pydantic import Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from fluxrun.spec.part import Component, Named, Part, Section, Slot, Text

NET = re.compile(r"[A-Z][A-Za-z0-9_]{0,99}")  # names of layers that come with fluxrun never start with a capital
WORDS = ("classes", "vocab")

NUMBER: list[Any] = [{"type": "number"}, {"enum": list(WORDS)}]


def _size(value: object) -> object:
    if type(value) is int or (isinstance(value, str) and value):
        return value
    raise PydanticCustomError("words", "", {"words": "a size, such as 64, in or 4 * out,"})


def _default(value: object) -> object:
    if value is None or (type(value) is float and isfinite(value)) or _is_whole(value) or value in WORDS:
        return value
    raise PydanticCustomError("words", "", {"words": "a number, 'classes', 'vocab', or ~ for no default,"})


def _is_whole(value: object) -> bool:
    return type(value) is int and abs(value) < 2**53


def _whole(value: object) -> object:
    if _is_whole(value) or value in WORDS:
        return value
    raise PydanticCustomError("words", "", {"words": "a whole number, or 'classes' or 'vocab',"})


Size = Annotated[int | str, PlainValidator(_size), WithJsonSchema({"type": ["integer", "string"]})]
Sizes = Annotated[list[Size], Field(max_length=8)]
Default = Annotated[
    int | float | str | None, PlainValidator(_default), WithJsonSchema({"anyOf": [*NUMBER, {"type": "null"}]})
]
Whole = Annotated[int | str, PlainValidator(_whole), WithJsonSchema({"anyOf": NUMBER})]


class Weight(Component):
    """An array that is trained."""

    main: ClassVar[str | None] = "shape"
    shape: Sizes
    """Its sizes: numbers, names of arguments, `in`, `in.NAME`, `vocab`, `classes`, or sums and products of these."""
    init: Annotated[Part | None, Slot("initialiser")] = None
    """Its first values; by default glorot for two axes or more, zeros for others."""


class State(Component):
    """What one step of a sequence leaves to later ones."""

    main: ClassVar[str | None] = "shape"
    shape: Sizes
    """Its sizes, without the batch axis."""
    init: Annotated[Part, Slot("initialiser", default="zeros")]
    """Its value before the first step."""
    trainable: bool = False
    """Whether the value before the first step is trained."""


class Net(Component):
    """A layer of your own: what it holds, and the formula of what it gives."""

    arguments: Annotated[dict[str, Default], Field(max_length=50, default_factory=dict)]
    """What `- Name: ...` in the model may set, with defaults (~ for none); the first is the main one."""
    inputs: Annotated[list[Text], Field(min_length=1, max_length=50, default_factory=lambda: ["x"])]
    """The names of its inputs."""
    params: Annotated[dict[str, Weight], Named(Section(Weight)), Field(max_length=1000, default_factory=dict)]
    """Its weights by name, each with its shape."""
    state: Annotated[dict[str, State], Named(Section(State)), Field(max_length=100, default_factory=dict)]
    """What goes from step to step, by name; `h[-1]` in the formula is the value that the last step left."""
    models: Annotated[dict[str, Any], Named(Slot("layer", later=True)), Field(max_length=100, default_factory=dict)]
    """Layers by name, which the formula calls; their arguments may be sizes, as in `gate: {affine: 4 * out}`."""
    forward: Text
    """The formula: lines of `name = expression`, the last `return expression`."""
