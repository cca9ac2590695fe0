"""Layers without Params: each is an op with its arguments fixed."""

from __future__ import annotations

from typing import Any

from flux_core import ops
from flux_core.ir import Graph, Node, input_node
from flux_core.layers.base import Layer


class OpLayer(Layer):
    """An op of one input with its attributes fixed, as a layer."""

    def apply(self, x: Node) -> Any:
        """The op at `x`."""
        raise NotImplementedError

    def lay(self) -> Graph:
        """One op."""
        return Graph(self.apply(input_node(0)), 1)


class Input(OpLayer):
    """Input(*shape): declares the shape of one example, without the batch axis."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def apply(self, x: Node) -> Any:
        """x, checked."""
        return ops.expect(x, shape=self.shape)

    def __repr__(self) -> str:
        return f"Input({', '.join(map(str, self.shape))})"


class Reshape(OpLayer):
    """Reshape(*shape): the axes behind the batch axis in another shape, of which one may be -1."""

    def __init__(self, *shape: int) -> None:
        self.shape = shape

    def apply(self, x: Node) -> Any:
        """x, reshaped."""
        return ops.reshape(x, shape=self.shape, keep=1)

    def __repr__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"


class Dropout(OpLayer):
    """Dropout(rate): sets values to 0 with this probability in training and scales the others up; else identity."""

    def __init__(self, rate: float = 0.5) -> None:
        if not 0 <= rate < 1:
            raise ValueError(f"a dropout rate lies in [0, 1), not at {rate}")
        self.rate = rate

    def apply(self, x: Node) -> Any:
        """x times a random mask."""
        return ops.dropout(x, self.rate)

    def __repr__(self) -> str:
        return f"Dropout({self.rate})"


class OneHot(OpLayer):
    """OneHot(n): ids in [0, n) as rows with a single 1: (batch, ...) -> (batch, ..., n)."""

    def __init__(self, n: int) -> None:
        self.n = n

    def apply(self, x: Node) -> Any:
        """The rows."""
        return ops.one_hot(x, n=self.n)

    def __repr__(self) -> str:
        return f"OneHot({self.n})"


class LeakyRelu(OpLayer):
    """LeakyRelu(slope): x above zero, slope·x below."""

    def __init__(self, slope: float = 0.01) -> None:
        self.slope = slope

    def apply(self, x: Node) -> Any:
        """leaky_relu(x)."""
        return ops.leaky_relu(x, slope=self.slope)

    def __repr__(self) -> str:
        return f"LeakyRelu({self.slope})"


class Elu(OpLayer):
    """Elu(alpha): x above zero, alpha·(exp(x) - 1) below (Clevert et al. 2016)."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def apply(self, x: Node) -> Any:
        """elu(x)."""
        return ops.elu(x, alpha=self.alpha)

    def __repr__(self) -> str:
        return f"Elu({self.alpha})"
