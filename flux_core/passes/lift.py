"""Lifting: what a loop need not do step by step is done for all steps at once.

    for t: z = x[t] @ W + h[t-1] @ U          u = x @ W                      hoisted, in front of the loop
           h[t] = tanh(z)              →      for t: h[t] = tanh(u[t] + h[t-1] @ U)
           y[t] = h[t] @ V                    y = h @ V                      sunk, behind it

Over time-major sequences an op on all steps is the op on one with an axis more in front. Where that changes its
meaning (two operands of ranks that are not known to be equal, an axis counted from the front), the op stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from flux_core.errors import GraphError
from flux_core.ir import (
    Graph,
    Node,
    after_steps,
    before_steps,
    get,
    input_node,
    pack,
    parts_of,
    rewrite,
    topological,
    values_of,
)
from flux_core.ir.walk import with_inputs
from flux_core.ops import RANDOM, TABLE

Kind = Literal["state", "sequence", "fixed", "loop"]
Rank = int | tuple[str, int, int] | None  # known; of an input, plus so many axes; unknown

PRODUCTS = frozenset({"matmul", "matmul_t"})  # what is worth a pass over all steps behind the loop
ROWS = frozenset({"softmax", "log_softmax"})


class Value(NamedTuple):
    """What is known of a value in the body: when it is available, the outer node where it is, its rank in a step."""

    kind: Kind
    outer: Node | None
    rank: Rank
    worth: bool = False  # computed outside: a product, random numbers, or what is made of them


def lift(graph: Graph) -> Graph:
    """The same function with the least work inside of its scans; one with delayed values of its own stays as it is.

    Raises GraphError for random numbers that depend on a state: they would differ between ways of running.
    """

    if graph.states or all(node.op != "scan" for node in topological(graph.output)):
        return graph

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "get":
            return get(inputs[0], node.attrs["index"])
        node = with_inputs(node, inputs)
        return lifted(node) if node.op == "scan" else node

    return Graph(rewrite([graph.output], rule)[0], graph.arity)


def lifted(scan: Node) -> Node:
    """The value of a scan, a tuple, computed by a smaller loop and by what stands in front of it and behind it."""
    return _Lift(scan).result()


def rank_of(node: Node) -> int | None:
    """The number of axes of a value that depends on Params and constants only, where it is plain to see."""
    if node.op == "param":
        return len(node.attrs["param"].shape)
    if node.op == "constant":
        rank: int = node.attrs["value"].ndim
        return rank
    if node.op in ("concat", "transpose", "slice") and node.inputs:
        whole = rank_of(node.inputs[0])
        return None if node.op == "slice" and any(isinstance(i, int) for i in node.attrs["index"]) else whole
    if node.op in TABLE and TABLE[node.op].kernel.kind == "elementwise":
        ranks = [rank_of(x) for x in node.inputs]
        return None if None in ranks else max(rank for rank in ranks if rank is not None)
    return None


class _Lift:
    def __init__(self, scan: Node) -> None:
        self.scan = scan
        self.body: Graph = scan.attrs["body"]
        self.states: int = scan.attrs["states"]
        self.initial, self.xs, self.consts = parts_of(scan)
        self.order = topological(self.body.output)
        self.values: dict[Node, Value] = {}
        for node in self.order:
            self.values[node] = self._value(node)
        self.sunk = self._sunk()

    def result(self) -> Node:
        """The tuple of trajectories and values."""
        outputs = self.body.output.inputs
        emitted = self._emitted()
        loop = self._loop(emitted)
        sunk: dict[Node, Node] = {}

        def everywhere(node: Node) -> Node:
            """A value of the body at all steps."""
            found = self.values[node]
            if node in sunk:
                return sunk[node]
            if node in outputs[: self.states]:
                return after_steps(loop, outputs.index(node))
            if found.kind == "state":
                return before_steps(loop, node.attrs["index"])
            if node in emitted:
                return values_of(loop, emitted.index(node))
            assert found.outer is not None  # a sequence, or fixed
            return found.outer

        for node in self.order:
            if node in self.sunk:  # what is fixed is read as it is, also where the loop gives it out at every step
                known = [self.values[x] for x in node.inputs]
                operands = [
                    _outer(found) if found.kind == "fixed" else everywhere(x)
                    for x, found in zip(node.inputs, known, strict=True)
                ]
                sunk[node] = _at_all_steps(node, operands)
        trajectories = [get(loop, i) for i in range(self.states)]
        return pack(*trajectories, *(everywhere(node) for node in outputs[self.states :]))

    def _value(self, node: Node) -> Value:
        """When a value is available, from those of its operands."""
        if node.op == "input":
            index: int = node.attrs["index"]
            if index < self.states:
                return Value("state", None, ("state", index, 0))
            index -= self.states
            if index < len(self.xs):
                return Value("sequence", self.xs[index], ("x", index, 0))
            outer = self.consts[index - len(self.xs)]
            return Value("fixed", outer, rank_of(outer))
        if node.op in ("constant", "param"):
            return Value("fixed", node, rank_of(node))
        operands = [self.values[x] for x in node.inputs]
        kinds = {operand.kind for operand in operands}
        if node.op in TABLE and kinds == {"fixed"}:
            outer = Node(node.op, tuple(_outer(operand) for operand in operands), node.attrs, node.origin)
            return Value("fixed", outer, rank_of(outer))
        rank = _rank(node, operands)
        if kinds <= {"fixed", "sequence"} and kinds and _may_lift(node, operands):
            worth = not _is_elementwise(node) or any(operand.worth for operand in operands)
            return Value("sequence", _at_all_steps(node, [_outer(operand) for operand in operands]), rank, worth)
        if node.op in RANDOM:
            raise GraphError(
                "dropout inside a recurrent model works on its inputs: of a value that depends on the state, "
                "drop out the output behind it instead",
                path=str(node.origin),
                place=node.origin.place,
            )
        return Value("loop", None, rank)

    def _sunk(self) -> set[Node]:
        """What no state depends on, and what pays to be done at once, with all that only it leads to."""
        outputs = self.body.output.inputs
        inside = set(topological(*outputs[: self.states]))
        readers: dict[Node, list[Node]] = {}
        for node in self.order:
            for x in node.inputs:
                readers.setdefault(x, []).append(node)
        tail = [node for node in self.order if self.values[node].kind == "loop" and node not in inside]
        chosen: set[Node] = set()
        for node in tail:
            worth = node.op in PRODUCTS or any(x in chosen for x in node.inputs)
            if node is not self.body.output and worth and _may_lift(node, [self.values[x] for x in node.inputs]):
                chosen.add(node)
        while True:  # what is read inside of the loop stays, and so does what was to follow it
            bad = {
                node
                for node in chosen
                if any(reader not in chosen and reader is not self.body.output for reader in readers.get(node, ()))
                or not (node.op in PRODUCTS or any(x in chosen for x in node.inputs))
            }
            if not bad:
                return chosen
            chosen -= bad

    def _emitted(self) -> list[Node]:
        """The values that the loop must give besides its states."""
        outputs = self.body.output.inputs
        wanted = [x for node in self.order if node in self.sunk for x in node.inputs]
        wanted += [
            node for node in outputs[self.states :] if node not in self.sunk or self.values[node].kind == "fixed"
        ]
        found: dict[Node, None] = {}
        for node in wanted:
            fixed_output = self.values[node].kind == "fixed" and node in outputs[self.states :]
            in_loop = self.values[node].kind == "loop" and node not in self.sunk
            if (in_loop or fixed_output) and node not in outputs[: self.states]:
                found[node] = None
        return list(found)

    def _loop(self, emitted: Sequence[Node]) -> Node:
        """The scan of what is left, reading lifted values as further sequences and constants."""
        outputs = (*self.body.output.inputs[: self.states], *emitted)
        sequences: dict[Node, Node] = {}  # outer node -> what stands for it in the body
        fixed: dict[Node, Node] = {}
        new: dict[Node, Node] = {}
        for node in self._needed(outputs):
            found = self.values[node]
            if found.kind == "sequence" and not self._inside(node):
                new[node] = sequences.setdefault(_outer(found), input_node(0))
            elif found.kind == "fixed" and node.op != "constant":
                new[node] = fixed.setdefault(_outer(found), input_node(0))
            elif node.op in ("constant", "input"):
                new[node] = node
            else:
                new[node] = with_inputs(node, tuple(new[x] for x in node.inputs))
        if not sequences:  # the number of steps comes from somewhere
            sequences[self.xs[0]] = input_node(0)
        numbers = {stand_in: i for i, stand_in in enumerate([*sequences.values(), *fixed.values()], self.states)}

        def numbered(node: Node, inputs: tuple[Node, ...]) -> Node:
            return input_node(numbers[node]) if node in numbers else with_inputs(node, inputs)

        (body,) = rewrite([pack(*(new[node] for node in outputs))], numbered)
        attrs = {**self.scan.attrs, "body": Graph(body, self.states + len(numbers)), "sequences": len(sequences)}
        inputs = (*self.initial, *sequences, *fixed)
        return Node("scan", inputs, MappingProxyType(attrs), self.scan.origin)

    def _inside(self, node: Node) -> bool:
        """Whether the loop computes a value: also what a pass over all steps would only write down to be read again."""
        found = self.values[node]
        return found.kind == "loop" or (found.kind == "sequence" and not found.worth and node.op != "input")

    def _needed(self, outputs: Sequence[Node]) -> list[Node]:
        """What the loop computes for these outputs, not going behind what is lifted."""
        needed: set[Node] = set()
        pending = list(outputs)
        while pending:
            node = pending.pop()
            if node not in needed:
                needed.add(node)
                if self._inside(node):
                    pending.extend(node.inputs)
        return [node for node in self.order if node in needed]


def _outer(value: Value) -> Node:
    assert value.outer is not None  # sequences and fixed values have one
    return value.outer


def _is_elementwise(node: Node) -> bool:
    return node.op in TABLE and TABLE[node.op].kernel.kind == "elementwise"


def _rank(node: Node, operands: Sequence[Value]) -> Rank:
    """The rank of a value of one step, where the rule is plain."""
    if node.op not in TABLE:
        return None
    moving = [operand.rank for operand in operands if operand.kind != "fixed"]
    if node.op in (*PRODUCTS, *ROWS, "concat", "dropout_mask") or (_is_elementwise(node) and _safe(operands)):
        return moving[0] if moving else None
    if node.op == "slice" and not any(isinstance(part, int) for part in node.attrs["index"]):
        return moving[0]
    if node.op == "one_hot" and isinstance(moving[0], tuple):
        name, index, more = moving[0]
        return (name, index, more + 1)
    return None


def _safe(operands: Sequence[Value]) -> bool:
    """Whether operands that are broadcast still meet in the same axes when those of a step get one in front."""
    moving = [operand.rank for operand in operands if operand.kind != "fixed"]
    fixed = [operand.rank for operand in operands if operand.kind == "fixed"]
    alike = len(moving) == 1 or (moving[0] is not None and all(rank == moving[0] for rank in moving))
    return alike and all(isinstance(rank, int) and rank <= 1 for rank in fixed)


def _may_lift(node: Node, operands: Sequence[Value]) -> bool:
    """Whether an op on all steps at once is the op on each step."""
    op, attrs = TABLE.get(node.op), node.attrs
    kinds = [operand.kind for operand in operands]
    if op is None:
        return False
    if _is_elementwise(node):
        return _safe(operands)
    match node.op:
        case "matmul" | "matmul_t":
            return kinds[0] != "fixed" and kinds[1] == "fixed" and operands[1].rank == 2
        case "softmax" | "log_softmax":
            return bool(attrs["axis"] == -1)
        case "concat":
            return attrs["axis"] < 0 and "fixed" not in kinds
        case "gather":
            return kinds == ["fixed", "sequence"]
        case "one_hot" | "dropout_mask":
            return True
        case "slice":
            return bool(attrs["index"]) and attrs["index"][0] == slice(None)
        case "reshape":
            return bool(attrs["keep"] > 0)
    return False


def _at_all_steps(node: Node, operands: Sequence[Node]) -> Node:
    """The op over operands that have an axis of steps in front, or are fixed."""
    attrs: dict[str, Any] = dict(node.attrs)
    change: dict[str, Callable[[], Any]] = {
        "slice": lambda: {"index": (slice(None), *attrs["index"])},
        "reshape": lambda: {**attrs, "keep": attrs["keep"] + 1},
    }
    attrs = change[node.op]() if node.op in change else attrs
    return Node(node.op, tuple(operands), MappingProxyType(attrs), node.origin)
