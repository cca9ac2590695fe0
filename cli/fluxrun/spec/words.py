"""What pydantic finds, in our words and at the tree's place.

{"type": "int_type", "loc": ("epochs",), "input": "x"}  ->  train.epochs: expected a whole number, not the text 'x'
"""

from __future__ import annotations

import re
from typing import Any

from fluxrun.spec.problems import Problems, near
from fluxrun.spec.text import Place
from fluxrun.spec.tree import Mapping, Node, Scalar, Sequence, describe

NUMBER = re.compile(r"[-+0-9.eE]+")
EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "dict_type": "a map",
    "model_type": "a map",
    "dataclass_type": "a component",
    "dataclass_exact_type": "a component",
}
LIMITS = {
    "greater_than": ("gt", "must be greater than"),
    "greater_than_equal": ("ge", "must be at least"),
    "less_than": ("lt", "must be less than"),
    "less_than_equal": ("le", "must be at most"),
}


def shown_at(node: Node, key: Place) -> Place:
    """Where to point for a value: at it, or at its key where it has several lines."""
    return node.place if isinstance(node, Scalar) or node.place.row == key.row else key


def translate(finding: Any, node: Mapping, path: str, problems: Problems, above: Place) -> None:
    """One finding of pydantic in our words, at the deepest place of the tree that its loc reaches."""
    kind, context, value = finding["type"], finding.get("ctx", {}), finding["input"]
    place: Place = above
    inner: Node = node
    where = [path] if path else []
    for step in finding["loc"]:
        if isinstance(inner, Mapping) and step in inner.entries:
            entry = inner.entries[str(step)]
            inner, place = entry.node, shown_at(entry.node, entry.key)
        elif isinstance(inner, Sequence) and isinstance(step, int) and step < len(inner.items):
            inner = inner.items[step]
            place = inner.place
        elif kind != "missing":
            continue
        where.append(str(step))
    name = ".".join(where)
    hint = None
    if kind == "missing":
        message = f"missing key {where[-1]!r} in {path or 'the spec'}"
    elif kind in EXPECTED:
        message = f"expected {EXPECTED[kind]} for {name}, not {describe(value)}"
        if kind == "list_type":
            hint = "write it as [a, b]"
    elif kind == "words":
        message = f"expected {context['words']} for {name}, not {describe(value)}"
    elif kind in LIMITS:
        key, words = LIMITS[kind]
        limit = f"{context[key]:,}" if isinstance(context[key], int) else f"{context[key]:g}"
        message = f"{name} {words} {limit}, not {describe(value).removeprefix('the number ')}"
    elif kind == "literal_error":
        options = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        message = f"expected one of {', '.join(options)} for {name}, not {describe(value)}"
        hint = near(value, options) if isinstance(value, str) else None
        if isinstance(value, dict) and len(finding["loc"]) > 1 and place.source.one_line:
            hint = """a name with dots stands in quotes: 'data.columns."a.b"=numeric'"""
    elif kind in ("string_too_short", "too_short"):
        message = f"{name} may not be empty"
    elif kind in ("string_too_long", "too_long"):
        message = f"{name} may have {context['max_length']} {'characters' if 'string' in kind else 'entries'} at most"
    else:
        message = finding["msg"]
    if message.startswith("expected a whole number") and isinstance(value, float) and value.is_integer():
        written = place.source.line(place.row)[place.column : place.end]
        hint = f"write {value:.0f}" if NUMBER.fullmatch(written) else None  # a computed one is written otherwise
    problems.add(place, message, hint)
