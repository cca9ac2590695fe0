"""The step form. A graph with delayed values becomes one without: what it read from other steps comes in as hidden
values, what other steps will read goes out.

    y = f(x, y[-1], y[-2])    ──▶    (h1, h2, x) -> (y, h1), y        h1 is y[-1], h2 is y[-2]

Each delay is one hidden value; a longer one is a chain of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from flux_core.errors import GraphError, ShapeError
from flux_core.ir import Graph, Node, input_node, pack, rewrite, topological
from flux_core.passes.infer import Type, TypeTree, infer_types


class Hidden(NamedTuple):
    """One value that goes from step to step: the state `name` of `delay` steps ago, at first `default`."""

    name: str
    delay: int
    default: Node

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape for one example, without the batch axis."""
        found = infer_types(Graph(self.default, 0), ())[self.default]
        assert isinstance(found, Type)  # a default is one array
        return found.shape


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

    Raises GraphError for a delayed value of a state that nothing assigns, for states with two different initial
    values, and for a graph that reads both earlier and later steps.
    """
    offsets = [n for n in topological(whole.output, *whole.states.values()) if n.op == "offset"]
    hidden = _hidden(offsets, whole)
    number = {(h.name, h.delay): i for i, h in enumerate(hidden)}

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "offset":
            return input_node(number[node.attrs["name"], abs(node.attrs["n"])])
        if node.op == "input":
            return input_node(len(hidden) + node.attrs["index"])
        return Node(node.op, inputs, node.attrs, node.origin)

    output, *values = rewrite([whole.output, *whole.states.values()], rule)
    assigned = dict(zip(whole.states, values, strict=True))
    states = tuple(assigned[h.name] if h.delay == 1 else input_node(number[h.name, h.delay - 1]) for h in hidden)
    backwards = any(node.attrs["n"] > 0 for node in offsets)
    return StepForm(hidden, states, output, len(hidden) + whole.arity, backwards)


def _hidden(offsets: Sequence[Node], whole: Graph) -> tuple[Hidden, ...]:
    """One hidden value for every delay up to the longest, state by state."""
    longest: dict[str, int] = {}
    defaults: dict[str, Node] = {}
    for node in offsets:
        name, n = node.attrs["name"], node.attrs["n"]
        if name not in whole.states:
            raise GraphError(f"{name}[{n}] is read, but no state {name!r} is assigned", path=str(node.origin))
        if n * offsets[0].attrs["n"] < 0:
            raise GraphError(
                f"{name}[{n}] and {offsets[0].attrs['name']}[{offsets[0].attrs['n']}] read steps on both sides: "
                f"run each direction along the sequence by itself, or unroll the model",
                path=str(node.origin),
            )
        if not _same(defaults.setdefault(name, node.inputs[0]), node.inputs[0]):
            raise GraphError(f"the state {name!r} begins with two different values", path=str(node.origin))
        longest[name] = max(longest.get(name, 0), abs(n))
    return tuple(Hidden(name, k, defaults[name]) for name, n in longest.items() for k in range(1, n + 1))


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
    before = [Type((*rows, *h.shape)) for h in form.hidden]
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
