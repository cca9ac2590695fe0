"""Short forms become long ones, and overrides go on top.

    relu           ->  {relu: {}}                         --set model.0.affine.bias=false
    affine: 128    ->  {affine: {out: 128}}               --set train.optimizer=sgd
                                                          --set 'data.columns."a.b"=numeric'

Both walk the tree along the schema. What does not fit the schema is left as it is: the check will name it.
"""

from __future__ import annotations

from types import MappingProxyType

from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.key import cut, unquoted
from fluxrun.spec.nets import with_long_uses
from fluxrun.spec.part import Component, Inside, Named, Section, Slot, fields
from fluxrun.spec.problems import Problems, SpecError
from fluxrun.spec.schema.root import Spec
from fluxrun.spec.text import LINE_BREAK, Place, Source
from fluxrun.spec.tree import Entry, Mapping, Node, Scalar, Sequence, describe

ROOT = Section(Spec)
Step = tuple[str, Place]  # of a path: a key and where it stands


def expand(node: Node, inside: Inside = ROOT) -> Node:
    """The same tree with every component as {name: {argument: value}}."""
    match inside, node:
        case Slot(kind="source"), Mapping():
            schema = source_schema(node)
            return _section(schema, node) if schema else node
        case Slot(many=True), Sequence():
            one = Slot(inside.kind)
            return Sequence(tuple(expand(item, one) for item in node.items), node.place)
        case Slot(many=False), _:
            return _component(inside.kind, node)
        case Named(), Mapping():
            return node.mapped(lambda value: expand(value, inside.inside))
        case Section(), Mapping():
            whole = _section(inside.schema, node)
            return with_long_uses(whole) if inside is ROOT else whole
        case Section(), Scalar(value=None):
            return node
        case Section(), _ if inside.schema.main:
            short = Mapping(MappingProxyType({inside.schema.main: Entry(node.place, node)}), node.place)
            return _section(inside.schema, short)
    return node


def source_schema(node: Mapping) -> type[Component] | None:
    """The schema that `source: name` asks for."""
    entry = node.entries.get("source")
    name = entry.node.value if entry and isinstance(entry.node, Scalar) else None
    row = CATALOG["source"].get(name) if isinstance(name, str) else None
    return row.schema if row else None


def _section(schema: type[Component], node: Mapping) -> Mapping:
    inside = fields(schema)
    entries = {name: Entry(entry.key, expand(entry.node, inside.get(name))) for name, entry in node.entries.items()}
    return Mapping(MappingProxyType(entries), node.place)


def _component(kind: str, node: Node) -> Node:
    if isinstance(node, Scalar) and isinstance(node.value, str):
        empty = Mapping(MappingProxyType({}), node.place)
        return Mapping(MappingProxyType({node.value: Entry(node.place, empty)}), node.place)
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        return node
    ((name, entry),) = node.entries.items()
    row = CATALOG[kind].get(name)
    inner = entry.node
    if isinstance(inner, Scalar) and inner.value is None:
        inner = Mapping(MappingProxyType({}), entry.key)
    if row is None:
        return node.with_entry(name, Entry(entry.key, inner))
    if not isinstance(inner, Mapping) and row.schema.main:
        inner = Mapping(MappingProxyType({row.schema.main: Entry(inner.place, inner)}), inner.place)
    if isinstance(inner, Mapping):
        inner = _section(row.schema, inner)
    return node.with_entry(name, Entry(entry.key, inner))


def override(tree: Node, text: str, name: str, order: int, problems: Problems) -> Node:
    """The tree with one `key=value` on top; `name` and `order` are those of its Source."""
    from fluxrun.spec.read import read

    source = Source(name, text, order=order, one_line=True)
    written, end = cut(text)
    path, value = text[:end], text[end + 1 :]
    if end == len(text) or not path.strip():
        problems.add(source.whole(), f"expected KEY=VALUE, not {text!r}", "such as train.epochs=5")
        return tree
    if len(LINE_BREAK.split(path)) > 1:
        problems.add(source.whole(), "a key stands on one line", "such as train.epochs=5")
        return tree
    parts: list[Step] = []
    for part, start in written:
        place = Place(source, 0, start, start + len(part))
        if not (key := unquoted(part)):
            problems.add(place, "a part of the key is empty")
            return tree
        parts.append((key, place))
    if value.strip():
        try:
            node = read(source, problems, start=len(path) + 1)
        except SpecError:  # it is in `problems` already, and the other overrides may have some too
            return tree
    else:
        node = Scalar(None, Place(source, 0, 0, len(text)))
    return expand(_assign(ROOT, tree, parts, node, problems))


def _assign(inside: Inside, node: Node | None, parts: list[Step], value: Node, problems: Problems) -> Node:
    if not parts:
        return value
    if node is None or (isinstance(node, Scalar) and node.value is None):
        node = Mapping(MappingProxyType({}), parts[0][1])
    (name, place), rest = _first(inside, node, parts)
    if isinstance(node, Sequence):
        if not name.isdecimal() or int(name) >= len(node.items):
            last = len(node.items) - 1
            problems.add(
                place, f"expected an index from 0 to {last}, not {name!r}" if last >= 0 else "the list is empty"
            )
            return node
        index = int(name)
        one = Slot(inside.kind) if isinstance(inside, Slot) else None
        item = _assign(one, node.items[index], rest, value, problems)
        return Sequence((*node.items[:index], item, *node.items[index + 1 :]), node.place)
    if isinstance(node, Scalar):
        problems.add(place, f"no key {name!r} can be set inside {describe(node.value)}")
        return node
    old = node.entries.get(name)
    if isinstance(inside, Slot) and inside.kind == "source":
        node = _for_source(node, value) if name == "source" and not rest else node
    elif isinstance(inside, Slot) and old is None:
        node = Mapping(MappingProxyType({}), place)  # another component: nothing of the old one stays
    child = _assign(below(inside, node, name), old.node if old else None, rest, value, problems)
    return node.with_entry(name, Entry(old.key if old and rest else place, child))


def _first(inside: Inside, node: Node, parts: list[Step]) -> tuple[Step, list[Step]]:
    """The key that is meant here, and what is left: among names that the spec chose, the longest that is there.

    Of `"a.b"` the shell takes the quotes away.
    """
    if isinstance(node, Mapping) and (inside is None or isinstance(inside, Named)):
        for end in range(len(parts), 1, -1):
            name = ".".join(key for key, _ in parts[:end])
            if name in node.entries:
                first, last = parts[0][1], parts[end - 1][1]
                return (name, Place(first.source, first.row, first.column, last.end)), parts[end:]
    return parts[0], parts[1:]


def _for_source(node: Mapping, name: Node) -> Mapping:
    """The keys of a source that another one has too; those of earlier overrides stay, so that none is lost in silence.

    >>> from fluxrun.spec.read import read_text
    >>> list(_for_source(read_text("{source: csv, path: a.csv, delimiter: ';'}"), read_text("npz")).entries)
    ['source', 'path']
    """
    row = CATALOG["source"].get(name.value) if isinstance(name, Scalar) and isinstance(name.value, str) else None
    if row is None:
        return node
    known = {"source", *fields(row.schema)}
    kept = {key: e for key, e in node.entries.items() if key in known or e.key.source.one_line}
    return Mapping(MappingProxyType(kept), node.place)


def below(inside: Inside, node: Mapping, name: str) -> Inside:
    """What stands under a key of a map that is `inside` that."""
    match inside:
        case Slot(kind="source"):
            schema = source_schema(node)
            return fields(schema).get(name) if schema else None
        case Slot():
            row = CATALOG[inside.kind].get(name)
            return Section(row.schema) if row else None
        case Named():
            return inside.inside
        case Section():
            return fields(inside.schema).get(name)
    return None
