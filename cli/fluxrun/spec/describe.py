"""What a spec may hold, in words: every section and component with its arguments.

    learning_rate: NotNegative = 0.001    ──▶  learning_rate: number >= 0 = 0.001    The length of a step.
    '''The length of a step.'''

All of it is read from the schemas that `check` uses, so a new row of the catalog is described at once. The line under
a field is looked up in its source, and only here: a check has no use for it.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import TypeAdapter

from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.part import Component, Named, Section, Slot, fields, to_plain
from fluxrun.spec.problems import near
from fluxrun.spec.schema.root import Spec
from fluxrun.spec.schema.training import Train


@dataclass(frozen=True)
class Argument:
    """A key of a section, or an argument of a component; a `default` of None is explained by `doc`."""

    name: str
    type: str
    required: bool
    default: Any
    doc: str

    def shown(self) -> str:
        """The default as it stands in a spec.

        >>> Argument("missing", "list of text", False, ["", "NA"], "").shown()
        '["", "NA"]'
        """
        if self.default is None:
            return "required" if self.required else ""
        return self.default if isinstance(self.default, str) else json.dumps(self.default)


@dataclass(frozen=True)
class Description:
    """A section or a component; `main` is the argument that `name: value` stands for."""

    kind: str
    name: str
    doc: str
    main: str | None
    arguments: tuple[Argument, ...]

    def to_json(self) -> dict[str, Any]:
        """What `components --json` prints for it."""
        return {**vars(self), "arguments": [vars(argument) for argument in self.arguments]}


def descriptions() -> list[Description]:
    """Everything that a spec may hold: its sections from the outermost in, then the catalog, kind by kind."""
    found = [Description("section", name, _doc(schema), None, _arguments(schema)) for name, schema in sections()]
    for kind, rows in CATALOG.items():
        for name, row in rows.items():
            found.append(Description(kind, name, row.summary, row.schema.main, _arguments(row.schema)))
    return found


def named(name: str) -> tuple[list[Description], str | None]:
    """The sections and components of a name, of all kinds, else those of a kind, or of a key that takes a kind.

    Where there are none, a hint with the nearest.

    >>> [(found.kind, found.main) for found in named("step")[0]]
    [('schedule', 'every')]
    >>> named("addam")
    ([], "did you mean 'adam'?")
    >>> [found.name for found in named("metrics")[0]][:2]
    ['accuracy', 'top_k']
    """
    known = descriptions()
    kind = _kinds().get(name, name)
    found = [one for one in known if one.name == name] or [one for one in known if one.kind == kind]
    return found, None if found else near(name, words_for_named())


def words_for_named() -> set[str]:
    """What `named` finds something for."""
    components = (name for rows in CATALOG.values() for name in rows)
    return {"section", *(name for name, _ in sections()), *_kinds(), *CATALOG, *components}


def _kinds() -> dict[str, str]:
    """The kinds of components by the keys that take them."""
    marks = (pair for schema in (Spec, Train) for pair in fields(schema).items())
    return {key: mark.kind for key, mark in marks if isinstance(mark, Slot)}


def sections() -> Iterator[tuple[str, type[Component]]]:
    """The maps of a spec that are no components, by the keys that they stand under; the spec itself comes first."""
    waiting: list[tuple[str, type[Component]]] = [("spec", Spec)]
    seen = set()
    while waiting:
        name, schema = waiting.pop(0)
        if schema not in seen:
            seen.add(schema)
            yield name, schema
        inner = [schema] if schema is not Spec else [Spec, *(row.schema for row in CATALOG["source"].values())]
        for one in inner:
            for key, inside in fields(one).items():
                inside = inside.inside if isinstance(inside, Named) else inside
                if isinstance(inside, Section) and inside.schema not in seen:
                    waiting.append((key, inside.schema))


def plain_schema(schema: type[Component], field: str) -> dict[str, Any]:
    """The JSON Schema of a field that holds a plain value.

    >>> from fluxrun.spec.schema.training import Adam
    >>> plain_schema(Adam, "learning_rate")
    {'minimum': 0, 'type': 'number'}
    """
    kind: Any = schema.model_fields[field].annotation
    for mark in schema.model_fields[field].metadata:
        kind = Annotated[kind, mark]
    return TypeAdapter(kind).json_schema()


def default_of(schema: type[Component], field: str) -> Any:
    """The default of a field as plain values, None where there is none or the data decide."""
    inside, info = fields(schema)[field], schema.model_fields[field]
    if isinstance(inside, Slot) and inside.default:
        return inside.default
    if info.is_required() or isinstance(inside, Section):  # a section's keys have defaults of their own
        return None
    return to_plain(info.get_default(call_default_factory=True))


def is_required(schema: type[Component], field: str) -> bool:
    """Whether a spec must say this; a name is made up, and a section may be empty."""
    inside, info = fields(schema)[field], schema.model_fields[field]
    made_up = isinstance(inside, Section) or (isinstance(inside, Slot) and inside.default) or (schema, field) == NAME
    return info.is_required() and not made_up


NAME = (Spec, "name")


@cache
def docs(schema: type[Component]) -> Mapping[str, str]:
    """The line under each field, those of inherited fields too."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        if issubclass(base, Component) and base is not Component:
            (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
            assert isinstance(body, ast.ClassDef)
            found |= _lines(body.body)
    return found


def _lines(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, line in pairwise(body):
        match field, line:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                yield name, text


def _arguments(schema: type[Component]) -> tuple[Argument, ...]:
    return tuple(
        Argument(
            name, _type(schema, name), is_required(schema, name), default_of(schema, name), docs(schema).get(name, "")
        )
        for name in fields(schema)
    )


def _type(schema: type[Component], field: str) -> str:
    match fields(schema)[field]:
        case Slot(kind=kind, many=many):
            return f"list of {kind}s" if many else kind
        case Section():
            return "map"
        case Named(inside=Slot(kind=kind)):
            return f"map of names to {kind}s"
        case Named():
            return "map of names to maps"
    return words(plain_schema(schema, field))


def words(schema: Mapping[str, Any]) -> str:
    """A JSON Schema of a plain value in words.

    >>> words({"type": "number", "minimum": 0, "exclusiveMaximum": 1}), words({"enum": ["a", "b"]})
    ('number >= 0, < 1', 'a | b')
    >>> words({"type": "array", "items": {"anyOf": [{"type": "integer"}, {"type": "null"}]}})
    'list of whole number'
    """
    if "anyOf" in schema:
        return " or ".join(words(one) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return f"'{schema['const']}'"
    match schema.get("type"):
        case "array":
            return f"list of {words(schema['items'])}"
        case "object":
            return f"map of names to {words(schema['additionalProperties'])}"
        case "string":
            return "path" if schema.get("format") == "path" else "text"
        case "boolean":
            return "true | false"
        case "integer" | "number" as kind:
            signs = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
            limits = [f"{sign} {schema[key]}" for key, sign in signs.items() if abs(schema.get(key, HUGE)) < HUGE]
            return " ".join(["whole number" if kind == "integer" else "number", ", ".join(limits)]).rstrip()
    return "any value"


HUGE = 1_000_000  # limits that only keep accidents away are not worth a reader's time


def _doc(schema: type[Component]) -> str:
    return (schema.__doc__ or "").partition("\n")[0]
