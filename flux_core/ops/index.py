"""Ops that read ids, int64 arrays that never pass through floats: rows of a table, one value of each row, one-hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.errors import ShapeError
from flux_core.ops.op import NO_GRADIENT, WHOLE, Array, Op, Shape, case, ids, normal


def _scatter(d: Array, rows: Array, like: Array) -> Any:
    table = np.zeros(like.shape, d.dtype)
    np.add.at(table, rows, d)
    return table


def _scatter_shape(d: Shape, rows: Shape, like: Shape) -> Shape:
    if d != _gather_shape(like, rows):
        raise ShapeError(f"rows {rows} of {like} are not {d}", shapes=(d, rows, like))
    return like


def _gather_shape(table: Shape, rows: Shape) -> Shape:
    if not table:
        raise ShapeError("a number has no rows to gather", shapes=(table, rows))
    return (*rows, *table[1:])


def _within(ids: Array, n: int) -> Array:
    """The ids, if all lie in [0, n): NumPy would count negative ones from the end."""
    if ids.size and not (ids.min() >= 0 and ids.max() < n):
        wrong = ids[(ids < 0) | (ids >= n)].flat[0]
        raise IndexError(f"the id {wrong} lies outside [0, {n})")
    return ids


def _gather(table: Array, rows: Array) -> Any:
    return table[_within(rows, len(table))]


def _pick(x: Array, column: Array) -> Any:
    _pick_shape(x.shape, column.shape)
    _within(column, x.shape[-1])
    return np.take_along_axis(x, column[..., None], axis=-1)[..., 0]


def _pick_shape(x: Shape, column: Shape) -> Shape:
    if not x or x[:-1] != column:
        raise ShapeError(f"one id is needed for each row of {x}, not ids {column}", shapes=(x, column))
    return column


def _unpick(d: Array, column: Array, like: Array) -> Any:
    whole = np.zeros(like.shape, d.dtype)
    np.put_along_axis(whole, column[..., None], d[..., None], axis=-1)
    return whole


def _unpick_shape(d: Shape, column: Shape, like: Shape) -> Shape:
    _pick_shape(like, column)
    if d != column:
        raise ShapeError(f"one value is needed for each id: {d}, {column}", shapes=(d, column, like))
    return like


def _onehot_op(x: Array, *, n: int) -> Any:
    return np.asarray(_within(x, n)[..., None] == np.arange(n), np.float32)


gather: Op = Op(  # row `rows[i]` of a table for every i
    name="gather",
    forward=_gather,
    shape=_gather_shape,
    back=lambda d, y, table, rows: (scatter(d, rows, table), NO_GRADIENT),
    kernel=WHOLE,
    examples=[case(normal(5, 3), ids(4, limit=5)), case(normal(5, 2), ids(2, 3, limit=5))],
)

scatter: Op = Op(  # adds each row of `d` to its row of a table of zeros, in the shape of `like`
    name="scatter",
    forward=_scatter,
    shape=_scatter_shape,
    back=lambda g, y, d, rows, like: (gather(g, rows), NO_GRADIENT, NO_GRADIENT),
    kernel=WHOLE,
    examples=[
        case(normal(4, 3), ids(4, limit=5), normal(5, 3)),
        case(normal(9, 2), ids(9, limit=2), normal(2, 2)),
    ],
)

pick: Op = Op(  # x[..., column]: one value of each row
    name="pick",
    forward=_pick,
    shape=_pick_shape,
    back=lambda d, y, x, column: (unpick(d, column, x), NO_GRADIENT),
    kernel=WHOLE,
    examples=[case(normal(4, 3), ids(4, limit=3)), case(normal(2, 3, 5), ids(2, 3, limit=5))],
)

unpick: Op = Op(
    name="unpick",
    forward=_unpick,
    shape=_unpick_shape,
    back=lambda g, y, d, column, like: (pick(g, column), NO_GRADIENT, NO_GRADIENT),
    kernel=WHOLE,
    examples=[case(normal(4), ids(4, limit=3), normal(4, 3))],
)

one_hot: Op = Op(
    name="one_hot",
    forward=_onehot_op,
    shape=lambda x, *, n: (*x, n),
    back=lambda d, y, x, *, n: (NO_GRADIENT,),
    kernel=WHOLE,
    examples=[case(ids(4, limit=3), n=3), case(ids(2, 3, limit=5), n=5)],
)
