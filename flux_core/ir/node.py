"""Nodes and graphs. `x @ W + b` on nodes builds

    input ──┐
    param ──┴─ matmul ──┐
    param ──────────────┴─ add

A node never changes; a graph is rewritten by building another one. Two nodes are the same value only if they
are the same object. Leaves: `input` (index), `constant` (value), `param` (param). Structure: `tuple`, `get`
(index), and `call` (model), which enters a sub-model or, where it has no graph, runs it as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import EllipsisType, MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from flux_core.errors import GraphError
from flux_core.ir.param import Param

NO_ATTRS: Mapping[str, Any] = MappingProxyType({})

# the length of a tuple that a formula iterates over; unrolling knows it
tuple_length: ContextVar[int | None] = ContextVar("tuple_length", default=None)


class Step(NamedTuple):
    """One step of a layer path: the name of a part and the type of what stands there."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a node came from: the layers that lead to it, and the place in a spec, where there is one."""

    steps: tuple[Step, ...] = ()
    place: str | None = None

    @property
    def path(self) -> str:
        """The dotted layer path, such as `1.second`."""
        return ".".join(step.name for step in self.steps if step.name)

    def within(self, outer: Origin) -> Origin:
        """The same origin seen from a larger model, of which it is the part at `outer`; the innermost place wins."""
        return Origin(outer.steps + self.steps, self.place or outer.place)

    def __str__(self) -> str:
        return " -> ".join(f"{step.name}: {step.kind}" if step.name else step.kind for step in self.steps)


NOWHERE = Origin()

# NumPy's name of a ufunc -> the op it stands for, so that `np.tanh(node)` and `array @ node` build nodes
UFUNCS = {
    "add": "add",
    "subtract": "subtract",
    "multiply": "multiply",
    "divide": "divide",
    "negative": "negative",
    "power": "power",
    "matmul": "matmul",
    "maximum": "maximum",
    "minimum": "minimum",
    "absolute": "absolute",
    "sign": "sign",
    "exp": "exp",
    "log": "log",
    "sqrt": "sqrt",
    "tanh": "tanh",
    "greater": "greater",
    "greater_equal": "greater_equal",
    "less": "less",
    "less_equal": "less_equal",
    "equal": "equal",
    "not_equal": "not_equal",
}


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Node:
    """One value in a graph: `op` applied to `inputs` with `attrs`.

    >>> x = input_node(0)
    >>> (x @ np.ones((2, 2)) + 1.0).op
    'add'
    """

    op: str
    inputs: tuple[Node, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=lambda: NO_ATTRS)
    origin: Origin = NOWHERE

    def __add__(self, other: Any) -> Node:
        return _binary("add", self, other)

    def __radd__(self, other: Any) -> Node:
        return _binary("add", other, self)

    def __sub__(self, other: Any) -> Node:
        return _binary("subtract", self, other)

    def __rsub__(self, other: Any) -> Node:
        return _binary("subtract", other, self)

    def __mul__(self, other: Any) -> Node:
        return _binary("multiply", self, other)

    def __rmul__(self, other: Any) -> Node:
        return _binary("multiply", other, self)

    def __truediv__(self, other: Any) -> Node:
        return _binary("divide", self, other)

    def __rtruediv__(self, other: Any) -> Node:
        return _binary("divide", other, self)

    def __matmul__(self, other: Any) -> Node:
        return _binary("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Node:
        return _binary("matmul", other, self)

    def __pow__(self, other: Any) -> Node:
        return _binary("power", self, other)

    def __rpow__(self, other: Any) -> Node:
        return _binary("power", other, self)

    def __gt__(self, other: Any) -> Node:
        return _binary("greater", self, other)

    def __ge__(self, other: Any) -> Node:
        return _binary("greater_equal", self, other)

    def __lt__(self, other: Any) -> Node:
        return _binary("less", self, other)

    def __le__(self, other: Any) -> Node:
        return _binary("less_equal", self, other)

    def __neg__(self) -> Node:
        return Node("negative", (self,))

    def __abs__(self) -> Node:
        return Node("absolute", (self,))

    def __getitem__(self, index: Any) -> Node:
        """`t[1]` is an element of a tuple; `x[:, 1:3]` is a slice of an array."""
        if isinstance(index, int):
            return get(self, index)
        parts = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(part, int | slice | EllipsisType) for part in parts):
            raise GraphError(f"a node is indexed by integers and slices, not by {index!r}; see `gather` for rows")
        return Node("slice", (self,), MappingProxyType({"index": parts}))

    def __iter__(self) -> Iterator[Node]:
        if self.op == "tuple":
            return iter(self.inputs)
        length = tuple_length.get()
        if length is None:
            raise GraphError(
                "the length of this tuple is not known while tracing; take its elements as x[0], x[1], ..."
            )
        return iter([get(self, i) for i in range(length)])

    def __bool__(self) -> bool:
        raise GraphError("a node has no truth value while tracing; use where(condition, a, b)")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs or ufunc.__name__ not in UFUNCS:
            return NotImplemented
        return Node(UFUNCS[ufunc.__name__], tuple(as_node(value) for value in inputs))

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles as what it was made from: a read-only mapping can be neither."""
        return _restored, (self.op, self.inputs, dict(self.attrs), self.origin)

    def __repr__(self) -> str:
        return f"<{self.op} node{f' of {self.origin}' if self.origin.steps else ''}>"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Graph:
    """A function of `arity` numbered inputs: everything its output needs.

    `states` are values that later steps of a recurrent model read as offsets, by name.
    """

    output: Node
    arity: int
    states: Mapping[str, Node] = field(default_factory=lambda: NO_ATTRS)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles as what it was made from, as nodes do."""
        return Graph, (self.output, self.arity, dict(self.states))

    def __repr__(self) -> str:
        states = f", states {', '.join(self.states)}" if self.states else ""
        return f"Graph({self.arity} inputs -> {self.output.op}{states})"


def _restored(op: str, inputs: tuple[Node, ...], attrs: dict[str, Any], origin: Origin) -> Node:
    return Node(op, inputs, MappingProxyType(attrs), origin)


def _binary(op: str, left: Any, right: Any) -> Node:
    return Node(op, (as_node(left), as_node(right)))


def input_node(index: int) -> Node:
    """The graph's input number `index`, from 0."""
    return Node("input", (), MappingProxyType({"index": index}))


def constant(value: Any) -> Node:
    """A fixed array or number, copied: a graph does not change when the array does."""
    return Node("constant", (), MappingProxyType({"value": np.array(value)}))


def as_node(value: Any) -> Node:
    """A node for any value that may stand in a formula: node, Param, tuple, array, number."""
    if isinstance(value, Node):
        return value
    if isinstance(value, Param):
        return Node("param", (), MappingProxyType({"param": value}))
    if isinstance(value, tuple):
        return pack(*value)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise GraphError(f"a {type(value).__name__} cannot stand in a graph: {value!r}")
    return constant(array)


def named(name: str, p: Param) -> Node:
    """A Param as the leaf that a model calls `name`: its path in the model ends in this name."""
    return Node("param", (), MappingProxyType({"param": p}), Origin((Step(name, "Param"),)))


def pack(*values: Any) -> Node:
    """A tuple of values as one value."""
    return Node("tuple", tuple(as_node(value) for value in values))


def get(value: Node, index: int) -> Node:
    """Element `index` of a tuple; of a tuple built in the graph, the element itself."""
    if value.op == "tuple" and index < len(value.inputs):
        return value.inputs[index]
    return Node("get", (value,), MappingProxyType({"index": index}))


def call(model: Any, *inputs: Any, step: Step | None = None, place: str | None = None) -> Node:
    """The value of a sub-model at `inputs`; `step` names its place in the larger model."""
    step = step or Step("", type(model).__name__)
    nodes = tuple(as_node(value) for value in inputs)
    return Node("call", nodes, MappingProxyType({"model": model}), Origin((step,), place))
