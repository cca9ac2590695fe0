"""What may stand behind a key of a spec, where the schema knows all of it.

train.loss       ──▶  mse, mae, ...       the components of its kind
train.metrics    ──▶  [accuracy], ...     a list of one of them
train.engine     ──▶  the words that it may be
data.shuffle     ──▶  true, false
train.epochs     ──▶  nothing
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.describe import default_of, plain_schema
from fluxrun.spec.expand import ROOT
from fluxrun.spec.key import split
from fluxrun.spec.part import Component, Inside, Named, Section, Slot, fields


@dataclass(frozen=True)
class Position:
    """What stands at a path: by the schema, or if that is None as a plain value of a JSON Schema."""

    inside: Inside
    plain: Mapping[str, Any]
    default: Any = None

    def choices(self) -> list[str]:
        """The values that may stand there, as `--set` takes them; none where they cannot be listed."""
        match self.inside:
            case Slot(kind="source"):
                return []
            case Slot(kind=kind, many=many):
                return [f"[{name}]" if many else name for name in CATALOG[kind]]
        return list(_listed(self.plain))

    def below(self, key: str, source: object) -> Position:
        """What stands under a key of it, in a spec with this source of data."""
        match self.inside:
            case Slot(kind="source") if key == "source":
                return Position(None, {"enum": list(CATALOG["source"])})
            case Slot(kind="source") if isinstance(source, str) and source in CATALOG["source"]:
                return _field(CATALOG["source"][source].schema, key)
            case Slot(kind=kind, many=True) if key.isdecimal():
                return Position(Slot(kind), {})
            case Slot(kind=kind, many=False) if key in CATALOG[kind]:
                return Position(Section(CATALOG[kind][key].schema), {})
            case Named():
                return Position(self.inside.inside, {})
            case Section():
                return _field(self.inside.schema, key)
        return Position(None, next((one["additionalProperties"] for one in _one_of(self.plain) if _is_map(one)), {}))


def position(path: str, source: object = None) -> Position:
    """What stands at a path, in a spec with this source of data.

    >>> position("train.metrics").choices()[:2], position("data.columns.x", "csv").choices()
    (['[accuracy]', '[top_k]'], ['numeric', 'categorical'])
    """
    found = Position(ROOT, {})
    for key in split(path):
        found = found.below(key, source)
    return found


def _field(schema: type[Component], key: str) -> Position:
    if key not in fields(schema):
        return Position(None, {})
    inside = fields(schema)[key]
    return Position(inside, {} if inside else plain_schema(schema, key), default_of(schema, key))


def _listed(plain: Mapping[str, Any]) -> Iterator[str]:
    for one in _one_of(plain):
        if one.get("type") == "boolean":
            yield from ("true", "false")
        yield from (str(value) for value in one.get("enum", [one["const"]] if "const" in one else []))


def _one_of(plain: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = plain.get("anyOf", [plain])
    return found


def _is_map(plain: Mapping[str, Any]) -> bool:
    return isinstance(plain.get("additionalProperties"), dict)
