"""Recurrence in graphs: delayed values, and the scan, which runs a step's graph along a sequence.

    y = tanh(x @ W + y[-1] @ U)         offset(y, -1) ──┐
                                        x ── ... ─── tanh ──▶ states = {"y": tanh}

    scan(body, initial, xs)             x0      x1      x2
                                        │       │       │
                             initial ─ body ── body ── body ─▶ final         time-major: axis 0 is time

A graph with states has no value by itself; it is unrolled, or becomes the body of a scan.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from flux_core.errors import GraphError
from flux_core.ir.node import Graph, Node, as_node, get
from flux_core.ir.walk import rewrite, with_inputs


def offset(name: str, n: int, default: Any) -> Node:
    """The state `name` as it was `-n` steps ago; `default` (without batch axis) stands in before the first step.

    Raises GraphError for a delay of 0.
    """
    if n == 0:
        raise GraphError(f"{name}[0] would be the value that is being computed; a delayed value is {name}[-1] or older")
    return Node("offset", (as_node(default),), MappingProxyType({"name": name, "n": n}))


def scan(
    body: Graph,
    initial: Sequence[Any],
    xs: Sequence[Any],
    consts: Sequence[Any] = (),
    *,
    reverse: bool = False,
) -> Node:
    """A step's graph along sequences `xs` (steps, batch, ...), from states `initial` (batch, ...).

    `body` maps the states, one step of each sequence and `consts` to a tuple of the new states and then the values
    of the step. The scan's value is a tuple: for every state its trajectory (steps + 1, batch, ...), whose first
    entry (the last, if the scan runs in reverse) is the initial one; for every value all of them (steps, batch, ...).

    Raises GraphError where the body does not take or give as many.
    """
    inputs = tuple(as_node(value) for value in (*initial, *xs, *consts))
    if not xs:
        raise GraphError("a scan needs a sequence to run along")
    if body.output.op != "tuple" or len(body.output.inputs) < len(initial) or body.arity != len(inputs):
        raise GraphError(f"a scan of {len(initial)} states over {len(inputs)} operands does not fit its body, {body!r}")
    attrs = {
        "body": _one_leaf_each(body),
        "states": len(initial),
        "sequences": len(xs),
        "reverse": reverse,
    }
    return Node("scan", inputs, MappingProxyType(attrs))


def _one_leaf_each(body: Graph) -> Graph:
    """The body with a single node for every input, so that a value and its input can be told by identity."""
    leaves: dict[int, Node] = {}

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        return leaves.setdefault(node.attrs["index"], node) if node.op == "input" else with_inputs(node, inputs)

    return Graph(rewrite([body.output], rule)[0], body.arity)


class ScanParts(NamedTuple):
    """The operands of a scan by their roles."""

    initial: tuple[Node, ...]
    xs: tuple[Node, ...]
    consts: tuple[Node, ...]


def parts_of(node: Node) -> ScanParts:
    """The initial states, the sequences and the constants of a scan."""
    states, end = node.attrs["states"], node.attrs["states"] + node.attrs["sequences"]
    return ScanParts(node.inputs[:states], node.inputs[states:end], node.inputs[end:])


def after_steps(node: Node, state: int) -> Node:
    """The state of a scan after each of its steps, (steps, batch, ...): its trajectory without the initial one."""
    kept = slice(None, -1) if node.attrs["reverse"] else slice(1, None)
    return get(node, state)[kept]


def before_steps(node: Node, state: int) -> Node:
    """The state of a scan before each of its steps, (steps, batch, ...)."""
    kept = slice(1, None) if node.attrs["reverse"] else slice(None, -1)
    return get(node, state)[kept]


def final_state(node: Node, state: int) -> Node:
    """The state of a scan behind its last step, (batch, ...)."""
    end: Any = (0, Ellipsis) if node.attrs["reverse"] else (-1, Ellipsis)
    return get(node, state)[end]


def values_of(node: Node, value: int = 0) -> Node:
    """Value number `value` of every step of a scan, (steps, batch, ...)."""
    return get(node, node.attrs["states"] + value)
