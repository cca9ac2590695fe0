"""Unrolling. A recurrent graph is a page; unrolling n steps lays n copies side by side, and step i's y[-1] is step
i-1's y.

             x1          x2          x3
             │           │           │
    h ──▶ ┌──┴──┐  y  ┌──┴──┐  y  ┌──┴──┐ ──▶ h'       ((h...), (x1, x2, x3)) -> ((h'...), (y1, y2, y3))
          │  m  ├────▶│  m  ├────▶│  m  │
          └──┬──┘     └──┬──┘     └──┬──┘
             y1          y2          y3

What the first step reads from before comes in as hidden values, one for each delay; what later calls will read goes
out. A flipped model reads later steps: there the last step comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flux_core.errors import GraphError
from flux_core.ir import Graph, Node, as_node, constant, get, input_node, offset, pack
from flux_core.ir.node import tuple_length
from flux_core.ir.walk import mapped, nodes_of
from flux_core.model.capacitor import Capacitor
from flux_core.model.seqmodel import SeqModel
from flux_core.model.stateful import Stateful
from flux_core.ops import TABLE, per_row
from flux_core.passes import laid_out
from flux_core.passes.atomise import name_of
from flux_core.passes.step import Hidden, hidden_of


def unroll(m: Any, n: int) -> SeqModel:
    """unroll(m, n) => SeqModel(Stateful(Capacitor(...), states), n): a recurrent model as one of sequences of n steps.

    The states that leave one call go into the next, until `reset`; `stateless` begins every call anew. Initial states
    that are Params are trained. The copies are those of the model as it is: a field that is replaced later is not
    seen. Raises GraphError for a model without a graph, and for one whose steps wait for each other.
    """
    if n < 1:
        raise ValueError(f"a sequence has 1 step or more, not {n}")
    unrolled = _Unrolled(_flat(m, n), n)
    return SeqModel(Stateful(Capacitor(unrolled.graph()), unrolled.initial()), n)


def unroll1(m: Any) -> Stateful:
    """unroll1(m) => Stateful(Capacitor(...), states): a recurrent model as one of single steps.

    Its `model` is the step itself, ((h...), x) -> ((h...), y), to be called from other formulas.
    """
    unrolled = _Unrolled(_flat(m, None), 1, sequences=False)
    return Stateful(Capacitor(unrolled.graph()), unrolled.initial())


def flip(m: Any) -> Capacitor:
    """flip(m) => the model that runs over a sequence from its end: where it read earlier steps it reads later ones."""
    whole = _flat(m, None)

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "offset":
            flipped = offset(node.attrs["name"], -node.attrs["n"], inputs[0])
            return Node(flipped.op, flipped.inputs, flipped.attrs, node.origin)
        return Node(node.op, inputs, node.attrs, node.origin)

    return Capacitor(mapped(whole, rule))


def _flat(m: Any, length: int | None) -> Graph:
    """The whole of a model as one graph, in which a formula may iterate over tuples of `length`."""
    token = tuple_length.set(length)
    try:
        whole = laid_out(m)
    finally:
        tuple_length.reset(token)
    if whole is None:
        raise GraphError(f"{name_of(m)} has no graph that could be unrolled: write it as a net, in ops")
    return whole


Place = tuple[Node, int]  # a node in the copy of one step


class _Unrolled:
    """The copies of a graph for some steps: input 0 holds the hidden values, input i the sequence of input i - 1."""

    def __init__(self, whole: Graph, steps: int, *, sequences: bool = True) -> None:
        self.whole, self.steps, self.sequences = whole, steps, sequences
        nodes = nodes_of(whole)
        self.hidden = hidden_of(whole)
        self.number = {(h.name, h.n): i for i, h in enumerate(self.hidden)}
        self.moving = _moving(nodes)
        self.rows = _array_input(nodes)
        self.copies: dict[Place, Node] = {}

    def graph(self) -> Graph:
        """((h...), (x1...)...) -> ((h...), (y1...)); without sequences ((h...), x...) -> ((h...), y)."""
        ys = [self._copy(self.whole.output, t) for t in range(self.steps)]
        output = _turned(ys) if self.sequences else ys[0]
        return Graph(pack(pack(*map(self._left, self.hidden)), output), 1 + self.whole.arity)

    def initial(self) -> list[Any]:
        """The hidden values before the first step: arrays, or Params."""
        return [h.initial for h in self.hidden]

    def _copy(self, end: Node, t: int) -> Node:
        """A node in the copy of step t; the walk keeps its own stack, for sequences are longer than Python's."""
        stack: list[Place] = [(end, t)]
        waiting: set[Place] = set()
        while stack:
            place = stack[-1]
            needs = [] if place in self.copies else self._needs(place)
            missing = [need for need in needs if need not in self.copies]
            if not missing:
                if place not in self.copies:
                    self.copies[place] = self._made(place, [self.copies[need] for need in needs])
                waiting.discard(place)
                stack.pop()
                continue
            waiting.add(place)
            if not waiting.isdisjoint(missing):
                raise GraphError(
                    "the steps of this model wait for each other: what reads earlier steps is read by what reads "
                    "later ones, and the other way round",
                    path=str(place[0].origin),
                )
            stack.extend(reversed(missing))
        return self.copies[end, t]

    def _needs(self, place: Place) -> list[Place]:
        node, t = place
        if node not in self.moving:
            return []
        if node.op != "offset":
            return [(parent, t) for parent in node.inputs]
        source = t + node.attrs["n"]
        return [(self.whole.states[node.attrs["name"]], source)] if 0 <= source < self.steps else []

    def _made(self, place: Place, inputs: Sequence[Node]) -> Node:
        node, t = place
        if node not in self.moving:
            return node
        if node.op == "input":
            sequence = input_node(1 + node.attrs["index"])
            return get(sequence, t) if self.sequences else sequence
        if node.op == "get":
            return get(inputs[0], node.attrs["index"])
        if node.op != "offset":
            return Node(node.op, tuple(inputs), node.attrs, node.origin)
        return inputs[0] if inputs else self._came(node.attrs["name"], t + node.attrs["n"])

    def _came(self, name: str, step: int) -> Node:
        """The state at a step that lies outside, as it came in: at first without batch axis, the same for each row."""
        h = self.number[name, step if step < 0 else step - self.steps + 1]
        came = get(input_node(0), h)
        return came if self.rows is None else Node("broadcast_like", (came, self._zeros(self.hidden[h])))

    def _left(self, h: Hidden) -> Node:
        """A hidden value as it goes out, in the shape in which it came in."""
        step = self.steps + h.n if h.n < 0 else h.n - 1
        if not 0 <= step < self.steps:
            return self._came(h.name, step)
        left = self._copy(self.whole.states[h.name], step)
        return left if self.rows is None else Node("expect_like", (left, self._zeros(h)), origin=left.origin)

    def _zeros(self, h: Hidden) -> Node:
        """Zeros in the shape of a state, for each row of the batch."""
        assert self.rows is not None  # asked by who needs rows
        return as_node(per_row(constant(np.zeros(h.initial.shape)), self._copy(self.rows, 0)))


def _moving(nodes: Sequence[Node]) -> set[Node]:
    """The nodes that differ from step to step; of the others one copy is enough."""
    found: set[Node] = set()
    for node in nodes:
        if node.op in ("input", "offset", "call") or not found.isdisjoint(node.inputs):
            found.add(node)
    return found


def _array_input(nodes: Sequence[Node]) -> Node | None:
    """The first array among the inputs, which says how many rows a batch has."""
    for node in nodes:
        for x in node.inputs if node.op in TABLE or node.op == "scan" else ():
            root = x
            while root.op == "get":
                root = root.inputs[0]
            if root.op == "input":
                return x
    return None


def _turned(ys: Sequence[Node]) -> Node:
    """The values of all steps as a tuple; where a step gives several, a tuple of such tuples."""
    if all(y.op == "tuple" and len(y.inputs) == len(ys[0].inputs) for y in ys):
        return pack(*(_turned(part) for part in zip(*(y.inputs for y in ys), strict=True)))
    return pack(*ys)
