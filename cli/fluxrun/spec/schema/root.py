"""The whole spec: name, seed, data, model, train."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from fluxrun.spec.part import Component, Named, Part, Section, Slot
from fluxrun.spec.schema.nets import Net
from fluxrun.spec.schema.training import Train

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)  # devices, on Windows


def _name(value: str) -> str:
    if text := _name_fault(value):
        raise PydanticCustomError("name", "{text}", {"text": text})
    return value


def _name_fault(value: str) -> str | None:
    """What keeps a text from being the name of a folder on every system, or None."""
    if strange := re.search(r"[^A-Za-z0-9._-]", value):
        return f"a name is made of the ASCII characters A-Z a-z 0-9 . _ -, not of {strange[0]!r}"
    if RESERVED.fullmatch(value):
        return f"no folder can be called {value!r} on Windows: take another name"
    if not NAME.fullmatch(value):
        return "a name has 1 to 100 characters, and starts with none of . and -"
    return None


class Spec(Component):
    """A training: on what, of what, and how.

    `name` is always set by the loader.
    """

    name: Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]
    """What the run is called; by default as the file is."""
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] = 0
    """Decides everything random: the split, the first weights, the order of the examples."""
    data: Annotated[Part, Slot("source")]
    """Where the examples come from."""
    nets: Annotated[dict[str, Net], Named(Section(Net)), Field(max_length=100, default_factory=dict)]
    """Layers that this spec declares itself, by name."""
    model: Annotated[list[Part], Slot("layer", many=True), Field(min_length=1)]
    """The layers, each taking what the one above gives; sizes of inputs are inferred."""
    train: Train
    """How the model is trained."""
