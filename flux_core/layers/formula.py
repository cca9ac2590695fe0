"""Layers that are made from a formula: named weights, states and sub-models, and a function that joins them.

    Formula(forward, {"W": Weight(("in", 8)), "U": Weight((8, 8)), "b": Weight((8,))}, {"h": Start((8,))})

    def forward(self, x):                              self.W is a leaf, self.h[-1] a delayed value, as in a net
        self.h = tanh(x @ self.W + self.h[-1] @ self.U + self.b)
        return self.h

A size may be a number, "in" (the last axis of the first input) or "in.NAME" (that of the input of that name), known
when the layer is built. A Formula with states is a step: `Recurrence(formula)` runs it along sequences, `unroll` lays
its steps side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from flux_core.errors import ShapeError
from flux_core.ir import Graph, param
from flux_core.ir.node import tuple_length
from flux_core.layers.base import Layer
from flux_core.layers.building import build_parts
from flux_core.layers.init import Draw, Init
from flux_core.model import State
from flux_core.model.scope import Scope, trace
from flux_core.passes import Type, TypeTree, shape_tree

Size = int | str


@dataclass(frozen=True)
class Weight:
    """A Param to be: its sizes, and its initialiser (None: glorot for two axes and more, else zeros)."""

    shape: tuple[Size, ...]
    init: Init | None = None


@dataclass(frozen=True)
class Start:
    """A state to be: the sizes of its value before the first step (no batch axis), and whether that is trained."""

    shape: tuple[Size, ...]
    init: Init = "zeros"
    trainable: bool = False


def _like(held: Any, value: Any) -> Any:
    """A value as what it takes the place of: a State stays one."""
    return State(value) if isinstance(held, State) and not isinstance(value, State) else value


class Formula(Layer):
    """Formula(forward, weights, states, models): a layer, or with states the step of one, from a formula.

    `forward(self, *inputs)` is traced with nodes; `inputs` names its inputs; `label` is what the layer is called.

    >>> double = Formula(lambda self, x: x @ self.W, {"W": Weight(("in", 2), "ones")}, label="Double")
    >>> double
    Double()
    """

    def __init__(
        self,
        forward: Callable[..., Any],
        weights: Mapping[str, Weight],
        states: Mapping[str, Start] | None = None,
        models: Mapping[str, Any] | None = None,
        *,
        inputs: Sequence[str] = ("x",),
        label: str = "Formula",
    ) -> None:
        self.forward = forward
        self.weights, self.states, self.models = dict(weights), dict(states or {}), dict(models or {})
        self.inputs = tuple(inputs)
        self.__name__ = label
        self._length: int | None = None
        self.held: dict[str, Any] | None = None  # Params, States and sub-models by name, once it is built

    def __getattr__(self, name: str) -> Any:
        """A weight, a state or a sub-model by its name, once the layer is built."""
        held = self.__dict__.get("held") or {}
        if name not in held:
            raise AttributeError(f"{self.__dict__.get('__name__', 'Formula')} has no {name!r}, or is not built yet")
        return held[name]

    def __setattr__(self, name: str, value: Any) -> None:
        """Replace a weight, a state or a sub-model, or set a field; the formula is traced anew."""
        held = self.__dict__.get("held") or {}
        if name in held:
            name, value = "held", {**held, name: _like(held[name], value)}
        super().__setattr__(name, value)

    @property
    def built(self) -> bool:
        """Whether the layer has its Params."""
        return self.held is not None

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Draw all weights for an input of this type, or for a tuple of the types of several."""
        types = (x,) if len(self.inputs) == 1 else x
        if isinstance(types, Type) or len(types) != len(self.inputs):
            raise ShapeError(f"{self!r} takes {len(self.inputs)} inputs, not {shape_tree(x)}", shapes=(shape_tree(x),))
        sizes = self._sizes(types)
        held: dict[str, Any] = dict(self.models)
        for name, weight in self.weights.items():
            shape = self._shape(weight.shape, sizes)
            init = weight.init if weight.init is not None else "glorot" if len(shape) > 1 else "zeros"
            held[name] = param(draw(name, shape, init))
        for name, start in self.states.items():
            value = draw(name, self._shape(start.shape, sizes), start.init)
            held[name] = State(param(value) if start.trainable else value)
        build_parts(self._traced(held), types, draw)
        self.held = held

    def graph(self) -> Graph:
        """The formula as a graph, traced anew where it may iterate over tuples of another length."""
        if self._length != tuple_length.get():
            self._length = tuple_length.get()  # forgets what was laid before
        return super().graph()

    def lay(self) -> Graph:
        """The formula, traced."""
        assert self.held is not None  # a layer is laid once it is built
        return self._traced(self.held)

    def _traced(self, held: Mapping[str, Any]) -> Graph:
        def find(name: str) -> Any:
            if name not in held:
                raise AttributeError(f"{self.__name__} has no weight, state or sub-model named {name!r}")
            return held[name]

        scope = Scope(find, {name: value for name, value in held.items() if isinstance(value, State)})
        return trace(partial(self.forward, scope), len(self.inputs), scope, self.__name__)

    def _sizes(self, types: Sequence[TypeTree]) -> dict[str, int]:
        """The sizes that the inputs decide, by name."""
        found: dict[str, int] = {}
        for name, kind in zip(self.inputs, types, strict=True):
            if isinstance(kind, Type) and kind.shape:
                found[f"in.{name}"] = kind.shape[-1]
                found.setdefault("in", kind.shape[-1])
        return found

    def _shape(self, sizes: Sequence[Size], known: Mapping[str, int]) -> tuple[int, ...]:
        unknown = [size for size in sizes if isinstance(size, str) and size not in known]
        if unknown:
            raise ShapeError(
                f"{self.__name__} has no size {unknown[0]!r}; its inputs give {', '.join(known) or 'none'}"
            )
        return tuple(known[size] if isinstance(size, str) else size for size in sizes)

    def __repr__(self) -> str:
        return f"{self.__name__}()"
