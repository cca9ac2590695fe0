"""A tree against the schema: every key, type and range, each finding at its place.

    Mapping ──section / part, by the catalog──▶ values ──pydantic──▶ Component
                                                             └── loc, error type ──▶ our words at the tree's place

Children are checked first; a child that failed keeps its parent from being built but not from being checked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping as AbstractMapping
from typing import Any

from pydantic import ValidationError

from flux_core.errors import Span
from fluxrun.spec.catalog import CATALOG, Row
from fluxrun.spec.elsewhere import elsewhere
from fluxrun.spec.expand import expand
from fluxrun.spec.nets import net_rows
from fluxrun.spec.part import Component, FileMark, Inside, Named, Part, Section, Slot, fields
from fluxrun.spec.problems import Problems, listing, near
from fluxrun.spec.schema.root import Spec
from fluxrun.spec.schema.training import Train
from fluxrun.spec.text import Place
from fluxrun.spec.tree import Entry, Mapping, Node, Scalar, Sequence, describe, plain
from fluxrun.spec.words import shown_at, translate

Rows = AbstractMapping[str, Row]

FAILED = object()  # stands for a child that has problems of its own


def check(tree: Node, problems: Problems) -> Spec | None:
    """The Spec that the expanded tree means, or None and at least one more problem."""
    if not isinstance(tree, Mapping):
        problems.add(tree.place, f"a spec is a map of keys, not {describe(plain(tree))}", "such as 'seed: 0'")
        return None
    problems.tree = tree
    rows = net_rows(tree)
    if rows or "nets" in tree.entries:
        from fluxrun.spec.net_check import check_nets

        check_nets(tree, problems, rows)
    spec = section(Spec, tree, "", problems, rows)
    return spec if isinstance(spec, Spec) else None


def find_inside(tree: Node, path: str, line: int, column: int, end: int) -> Place:
    """The place of characters of a text, whose path may be one of long form; the text's own where it is no text."""
    from fluxrun.spec.block import within

    node = tree
    for part in path.split("."):
        if isinstance(node, Mapping) and part in node.entries:
            node = node.entries[part].node
        elif isinstance(node, Sequence) and part.isdecimal() and int(part) < len(node.items):
            node = node.items[int(part)]
    if isinstance(node, Scalar) and isinstance(node.value, str):
        return within(node.place, node.value, Span(line, column, end))
    return node.place


def find(tree: Node, path: str) -> Place:
    """The place of a spec path: of a component's name, of a value, or of the nearest key above.

    >>> from fluxrun.spec.read import read_text
    >>> str(find(read_text("train:\\n  epochs: 3"), "train.epochs"))
    '<text>:2:11'
    >>> str(find(read_text("data:\\n  columns: {a.b: numeric}"), "data.columns.a.b"))
    '<text>:2:13'
    """
    node: Node = tree
    place = tree.place
    parts = path.split(".")
    while parts:
        part = parts.pop(0)
        if isinstance(node, Mapping):
            while part not in node.entries and parts:  # a name with dots
                part = f"{part}.{parts.pop(0)}"
        if isinstance(node, Mapping) and part in node.entries:
            entry = node.entries[part]
            node, place = entry.node, entry.key
        elif isinstance(node, Sequence) and part.isdecimal() and int(part) < len(node.items):
            node = node.items[int(part)]
            place = node.place
        else:
            return place
    last = path.rpartition(".")[2]
    if path.startswith("data.columns.") and not last.isdecimal():  # the keys of this map are what can be wrong
        return place
    component = last.isdecimal() or isinstance(fields(Train).get(last), Slot)  # its name says more than its key
    return node.place if isinstance(node, Scalar) or component else place


def section(
    schema: type[Component], node: Mapping, path: str, problems: Problems, rows: Rows, above: Place | None = None
) -> object:
    """An instance of the schema, or FAILED; `rows` are the nets that stand beside the layers of the catalog."""
    before = len(problems.found)
    inside = fields(schema)
    values: dict[str, object] = {}
    meant: set[str] = set()
    for name, entry in node.entries.items():
        if name not in inside:
            hint = near(name, inside)
            if hint:
                meant.add(hint.split("'")[1])
            else:
                hint = elsewhere(name, problems.tree) or (f"known here: {listing(inside)}" if inside else None)
            problems.add(entry.key, f"unknown key {name!r} in {path or 'the spec'}", hint)
        else:
            values[name] = _value(inside[name], entry.node, f"{path}.{name}".lstrip("."), problems, rows, entry.key)
    for name, kind in inside.items():
        if name not in values and isinstance(kind, Slot) and kind.default:
            values[name] = part(kind.kind, expand(Scalar(kind.default, node.place), kind), path, problems, rows)
        elif name not in values and isinstance(kind, Section) and schema.model_fields[name].is_required():
            values[name] = section(kind.schema, Mapping({}, node.place), f"{path}.{name}".lstrip("."), problems, rows)
    for wrong, message in schema.together({name: value for name, value in values.items() if value is not FAILED}):
        held = node.entries.get(wrong)
        if (held is None and wrong in meant) or values.get(wrong) is FAILED:
            continue
        problems.add(shown_at(held.node, held.key) if held else above or node.place, message)
    try:
        instance = schema.model_validate(values)
    except ValidationError as error:
        for finding in error.errors(include_url=False, include_context=True):
            excused = finding["type"] == "missing" and (problems.lacking or finding["loc"][-1] in meant)
            if finding["input"] is not FAILED and not excused:
                translate(finding, node, path, problems, above or node.place)
        return FAILED
    return instance if len(problems.found) == before else FAILED


def _value(inside: Inside, node: Node, path: str, problems: Problems, rows: Rows, key: Place) -> object:
    match inside, node:
        case ((Slot() | Section()), Scalar(value=None)):
            return None
        case Slot(kind="source"), _:
            return _source(node, path, problems, rows, key)
        case Slot(many=True), Sequence():
            return [part(inside.kind, item, f"{path}.{i}", problems, rows) for i, item in enumerate(node.items)]
        case Slot(many=True), _:
            written = node.place.source.line(node.place.row)[node.place.column : node.place.end]
            hint = f"write [{written}]" if isinstance(node, Scalar) and written else "start each entry with '- '"
            problems.add(node.place, f"expected a list in {path}, not {describe(plain(node))}", hint)
            return FAILED
        case Slot(later=True), _:
            return plain(node)
        case Slot(), _:
            return part(inside.kind, node, path, problems, rows)
        case Named(), Mapping():
            found = {
                name: _named(inside, entry, f"{path}.{name}", problems, rows) for name, entry in node.entries.items()
            }
            return FAILED if FAILED in found.values() else found
        case Section(), Mapping():
            return section(inside.schema, node, path, problems, rows, key)
        case Section(), _:
            problems.add(node.place, f"expected a map in {path}, not {describe(plain(node))}")
            return FAILED
        case FileMark(), Scalar(value=str(text)) if text:
            if "\0" in text:
                problems.add(node.place, "a path may not hold the character NUL")
                return FAILED
            return _path(node.place, text, problems)
        case FileMark(), Sequence():
            paths = [_listed_path(item, path, problems) for item in node.items]
            return FAILED if FAILED in paths else paths
    return plain(node)


def _named(inside: Named, entry: Entry, path: str, problems: Problems, rows: Rows) -> object:
    """What stands under a name that the spec chose: never nothing, which `extends` alone knows what to do with."""
    if isinstance(inside.inside, Section) and plain(entry.node) is None:
        problems.add(entry.key, f"expected a map in {path}, not nothing")
        return FAILED
    return _value(inside.inside, entry.node, path, problems, rows, entry.key)


def _listed_path(node: Node, path: str, problems: Problems) -> object:
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value:
        return _value(FileMark(), node, path, problems, {}, node.place)
    problems.add(node.place, f"expected a path in {path}, not {describe(plain(node))}")
    return FAILED


def _path(place: Place, text: str, problems: Problems) -> object:
    """The path as the operating system takes it; names that are no UTF-8 could not stand in a resolved spec."""
    path = str(place.source.directory / text)
    try:
        os.fsencode(os.path.abspath(path)).decode("utf-8")
    except UnicodeEncodeError as error:
        what = f"the locale's encoding ({error.encoding}) has no way to write this path"
        problems.add(place, what, "set LC_ALL=C.UTF-8")
        return FAILED
    except ValueError:
        problems.add(place, "a folder or file of this path has a name that is no UTF-8", "rename it")
        return FAILED
    return path


def _source(node: Node, path: str, problems: Problems, rows: Rows, key: Place) -> object:
    if not isinstance(node, Mapping):
        problems.add(
            node.place, f"expected a map in {path}, not {describe(plain(node))}", "such as {source: csv, path: ...}"
        )
        return FAILED
    entry = node.entries.get("source")
    if entry is None:
        if not problems.lacking:
            problems.add(key, f"missing key 'source' in {path}", f"one of {listing(CATALOG['source'])}")
        return FAILED
    name = plain(entry.node)
    row = _row("source", name, entry.node.place, problems, rows)
    if row is None:
        return FAILED
    rest = Mapping({k: v for k, v in node.entries.items() if k != "source"}, node.place)
    arguments = section(row.schema, rest, path, problems, rows, key)
    return Part(name, arguments) if isinstance(arguments, Component) else FAILED


def part(kind: str, node: Node, path: str, problems: Problems, rows: Rows) -> object:
    """The component of a kind that a tree means, or FAILED."""
    if not isinstance(node, Mapping):
        problems.add(node.place, f"expected one {kind} in {path}, not {describe(plain(node))}", _example(kind))
        return FAILED
    if len(node.entries) != 1:
        names = ", ".join(node.entries)
        what = f"{len(node.entries)} keys ({names})" if names else "an empty map"
        hint = "one list entry for each" if names and kind in ("layer", "metric") else None
        second = list(node.entries.values())[1].key if names else node.place
        problems.add(second, f"expected one {kind} in {path}, not {what}", hint)
        return FAILED
    ((name, entry),) = node.entries.items()
    row = _row(kind, name, entry.key, problems, rows)
    if row is None:
        return FAILED
    if not isinstance(entry.node, Mapping):
        problems.add(
            entry.node.place,
            f"{name} takes no single argument, not {describe(plain(entry.node))}"
            if fields(row.schema)
            else f"{name} takes no arguments",
        )
        return FAILED
    arguments = section(row.schema, entry.node, f"{path}.{name}", problems, rows, entry.key)
    return Part(name, arguments) if isinstance(arguments, Component) else FAILED


def _row(kind: str, name: object, place: Place, problems: Problems, nets: Rows) -> Any:
    rows = {**CATALOG[kind], **nets} if kind == "layer" else CATALOG[kind]
    row = rows.get(name) if isinstance(name, str) else None
    if row is None:
        if isinstance(name, str):
            problems.add(place, f"unknown {kind} {name!r}", near(name, rows) or f"known: {listing(rows)}")
        else:
            problems.add(place, f"expected the name of a {kind}, not {describe(name)}", f"known: {listing(rows)}")
    return row


def _example(kind: str) -> str:
    name = next(iter(CATALOG[kind]))
    return f"such as {name!r}"
