"""Stateful models. A recurrent step `((h...), x) -> ((h...), y)` becomes a model of `x` that keeps `h` between calls.

      ┌───────────┐
h ───▶│   model   ├──▶ h'      istate: what went into the last call
x ───▶│           ├──▶ y       ostate: what came out of it, and goes into the next
      └───────────┘
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flux_core.interpreter import current_run, zeros_of
from flux_core.ir import Graph, Param, accumulate, call, get, graph, input_node, pack, state
from flux_core.model.capacitor import Capacitor
from flux_core.model.model import Model, back, output_type, runmodel, submodels, update
from flux_core.ops import sum_like
from flux_core.passes import Type, TypeTree
from flux_core.passes.infer import type_of_value


class Stateful(Model):
    """A model of a step and the states that it carries; an initial state may be a Param, and is then trained.

    >>> counter = Stateful(lambda h, x: ((h[0] + 1.0,), h[0] + x), [np.zeros(1)])
    >>> [float(counter(np.zeros(1))[0]) for _ in range(3)]
    [0.0, 1.0, 2.0]
    """

    def __init__(self, model: Any, istate: Sequence[Any], ostate: Sequence[Any] | None = None) -> None:
        self.model = model
        self.initial = list(istate if ostate is None else ostate)
        self.istate = list(istate)
        self.ostate = list(self.initial)

    def run(self, *xs: Any) -> Any:
        """One step: the states that came out of the last call go in."""
        repeats = current_run().repeats
        istate = self.istate if repeats else self.ostate
        states, y = runmodel(self.model, tuple(state(h) for h in istate), *xs)
        if not repeats:
            self.istate, self.ostate = istate, list(states)
        return y

    def back(self, dy: Any, *xs: Any) -> Any:
        """The gradient of the inputs of the last call; it stops at the states that went in, unless they are Params."""
        states = tuple(state(h) for h in self.istate)
        no_gradient = tuple(zeros_of(state(h), np.float32) for h in self.ostate)
        found = back(self.model, (no_gradient, dy), states, *xs)
        dstates, *dxs = found if xs else (found,)
        for h, dh in zip(self.istate, dstates, strict=True):
            if isinstance(h, Param):
                accumulate(h, sum_like(dh, h.x))
        return dxs[0] if len(dxs) == 1 else tuple(dxs)

    def update(self, eta: float) -> None:
        """Step the Params of the model and the initial states that are Params."""
        update(self.model, eta)
        for h in self.initial:
            if isinstance(h, Param):
                update(h, eta)

    def infer_types(self, *inputs: TypeTree) -> TypeTree:
        """The type of y, from those of the inputs and the initial states."""
        found = output_type(self.model, tuple(type_of_value(state(h)) for h in self.initial), *inputs)
        assert not isinstance(found, Type)  # the model gives (states, y)
        return found[1]

    def reset(self) -> None:
        """Go back to the initial states."""
        self.istate = list(self.initial)
        self.ostate = list(self.initial)

    def __repr__(self) -> str:
        return f"Stateful({self.model!r}, {len(self.initial)} states)"


class _FromInitialStates(Model):
    """The step of a model without a graph, always begun from the initial states."""

    def __init__(self, model: Any, states: Sequence[Any]) -> None:
        self.model = model
        self.states = list(states)

    def run(self, *xs: Any) -> Any:
        return self._step(*xs)[1]

    def back(self, dy: Any, *xs: Any) -> Any:
        no_gradient = zeros_of(self._step(*xs)[0], np.float32)
        found = back(self.model, (no_gradient, dy), tuple(state(h) for h in self.states), *xs)
        return found[1] if len(xs) == 1 else found[1:]

    def _step(self, *xs: Any) -> Any:
        return runmodel(self.model, tuple(state(h) for h in self.states), *xs)


def stateless(m: Any) -> Any:
    """stateless(m) => the model that forgets: a Stateful begins every call from its initial states, a SeqModel of
    one too; anything else is itself."""
    from flux_core.model.seqmodel import SeqModel

    if isinstance(m, SeqModel):
        return SeqModel(stateless(m.model), m.steps)
    if not isinstance(m, Stateful):
        return m
    body = graph(m.model)
    if body is None:
        return _FromInitialStates(m.model, m.initial)
    inputs = [input_node(i) for i in range(body.arity - 1)]
    states = pack(*(state(h) for h in m.initial))
    return Capacitor(Graph(get(call(m.model, states, *inputs), 1), len(inputs)))


def reset(m: Any) -> Any:
    """reset(m) => m: every Stateful in a model goes back to its initial states."""
    if isinstance(m, Stateful):
        m.reset()
    for part in submodels(m):
        reset(part)
    return m
