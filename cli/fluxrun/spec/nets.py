"""Declared nets as rows of the catalog: what `nets` says, read off the tree before anything is checked.

    nets: {Gated: {arguments: {out: 64, rate: 0.1}}}      ──▶  layer "Gated": out: whole number = 64, rate: number = 0.1
    model: [{Gated: 128}]                                 ──▶  {Gated: {out: 128}}

What is wrong with a net is for `net_check` to say; here it only has no row, or fewer arguments.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pydantic import create_model

from fluxrun.spec.catalog import Row
from fluxrun.spec.part import Component
from fluxrun.spec.schema.nets import NET, WORDS, Whole
from fluxrun.spec.tree import Entry, Mapping, Node, Scalar, Sequence

Arguments = tuple[tuple[str, Any, type], ...]


def declared(tree: Node) -> Iterator[tuple[str, Entry]]:
    """The nets of a tree by name."""
    nets = tree.entries.get("nets") if isinstance(tree, Mapping) else None
    if nets is not None and isinstance(nets.node, Mapping):
        yield from nets.node.entries.items()


def net_rows(tree: Node) -> AbstractMapping[str, Row]:
    """A row for each net of the tree."""
    return {name: Row(_schema(name, _arguments(e.node)), "") for name, e in declared(tree) if NET.fullmatch(name)}


def with_long_uses(tree: Mapping) -> Mapping:
    """The tree with every use of a net as {name: {argument: value}}."""
    main = {name: next((key for key, _, _ in _arguments(entry.node)), None) for name, entry in declared(tree)}
    if not main:
        return tree

    def long(node: Node) -> Node:
        if not isinstance(node, Mapping) or len(node.entries) != 1:
            return node
        ((name, entry),) = node.entries.items()
        argument = main.get(name)
        if argument is None or isinstance(entry.node, Mapping):
            return node
        inner = Mapping(MappingProxyType({argument: Entry(entry.node.place, entry.node)}), entry.node.place)
        return node.with_entry(name, Entry(entry.key, inner))

    def net(node: Node) -> Node:
        models = node.entries.get("models") if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping) or models is None or not isinstance(models.node, Mapping):
            return node
        return node.with_entry("models", Entry(models.key, models.node.mapped(long)))

    nets, model = tree.entries["nets"], tree.entries.get("model")
    assert isinstance(nets.node, Mapping)  # it has declared something
    tree = tree.with_entry("nets", Entry(nets.key, nets.node.mapped(net)))
    if model is not None and isinstance(model.node, Sequence):
        layers = Sequence(tuple(long(item) for item in model.node.items), model.node.place)
        tree = tree.with_entry("model", Entry(model.key, layers))
    return tree


def _arguments(net: Node) -> Arguments:
    """The arguments of a net with their defaults, as far as they are sound."""
    entry = net.entries.get("arguments") if isinstance(net, Mapping) else None
    if entry is None or not isinstance(entry.node, Mapping):
        return ()
    found = [(name, e.node.value) for name, e in entry.node.entries.items() if isinstance(e.node, Scalar)]
    sound = [(name, value) for name, value in found if name.isidentifier() and not is_taken(name)]
    known = [(name, value) for name, value in sound if type(value) in (int, float, type(None)) or value in WORDS]
    return tuple((name, value, type(value)) for name, value in known)


def is_taken(name: str) -> bool:
    """Whether a component cannot have an argument of this name, since it is something else in all of them."""
    return name.startswith("_") or hasattr(Component, name)


@lru_cache(maxsize=256)  # a spec is expanded and checked several times, and a class takes a while to make
def _schema(name: str, arguments: Arguments) -> type[Component]:
    """The arguments of a net as a component; their types keep 1 and 1.0 apart."""
    kinds: dict[str, Any] = {}
    for key, default, kind_of_default in arguments:
        kind = float if kind_of_default is float else Whole
        kinds[key] = (kind, ... if default is None else default)
    schema = create_model(name, __base__=Component, **kinds)
    schema.main = next(iter(kinds), None)
    return schema
