"""Ops that move values and compute nothing: reshape, transpose, slice, concat, and what undoes them."""

from __future__ import annotations

from math import prod
from types import EllipsisType
from typing import Any

import numpy as np

from flux_core.errors import ShapeError
from flux_core.ops.op import NO_GRADIENT, VIEW, WHOLE, Array, Op, Shape, case, normal
from flux_core.ops.reduce import zeros_like

Index = tuple[int | slice | EllipsisType, ...]


def _reshape_shape(x: Shape, *, shape: Shape, keep: int) -> Shape:
    kept, rest = x[:keep], tuple(shape)
    if keep > len(x) or rest.count(-1) > 1 or any(n < -1 for n in rest):
        raise ShapeError(f"{x} cannot be reshaped to {rest}, its first {keep} axes kept", shapes=(x, rest))
    have = prod(x[keep:])
    if -1 in rest:
        known = prod(n for n in rest if n != -1)
        if known and have % known == 0:
            rest = tuple(have // known if n == -1 else n for n in rest)
    if -1 in rest or prod(rest) != have:
        what = f"{have} values {x[keep:]}" if len(x) - keep != 1 else f"{have} values"
        wanted = " x ".join(map(str, shape))
        raise ShapeError(f"{what} cannot be reshaped to {wanted}", shapes=(x, (*kept, *shape)))
    return (*kept, *rest)


def _reshape(x: Array, *, shape: Shape, keep: int = 0) -> Any:
    if not x.size or keep > x.ndim:  # what NumPy finds ambiguous, or does not look at
        return x.reshape(_reshape_shape(x.shape, shape=shape, keep=keep))
    return x.reshape((*x.shape[:keep], *shape))


def _reshape_like_shape(x: Shape, like: Shape) -> Shape:
    if prod(x) != prod(like):
        raise ShapeError(f"{x} has not as many values as {like}", shapes=(x, like))
    return like


reshape: Op = Op(  # `keep` leading axes stay as they are (1: the batch axis)
    name="reshape",
    forward=_reshape,
    shape=_reshape_shape,
    back=lambda d, y, x, *, shape, keep: (reshape_like(d, x),),
    kernel=VIEW,
    examples=[
        case(normal(3, 4), shape=(2, 6)),
        case(normal(2, 3, 4), shape=(-1,), keep=1),
        case(normal(2, 12), shape=(3, -1), keep=1),
        case(normal(), shape=(1, 1)),
    ],
)

reshape_like: Op = Op(
    name="reshape_like",
    forward=lambda x, like: x.reshape(like.shape),
    shape=_reshape_like_shape,
    back=lambda d, y, x, like: (reshape_like(d, x), NO_GRADIENT),
    kernel=VIEW,
    examples=[case(normal(3, 4), normal(2, 6)), case(normal(1, 1), normal())],
)


# every axis behind the batch axis laid into one: (batch, ...) -> (batch, features)
flatten: Op = Op(
    name="flatten",
    forward=lambda x: _reshape(x, shape=(-1,), keep=1),
    shape=lambda x: _reshape_shape(x, shape=(-1,), keep=1),
    back=lambda d, y, x: (reshape_like(d, x),),
    kernel=VIEW,
    examples=[case(normal(2, 3, 4)), case(normal(3))],
)


def _expect(x: Array, *, shape: Shape) -> Any:
    _expect_shape(x.shape, shape=shape)
    return x


def _expect_shape(x: Shape, *, shape: Shape) -> Shape:
    if x[1:] != tuple(shape):
        raise ShapeError(f"an example has the shape {x[1:]}, where {tuple(shape)} was declared", shapes=(x, shape))
    return x


expect: Op = Op(  # x itself, once its axes behind the batch axis are those declared
    name="expect",
    forward=_expect,
    shape=_expect_shape,
    back=lambda d, y, x, *, shape: (d,),
    kernel=VIEW,
    examples=[case(normal(2, 3, 4), shape=(3, 4))],
)


def _expect_like(x: Array, like: Array) -> Any:
    _expect_like_shape(x.shape, like.shape)
    return x


def _expect_like_shape(x: Shape, like: Shape) -> Shape:
    if x != like:
        raise ShapeError(f"{x} and {like} should be one shape; reshape one of them", shapes=(x, like))
    return x


expect_like: Op = Op(  # x itself, once its shape is that of `like`: what is compared may not be broadcast
    name="expect_like",
    forward=_expect_like,
    shape=_expect_like_shape,
    back=lambda d, y, x, like: (d, NO_GRADIENT),
    kernel=VIEW,
    examples=[case(normal(3, 4), normal(3, 4)), case(normal(), normal())],
)


def order_of(axes: tuple[int, ...] | None, rank: int) -> tuple[int, ...]:
    """The order of all axes: None turns them round; axes that are not named stay behind those that are.

    >>> order_of((1, 0), 3), order_of(None, 3), order_of((0, -1, 1), 3)
    ((1, 0, 2), (2, 1, 0), (0, 2, 1))
    """
    if axes is None:
        return tuple(range(rank))[::-1]
    return (*(axis + rank if axis < 0 else axis for axis in axes), *range(len(axes), rank))


def _transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Any:
    return np.transpose(x, order_of(axes, x.ndim))


def _transpose_shape(x: Shape, *, axes: tuple[int, ...] | None) -> Shape:
    order = order_of(axes, len(x))
    if sorted(order) != list(range(len(x))):
        raise ShapeError(f"{axes} is not an order of the {len(x)} axes of {x}", shapes=(x,))
    return tuple(x[axis] for axis in order)


def _transpose_back(d: Any, y: Any, x: Any, *, axes: tuple[int, ...] | None) -> tuple[Any]:
    if axes is None:
        return (transpose(d),)
    order = order_of(axes, len(axes))
    return (transpose(d, axes=tuple(order.index(i) for i in range(len(order)))),)


transpose: Op = Op(
    name="transpose",
    forward=_transpose,
    shape=_transpose_shape,
    back=_transpose_back,
    kernel=WHOLE,
    examples=[
        case(normal(3, 4)),
        case(normal(2, 3, 4), axes=(1, 2, 0)),
        case(normal(2, 3, 4), axes=(0, -1, 1)),
        case(normal(2, 3, 4), axes=(1, 0)),
    ],
)


def _slice_shape(x: Shape, *, index: Index) -> Shape:
    try:
        return np.broadcast_to(np.zeros(()), x)[index].shape
    except IndexError as problem:
        raise ShapeError(f"{x} cannot be indexed by {index}: {problem}", shapes=(x,)) from None


def _unslice(d: Array, like: Array, *, index: Index) -> Any:
    whole = np.zeros(like.shape, d.dtype)
    whole[index] = d
    return whole


def _unslice_shape(d: Shape, like: Shape, *, index: Index) -> Shape:
    if d != _slice_shape(like, index=index):
        raise ShapeError(f"{d} is not {like} indexed by {index}", shapes=(d, like))
    return like


SLICES = [
    case(normal(4, 5), index=(slice(1, 3),)),
    case(normal(4, 5), index=(Ellipsis, slice(None, None, 2))),
    case(normal(4, 5), index=(slice(None), -1)),
]

slice_: Op = Op(
    name="slice",
    forward=lambda x, *, index: x[index],
    shape=_slice_shape,
    back=lambda d, y, x, *, index: (unslice(d, x, index=index),),
    kernel=VIEW,
    examples=SLICES,
)

unslice: Op = Op(  # zeros in the shape of `like`, but for the part that `index` names
    name="unslice",
    forward=_unslice,
    shape=_unslice_shape,
    back=lambda d, y, x, like, *, index: (slice_(d, index=index), NO_GRADIENT),
    kernel=WHOLE,
    examples=[
        case(normal(2, 5), normal(4, 5), index=(slice(1, 3),)),
        case(normal(4, 3), normal(4, 5), index=(Ellipsis, slice(None, None, 2))),
        case(normal(4), normal(4, 5), index=(slice(None), -1)),
    ],
)


def _concat(*xs: Array, axis: int = -1) -> Any:
    return np.concatenate(xs, axis=axis)


def _concat_shape(*xs: Shape, axis: int) -> Shape:
    rank = len(xs[0])
    if not -rank <= axis < rank:
        raise ShapeError(f"there is no axis {axis} in {xs[0]}", shapes=xs)
    axis %= rank
    rests = {x[:axis] + x[axis + 1 :] for x in xs}
    if len(rests) != 1 or any(len(x) != rank for x in xs):
        raise ShapeError(f"{', '.join(map(str, xs))} differ in more than axis {axis}", shapes=xs)
    return (*xs[0][:axis], sum(x[axis] for x in xs), *xs[0][axis + 1 :])


def _bounds(xs: tuple[Shape, ...], axis: int, part: int) -> Index:
    """Where operand `part` lies in the concatenation of arrays of shapes `xs`."""
    axis %= len(xs[0])
    start = sum(x[axis] for x in xs[:part])
    return (*[slice(None)] * axis, slice(start, start + xs[part][axis]))


def _concat_part(d: Array, *xs: Array, axis: int, part: int) -> Any:
    return d[_bounds(tuple(x.shape for x in xs), axis, part)]


def _concat_part_shape(d: Shape, *xs: Shape, axis: int, part: int) -> Shape:
    if d != _concat_shape(*xs, axis=axis):
        raise ShapeError(f"{d} is not the concatenation of {', '.join(map(str, xs))}", shapes=(d, *xs))
    return xs[part]


def _concat_part_back(d: Any, y: Any, whole: Any, *xs: Any, axis: int, part: int) -> tuple[Any, ...]:
    padded = concat(*(d if i == part else zeros_like(x) for i, x in enumerate(xs)), axis=axis)
    return (padded, *[NO_GRADIENT] * len(xs))


concat: Op = Op(
    name="concat",
    forward=_concat,
    shape=_concat_shape,
    back=lambda d, y, *xs, axis: tuple(concat_part(d, *xs, axis=axis, part=i) for i in range(len(xs))),
    kernel=WHOLE,
    examples=[case(normal(3, 4), normal(3, 2)), case(normal(1, 4), normal(2, 4), normal(3, 4), axis=0)],
)

concat_part: Op = Op(  # operand `part` of a concatenation of the others, cut out of the first operand
    name="concat_part",
    forward=_concat_part,
    shape=_concat_part_shape,
    back=_concat_part_back,
    kernel=VIEW,
    examples=[
        case(normal(3, 6), normal(3, 4), normal(3, 2), axis=-1, part=1),
        case(normal(3, 4), normal(1, 4), normal(2, 4), axis=0, part=0),
    ],
)
