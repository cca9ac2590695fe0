"""Layers around recurrent ones: ids into vectors, and sequences into one vector.

ids (batch, steps) ─ embedding ─▶ (batch, steps, out) ─ lstm ─▶ (batch, steps, g) ─ last, time_mean ─▶ (batch, g)
"""

from __future__ import annotations

from typing import Any

from flux_core import ops
from flux_core.errors import ShapeError
from flux_core.ir import Graph, Node, Param, input_node, named, param
from flux_core.layers.base import Layer
from flux_core.layers.init import Draw, Init, default_draws
from flux_core.layers.simple import OpLayer
from flux_core.passes import Type, TypeTree, shape_tree


class Embedding(Layer):
    """Embedding(n=..., out=...): row i of W (n, out) for each id i of [0, n), (batch, ...) -> (batch, ..., out).

    >>> import numpy as np
    >>> Embedding(n=5, out=3)(np.array([[0, 4]])).shape
    (1, 2, 3)
    """

    def __init__(self, *, out: int, n: int, init: Init = "normal") -> None:
        if min(out, n) < 1:
            raise ValueError(f"sizes are 1 or more, not {n} and {out}")
        self.out, self.n, self.init = out, n, init
        self.W: Param | None = None

    @property
    def built(self) -> bool:
        """Whether W is there."""
        return self.W is not None

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Draw W."""
        self.W = param(draw("W", (self.n, self.out), self.init))

    def expect(self, x: TypeTree) -> None:
        """Ids only; raises ShapeError."""
        if not isinstance(x, Type) or x.kind != "int":
            raise ShapeError("an embedding takes ids, integers, not numbers", shapes=(shape_tree(x),))

    def graph(self) -> Graph:
        """Rows of W, which is drawn by now: its sizes do not depend on the input's."""
        if not self.built:
            self.build(Type(()), default_draws())
        return super().graph()

    def lay(self) -> Graph:
        """The rows."""
        assert self.W is not None  # `graph` sees to that
        return Graph(ops.gather(named("W", self.W), input_node(0)), 1)

    def __repr__(self) -> str:
        return f"Embedding(n={self.n}, out={self.out})"


class _OverSteps(OpLayer):
    """What makes one vector of all steps."""

    def expect(self, x: TypeTree) -> None:
        """Sequences only; raises ShapeError."""
        if not isinstance(x, Type) or len(x.shape) < 3:
            shape = shape_tree(x)
            raise ShapeError(f"{self!r} takes sequences (batch, steps, ...), not {shape}", shapes=(shape,))


class Last(_OverSteps):
    """Last(): the last step, (batch, steps, ...) -> (batch, ...).

    >>> import numpy as np
    >>> Last()(np.array([[[1.0], [2.0], [3.0]]]))
    array([[3.]])
    """

    def apply(self, x: Node) -> Any:
        """x[:, -1]"""
        return x[:, -1, :]


class TimeMean(_OverSteps):
    """TimeMean(): the mean over the steps, (batch, steps, ...) -> (batch, ...).

    >>> import numpy as np
    >>> TimeMean()(np.array([[[1.0], [2.0], [6.0]]]))
    array([[3.]])
    """

    def apply(self, x: Node) -> Any:
        """The mean of axis 1."""
        return ops.mean(x, axis=1)
