"""Reductions over axes, and the ops that undo them.

    sum, mean, max     (…) -> (…) without `axis`        expand_like   puts the axes back
    sum_like           sums what broadcasting repeated  broadcast_like   repeats it

The `like` operand gives its shape and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from flux_core.errors import ShapeError
from flux_core.ops.arithmetic import equal
from flux_core.ops.op import NO_GRADIENT, REDUCTION, WHOLE, Array, Op, Shape, case, normal, same_as

Axis = int | tuple[int, ...] | None

REDUCE = [
    case(normal(3, 4)),
    case(normal(3, 4), axis=0),
    case(normal(2, 3, 4), axis=(0, -1)),
    case(normal(2, 3, 4), axis=1, keepdims=True),
    case(normal(3), axis=()),
]


def axes_of(axis: Axis, rank: int) -> tuple[int, ...]:
    """The axes as positive numbers, in order; None means all."""
    if axis is None:
        return tuple(range(rank))
    try:
        return tuple(sorted(normalize_axis_tuple(axis, rank)))
    except ValueError as problem:  # AxisError, or a repeated axis
        raise ShapeError(f"there is no axis {axis} in an array of {rank} axes ({problem})") from None


def reduced(x: Shape, *, axis: Axis, keepdims: bool) -> Shape:
    """The shape that is left when `axis` is reduced."""
    gone = axes_of(axis, len(x))
    if keepdims:
        return tuple(1 if i in gone else n for i, n in enumerate(x))
    return tuple(n for i, n in enumerate(x) if i not in gone)


def _sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims)


def _mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Any:
    # np.mean warns about an empty batch; this is NaN there without a word, like any other 0 / 0 in a graph
    return np.sum(x, axis=axis, keepdims=keepdims) / _count(x, axis=axis)


def _max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.max(x, axis=axis, keepdims=keepdims)


def _expand_like(x: Array, like: Array, *, axis: Axis = None, keepdims: bool = False) -> Any:
    if not keepdims:
        x = np.expand_dims(x, axes_of(axis, like.ndim))
    return np.broadcast_to(x, like.shape)


def _expand_shape(x: Shape, like: Shape, *, axis: Axis, keepdims: bool) -> Shape:
    if x != reduced(like, axis=axis, keepdims=keepdims):
        raise ShapeError(f"{x} is not {like} reduced over axis {axis}", shapes=(x, like))
    return like


def _sum_like(x: Array, like: Array) -> Any:
    extra = x.ndim - like.ndim
    stretched = tuple(i + extra for i, n in enumerate(like.shape) if n == 1 and x.shape[i + extra] != 1)
    return np.sum(x, axis=(*range(extra), *stretched)).reshape(like.shape)


def _sum_like_shape(x: Shape, like: Shape) -> Shape:
    try:
        fits = np.broadcast_shapes(x, like) == x
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{like} does not broadcast to {x}", shapes=(x, like))
    return like


def _broadcast_like_shape(x: Shape, like: Shape) -> Shape:
    _sum_like_shape(like, x)
    return like


def _per_row_shape(x: Shape, like: Shape, *, axis: int) -> Shape:
    if not -len(like) <= axis < len(like):
        raise ShapeError(f"there is no axis {axis} in {like}", shapes=(x, like))
    return (like[axis], *x)


def _count(x: Array, *, axis: Axis = None) -> Any:
    dtype = x.dtype if x.dtype.kind == "f" else np.float32
    return np.asarray(np.prod([x.shape[i] for i in axes_of(axis, x.ndim)], initial=1.0), dtype)


def _back_max(d: Any, y: Any, x: Any, *, axis: Axis, keepdims: bool) -> tuple[Any]:
    # equal maxima share the gradient
    chosen = equal(x, expand_like(y, x, axis=axis, keepdims=keepdims))
    share = d / sum_(chosen, axis=axis, keepdims=keepdims)
    return (chosen * expand_like(share, x, axis=axis, keepdims=keepdims),)


sum_: Op = Op(
    name="sum",
    forward=_sum,
    shape=reduced,
    back=lambda d, y, x, *, axis, keepdims: (expand_like(d, x, axis=axis, keepdims=keepdims),),
    kernel=REDUCTION,
    examples=REDUCE,
)

mean: Op = Op(
    name="mean",
    forward=_mean,
    shape=reduced,
    back=lambda d, y, x, *, axis, keepdims: (expand_like(d / count(x, axis=axis), x, axis=axis, keepdims=keepdims),),
    kernel=REDUCTION,
    examples=REDUCE,
)

max_: Op = Op(
    name="max",
    forward=_max,
    shape=reduced,
    back=_back_max,
    kernel=REDUCTION,
    examples=REDUCE[:-1],
)

expand_like: Op = Op(
    name="expand_like",
    forward=_expand_like,
    shape=_expand_shape,
    back=lambda d, y, x, like, *, axis, keepdims: (sum_(d, axis=axis, keepdims=keepdims), NO_GRADIENT),
    kernel=WHOLE,
    examples=[
        case(normal(), normal(3, 4)),
        case(normal(4), normal(3, 4), axis=0),
        case(normal(3), normal(2, 3, 4), axis=(0, -1)),
        case(normal(2, 1, 4), normal(2, 3, 4), axis=1, keepdims=True),
    ],
)

sum_like: Op = Op(
    name="sum_like",
    forward=_sum_like,
    shape=_sum_like_shape,
    back=lambda d, y, x, like: (broadcast_like(d, x), NO_GRADIENT),
    kernel=REDUCTION,
    examples=[
        case(normal(3, 4), normal(4)),
        case(normal(2, 3, 4), normal(3, 1)),
        case(normal(3, 4), normal()),
    ],
)

broadcast_like: Op = Op(
    name="broadcast_like",
    forward=lambda x, like: np.broadcast_to(x, like.shape),
    shape=_broadcast_like_shape,
    back=lambda d, y, x, like: (sum_like(d, x), NO_GRADIENT),
    kernel=WHOLE,
    examples=[
        case(normal(4), normal(3, 4)),
        case(normal(3, 1), normal(2, 3, 4)),
        case(normal(), normal(3, 4)),
    ],
)

count: Op = Op(
    name="count",
    forward=_count,
    shape=lambda x, *, axis: (axes_of(axis, len(x)), ())[1],
    back=lambda d, y, x, *, axis: (NO_GRADIENT,),
    kernel=WHOLE,
    examples=[case(normal(3, 4)), case(normal(2, 3, 4), axis=(0, -1))],
)

zeros_like: Op = Op(
    name="zeros_like",
    forward=lambda x: np.zeros(x.shape, x.dtype if x.dtype.kind == "f" else np.float32),
    shape=same_as(0),
    back=lambda d, y, x: (NO_GRADIENT,),
    kernel=WHOLE,
    examples=[case(normal(3, 4)), case(normal())],
)

per_row: Op = Op(  # a value of one example for each index of `axis` of `like`: (...) -> (n, ...)
    name="per_row",
    forward=lambda x, like, *, axis=0: np.broadcast_to(x, (like.shape[axis], *x.shape)),
    shape=_per_row_shape,
    back=lambda d, y, x, like, *, axis: (sum_(d, axis=0), NO_GRADIENT),
    kernel=WHOLE,
    examples=[case(normal(4), normal(3, 2)), case(normal(2, 3), normal(5, 4, 1), axis=1), case(normal(), normal(2))],
)
