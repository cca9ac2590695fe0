"""The step form. A graph with delayed values becomes one without: what it read from other steps comes in as hidden
values, what other steps will read goes out.

    y = f(x, y[-1], y[-2])    ──▶    (h1, h2, x) -> (y, h1), y        h1 is y[-1], h2 is y[-2]

Each delay is one hidden value; a longer one is a chain of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flux_core.errors import GraphError, ShapeError
from flux_core.ir import Graph, Node, Param, input_node, pack
from flux_core.ir.walk import mapped, nodes_of, with_inputs
from flux_core.passes.infer import Type, TypeTree, infer_types


class Hidden(NamedTuple):
    """One value that goes from step to step: the state `name` of the step at distance `n`; `default` at first."""

    name: str
    n: int
    default: Node

    @property
    def initial(self) -> Param | NDArray[Any]:
        """The value before the first step, without batch axis: an array, or a Param."""
        found: Param | NDArray[Any] = self.default.attrs["param" if self.default.op == "param" else "value"]
        return found


class StepForm(NamedTuple):
    """A step: `states` and `output` over inputs that are the hidden values and then the inputs of the graph.

    With `backwards` a step reads what later steps leave, and the last one comes first.
    """

    hidden: tuple[Hidden, ...]
    states: tuple[Node, ...]
    output: Node
    arity: int
    backwards: bool

    def graph(self, *outputs: Node) -> Graph:
        """(hidden..., inputs...) -> (states..., outputs...)."""
        return Graph(pack(*self.states, *outputs), self.arity)


def step_form(whole: Graph) -> StepForm:
    """The step form of a graph of ops (`laid_out`).

    Raises GraphError for what `hidden_of` refuses, and for a graph that reads both earlier and later steps.
    """
    hidden = hidden_of(whole)
    number = {(h.name, h.n): i for i, h in enumerate(hidden)}
    backwards = any(h.n > 0 for h in hidden)
    for h in hidden:
        if backwards and h.n < 0:
            raise GraphError(
                f"{h.name}[{h.n}] and others read steps on both sides: run each direction along the sequence by "
                f"itself, or unroll the model"
            )

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "offset":
            return input_node(number[node.attrs["name"], node.attrs["n"]])
        if node.op == "input":
            return input_node(len(hidden) + node.attrs["index"])
        return with_inputs(node, inputs)

    opened = mapped(whole, rule)
    nearest = 1 if backwards else -1
    states = tuple(
        opened.states[h.name] if h.n == nearest else input_node(number[h.name, h.n - nearest]) for h in hidden
    )
    return StepForm(hidden, states, opened.output, len(hidden) + whole.arity, backwards)


def hidden_of(whole: Graph) -> tuple[Hidden, ...]:
    """The hidden values of a graph, state by state: one for every step up to the farthest that is read.

    Raises GraphError for a delayed value of a state that nothing assigns, and for a state with two initial values.
    """
    offsets = [node for node in nodes_of(whole) if node.op == "offset"]
    reach: dict[tuple[str, int], int] = {}
    defaults: dict[str, Node] = {}
    for node in offsets:
        name, n = node.attrs["name"], node.attrs["n"]
        if name not in whole.states:
            raise GraphError(f"{name}[{n}] is read, but no state {name!r} is assigned", path=str(node.origin))
        if not _same(defaults.setdefault(name, node.inputs[0]), node.inputs[0]):
            raise GraphError(f"the state {name!r} begins with two different values", path=str(node.origin))
        side = 1 if n > 0 else -1
        reach[name, side] = max(reach.get((name, side), 0), abs(n))
    return tuple(
        Hidden(name, side * k, defaults[name])
        for name in whole.states
        for side in (-1, 1)
        for k in range(1, reach.get((name, side), 0) + 1)
    )


def _same(a: Node, b: Node) -> bool:
    if a.op == b.op == "constant":
        return np.array_equal(a.attrs["value"], b.attrs["value"])
    return a is b or (a.op == b.op == "param" and a.attrs["param"] is b.attrs["param"])


def rows_of(inputs: Iterable[TypeTree]) -> tuple[int, ...]:
    """The batch axis of the first array among the inputs; nothing where there is no array."""
    for x in inputs:
        found = x.shape[:1] if isinstance(x, Type) else rows_of(x)
        if found:
            return found
    return ()


def step_types(whole: Graph, inputs: Sequence[TypeTree]) -> TypeTree:
    """The type of the output of one step of a graph, with or without states, at inputs of these types.

    Raises ShapeError where sizes do not fit, also those of a state and of what is assigned to it.
    """
    form = step_form(whole)
    rows = rows_of(inputs)
    before = [Type((*rows, *h.initial.shape)) for h in form.hidden]
    types = infer_types(form.graph(form.output), [*before, *inputs])
    for h, state, had in zip(form.hidden, form.states, before, strict=True):
        if types[state] != had:
            raise state_misfit(h.name, had, types[state], state)
    return types[form.output]


def state_misfit(name: str, before: TypeTree, after: TypeTree, node: Node) -> ShapeError:
    """What is wrong with a state that changes its shape."""
    became = after.shape if isinstance(after, Type) else "a tuple"
    had = before.shape if isinstance(before, Type) else "a tuple"
    return ShapeError(
        f"the state {name!r} begins as {had} and becomes {became}: what is assigned to a state has the state's shape",
        path=str(node.origin),
        place=node.origin.place,
        shapes=(had, became),
    )
