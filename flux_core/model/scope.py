"""What a formula sees while it is traced: names, and behind each a node, a call or a delayed value.

    self.W        a Param          a leaf of the graph
    self.gate     a sub-model      call(gate, ...)
    self.y[-1]    a state          offset("y", -1, initial)
    self.y = v                     states["y"] = v

Nets and layers that are made from formulas are traced by the same scope.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.errors import GraphError
from flux_core.ir import Graph, Node, Param, Step, as_node, call, input_node, named, offset, pack
from flux_core.passes.atomise import name_of


class State:
    """A value that one step of a model hands to later ones, with its value before the first (no batch axis).

    `State(8)` and `State((8,))` begin with zeros, `State(array)` with the array; of a Param it is trained.

    >>> State((2, 3))
    State(2, 3)
    """

    def __init__(self, initial: Any) -> None:
        if isinstance(initial, int) or (isinstance(initial, tuple) and all(isinstance(n, int) for n in initial)):
            initial = np.zeros(initial, np.float32)
        self.initial: Param | NDArray[np.floating[Any]] = initial if isinstance(initial, Param) else _floats(initial)

    def __repr__(self) -> str:
        trained = ", trained" if isinstance(self.initial, Param) else ""
        return f"State({', '.join(map(str, self.initial.shape))}{trained})"


def _floats(value: Any) -> NDArray[np.floating[Any]]:
    array = np.asarray(value)
    return array if array.dtype.kind == "f" and hasattr(value, "dtype") else array.astype(np.float32)


class Delayed:
    """A state that has no value yet in this step: only `y[-1]` and older ones can be read."""

    def __init__(self, name: str, state: State) -> None:
        self.name = name
        initial = state.initial
        self.default = named(name, initial) if isinstance(initial, Param) else as_node(initial)

    def __getitem__(self, n: Any) -> Node:
        """The state as it was `-n` steps ago."""
        if not isinstance(n, int):
            raise GraphError(
                f"the state {self.name!r} is read with a number of steps, as in {self.name}[-1], not {n!r}"
            )
        if n > 0:
            raise GraphError(f"{self.name}[{n}] is a value of a later step; a step reads {self.name}[-1] or older")
        return offset(self.name, n, self.default)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse to stand for a value; raises GraphError."""
        raise GraphError(f"the state {self.name!r} is read before it is assigned; {self.name}[-1] is its last value")


class _Now(Node):
    """A state behind its assignment: its value in this step, of which `[-1]` is still the one before."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Node:
        delayed: Delayed = self.attrs["delayed"]
        return delayed[index] if isinstance(index, int) else super().__getitem__(index)


def _now(value: Node, delayed: Delayed) -> _Now:
    # an element of a tuple of one: `atomise` puts the value itself in its place
    return _Now("get", (pack(value),), MappingProxyType({"index": 0, "delayed": delayed}))


class Scope:
    """The names of a formula; `find` gives what a model holds under a name that is no state."""

    def __init__(self, find: Callable[[str], Any], states: Mapping[str, State]) -> None:
        for name, value in (
            ("_find", find),
            ("_delayed", {name: Delayed(name, declared) for name, declared in states.items()}),
            ("_assigned", {}),
        ):
            object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name in self._assigned:
            return _now(self._assigned[name], self._delayed[name])
        if name in self._delayed:
            return self._delayed[name]
        value = self._find(name)
        if isinstance(value, Param):
            return named(name, value)
        if callable(value) and not isinstance(value, type):
            return lambda *xs: call(value, *xs, step=Step(name, name_of(value)))
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._delayed:
            raise AttributeError(
                f"a net's forward cannot set self.{name}: what it computes is fixed when it is traced "
                f"(what later steps read is declared as {name}: State)"
            )
        node = as_node(value)
        if node.op == "tuple":
            raise GraphError(f"the state {name!r} is one array, not a tuple")
        self._assigned[name] = node

    def assigned(self) -> Mapping[str, Node]:
        """The new value of every state; raises GraphError for one that has none."""
        missing = [name for name in self._delayed if name not in self._assigned]
        if missing:
            raise GraphError(f"the state {missing[0]!r} is never assigned: forward must set it to its new value")
        return MappingProxyType({name: self._assigned[name] for name in self._delayed})


def arity_of(forward: Callable[..., Any]) -> int:
    """How many inputs a formula has: what has a default keeps it, so that `lambda x, w=w: x @ w` has one."""
    parameters = inspect.signature(forward).parameters.values()
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        raise TypeError("a net names its inputs one by one; *args have no fixed number")
    return sum(p.default is p.empty for p in parameters)


def trace(forward: Callable[..., Any], arity: int, scope: Scope | None = None, label: str = "") -> Graph:
    """The graph of a formula: the value of `forward` at nodes for its inputs, and the states that it assigned.

    Raises GraphError where it is no formula, or where a state of its scope is not assigned.
    """
    try:
        output = as_node(forward(*map(input_node, range(arity))))
        return Graph(output, arity, {} if scope is None else scope.assigned())
    except GraphError as problem:
        raise problem.within(label) from None
