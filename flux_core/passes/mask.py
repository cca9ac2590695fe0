"""Masking: sequences of different lengths in one array, padded behind, as if each were alone.

    lengths [3, 1]     x (2, 4, f)     ■ ■ ■ ·      a state stays as it was where there is only padding,
                                       ■ · · ·      x[:, -1] is the last real step, a mean is one of real steps

    (x..., y) -> values      ──▶      (x..., y, lengths) -> values

Layers know nothing of this: of every value it is known which of its axes are the rows and the steps, from the input
on. What works on each step by itself is left alone, what gathers steps gathers the real ones, and what mixes steps in
another way is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, prod
from typing import Any

import numpy as np

from flux_core.errors import GraphError, ShapeError
from flux_core.ir import Graph, Node, as_node, constant, get, input_node, pack, parts_of, rewrite, scan
from flux_core.ir.walk import with_inputs
from flux_core.ops import TABLE, count, equal, less, reshape, sum_, transpose, where
from flux_core.ops.reduce import axes_of
from flux_core.ops.shape import order_of
from flux_core.passes.infer import Type, TypeTree, infer_types, shape_tree


@dataclass(frozen=True)
class Steps:
    """Which axes of a value are the rows and the steps; a `trajectory` has one step more, in front or behind."""

    row: int
    step: int
    trajectory: bool = False


Where = Steps | tuple[Any, ...] | None  # of an array, of a tuple of values; None: it has no steps
FIRST, TIME_MAJOR, TRAJECTORY = Steps(0, 1), Steps(1, 0), Steps(1, 0, trajectory=True)
WHOLE = slice(None)


def masked(graph: Graph, inputs: Sequence[TypeTree], sequences: Collection[int] = (0,)) -> Graph:
    """The graph with one more input, int64 lengths (batch,), for inputs of these types.

    The inputs numbered `sequences` are (batch, steps, ...), of one number of steps. Raises GraphError where steps are
    mixed in a way that has no meaning for sequences of different lengths.
    """
    return _Mask(graph, inputs, sequences).run()


class _Mask:
    def __init__(self, graph: Graph, inputs: Sequence[TypeTree], sequences: Collection[int]) -> None:
        self.graph, self.sequences = graph, sequences
        self.types = infer_types(graph, inputs)
        first = inputs[min(sequences)]
        if not isinstance(first, Type) or len(first.shape) < 2:
            raise GraphError("an input whose rows have lengths is a sequence (batch, steps, ...)")
        self.steps = first.shape[1]
        self.lengths = input_node(graph.arity)
        self.where: dict[Node, Where] = {}

    def run(self) -> Graph:
        (output,) = rewrite([self.graph.output], self.rule)
        return Graph(output, self.graph.arity + 1)

    def rule(self, node: Node, inputs: tuple[Node, ...]) -> Node:
        """The new node; where its steps are is noted."""
        at = [self.where[x] for x in node.inputs]
        if node.op == "input":
            self.where[node] = FIRST if node.attrs["index"] in self.sequences else None
            return node
        if node.op == "tuple":
            self.where[node] = tuple(at) if any(at) else None
            return with_inputs(node, inputs)
        if node.op == "get":
            parts, index = at[0], node.attrs["index"]
            self.where[node] = parts[index] if isinstance(parts, tuple) else None
            return get(inputs[0], index)
        if not any(at):
            self.where[node] = None
            return with_inputs(node, inputs)
        if node.op == "scan":
            return self.held(node, inputs, at)
        if any(isinstance(found, Steps) and found.trajectory for found in at) and node.op != "slice":
            raise self.mixed(node)
        op = TABLE.get(node.op)
        if op is None or any(isinstance(found, tuple) for found in at):
            raise self.mixed(node)
        special = getattr(self, f"mask_{node.op}", None)
        if special is not None:
            made: Node = special(node, inputs, *at)
            return made
        rule = _aligned if op.kernel.kind == "elementwise" else KEPT.get(node.op)
        found = None if rule is None else rule(node, at, [self.shape(x) for x in node.inputs], self.shape(node))
        if found is None:
            raise self.mixed(node)
        self.where[node] = found
        return with_inputs(node, inputs)

    def held(self, node: Node, inputs: tuple[Node, ...], at: Sequence[Where]) -> Node:
        """A scan whose states stay as they were where there is only padding."""
        body, states, end = node.attrs["body"], node.attrs["states"], node.attrs["states"] + node.attrs["sequences"]
        if any(at[:states]) or any(at[end:]) or any(found not in (TIME_MAJOR, None) for found in at):
            raise self.mixed(node)
        mask, leaves = input_node(end), [input_node(i) for i in range(states)]

        def renumbered(inner: Node, above: tuple[Node, ...]) -> Node:
            if inner.op == "input" and inner.attrs["index"] >= end:
                return input_node(inner.attrs["index"] + 1)
            return with_inputs(inner, above)

        values = rewrite(body.output.inputs, renumbered)
        kept: dict[Node, Node] = {}
        after: list[Node] = []
        for old, new, initial in zip(leaves, values, node.inputs, strict=False):
            real = reshape(mask, (1,) * (len(self.shape(initial)) - 1), 1)
            after.append(as_node(where(real, new, old)))
            kept.setdefault(new, after[-1])  # a value that is the state's stays it: a view of the trajectory
        given = [kept.get(value, value) for value in values[states:]]
        initial_states, xs, consts = parts_of(Node("scan", inputs, node.attrs))
        made = scan(
            Graph(pack(*after, *given), body.arity + 1),
            initial_states,
            (*xs, self.time_major),
            consts,
            reverse=node.attrs["reverse"],
        )
        self.where[node] = (*[TRAJECTORY] * states, *[TIME_MAJOR] * len(given))
        return Node("scan", made.inputs, made.attrs, node.origin)

    def mask_slice(self, node: Node, inputs: tuple[Node, ...], at: Steps) -> Node:
        """x[:, -1] is the last real step, x[:, 0] the first; the ends of a trajectory are its ends."""
        index = _full(node.attrs["index"], len(self.shape(node.inputs[0])))
        step, before = index[at.step], [part for part in index[: at.step] if not isinstance(part, int)]
        row = at.row - sum(isinstance(part, int) for part in index[: at.row])
        self.where[node] = None
        if index[at.row] != WHOLE:
            raise self.mixed(node)
        if step in ((slice(1, None), slice(None, -1)) if at.trajectory else (WHOLE,)):
            self.where[node] = Steps(row, len(before))
        elif step == -1 and not at.trajectory:
            last = as_node(where(self.column(self.is_last, node, at), inputs[0], 0.0))
            chosen = as_node(sum_(last, at.step))
            rest = (*index[: at.step], *index[at.step + 1 :])
            return chosen if all(part == WHOLE for part in rest) else chosen[rest]
        elif not isinstance(step, int) or step not in (0, -1):
            raise self.mixed(node)
        return with_inputs(node, inputs)

    def mask_per_row(self, node: Node, inputs: tuple[Node, ...], value: Where, like: Steps) -> Node:
        """One value for each row has no steps."""
        if value is not None or node.attrs["axis"] % len(self.shape(node.inputs[1])) != like.row:
            raise self.mixed(node)
        self.where[node] = None
        return with_inputs(node, inputs)

    def mask_sum(self, node: Node, inputs: tuple[Node, ...], at: Steps) -> Node:
        """The sum of real steps."""
        return self.reduced(node, inputs[0], at, 0.0, lambda x, real, how: sum_(x, **how))

    def mask_max(self, node: Node, inputs: tuple[Node, ...], at: Steps) -> Node:
        """The largest of real steps."""
        return self.reduced(node, inputs[0], at, -inf, lambda x, real, how: TABLE["max"](x, **how))

    def mask_mean(self, node: Node, inputs: tuple[Node, ...], at: Steps) -> Node:
        """The sum of real steps, divided by how many numbers were added."""

        def mean(x: Any, real: Any, how: Mapping[str, Any]) -> Any:
            for_each = count(x, how["axis"]) / count(real, how["axis"])  # a step is so many numbers
            return sum_(x, **how) / (sum_(real, **how) * for_each)

        return self.reduced(node, inputs[0], at, 0.0, mean)

    def reduced(self, node: Node, x: Node, at: Steps, instead: float, reduce: Callable[..., Any]) -> Node:
        """A reduction over axes, with `instead` in the place of padding if the steps are one of them."""
        how: Mapping[str, Any] = node.attrs
        gone = axes_of(how["axis"], len(self.shape(node.inputs[0])))
        if at.step not in gone:
            if at.row in gone:  # at each step over other rows: the last steps are those of a few
                raise self.mixed(node)
            below = 0 if how["keepdims"] else 1
            row, step = (a - below * sum(axis < a for axis in gone) for a in (at.row, at.step))
            self.where[node] = Steps(row, step)
            return with_inputs(node, (x,))
        self.where[node] = None
        real = self.column(self.is_real, node, at)
        return as_node(reduce(where(real, x, instead), real, how))

    def column(self, mask: Node, node: Node, at: Steps) -> Any:
        """A mask (batch, steps) in the axes of what `node` reads."""
        rank = len(self.shape(node.inputs[0]))
        if {at.row, at.step} != {0, 1}:
            raise self.mixed(node)
        turned = mask if at == FIRST else transpose(mask)
        return reshape(turned, (1,) * (rank - 2), 2)

    @cached_property
    def is_real(self) -> Node:
        """1 for a real step, 0 for padding, (batch, steps)."""
        return as_node(less(constant(np.arange(self.steps, dtype=np.float32)), reshape(self.lengths, (1,), 1)))

    @cached_property
    def is_last(self) -> Node:
        """1 for the last real step of each row, (batch, steps)."""
        return as_node(equal(constant(np.arange(1, self.steps + 1, dtype=np.float32)), reshape(self.lengths, (1,), 1)))

    @cached_property
    def time_major(self) -> Node:
        """`is_real` as a scan reads it, (steps, batch)."""
        return as_node(less(constant(np.arange(self.steps, dtype=np.float32)[:, None]), self.lengths))

    def shape(self, node: Node) -> tuple[int, ...]:
        """The shape of an array; nothing for a tuple."""
        found = self.types[node]
        return found.shape if isinstance(found, Type) else ()

    def mixed(self, node: Node) -> ShapeError:
        """What is wrong with an op that does not go step by step."""
        return ShapeError(
            f"{node.op} mixes the steps of sequences that have lengths of their own: put last or time_mean in front",
            path=str(node.origin),
            place=node.origin.place,
            shapes=[shape_tree(self.types[x]) for x in node.inputs],
        )


Shape = tuple[int, ...]
Rule = Callable[[Node, Sequence[Any], Sequence[Shape], Shape], Steps | None]


def _full(index: Sequence[Any], rank: int) -> list[Any]:
    """An index with an entry for every axis."""
    parts = list(index)
    at = parts.index(Ellipsis) if Ellipsis in parts else len(parts)
    left = [part for part in parts if part is not Ellipsis]
    return [*left[:at], *[WHOLE] * (rank - len(left)), *left[at:]]


def _aligned(node: Node, at: Sequence[Any], shapes: Sequence[Shape], result: Shape) -> Steps | None:
    """Operands are broadcast: their axes meet from the right."""
    found = {
        Steps(one.row + len(result) - len(shape), one.step + len(result) - len(shape))
        for one, shape in zip(at, shapes, strict=True)
        if one is not None
    }
    return found.pop() if len(found) == 1 else None


def _like(operand: int) -> Rule:
    """The axes are those of one operand, whatever the others are like."""
    return lambda node, at, shapes, result: at[operand]


def _rows(node: Node, at: Sequence[Any], shapes: Sequence[Shape], result: Shape) -> Steps | None:
    """What works along the last axis, of which neither rows nor steps may be: products, one of many by its id."""
    own, others = at[0], at[1:]
    last = len(shapes[0]) - 1
    fits = own is not None and last not in (own.row, own.step) and all(one in (None, own) for one in others)
    square = node.op not in ("matmul", "matmul_t") or (len(shapes[1]) == 2 and others == [None])
    return own if fits and square else None


def _along(node: Node, at: Sequence[Any], shapes: Sequence[Shape], result: Shape) -> Steps | None:
    """What works along an axis that it names."""
    axis = node.attrs["axis"] % len(result)
    found = {one for one in at if one is not None}
    return found.pop() if len(found) == 1 and all(axis not in (one.row, one.step) for one in found) else None


def _reshaped(node: Node, at: Sequence[Any], shapes: Sequence[Shape], result: Shape) -> Steps | None:
    """Rows and steps stay axes of their own: as long, and with as many numbers in each."""
    new = []
    for axis in (at[0].row, at[0].step):
        size, inside = shapes[0][axis], prod(shapes[0][axis + 1 :])
        same = [i for i, n in enumerate(result) if (n, prod(result[i + 1 :])) == (size, inside) and i not in new]
        if not same:
            return None
        new.append(same[0])
    return Steps(new[0], new[1])


def _transposed(node: Node, at: Sequence[Any], shapes: Sequence[Shape], result: Shape) -> Steps | None:
    order = order_of(node.attrs["axes"], len(result))
    return Steps(order.index(at[0].row), order.index(at[0].step))


def _gathered(node: Node, at: Sequence[Any], shapes: Sequence[Shape], result: Shape) -> Steps | None:
    found: Steps | None = at[1] if at[0] is None else None
    return found


KEPT: dict[str, Rule] = {
    "broadcast_like": _aligned,
    "concat": _along,
    "dropout_mask": _like(0),
    "expect": _like(0),
    "expect_like": _like(0),
    "flatten": _reshaped,
    "gather": _gathered,
    "log_softmax": _along,
    "matmul": _rows,
    "matmul_t": _rows,
    "one_hot": _like(0),
    "pick": _rows,
    "reshape": _reshaped,
    "softmax": _along,
    "softmax_cross_entropy": _rows,
    "transpose": _transposed,
    "zeros_like": _like(0),
}
