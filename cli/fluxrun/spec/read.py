"""YAML text to a tree: the 1.2 core schema, without the parts of YAML that a spec has no use for.

    bytes ──decode──▶ text ──PyYAML's events──▶ Mapping | Sequence | Scalar, each with its place

The tree is built from the event stream with a stack of its own, so that depth and size are counted before anything
recurses. `${env:NAME:default}` in a value is filled in from the environment, `${python:stdlib}` is the folder of
Python's own standard library. Refused: tags, anchors, aliases, merges, several documents, a key that is there twice.
"""

from __future__ import annotations

import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from fluxrun.spec.problems import Problems
from fluxrun.spec.scalars import scalar
from fluxrun.spec.text import Place, Source
from fluxrun.spec.tree import Entry, Mapping, Node, Scalar, Sequence

MAX_BYTES = 2**20
MAX_DEPTH = 50
MAX_VALUES = 20_000  # the parser takes about 50 microseconds for each

VARIABLE = re.compile(r"\$\{(?:python:stdlib|env:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:(?P<default>[^{}]*))?)\}")
MARK = re.compile(r"\$\{(?:env|python):")

HINTS = {
    "mapping values are not allowed here": "is the indentation right? text with ': ' in it needs quotes",
    "could not find expected ':'": "a key needs ': ' behind it; is a quote or a bracket missing above?",
    "expected <block end>, but found '-'": "list entries must be indented alike",
    "expected <block end>, but found '<block mapping start>'": "keys of one map must be indented alike",
    "expected <block end>, but found '<scalar>'": "text with quotes inside must be quoted as a whole",
}


def decode(data: bytes, name: str, directory: Path, problems: Problems, order: int = 0) -> Source:
    """The Source of a file's bytes; what is no UTF-8 text, or too much of it, is a problem."""
    if len(data) > MAX_BYTES:
        source = Source(name, data[:1000].decode("utf-8", "replace"), directory, order)
        problems.add(source.whole(), "a spec may have 1 MiB at most, this has more")
        problems.raise_if_any()
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):  # these begin text of another encoding
        hint = "a spec names its data under data.path, and is text itself"
        problems.add(Source(name, "", directory, order).whole(), "this is a file of data, not a spec", hint)
        problems.raise_if_any()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", "replace")
        source = Source(name, data.decode("utf-8", "replace").removeprefix("\ufeff"), directory, order)
        lines = Source(name, before).lines
        place = Place(source, len(lines) - 1, len(lines[-1]), len(lines[-1]) + 1)
        problems.add(place, f"byte 0x{data[error.start]:02x} is no UTF-8 text", "save the file as UTF-8")
        problems.raise_if_any()
        raise
    return Source(name, text, directory, order)


def read_text(text: str, name: str = "<text>") -> Node:
    """The tree of a text; raises SpecError."""
    problems = Problems()
    node = read(Source(name, text), problems)
    problems.raise_if_any()
    return node


def read(source: Source, problems: Problems, *, start: int = 0) -> Node:
    """The tree of source.text[start:] (`start` lies on the first line). Raises SpecError where reading cannot go on."""
    reader = _Reader(source, problems, start)
    try:
        return reader.tree()
    except yaml.reader.ReaderError as error:
        before = Source("", source.text[: start + error.position]).lines
        place = Place(source, len(before) - 1, len(before[-1]), len(before[-1]) + 1)
        code = error.character if isinstance(error.character, int) else ord(error.character)
        problems.add(place, f"character U+{code:04X} may not stand in YAML")
    except yaml.MarkedYAMLError as error:
        reader.complain(error)
    problems.raise_if_any()
    raise AssertionError("unreachable: the problem was raised")


@dataclass
class _Open:
    """A collection whose end has not come yet; `key` waits for its value."""

    mapping: bool
    start: Any
    items: list[Node]
    entries: dict[str, Entry]
    key: tuple[str, Place] | None = None


class _Reader:
    def __init__(self, source: Source, problems: Problems, start: int) -> None:
        self.source, self.problems, self.start = source, problems, start
        self.stack: list[_Open] = []
        self.root: Node | None = None
        self.documents = 0

    def place(self, start: Any, end: Any) -> Place:
        """The place between two marks, cut at the end of the first line."""
        shift = self.start if start.line == 0 else 0
        column = start.column + shift
        line = self.source.line(start.line)
        stop = end.column + shift if end.line == start.line else len(line.split(" #")[0].rstrip())
        return Place(self.source, start.line, column, max(stop, column + 1))

    def tree(self) -> Node:
        for count, event in enumerate(self.events()):
            if count >= MAX_VALUES:
                self.stop(event, f"a spec may have {MAX_VALUES:,} values at most")
            match event:
                case yaml.DocumentStartEvent():
                    self.documents += 1
                    if self.documents > 1:
                        self.stop(event, "a spec is one document", "remove the line '---'")
                case yaml.AliasEvent():
                    self.problems.add(self.mark(event), "aliases (*name) are not allowed", "write the value again")
                    self.put(Scalar(None, self.mark(event)))
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    self.refuse(event)
                    if len(self.stack) >= MAX_DEPTH:
                        self.stop(event, f"a spec may be {MAX_DEPTH} levels deep at most")
                    self.stack.append(_Open(isinstance(event, yaml.MappingStartEvent), event, [], {}))
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    self.close(event)
                case yaml.ScalarEvent():
                    self.refuse(event)
                    self.put(self.scalar(event))
        if self.root is None:
            self.problems.add(self.source.whole(), "the spec is empty")
            self.problems.raise_if_any()
            raise AssertionError("unreachable: the problem was raised")
        return self.root

    def complain(self, error: yaml.MarkedYAMLError) -> None:
        """Say what PyYAML found, at the opening quote or bracket where that is what is wrong."""
        problem = error.problem or "this cannot be read"
        mark, opened = error.problem_mark or error.context_mark, error.context_mark
        if opened and "end of stream" in problem and "quoted" in (error.context or ""):
            self.problems.add(self.place(opened, opened), "the quote that starts here is not closed")
        elif "'\\t'" in problem:
            self.problems.add(self.place(mark, mark), "a tab may not stand here", "use spaces")
        else:
            flow = opened and "flow" in (error.context or "")
            notes = [(self.place(opened, opened), "the bracket that is open here")] if flow else []
            place = self.place(mark, mark) if mark else self.source.whole()
            hint = HINTS.get(problem)
            if flow and MARK.match(place.source.line(place.row), place.column - 1):
                hint = "inside of { } and [ ] a value with ${...} needs quotes"
            self.problems.add(place, f"this is no valid YAML: {problem}", hint, notes=notes)

    def events(self) -> Iterator[Any]:
        return iter(yaml.parse(self.source.text[self.start :], Loader=yaml.SafeLoader))

    def mark(self, event: Any) -> Place:
        return self.place(event.start_mark, event.end_mark)

    def stop(self, event: Any, message: str, hint: str | None = None) -> None:
        self.problems.add(self.mark(event), message, hint)
        self.problems.raise_if_any()

    def refuse(self, event: Any) -> None:
        if event.anchor is not None:
            self.problems.add(self.mark(event), f"anchors (&{event.anchor}) are not allowed", "write the value again")
        if event.tag is not None:
            self.problems.add(
                self.mark(event), f"tags ({event.tag}) are not allowed", "quote text that starts with '!'"
            )

    def scalar(self, event: Any) -> Scalar:
        place = self.mark(event)
        if not event.value.isascii() and any("\ud800" <= c <= "\udfff" for c in event.value):
            self.problems.add(place, "half of a surrogate pair is no character")
            return Scalar(None, place)
        top = self.stack[-1] if self.stack else None
        if MARK.search(event.value) and not (top and top.mapping and top.key is None):
            return self.surrounding(event.value, place)
        if not event.implicit[0]:
            return Scalar(event.value, place)
        if not event.value:  # an empty value has no characters: show the key that it belongs to
            return Scalar(None, top.key[1] if top and top.key else place)
        try:
            return Scalar(scalar(event.value), place)
        except ValueError:  # Python refuses to read integers of more than 4,300 digits
            self.problems.add(place, "this number has too many digits")
            return Scalar(None, place)

    def surrounding(self, text: str, place: Place) -> Scalar:
        """A value with variables of the environment; one that is nothing else is read as a plain scalar."""

        def value(match: re.Match[str]) -> str:
            if match["name"] is None:
                return sysconfig.get_path("stdlib")
            found = os.environ.get(match["name"], match["default"])
            if found is None:
                hint = f"set it, or write ${{env:{match['name']}:DEFAULT}}"
                self.problems.add(place, f"the environment has no variable {match['name']!r}", hint)
            return found or ""

        filled, variables = VARIABLE.subn(value, text)
        if variables < len(MARK.findall(text)):
            self.problems.add(place, "expected ${env:NAME}, ${env:NAME:DEFAULT} or ${python:stdlib}")
        if any("\ud800" <= c <= "\udfff" or c == "\0" for c in filled):
            self.problems.add(place, "the variable holds bytes that are no UTF-8 text")
            return Scalar(None, place)
        try:
            return Scalar(scalar(filled) if VARIABLE.fullmatch(text) else filled, place)
        except ValueError:
            self.problems.add(place, "this number has too many digits")
            return Scalar(None, place)

    def put(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if not top.mapping:
            top.items.append(node)
        elif top.key is None:
            top.key = self.key(node)
        else:
            (name, place), top.key = top.key, None
            if self.source.line(place.row)[place.column : place.end] == "<<":
                self.problems.add(place, "merges (<<) are not allowed", "write the keys again")
            elif name in top.entries:
                first = top.entries[name].key
                note = f"it is here first, at line {first.row + 1}"
                self.problems.add(place, f"the key {name!r} is here twice", notes=[(first, note)])
            else:
                top.entries[name] = Entry(place, node)

    def key(self, node: Node) -> tuple[str, Place]:
        if not isinstance(node, Scalar):
            self.problems.add(node.place, "a key must be a name, not a list or a map")
            return "?", node.place
        text = self.source.line(node.place.row)[node.place.column : node.place.end]
        return node.value if isinstance(node.value, str) else text, node.place

    def close(self, event: Any) -> None:
        top = self.stack.pop()
        place = self.place(top.start.start_mark, event.end_mark)
        if top.mapping:
            if top.entries and not top.start.flow_style:
                place = next(iter(top.entries.values())).key
            self.put(Mapping(MappingProxyType(top.entries), place))
        else:
            self.put(Sequence(tuple(top.items), place))
