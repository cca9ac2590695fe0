"""The gradient of a scan: a scan in the other direction.

    forward     h0 ─▶ body ─▶ h1 ─▶ body ─▶ h2          what the gradient of a step reads is kept for all steps,
                       │ kept        │ kept             unless it is cheap to compute again
                       ▼             ▼
    backward    dh0 ◀─ back ◀─ dh1 ◀─ back ◀─ dh2       gives dx[t], and what the gradients of constants are made of

The gradient of a constant is a sum over the steps. Where it is a product or a sum over the batch, it is taken over
all steps behind the loop, as one large product; else the loop adds it up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from operator import add
from types import MappingProxyType

from flux_core.errors import BackpropError
from flux_core.ir import (
    Graph,
    Node,
    as_node,
    before_steps,
    get,
    input_node,
    pack,
    parts_of,
    rewrite,
    scan,
    topological,
)
from flux_core.ops import TABLE, Op, matmul_w, scatter, sum_like, zeros_like
from flux_core.passes.lift import lifted, rank_of
from flux_core.passes.parts import reads

# the gradients of `outputs` · `dys` by each of `wrt`, None where nothing leads there
Pull = Callable[[Sequence[Node], Sequence[Node], Sequence[Node]], "list[Node | None]"]

CHEAP = frozenset(
    {"add", "subtract", "multiply", "negative", "greater", "greater_equal", "less", "less_equal", "where"}
)


def scan_gradients(node: Node, ds: Sequence[Node | None], wanted: Sequence[bool], pull: Pull) -> list[Node | None]:
    """The gradients of a scan's operands from those of its trajectories and values (None: zeros).

    They read a scan that keeps more than the given one; `merged` makes one of the two.
    """
    return _Back(node, ds, wanted, pull).run()


class _Back:
    def __init__(self, node: Node, ds: Sequence[Node | None], wanted: Sequence[bool], pull: Pull) -> None:
        self.node, self.ds, self.wanted, self.pull = node, ds, wanted, pull
        self.body: Graph = node.attrs["body"]
        opaque = next((n for n in topological(self.body.output) if n.op == "call"), None)
        if opaque is not None:
            raise BackpropError(
                f"Backprop not implemented for a plain function inside of a scan ({opaque.origin}): write it in ops"
            )
        self.states: int = node.attrs["states"]
        self.initial, self.xs, self.consts = parts_of(node)
        self.forward = set(topological(self.body.output))
        leaves = {n.attrs["index"]: n for n in self.forward if n.op == "input"}
        self.leaves = [leaves[i] if i in leaves else input_node(i) for i in range(self.body.arity)]
        self.stand_ins: dict[Node, Node] = {}  # inputs of the forward body -> the same in the backward one
        self.kept: list[Node] = []
        self.sequences: dict[Node, Callable[[Node], Node]] = {}  # stand-in -> the outer sequence, from the forward scan
        self.constants: dict[Node, Node] = {}  # stand-in -> the outer node

    def run(self) -> list[Node | None]:
        states = self.states
        carried = [input_node(i) for i in range(states)]
        found = self._in_body(self._pulled(carried))
        dstates, rest = found[:states], found[states:]
        new_states: list[Node] = []
        for leaf, d in zip(self.leaves, dstates, strict=False):
            new_states.append(as_node(zeros_like(self._stand_in(leaf))) if d is None else d)
        initial: list[Node] = [as_node(zeros_like(x)) for x in self.initial]
        outputs: list[Node] = []

        def everywhere(value: Node) -> Callable[[Node, Node], Node]:
            """A value of the backward body at all steps, as a function of the two scans."""
            if value in self.sequences:
                return lambda ahead, back: self.sequences[value](ahead)
            if value not in outputs:
                outputs.append(value)
            at = outputs.index(value)
            return lambda ahead, back: get(back, len(carried) + at)

        makers: list[Callable[[Node, Node], Node] | None] = []
        for i, d in enumerate(rest, states):
            if d is None:
                makers.append(None)
            elif i < states + len(self.xs):
                makers.append(everywhere(d))
            else:
                makers.append(self._constant(i, d, everywhere, initial, carried, new_states))
        kept = (*self.body.output.inputs, *self.kept)
        ahead = self.node
        if self.kept:
            attrs = {**self.node.attrs, "body": Graph(pack(*kept), self.body.arity)}
            ahead = Node("scan", self.node.inputs, MappingProxyType(attrs), self.node.origin)
        back = lifted(self._scan(ahead, carried, new_states, outputs, initial))
        result: list[Node | None] = []
        for i in range(states):
            total = _final(back, i, self.node)
            trajectory = self.ds[i]
            result.append(total if trajectory is None else total + _first(trajectory, self.node))
        result += [None if make is None else make(ahead, back) for make in makers]
        return result

    def _pulled(self, carried: Sequence[Node]) -> list[Node | None]:
        """The gradients of one step's inputs, reading the step's own values."""
        outputs = self.body.output.inputs
        ends: list[Node] = []
        dys: list[Node] = []
        for i, value in enumerate(outputs):
            d = self.ds[i]
            if i < self.states:
                total = carried[i] if d is None else carried[i] + self._sequence(_after(d, self.node))
                ends.append(value)
                dys.append(total)
            elif d is not None:
                ends.append(value)
                dys.append(self._sequence(d))
        reached = self.pull(ends, dys, self.leaves)
        # the states' gradients are always carried on
        keep = [i < self.states or wanted for i, wanted in enumerate(self.wanted)]
        return [d if yes else None for d, yes in zip(reached, keep, strict=True)]

    def _sequence(self, outer: Node) -> Node:
        stand_in = input_node(-1)
        self.sequences[stand_in] = lambda ahead: outer
        return stand_in

    def _stand_in(self, leaf: Node) -> Node:
        """What stands for an input of the forward body in the backward one."""
        if leaf in self.stand_ins:
            return self.stand_ins[leaf]
        index: int = leaf.attrs["index"]
        made = input_node(-1)
        if index < self.states:
            self.sequences[made] = lambda ahead: before_steps(ahead, index)
        elif index < self.states + len(self.xs):
            outer = self.xs[index - self.states]
            self.sequences[made] = lambda ahead: outer
        else:
            self.constants[made] = self.consts[index - self.states - len(self.xs)]
        self.stand_ins[leaf] = made
        return made

    def _in_body(self, found: Sequence[Node | None]) -> list[Node | None]:
        """The gradients over stand-ins: values of the forward step are kept by it, or computed again."""
        ends = [d for d in found if d is not None]
        saved = self._saved(ends)
        self.kept = [node for node in topological(*ends) if node in saved]
        stand_ins: dict[Node, Node] = {}
        for number, node in enumerate(self.kept, len(self.body.output.inputs)):
            stand_ins[node] = input_node(-1)
            self.sequences[stand_ins[node]] = partial(get, index=number)

        def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
            if node in stand_ins:
                return stand_ins[node]
            if node.op == "input" and node in self.forward:
                return self._stand_in(node)
            return node if inputs == node.inputs else Node(node.op, inputs, node.attrs, node.origin)

        new = iter(rewrite(ends, rule))
        return [None if d is None else next(new) for d in found]

    def _saved(self, ends: Sequence[Node]) -> set[Node]:
        """The forward values that are read and are not cheap."""
        saved: set[Node] = set()
        seen: set[Node] = set()
        pending = [end for end in ends if end in self.forward]
        for node in topological(*ends):
            if node not in self.forward:
                pending.extend(reads(node))
        while pending:
            node = pending.pop()
            if node not in self.forward or node in seen or not node.inputs:
                continue
            seen.add(node)
            op = TABLE.get(node.op)
            if op is not None and (node.op in CHEAP or op.kernel.kind == "view"):
                pending.extend(reads(node))
            else:
                saved.add(node)
        return saved

    def _constant(
        self,
        i: int,
        d: Node,
        everywhere: Callable[[Node], Callable[[Node, Node], Node]],
        initial: list[Node],
        carried: list[Node],
        new_states: list[Node],
    ) -> Callable[[Node, Node], Node]:
        """The sum over the steps of the gradient of a constant."""
        outer = self.consts[i - self.states - len(self.xs)]
        own = self._stand_in(self.leaves[i])
        makers: list[Callable[[Node, Node], Node]] = []
        left: list[Node] = []
        for term in _terms(d):
            moving = [x for x in term.inputs if x not in self.constants and x.op != "constant"]
            if term.op == "matmul_w" and term.inputs[2] is own and rank_of(outer) == 2 and len(moving) == 2:
                x, dy = everywhere(moving[0]), everywhere(moving[1])
                makers.append(_made_of(matmul_w, (x, dy), outer))
            elif term.op == "sum_like" and term.inputs[1] is own and len(moving) == 1:
                dy = everywhere(moving[0])
                makers.append(_made_of(sum_like, (dy,), outer))
            elif term.op == "scatter" and term.inputs[2] is own and len(moving) == 2:
                dy, rows = everywhere(moving[0]), everywhere(moving[1])
                makers.append(_made_of(scatter, (dy, rows), outer))
            else:
                left.append(term)
        if left:  # the loop adds them up in a state of its own
            total = input_node(len(carried))
            at = len(carried)
            carried.append(total)
            initial.append(as_node(zeros_like(outer)))
            new_states.append(reduce(add, [total, *left]))
            makers.append(lambda a, b: _final(b, at, self.node))
        return lambda a, b: reduce(add, [make(a, b) for make in makers])

    def _scan(
        self,
        ahead: Node,
        carried: Sequence[Node],
        new_states: Sequence[Node],
        outputs: Sequence[Node],
        initial: Sequence[Node],
    ) -> Node:
        used = set(topological(*new_states, *outputs))
        sequences = [x for x in self.sequences if x in used]
        constants = [x for x in self.constants if x in used]
        outer = [self.sequences[x](ahead) for x in sequences]
        if not sequences:  # the number of steps comes from somewhere
            sequences, outer = [input_node(-1)], [before_steps(ahead, 0) if self.states else self.xs[0]]
        number = {x: i for i, x in enumerate([*carried, *sequences, *constants])}

        def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
            if node in number:
                return input_node(number[node])
            return node if inputs == node.inputs else Node(node.op, inputs, node.attrs, node.origin)

        (body,) = rewrite([pack(*new_states, *outputs)], rule)
        made = scan(
            Graph(body, len(number)),
            initial,
            outer,
            [self.constants[x] for x in constants],
            reverse=not self.node.attrs["reverse"],
        )
        return Node("scan", made.inputs, made.attrs, self.node.origin)


def _made_of(op: Op, parts: Sequence[Callable[[Node, Node], Node]], outer: Node) -> Callable[[Node, Node], Node]:
    """An op of values at all steps and a constant, as a function of the two scans."""
    return lambda ahead, back: as_node(op(*(part(ahead, back) for part in parts), outer))


def _terms(node: Node) -> list[Node]:
    """The operands of a sum of sums."""
    if node.op == "add":
        return [term for x in node.inputs for term in _terms(x)]
    return [node]


def _after(trajectory: Node, node: Node) -> Node:
    """A trajectory's gradient behind each step."""
    return trajectory[slice(None, -1) if node.attrs["reverse"] else slice(1, None)]


def _first(trajectory: Node, node: Node) -> Node:
    """A trajectory's gradient in front of the first step."""
    return trajectory[(-1 if node.attrs["reverse"] else 0), ...]


def _final(back: Node, state: int, node: Node) -> Node:
    """A state of the backward scan behind its last step, which is the forward scan's first."""
    return get(back, state)[(-1 if node.attrs["reverse"] else 0), ...]
