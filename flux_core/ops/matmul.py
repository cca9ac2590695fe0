"""Matrix products. One product and its two transposed forms are closed under differentiation:

    matmul(x, w)           x @ w         (..., m, k) (k, n) -> (..., m, n)
    matmul_t(x, w)         x @ wᵀ        (..., m, n) (k, n) -> (..., m, k)
    matmul_w(x, dy, w)     Σ xᵀ @ dy     over all leading axes, to the shape of w

`w` has two axes, or more, which then broadcast against those of `x`; `x` may be a vector.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.errors import ShapeError
from flux_core.ops.op import NO_GRADIENT, WHOLE, Array, Op, Shape, case, normal
from flux_core.ops.reduce import sum_like


def _product_shape(x: Shape, w: Shape, wanted: int, given: int) -> Shape:
    """Shape of x @ w, where axis `wanted` of w meets the last of x and axis `given` is what it gives."""
    if len(x) < 1 or len(w) < 2:
        raise ShapeError(f"a product needs a vector or more and a matrix or more, not {x} and {w}", shapes=(x, w))
    if x[-1] != w[wanted]:
        raise ShapeError(
            f"x {x} does not fit W {w}: the last axis of x has {x[-1]} values, W takes {w[wanted]}",
            shapes=(x, w),
        )
    if len(w) == 2:
        return (*x[:-1], w[given])
    if len(x) < 2:
        raise ShapeError(f"a vector {x} does not fit a stack of matrices {w}", shapes=(x, w))
    try:
        return (*np.broadcast_shapes(x[:-2], w[:-2]), x[-2], w[given])
    except ValueError:
        raise ShapeError(f"the leading axes of {x} and {w} do not broadcast", shapes=(x, w)) from None


def _matmul(x: Array, w: Array) -> Any:
    if w.ndim < 2 or w.ndim > 2 > x.ndim:  # NumPy has a meaning for these; there is no gradient rule for it
        _product_shape(x.shape, w.shape, -2, -1)
    return np.matmul(x, w)


def _matmul_w(x: Array, dy: Array, w: Array) -> Any:
    if w.ndim == 2:
        return x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])
    return sum_like(np.swapaxes(x, -1, -2) @ dy, w)


def _matmul_w_shape(x: Shape, dy: Shape, w: Shape) -> Shape:
    if len(w) < 2 or w[-2:] != (x[-1], dy[-1]):
        raise ShapeError(f"xᵀ @ dy of {x} and {dy} is not {w}", shapes=(x, dy, w))
    return w


matmul: Op = Op(
    name="matmul",
    forward=_matmul,
    shape=lambda x, w: _product_shape(x, w, -2, -1),
    back=lambda d, y, x, w: (sum_like(matmul_t(d, w), x), matmul_w(x, d, w)),
    kernel=WHOLE,
    examples=[
        case(normal(3, 4), normal(4, 2)),
        case(normal(4), normal(4, 2)),
        case(normal(2, 3, 4), normal(4, 5)),
        case(normal(2, 3, 4), normal(2, 4, 5)),
        case(normal(3, 4), normal(2, 4, 5)),
        case(normal(2, 3, 4), normal(1, 4, 5)),
    ],
)

matmul_t: Op = Op(
    name="matmul_t",
    forward=lambda x, w: np.matmul(x, np.swapaxes(w, -1, -2)),
    shape=lambda x, w: _product_shape(x, w, -1, -2),
    back=lambda d, y, x, w: (sum_like(matmul(d, w), x), matmul_w(d, x, w)),
    kernel=WHOLE,
    examples=[
        case(normal(3, 4), normal(2, 4)),
        case(normal(4), normal(2, 4)),
        case(normal(2, 3, 4), normal(5, 4)),
        case(normal(2, 3, 4), normal(2, 5, 4)),
        case(normal(3, 4), normal(2, 5, 4)),
    ],
)

matmul_w: Op = Op(
    name="matmul_w",
    forward=_matmul_w,
    shape=_matmul_w_shape,
    back=lambda d, y, x, dy, w: (sum_like(matmul_t(dy, d), x), sum_like(matmul(x, d), dy), NO_GRADIENT),
    kernel=WHOLE,
    examples=[
        case(normal(3, 4), normal(3, 2), normal(4, 2)),
        case(normal(4), normal(2), normal(4, 2)),
        case(normal(2, 3, 4), normal(2, 3, 5), normal(4, 5)),
        case(normal(2, 3, 4), normal(2, 3, 5), normal(2, 4, 5)),
        case(normal(2, 3, 4), normal(2, 3, 5), normal(1, 4, 5)),
    ],
)
