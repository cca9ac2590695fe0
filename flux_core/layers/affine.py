"""The affine layer, y = x W + b."""

from __future__ import annotations

from typing import Any

from flux_core.errors import ShapeError
from flux_core.ir import Graph, Param, input_node, named, param
from flux_core.layers.base import Layer
from flux_core.layers.init import Draw, Init, default_draws
from flux_core.passes import Type, TypeTree, shape_tree


class Affine(Layer):
    """Affine(n_in, n_out): x W + b, with W (n_in, n_out) and b (n_out,); Affine(n_out) takes n_in from its input.

    >>> Affine(4, 3).W
    Param(4, 3)
    """

    def __init__(
        self,
        *sizes: int,
        out: int | None = None,
        n_in: int | None = None,
        bias: bool = True,
        init: Init = "glorot",
        bias_init: Init = "zeros",
    ) -> None:
        given = [*sizes] + ([out] if out is not None else [])
        if not 1 <= len(given) <= 2 or (len(given) == 2 and n_in is not None):
            raise TypeError("Affine takes (n_out), (n_in, n_out), out=, n_in=")
        self.out = given[-1]
        self.n_in = given[0] if len(given) == 2 else n_in
        if self.out < 1 or (self.n_in is not None and self.n_in < 1):
            raise ValueError(f"sizes are 1 or more, not {given}")
        self.bias, self.init, self.bias_init = bias, init, bias_init
        self.W: Param | None = None
        self.b: Param | None = None
        if self.n_in is not None:
            self.build(Type((1, self.n_in)), default_draws())

    @classmethod
    def of(cls, W: Any, b: Any = None) -> Affine:
        """The layer with these Params or arrays: W (n_in, n_out), b (n_out,) or None."""
        weights = W if isinstance(W, Param) else param(W)
        layer = cls.__new__(cls)
        layer.n_in, layer.out = weights.shape
        layer.bias, layer.init, layer.bias_init = b is not None, "glorot", "zeros"
        layer.W, layer.b = weights, b if isinstance(b, Param) or b is None else param(b)
        return layer

    @property
    def built(self) -> bool:
        """Whether W is there."""
        return self.W is not None

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Draw W and b for inputs (..., n_in)."""
        shape = shape_tree(x)
        if not isinstance(x, Type) or not shape:
            raise ShapeError(f"an affine layer takes arrays of one axis or more, not {shape}", shapes=(shape,))
        if self.n_in is not None and self.n_in != shape[-1]:
            raise ShapeError(
                f"the layer before gives {shape[-1]} values, this one wants {self.n_in}; make the two agree, "
                f"or leave the input size out",
                shapes=(shape, (self.n_in, self.out)),
            )
        self.n_in = shape[-1]
        self.W = param(draw("W", (self.n_in, self.out), self.init))
        self.b = param(draw("b", (self.out,), self.bias_init)) if self.bias else None

    def lay(self) -> Graph:
        """x @ W + b."""
        assert self.W is not None  # a layer is laid once it is built
        y = input_node(0) @ named("W", self.W)
        return Graph(y if self.b is None else y + named("b", self.b), 1)

    def __repr__(self) -> str:
        return f"Affine({self.out})" if self.n_in is None else f"Affine({self.n_in}, {self.out})"
