"""Nets whose keys have faults of their type, mended so that the rest of them can be checked too.

    {arguments: {out: text}, params: {W: 3, U: [in, out]}, forward: ...}
    {arguments: {out: ~},    params: {W: [], U: [in, out]}, forward: ...}     stand-ins, under the names that there are

Where it is not known which names a net has, nothing can be said of its formula.
"""

from __future__ import annotations

from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass

from fluxrun.spec.catalog import Row
from fluxrun.spec.part import fields
from fluxrun.spec.problems import Problems, near
from fluxrun.spec.schema.nets import Net
from fluxrun.spec.tree import Entry, Mapping, Node, Scalar, Sequence

Rows = AbstractMapping[str, Row]
NAMED = ("arguments", "params", "state")  # maps of which single entries can be mended


@dataclass(frozen=True)
class Mended:
    """A net without faults of types, and whether its formula and all of its shapes are its own."""

    net: Net
    own_formula: bool = True
    own_shapes: bool = True


def mended(node: Mapping, rows: Rows) -> Mended | None:
    """The net as it is or mended; None where it is not known which names it has."""
    net = _sound(node, rows)
    if net is not None:
        return Mended(net)
    entries: dict[str, Entry] = {}
    own_shapes = True
    for key, entry in node.entries.items():
        if key not in fields(Net):
            if (meant := near(key, fields(Net))) and "'forward'" not in meant:
                return None
        elif _fits(key, entry.node, rows):
            entries[key] = entry
        elif key in NAMED and isinstance(entry.node, Mapping):
            entries[key] = Entry(entry.key, _mended(key, entry.node, rows))
            own_shapes &= key == "arguments"
        elif key != "forward":
            return None
    own_formula = "forward" in entries
    entries.setdefault("forward", Entry(node.place, Scalar("#", node.place)))  # no formula, which only it is told of
    net = _sound(Mapping(entries, node.place), rows)
    return None if net is None else Mended(net, own_formula, own_shapes)


def _mended(key: str, node: Mapping, rows: Rows) -> Mapping:
    """The map with a stand-in for each entry that has a fault."""
    entries = {
        name: entry
        if _fits(key, Mapping({name: entry}, node.place), rows)
        else Entry(entry.key, Scalar(None, entry.key) if key == "arguments" else _shape(entry.node, rows))
        for name, entry in node.entries.items()
    }
    return Mapping(entries, node.place)


def _shape(node: Node, rows: Rows) -> Mapping:
    """What is left of a shape: its sizes, with 1 for each that is none, so that the others stay in their places."""
    entry = node.entries.get("shape") if isinstance(node, Mapping) else None
    items = entry.node.items if entry and isinstance(entry.node, Sequence) else ()
    sizes = tuple(item if _is_size(item, rows) else Scalar(1, item.place) for item in items)
    return Mapping({"shape": Entry(node.place, Sequence(sizes, node.place))}, node.place)


def _is_size(item: Node, rows: Rows) -> bool:
    shape = Mapping({"shape": Entry(item.place, Sequence((item,), item.place))}, item.place)
    return _fits("params", Mapping({"W": Entry(item.place, shape)}, item.place), rows)


def _fits(key: str, node: Node, rows: Rows) -> bool:
    """Whether a net that has only this key, besides a formula, is sound."""
    formula = Entry(node.place, Scalar("return x", node.place))
    return _sound(Mapping({"forward": formula, key: Entry(node.place, node)}, node.place), rows) is not None


def _sound(node: Mapping, rows: Rows) -> Net | None:
    from fluxrun.spec.check import section

    net = section(Net, node, "nets", Problems(), rows)
    return net if isinstance(net, Net) else None
