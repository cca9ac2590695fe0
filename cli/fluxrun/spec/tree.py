"""The spec as a tree in which every key and every value knows its place.

    Mapping {"epochs": Entry(key place, Scalar(20, place))}        Sequence [Mapping, ...]        Scalar 1e-3

Trees are immutable; expanding and overriding make new ones. They are at most 50 levels deep, so walks may recurse.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from fluxrun.spec.text import Place

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Scalar:
    """A single value."""

    value: Value
    place: Place


@dataclass(frozen=True)
class Sequence:
    """A list of nodes."""

    items: tuple[Node, ...]
    place: Place


@dataclass(frozen=True)
class Entry:
    """A key's place, and its value."""

    key: Place
    node: Node


@dataclass(frozen=True)
class Mapping:
    """Keys, in the order of the text, with their values."""

    entries: AbstractMapping[str, Entry]
    place: Place

    def with_entry(self, name: str, entry: Entry) -> Mapping:
        """The same map with one entry added or replaced."""
        return Mapping(MappingProxyType({**self.entries, name: entry}), self.place)

    def mapped(self, change: Callable[[Node], Node]) -> Mapping:
        """The same keys with every value changed."""
        entries = {name: Entry(entry.key, change(entry.node)) for name, entry in self.entries.items()}
        return Mapping(MappingProxyType(entries), self.place)


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """The node as ordinary Python values.

    >>> from fluxrun.spec.read import read_text
    >>> plain(read_text("a: [1, 2e-1, no]"))
    {'a': [1, 0.2, 'no']}
    """
    if isinstance(node, Mapping):
        return {key: plain(entry.node) for key, entry in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def describe(value: object) -> str:
    """A value in the words of an error message.

    >>> describe("abc"), describe(True), describe(None), describe([1])
    ("the text 'abc'", 'true', 'nothing', 'a list')
    """
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return f"the text {value if len(value) <= 40 else value[:37] + '...'!r}"
        case int() | float():
            shown = repr(value) if isinstance(value, float) else _short(value)
            return f"the number {shown}"
        case list() | tuple() | Sequence():
            return "a list"
        case Scalar(value=inner):
            return describe(inner)
    return "a map"


def _short(number: int) -> str:
    return str(number) if abs(number) < 10**20 else "of many digits"
