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

from flux_core.interpreter import zeros_of
from flux_core.ir import Graph, Param, accumulate, as_node, call, graph, input_node, pack, rewrite, state
from flux_core.model.capacitor import Capacitor
from flux_core.model.model import Model, back, infer, runmodel, submodels, update
from flux_core.ops import sum_like
from flux_core.passes import atomise


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
        self.istate = self.ostate
        states, y = runmodel(self.model, tuple(state(h) for h in self.istate), *xs)
        self.ostate = list(states)
        return y

    def back(self, dy: Any, *xs: Any) -> Any:
        """The gradient of the inputs of the last call; it stops at the states that went in, unless they are Params."""
        states = tuple(state(h) for h in self.istate)
        no_gradient = tuple(zeros_of(state(h), np.result_type(state(h), np.float32)) for h in self.ostate)
        dstates, *dxs = back(self.model, (no_gradient, dy), states, *xs)
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

    def infer(self, *shapes: Any) -> Any:
        """The shape of y, from those of the inputs and the initial states."""
        return infer(self.model, tuple(np.shape(state(h)) for h in self.initial), *shapes)[1]

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
        return runmodel(self.model, tuple(state(h) for h in self.states), *xs)[1]


def stateless(m: Any) -> Any:
    """stateless(m) => the model that forgets: a Stateful begins every call from its initial states; a model with
    sub-models is made of theirs; anything else is itself."""
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
    entered = atomise(Graph(call(m.model, states, *inputs), len(inputs)))
    return Capacitor(Graph(rewrite([as_node(entered.output)[1]], lambda node, new: node)[0], len(inputs)))


def reset(m: Any) -> Any:
    """reset(m) => m: every Stateful in a model goes back to its initial states."""
    if isinstance(m, Stateful):
        m.reset()
    for part in submodels(m):
        reset(part)
    return m
