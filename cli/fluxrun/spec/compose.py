"""Specs that build on others: `extends: base.yaml`.

    base.yaml   train: {optimizer: adam, epochs: 20}
    mine.yaml   extends: base.yaml                        ->  train: {optimizer: {adam: {beta1: 0.8}}, epochs: 20}
                train: {optimizer: {adam: {beta1: 0.8}}}

Maps merge, lists replace, `~` takes a key away. A component merges with one of the same name and replaces any other.
Every value keeps its place in the file that it comes from, and paths stay relative to that file.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType

from fluxrun.spec.expand import ROOT, below, expand
from fluxrun.spec.part import Inside, Slot
from fluxrun.spec.problems import Problems, SpecError
from fluxrun.spec.read import MAX_BYTES, decode, read
from fluxrun.spec.tree import Entry, Mapping, Node, Scalar, describe, plain

MAX_FILES = 10


def compose(tree: Node, problems: Problems, seen: tuple[str, ...], bases: list[tuple[str, bytes]]) -> Node:
    """The expanded tree on top of what it extends; `seen` are the files on the way here, real paths.

    What is read on the way goes to `bases`, real paths with their bytes.
    """
    if not isinstance(tree, Mapping) or "extends" not in tree.entries:
        return tree
    entry = tree.entries["extends"]
    rest = Mapping(MappingProxyType({k: v for k, v in tree.entries.items() if k != "extends"}), tree.place)
    base = _base(entry, problems, seen, bases)
    if base is None:
        problems.lacking = True
        return rest
    return merge(base, rest)


def merge(base: Node, top: Node, inside: Inside = ROOT) -> Node:
    """`top` over `base`, both expanded.

    >>> from fluxrun.spec.read import read_text
    >>> plain(merge(read_text("{a: 1, b: {c: 2}}"), read_text("{a: ~, b: {d: 3}}"), None))
    {'b': {'c': 2, 'd': 3}}
    """
    if not isinstance(base, Mapping) or not isinstance(top, Mapping) or _replaces(base, top, inside):
        return top
    merged = dict(base.entries)
    for name, entry in top.entries.items():
        old = merged.get(name)
        if isinstance(entry.node, Scalar) and entry.node.value is None:
            merged.pop(name, None)
        elif old is None:
            merged[name] = entry
        else:
            merged[name] = Entry(entry.key, merge(old.node, entry.node, below(inside, top, name)))
    return Mapping(MappingProxyType(merged), top.place)


def _replaces(base: Mapping, top: Mapping, inside: Inside) -> bool:
    """Whether these are two components of different names."""
    if not isinstance(inside, Slot) or inside.many:
        return False
    if inside.kind != "source":
        return set(base.entries) != set(top.entries)
    names = [plain(node.entries["source"].node) for node in (base, top) if "source" in node.entries]
    return len(names) == 2 and names[0] != names[1]


def _base(entry: Entry, problems: Problems, seen: tuple[str, ...], bases: list[tuple[str, bytes]]) -> Node | None:
    """The composed tree of the file that an `extends` names, or None and a problem."""
    place = entry.node.place
    value = plain(entry.node)
    if not isinstance(value, str) or not value or "\0" in value:
        problems.add(place, f"expected the path of a spec for extends, not {describe(value)}")
        return None
    path = place.source.directory / value
    real = os.path.realpath(path)
    if real in seen:
        problems.add(place, f"{str(path)!r} extends itself" + (" by a circle" if len(seen) > 1 else ""))
        return None
    if len(seen) >= MAX_FILES:
        problems.add(place, f"at most {MAX_FILES} specs may build on each other")
        return None
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problems.add(place, f"{str(path)!r} cannot be read: {error.strerror or error}")
        return None
    try:
        bases.append((real, data))
        source = decode(data, str(path), Path(path).parent, problems, order=-len(seen))
        return compose(expand(read(source, problems)), problems, (*seen, real), bases)
    except SpecError:  # it is in `problems` already, and the file that extends this one may have some too
        return None
