"""The schema of specs as JSON Schema 2020-12, for editors: what `check` knows of a spec by itself.

    Spec ──fields──▶ object        Slot ──catalog──▶ relu | {affine: 128} | {affine: {out: 128}}
                                   plain field ──pydantic──▶ {"type": "number", "minimum": 0} | ${env:...}

Everything is there twice. A spec that extends another may leave out anything and take away (`~`) anything, so there is
a `spec` and a looser `extension` of it. What no such schema can say (which keys exclude each other, shapes) remains for
`check`.
"""

from __future__ import annotations

from typing import Any

from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.describe import default_of, docs, is_required, plain_schema
from fluxrun.spec.part import Component, Named, Section, Slot, fields
from fluxrun.spec.schema.nets import NET
from fluxrun.spec.schema.root import Spec

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VARIABLE: Schema = {
    "description": "A value from the environment: ${env:NAME} or ${env:NAME:default}.",
    "type": "string",
    "pattern": r"\$\{env:[A-Za-z_][A-Za-z0-9_]*(:[^{}]*)?\}",
}
NOTHING: Schema = {"type": "null"}


def json_schema() -> Schema:
    """The whole schema; every object in it is closed."""
    strict, loose = _Writer("", loose=False), _Writer("extension.", loose=True)
    roots = {name: writer.section(Spec) for name, writer in (("spec", strict), ("extension", loose))}
    roots["extension"]["properties"]["extends"] = {
        "description": "The spec that this one builds on.",
        "type": "string",
        "minLength": 1,
    }
    return {
        "$schema": DIALECT,
        "title": "A spec of fluxrun",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/extension"},
        "else": {"$ref": "#/$defs/spec"},
        "$defs": {**roots, **strict.definitions, **loose.definitions, "env": VARIABLE},
    }


class _Writer:
    """Writes the definitions of one of the two; `loose` requires nothing and lets `~` stand everywhere."""

    def __init__(self, prefix: str, *, loose: bool) -> None:
        self.prefix, self.loose = prefix, loose
        self.definitions: dict[str, Schema] = {}

    def section(self, schema: type[Component], **more: Schema) -> Schema:
        """A map with the keys of a schema, and `more` keys before them."""
        properties = more | {name: self.field(schema, name) for name in fields(schema)}
        required = [] if self.loose else [name for name in fields(schema) if is_required(schema, name)]
        described: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        return described | ({"required": required} if required else {})

    def field(self, schema: type[Component], name: str) -> Schema:
        """What may stand under one key, with its documentation and default."""
        inside = fields(schema)[name]
        match inside:
            case Slot(kind="source"):
                found = self.source()
            case Slot(kind=kind, many=True):
                least = max(
                    (mark.min_length for mark in schema.model_fields[name].metadata if hasattr(mark, "min_length")),
                    default=0,
                )
                found = {"type": "array", "items": self.component(kind), "minItems": least}
            case Slot(kind=kind):
                found = self.component(kind)
            case Section(schema=inner):
                found = self.section(inner)
            case Named(inside=inner):
                found = {"type": "object", "additionalProperties": self.under_a_name(inner)}
            case _:
                found = _or(plain_schema(schema, name), {"$ref": "#/$defs/env"})
        if self.loose or (inside is not None and not schema.model_fields[name].is_required()):
            found = _or(found, NOTHING)
        if (default := default_of(schema, name)) is not None:
            found = {**found, "default": default}
        return {"description": docs(schema)[name], **found} if name in docs(schema) else found

    def under_a_name(self, inside: Slot | Section) -> Schema:
        """What may stand under each name that a spec chooses: a map, its main key alone, or a layer of any sizes."""
        if isinstance(inside, Slot):
            return {"anyOf": [{"type": "string"}, {"type": "object", "minProperties": 1, "maxProperties": 1}]}
        schema = inside.schema
        short = [] if schema.main is None else [self.field(schema, schema.main)]
        return _or(self.section(schema), *short, *([NOTHING] if self.loose else []))

    def source(self) -> Schema:
        """The map `data`: its key `source` says which other keys there are."""
        rows = CATALOG["source"]
        names: Schema = {
            "description": "What kind of data.",
            "anyOf": [_name(n, row.summary) for n, row in rows.items()],
        }
        cases = []
        for name, row in rows.items():
            body = self.define(f"source.{name}", lambda row=row, names=names: self.section(row.schema, source=names))
            cases.append({"if": _where_source_is(name), "then": body})
        if self.loose:  # the file below may say which source it is
            return {"type": "object", "properties": {"source": names}, "allOf": cases}
        return {"type": "object", "properties": {"source": names}, "required": ["source"], "allOf": cases}

    def component(self, kind: str) -> Schema:
        """One component of a kind in any of its forms."""
        return self.define(kind, lambda: self.forms(kind))

    def forms(self, kind: str) -> Schema:
        """A name, or a name with its arguments."""
        rows = CATALOG[kind]
        alone = {
            name: row
            for name, row in rows.items()
            if self.loose or not any(is_required(row.schema, f) for f in fields(row.schema))
        }
        long = {name: self.arguments(kind, name) for name in rows}
        one = {"type": "object", "properties": long, "additionalProperties": False, "minProperties": 1}
        names = [_name(name, row.summary) for name, row in alone.items()]
        if kind == "layer":
            net = f"^{NET.pattern}$"
            names.append({"description": "A net of this spec.", "type": "string", "pattern": net})
            one["patternProperties"] = {net: {"description": "A net of this spec."}}
        return {"anyOf": [*names, {**one, "maxProperties": 1}, {"$ref": "#/$defs/env"}]}

    def arguments(self, kind: str, name: str) -> Schema:
        """What may stand behind a component's name: its main argument, all of them, or nothing."""
        row = CATALOG[kind][name]
        whole = self.define(f"{kind}.{name}", lambda: self.section(row.schema))
        choices = [whole]
        if row.schema.main is not None:
            choices.append(self.field(row.schema, row.schema.main))
        if self.loose or not any(is_required(row.schema, field) for field in fields(row.schema)):
            choices.append(NOTHING)
        return {"description": row.summary, **_or(*choices)}

    def define(self, name: str, make: Any) -> Schema:
        """A reference to a definition, which is made when it is first asked for."""
        name = self.prefix + name
        if name not in self.definitions:
            self.definitions[name] = {}  # a component that may hold one of its own kind finds it begun
            self.definitions[name] = make()
        return {"$ref": f"#/$defs/{name}"}


def _name(name: str, doc: str) -> Schema:
    return {"const": name, "description": doc}


def _where_source_is(name: str) -> Schema:
    return {"properties": {"source": {"const": name}}, "required": ["source"]}


def _or(*choices: Schema) -> Schema:
    """Any of these; a choice of choices is flat."""
    flat = [one for choice in choices for one in (choice["anyOf"] if set(choice) == {"anyOf"} else [choice])]
    unique = [one for i, one in enumerate(flat) if one not in flat[:i]]
    return unique[0] if len(unique) == 1 else {"anyOf": unique}
