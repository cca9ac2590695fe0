"""One step of training: the loss, its gradients, and the update of all Params.

(x..., y) ──▶ model ──▶ prediction ──▶ loss       one graph, with the gradients of all Params as outputs
                                        │
arena.x  ◀── optimiser loop ◀── arena.g ◀┘
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.engine import fused_update, gradient_norm
from flux_core.engine.arena import Arena
from flux_core.errors import Diverged
from flux_core.interpreter import interpret
from flux_core.ir import Graph, Step, as_node, call, constant, input_node, pack, topological
from flux_core.model import parameters
from flux_core.ops import EVALUATION, Run
from flux_core.optim import Optimizer
from flux_core.passes import Type, TypeTree, gradients, laid_out, simplify, verify
from flux_core.passes.atomise import name_of
from flux_core.training.plan import Loss


class Stepper:
    """Trains a model on minibatches it is given; the Params of the model move into an arena."""

    def __init__(self, model: Any, loss: Loss, optimizer: Optimizer, arity: int = 1) -> None:
        self.params = parameters(model)
        self.arena = Arena(self.params)
        self.optimizer = optimizer
        self.state = optimizer.init(self.arena.x.size, self.arena.dtype)
        # the compiled loop works on float32; a float64 model is for checks and takes the same steps in NumPy
        fused = self.arena.dtype == np.float32
        self._update = fused_update(optimizer) if fused else optimizer.update
        self._norm = gradient_norm if fused else _norm
        self._graph = verify(_training_graph(model, loss, arity))
        self._forward = Graph(pack(*self._graph.output.inputs[:2]), self._graph.arity)
        self._simplified: dict[Any, Graph] = {}
        self._in_graph = [node.attrs["param"] for node in _gradient_params(self._graph)]
        self._names = {id(p): name for name, p in self.params.items()}

    def step(
        self,
        xs: Sequence[Any],
        y: Any,
        *,
        learning_rate: float,
        run: Run,
        clip_norm: float | None = None,
        clip_value: float | None = None,
    ) -> tuple[float, Any]:
        """Take one step and return the loss before it and the prediction.

        Raises Diverged, before the update, when the loss or a gradient is NaN or infinite.
        """
        loss, prediction, (found, _) = interpret(self._for(self._graph, xs, y), (*xs, y), run=run)
        if not isfinite(loss):
            raise Diverged(run.step + 1)
        self._gather(found)
        norm = self._norm(self.arena.g)
        if not isfinite(norm):
            raise Diverged(run.step + 1, "gradient")
        scale = min(1.0, clip_norm / norm) if clip_norm is not None and norm > 0 else 1.0
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

    def evaluate(self, xs: Sequence[Any], y: Any) -> tuple[float, Any]:
        """The loss and the prediction, nothing trained."""
        loss, prediction = interpret(self._for(self._forward, xs, y), (*xs, y), run=EVALUATION)
        return float(loss), prediction

    def _gather(self, found: Sequence[NDArray[Any]]) -> None:
        """Bring the gradients into the arena: the graph's outputs, and what opaque models gathered themselves."""
        for p, d in zip(self._in_graph, found, strict=True):
            self.arena.view(self.arena.g, self._names[id(p)])[...] = d
        in_graph = {id(p) for p in self._in_graph}
        for name, p in self.params.items():
            if id(p) not in in_graph or p.dx.any():
                self.arena.view(self.arena.g, name)[...] += p.dx
                p.dx[...] = 0

    def _for(self, graph: Graph, xs: Sequence[Any], y: Any) -> Graph:
        """The graph simplified for inputs of these types."""
        types = tuple(_type_of(value) for value in (*xs, y))
        key = (graph is self._graph, types)
        if key not in self._simplified:
            opaque = any(node.op == "call" for node in topological(graph.output))
            # the shapes behind an opaque call are known only by running it, which may have effects
            self._simplified[key] = graph if opaque else simplify(graph, types)
        return self._simplified[key]


def _training_graph(model: Any, loss: Callable[[Any, Any], Any], arity: int) -> Graph:
    """(x..., y) -> (loss, prediction, (dps, dxs)); dxs only where an opaque call needs to be run backwards."""
    xs = [input_node(i) for i in range(arity)]
    prediction = call(model, *xs, step=Step("", name_of(model)))
    whole = laid_out(Graph(pack(as_node(loss(prediction, input_node(arity))), prediction), arity + 1))
    assert whole is not None  # a Graph has a graph
    value, prediction = whole.output.inputs
    nodes = topological(whole.output)
    leaves = [node for node in nodes if node.op == "param"]
    opaque = any(node.op == "call" for node in nodes)
    inputs = [node for node in nodes if node.op == "input" and node.attrs["index"] < arity] if opaque else []
    found = gradients(value, constant(1.0), [*leaves, *inputs])
    dps, dxs = found[: len(leaves)], found[len(leaves) :]
    return Graph(pack(value, prediction, pack(pack(*dps), pack(*dxs))), whole.arity)


def _gradient_params(graph: Graph) -> list[Any]:
    """The Param leaves in the order of their gradients in the output."""
    value, prediction, _ = graph.output.inputs
    return [node for node in topological(pack(value, prediction)) if node.op == "param"]


def _norm(g: NDArray[Any]) -> float:
    return sqrt(float(np.dot(g, g)))


def _type_of(value: Any) -> TypeTree:
    if isinstance(value, tuple):
        return tuple(_type_of(part) for part in value)
    array = np.asarray(value)
    return Type(array.shape, "float" if array.dtype.kind == "f" else "int")
