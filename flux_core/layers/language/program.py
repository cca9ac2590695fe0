"""Programs: formulas that have been checked, as functions that lay nodes.

    h = tanh(x @ W)  ──compile──▶  Program ──run(Context(x, W, ...))──▶  input ──┐
                                                                         param ──┴─ matmul ── tanh

Every node carries the place of its expression, `nets.Cell.forward:line:column:end`, for whoever finds it wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from flux_core.errors import GraphError, Span
from flux_core.ir import Node, Origin, Step, as_node
from flux_core.layers.language.functions import NUMERIC, Function, on_numbers
from flux_core.ops import TABLE

Number: TypeAlias = "int | float"
Value: TypeAlias = "Number | Node"
Build: TypeAlias = "Callable[[Context], Any]"


@dataclass
class Context:
    """What a program sees while it lays nodes: the values of names, and where states and sub-models are asked for."""

    values: dict[str, Value]
    place: str
    delayed: Callable[[str, int], Node] | None = None
    assign: Callable[[str, Node], None] | None = None
    call: Callable[[str, Sequence[Node], str], Node] | None = None
    unpacked: list[tuple[Node, int, str]] = field(default_factory=list)  # (tuple, length, place)

    def at(self, span: Span) -> str:
        """A place in the text, as errors carry it."""
        return f"{self.place}:{span.line}:{span.column}:{span.end}"

    def fail(self, span: Span, message: str) -> GraphError:
        """The error of a value that cannot be, at its place."""
        return GraphError(message, path=f"line {span.line}", place=self.at(span))


@dataclass(frozen=True)
class Program:
    """A formula that has been checked; `used` are the declared names that it reads, `assigned` where states are."""

    statements: tuple[Build, ...]
    used: frozenset[str]
    delayed: frozenset[str]
    assigned: Mapping[str, Span]
    returned: Span

    def run(self, context: Context) -> Any:
        """What it returns, as a node. Raises GraphError at a place in the text."""
        result = None
        for statement in self.statements:
            result = statement(context)
        return result


def as_value(value: Value) -> Node:
    return value if isinstance(value, Node) else as_node(float(value))


def placed(node: Node, c: Context, span: Span) -> Node:
    """The node as one that comes from this place, unless it comes from another already."""
    if node.origin.place is not None:
        return node
    return Node(node.op, node.inputs, node.attrs, Origin((Step("", f"line {span.line}"),), c.at(span)))


def apply(op: str, builds: Sequence[Build], attributes: Mapping[str, Any], span: Span, c: Context) -> Value:
    """An operator on what its operands come to: a number of numbers, else a node."""
    values = [build(c) for build in builds]
    if op in NUMERIC and not any(isinstance(value, Node) for value in values):
        return on_numbers(op, values, partial(c.fail, span))
    if op == "floor_divide":
        raise c.fail(span, "// is for numbers; values are divided with /")
    built: Node = TABLE[op](*(as_value(value) for value in values), **attributes)
    return placed(built, c, span)


def apply_function(
    function: Function, builds: Sequence[Build], attributes: Mapping[str, Build], span: Span, c: Context
) -> Value:
    values = {name: build(c) for name, build in attributes.items()}
    if function.op == "dropout":
        x = as_value(builds[0](c))
        mask = apply("dropout_mask", [lambda c: x], values, span, c)
        return apply("multiply", [lambda c: x, lambda c: mask], {}, span, c)
    return apply(function.op, builds, {**function.fixed, **values}, span, c)
