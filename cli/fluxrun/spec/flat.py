"""A spec as one flat map: dotted paths, as `--set` takes them, with their values.

train: {optimizer: {adam: {beta1: 0.9}}}      ->      train.optimizer              adam
                                                      train.optimizer.adam.beta1   0.9
model: [{affine: {out: 10}}]                  ->      model.0                      affine
                                                      model.0.affine.out           10
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fluxrun.spec.key import quoted
from fluxrun.spec.part import Component, Part, fields, set_aside, to_plain
from fluxrun.spec.schema.root import Spec


def flat(spec: Spec) -> dict[str, Any]:
    """Every value by its path, and every component's name by the path of its place; files by absolute paths."""
    return {path: value for path, value, _ in _section(spec, "", False)}


def aside(spec: Spec) -> set[str]:
    """The paths of what changes nothing of the training: where files lie, and how often the state is saved."""
    return {path for path, _, is_aside in _section(spec, "", False) if is_aside}


def file_values(spec: Spec) -> list[Any]:
    """What stands where the data's files are named: absolute paths, or lists of them."""
    data, names = to_plain(spec.data.arguments), set_aside(type(spec.data.arguments))
    return [data[name] for name in data if name in names and data[name] is not None]


Leaf = tuple[str, Any, bool]


def _section(section: Component, above: str, is_aside: bool) -> Iterator[Leaf]:
    plain, left_out = to_plain(section), set_aside(type(section))
    for name in fields(type(section)):
        value = getattr(section, name)
        inside = isinstance(value, Part | Component) or (isinstance(value, list) and _parts(value))
        yield from _value(value if inside else plain[name], f"{above}{name}", is_aside or name in left_out)


def _value(value: Any, path: str, is_aside: bool) -> Iterator[Leaf]:
    match value:
        case Part() if path == "data":  # its name stands beside its arguments
            yield "data.source", value.name, is_aside
            yield from _section(value.arguments, "data.", is_aside)
        case Part():
            yield path, value.name, is_aside
            yield from _section(value.arguments, f"{path}.{value.name}.", is_aside)
        case Component():
            yield from _section(value, f"{path}.", is_aside)
        case list() if _parts(value):
            for i, item in enumerate(value):
                yield from _value(item, f"{path}.{i}", is_aside)
        case dict() if value:
            for key, item in value.items():
                yield from _value(item, f"{path}.{quoted(key)}", is_aside)
        case _:
            yield path, value, is_aside


def _parts(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, Part) for value in values)
