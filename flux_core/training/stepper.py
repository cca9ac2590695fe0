"""One step of training: the loss, its gradients, and the update of all Params.

(x..., y) ──▶ model ──▶ prediction ──▶ loss       one graph, with the gradients of all Params as outputs
                                        │
arena.x  ◀── optimiser loop ◀── arena.g ◀┘
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data import Examples
from flux_core.engine import fused_update, gradient_norm
from flux_core.engine.arena import Arena
from flux_core.errors import Diverged
from flux_core.interpreter import interpret
from flux_core.ir import Graph
from flux_core.model import parameters
from flux_core.ops import EVALUATION, Run
from flux_core.optim import Optimizer
from flux_core.passes import simplify
from flux_core.passes.infer import type_of_value
from flux_core.training.graph import training_graph
from flux_core.training.plan import Loss


class Stepper:
    """Trains a model on minibatches it is given; the Params of the model move into an arena."""

    def __init__(
        self,
        model: Any,
        loss: Loss,
        optimizer: Optimizer,
        arity: int = 1,
        *,
        carry: bool = False,
        padded: Examples | None = None,
    ) -> None:
        self.params = parameters(model)
        self.arena = Arena(self.params)
        self.optimizer = optimizer
        self.state = optimizer.init(self.arena.x.size, self.arena.dtype)
        self.graph = training_graph(model, loss, arity, carry=carry, padded=padded)
        self.carried: list[NDArray[Any]] = []  # the states of a recurrent model behind the last step of training
        self._simplified: dict[Any, Graph] = {}
        self._names = {id(p): name for name, p in self.params.items()}

    @cached_property
    def _update(self) -> Any:
        """The compiled loop; a float64 model is for checks and takes the same steps in NumPy."""
        return fused_update(self.optimizer) if self.arena.dtype == np.float32 else self.optimizer.update

    @cached_property
    def _norm(self) -> Callable[[NDArray[Any]], float]:
        return gradient_norm if self.arena.dtype == np.float32 else _norm

    def step(
        self,
        xs: Sequence[Any],
        y: Any,
        *,
        learning_rate: float,
        run: Run,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        first: bool = False,
        lengths: NDArray[np.int64] | None = None,
    ) -> tuple[float, Any]:
        """Take one step and return the loss before it and the prediction; `first`: carried states begin anew.

        `lengths` are those of sequences that are padded.

        Raises Diverged, before the update, when the loss or a gradient is NaN or infinite.
        """
        inputs = self._inputs(_given(xs, y, lengths), self.carried, first)
        loss, prediction, found, _, states = interpret(self._for(self.graph.step, inputs), inputs, run=run)
        if not isfinite(loss):
            raise Diverged(run.step + 1)
        self._gather(found)
        norm = self._norm(self.arena.g)
        if not isfinite(norm):
            raise Diverged(run.step + 1, "gradient")
        scale = min(1.0, clip_norm / norm) if clip_norm is not None and norm > 0 else 1.0
        self.carried = list(states)
        self.state = self._update(
            self.state,
            self.arena.x,
            self.arena.g,
            learning_rate=learning_rate,
            scale=scale,
            clip_value=clip_value,
            decayed=self.arena.decayed,
        )
        return float(loss), prediction

    def evaluate(
        self, xs: Sequence[Any], y: Any, carried: Sequence[Any] = (), lengths: NDArray[np.int64] | None = None
    ) -> tuple[float, Any, list[Any]]:
        """The loss, the prediction and the states to go on from, nothing trained; without `carried` from the first."""
        inputs = self._inputs(_given(xs, y, lengths), carried, not carried)
        loss, prediction, states = interpret(self._for(self.graph.forward, inputs), inputs, run=EVALUATION)
        return float(loss), prediction, list(states)

    def _inputs(self, given: tuple[Any, ...], carried: Sequence[Any], first: bool) -> tuple[Any, ...]:
        """The inputs of the graph; the states of a first minibatch are zeros."""
        if not self.graph.initial:
            return given
        if first or not carried:
            types = self.graph.state_types([type_of_value(value) for value in given])
            return (*given, np.ones((), self.arena.dtype), *(np.zeros(kind.shape, self.arena.dtype) for kind in types))
        return (*given, np.zeros((), self.arena.dtype), *carried)

    def _gather(self, found: Sequence[NDArray[Any]]) -> None:
        """Bring the gradients into the arena: the graph's outputs, and what opaque models gathered themselves."""
        for p, d in zip(self.graph.params, found, strict=True):
            self.arena.view(self.arena.g, self._names[id(p)])[...] = d
        in_graph = {id(p) for p in self.graph.params}
        for name, p in self.params.items():
            if id(p) not in in_graph or p.dx.any():
                self.arena.view(self.arena.g, name)[...] += p.dx
                p.dx[...] = 0

    def _for(self, graph: Graph, inputs: Sequence[Any]) -> Graph:
        """The graph simplified for inputs of these types."""
        types = tuple(type_of_value(value) for value in inputs)
        key = (graph is self.graph.step, types)
        if key not in self._simplified:
            # the shapes behind an opaque call are known only by running it, which may have effects
            self._simplified[key] = graph if self.graph.opaque else simplify(graph, types)
        return self._simplified[key]


def _given(xs: Sequence[Any], y: Any, lengths: NDArray[np.int64] | None) -> tuple[Any, ...]:
    return (*xs, y) if lengths is None else (*xs, y, lengths)


def _norm(g: NDArray[Any]) -> float:
    return sqrt(float(np.dot(g, g)))
