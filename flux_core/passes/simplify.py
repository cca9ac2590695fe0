"""Simplification: fold what is constant, merge what is equal, drop what does nothing.

    x * 1  →  x        sum_like(x, y)  →  x  where the shapes are equal        add(a, b), add(a, b)  →  one node

All three happen in one walk from the leaves up, so that what one rule uncovers the next one sees.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from functools import reduce
from math import prod
from operator import add
from types import MappingProxyType
from typing import Any

import numpy as np

from flux_core.errors import FluxError
from flux_core.ir import Graph, Node, as_node, constant, get, input_node, pack, rewrite, topological
from flux_core.ir.walk import with_inputs
from flux_core.ops import RANDOM, SHAPE_ONLY, TABLE, operands_of, zeros_like
from flux_core.ops.shape import order_of
from flux_core.passes.infer import Type, TypeTree, body_inputs, infer_types, type_of
from flux_core.passes.parts import columns_named

FOLDED = 4096  # elements: a larger constant costs more memory than it saves work

Identity = Callable[[Node, "TypeOf"], Node | None]
TypeOf = Callable[[Node], TypeTree]


def _is(node: Node, number: float) -> bool:
    while node.op in ("broadcast_like", "expand_like"):
        node = node.inputs[0]
    value = node.attrs["value"] if node.op == "constant" else None
    return value is not None and value.ndim == 0 and value.item() == number


def _float(node: Node, type_of: TypeOf) -> Node | None:
    """The node, if it holds floats: arithmetic turns ids into floats and may not be dropped on them."""
    found = type_of(node)
    return node if isinstance(found, Type) and found.kind == "float" else None


def _neutral(number: float, sides: Sequence[int]) -> Identity:
    """An operand equal to `number` on one of `sides` leaves the other operand as it is."""

    def rule(node: Node, type_of: TypeOf) -> Node | None:
        for side in sides:
            if _is(node.inputs[side], number):
                return _float(node.inputs[1 - side], type_of)
        return None

    return rule


def _undone_by(op: str) -> Identity:
    """`node` undoes `op`: f(g(x)) is x."""
    return lambda node, type_of: node.inputs[0].inputs[0] if node.inputs[0].op == op else None


def _same_type(node: Node, type_of: TypeOf) -> Node | None:
    """An op that only changes the shape, where the shape is right already."""
    return node.inputs[0] if type_of(node.inputs[0]) == type_of(node) else None


def _small_power(node: Node, type_of: TypeOf) -> Node | None:
    """x² and √x cost one operation, where a power costs a hundred."""
    x, exponent = node.inputs
    if type_of(x) != type_of(node):
        return None
    if _is(exponent, 2.0):
        return Node("multiply", (x, x), origin=node.origin)
    # of -0 and -inf the root differs from the power: 0.5 stays a power where x may be negative
    return Node("sqrt", (x,), origin=node.origin) if _is(exponent, 0.5) and _never_negative(x) else None


def _never_negative(x: Node) -> bool:
    return x.op in ("exp", "absolute", "softplus", "sigmoid") or (x.op == "multiply" and x.inputs[0] is x.inputs[1])


def _transposed_twice(node: Node, type_of: TypeOf) -> Node | None:
    inner = node.inputs[0]
    if inner.op != "transpose":
        return None
    found = type_of(node)
    assert isinstance(found, Type)  # only arrays are transposed
    rank = len(found.shape)
    first, second = order_of(inner.attrs["axes"], rank), order_of(node.attrs["axes"], rank)
    return inner.inputs[0] if [first[axis] for axis in second] == list(range(rank)) else None


def _tiled(node: Node, type_of: TypeOf) -> Node | None:
    """Parts written into zeros and added up, which cover the whole: the parts side by side."""
    parts: dict[tuple[int, int], Node] = {}
    pending = [node]
    while pending:
        x = pending.pop()
        found = _columns(x, type_of) if x.op == "unslice" else None
        if x.op == "add" and type_of(x) == type_of(node):
            pending.extend(x.inputs)
        elif found is None or found in parts:
            return None
        else:
            parts[found] = x.inputs[0]
    whole, bounds = type_of(node), sorted(parts)
    if not isinstance(whole, Type) or bounds[0][0] != 0 or bounds[-1][1] != whole.shape[-1]:
        return None
    if any(a[1] != b[0] for a, b in itertools.pairwise(bounds)):
        return None
    return Node("concat", tuple(parts[b] for b in bounds), MappingProxyType({"axis": -1}), node.origin)


def _columns(node: Node, type_of: TypeOf) -> tuple[int, int] | None:
    """The columns of zeros into which something was written, if it fills these and nothing else."""
    whole = type_of(node)
    return columns_named(whole.shape, node.attrs["index"]) if isinstance(whole, Type) else None


def _element(node: Node, type_of: TypeOf) -> Node | None:
    """An element of a tuple that is there."""
    whole, index = node.inputs[0], node.attrs["index"]
    return whole.inputs[index] if whole.op == "tuple" else None


def _taken_back(node: Node, type_of: TypeOf) -> Node | None:
    """The part of zeros into which just this part was written."""
    inner = node.inputs[0]
    return inner.inputs[0] if inner.op == "unslice" and inner.attrs["index"] == node.attrs["index"] else None


def _ids_first(node: Node, type_of: TypeOf) -> Node | None:
    """Turning ids costs less than turning the rows that they stand for."""
    inner, found = node.inputs[0], type_of(node)
    assert isinstance(found, Type)  # only arrays are transposed
    order = order_of(node.attrs["axes"], len(found.shape))
    if inner.op != "one_hot" or order[-1] != len(order) - 1:
        return None
    ids = Node("transpose", inner.inputs, MappingProxyType({"axes": order[:-1]}), node.origin)
    return Node("one_hot", (ids,), inner.attrs, inner.origin)


def _rows_by_id(node: Node, type_of: TypeOf) -> Node | None:
    """A product with rows of which each has a single 1 takes rows of the matrix."""
    x, w = node.inputs
    matrix = type_of(w)
    if x.op != "one_hot" or not isinstance(matrix, Type) or len(matrix.shape) != 2:
        return None
    return Node("gather", (w, x.inputs[0]), origin=node.origin)


def _added_by_id(node: Node, type_of: TypeOf) -> Node | None:
    """The gradient of such a product."""
    x, dy, w = node.inputs
    matrix = type_of(w)
    if x.op != "one_hot" or not isinstance(matrix, Type) or len(matrix.shape) != 2:
        return None
    return Node("scatter", (dy, x.inputs[0], w), origin=node.origin)


def _of_arrays(node: Node, type_of: TypeOf) -> Node | None:
    """The gradients that arrived at a value which turns out to be no tuple."""
    like, *parts = node.inputs
    if not isinstance(type_of(like), Type):
        return None
    return reduce(add, parts) if parts else as_node(zeros_like(like))


IDENTITIES: dict[str, Sequence[Identity]] = {
    "add": [_neutral(0.0, (0, 1)), _tiled],
    "subtract": [_neutral(0.0, (1,))],
    "multiply": [_neutral(1.0, (0, 1))],
    "divide": [_neutral(1.0, (1,))],
    "power": [_neutral(1.0, (1,)), _small_power],
    "negative": [_undone_by("negative")],
    "transpose": [_transposed_twice, _ids_first],
    "get": [_element],
    "slice": [_taken_back],
    "matmul": [_rows_by_id],
    "matmul_w": [_added_by_id],
    "sum_like": [_same_type],
    "broadcast_like": [_same_type],
    "expand_like": [_same_type],
    "reshape": [_same_type],
    "reshape_like": [_same_type],
    "flatten": [_same_type],
    "expect": [_same_type],
    "expect_like": [_same_type],
    "tuple_sum": [_of_arrays],
    "sum": [lambda node, type_of: _same_type(node, type_of) if node.attrs["axis"] == () else None],
}


def simplify(graph: Graph, inputs: Sequence[TypeTree]) -> Graph:
    """The same function of inputs of these types, with less work; values may differ by rounding of constants."""
    types = infer_types(graph, inputs)
    new_types = _Types(inputs)
    seen: dict[Hashable, Node] = {}
    new: dict[Node, Node] = {}
    for node in topological(graph.output):
        candidate = with_inputs(node, tuple(new[parent] for parent in node.inputs))
        if node.op == "scan":
            candidate = _with_simpler_body(candidate, [types[parent] for parent in node.inputs])
        new_types.setdefault(candidate, types[node])
        candidate = _fold(_reduce(candidate, new_types), new_types, inputs)
        new[node] = seen.setdefault(_value_number(candidate), candidate)
    return Graph(new[graph.output], graph.arity)


def _with_simpler_body(scan: Node, operands: Sequence[TypeTree]) -> Node:
    """The scan with its body simplified, in nodes of its own: what is known of a node is known of it in one loop."""
    whole: Graph = scan.attrs["body"]
    (own,) = rewrite([whole.output], lambda node, inputs: Node(node.op, inputs, node.attrs, node.origin))
    body = simplify(Graph(own, whole.arity), body_inputs(scan, operands))
    return _without_twins(
        _without_unread(Node("scan", scan.inputs, MappingProxyType({**scan.attrs, "body": body}), scan.origin))
    )


def _without_twins(scan: Node) -> Node:
    """The value of a scan, every value of a step being kept once."""
    body, states = scan.attrs["body"], scan.attrs["states"]
    outputs = body.output.inputs
    values = list(dict.fromkeys(outputs[states:]))
    if len(values) == len(outputs) - states:
        return scan
    attrs = {**scan.attrs, "body": Graph(pack(*outputs[:states], *values), body.arity)}
    made = Node("scan", scan.inputs, MappingProxyType(attrs), scan.origin)
    return pack(
        *(get(made, i) for i in range(states)), *(get(made, states + values.index(v)) for v in outputs[states:])
    )


def _without_unread(scan: Node) -> Node:
    """The scan without the operands that its steps do not read; one sequence stays, to count the steps."""
    body, states, sequences = scan.attrs["body"], scan.attrs["states"], scan.attrs["sequences"]
    read = {node.attrs["index"] for node in topological(body.output) if node.op == "input"} | set(range(states))
    if not any(states <= i < states + sequences for i in read):
        read.add(states)
    kept = sorted(read)
    number = {old: new for new, old in enumerate(kept)}

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        return input_node(number[node.attrs["index"]]) if node.op == "input" else with_inputs(node, inputs)

    (output,) = rewrite([body.output], rule)
    left = sum(states <= i < states + sequences for i in kept)
    attrs = {**scan.attrs, "body": Graph(output, len(kept)), "sequences": left}
    return Node("scan", tuple(scan.inputs[i] for i in kept), MappingProxyType(attrs), scan.origin)


class _Types(dict[Node, TypeTree]):
    """Types of nodes, found when they are asked for."""

    def __init__(self, inputs: Sequence[TypeTree]) -> None:
        self.inputs = inputs

    def __missing__(self, node: Node) -> TypeTree:
        self[node] = found = type_of(node, [self[x] for x in node.inputs], self.inputs)
        return found


def _reduce(node: Node, types: dict[Node, TypeTree]) -> Node:
    for identity in IDENTITIES.get(node.op, ()):
        simpler = identity(node, types.__getitem__)
        if simpler is not None and simpler not in types:
            types[simpler] = types[node]
        # an identity may not change the shape: x + 0 where 0 is stretched over x keeps it, a number + 0 does not
        if simpler is not None and types[simpler] == types[node]:
            return simpler
    return node


def _fold(node: Node, types: dict[Node, TypeTree], inputs: Sequence[TypeTree]) -> Node:
    """A constant for an op whose value is known: its operands are constants, or give only their shape."""
    op = TABLE.get(node.op)
    if op is None or node.op in RANDOM or not node.inputs:
        return node
    operands = []
    for i, x in enumerate(node.inputs):
        found = types[x]
        if x.op == "constant":
            operands.append(x.attrs["value"])
        elif i in SHAPE_ONLY.get(node.op, frozenset()) and isinstance(found, Type):
            operands.append(np.broadcast_to(np.float64(0), found.shape))
        else:
            return node
    result = types[node]
    if not isinstance(result, Type) or prod(result.shape) > FOLDED:
        return node
    try:
        with np.errstate(all="ignore"):
            value = op.forward(*operands_of(op, operands, np.float64), **node.attrs)
    except (ValueError, IndexError, TypeError, FluxError):
        return node  # it fails where it runs, with its place in the model
    folded = constant(np.array(value))
    types.setdefault(folded, type_of(folded, (), inputs))
    return folded


def _value_number(node: Node) -> Hashable:
    """Equal for nodes that have the same value in every run."""
    if node.op == "constant":
        value = node.attrs["value"]
        return ("constant", value.dtype.str, value.shape, value.tobytes())
    if node.op == "param":
        return ("param", id(node.attrs["param"]))
    if node.op in ("call", "call_back", "scan"):
        return node  # an opaque call may have effects; equal scans were merged when they were made
    return (node.op, *(id(parent) for parent in node.inputs), *(_hashable(item) for item in node.attrs.items()))


def _hashable(value: Any) -> Hashable:
    if isinstance(value, tuple | list):
        return tuple(_hashable(part) for part in value)
    if isinstance(value, slice):
        return ("slice", value.start, value.stop, value.step)
    return value  # type: ignore[no-any-return]  # numbers and strings
