"""Activations, element by element, each written so that no intermediate value overflows; softmax and its logarithm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flux_core.errors import ShapeError
from flux_core.ops.arithmetic import exp, greater, where
from flux_core.ops.index import pick
from flux_core.ops.op import (
    NO_GRADIENT,
    WHOLE,
    Array,
    Op,
    Shape,
    case,
    elementwise,
    extreme,
    ids,
    normal,
    same_as,
)
from flux_core.ops.reduce import expand_like, sum_

UNARY = [case(normal(3, 4)), case(normal()), case(extreme(12))]
ROWS = [case(normal(3, 5)), case(normal(2, 3, 4), axis=1), case(normal(6))]

tanh: Op = Op(
    name="tanh",
    forward=lambda x: np.tanh(x),
    shape=same_as(0),
    back=lambda d, y, x: (d * (1.0 - y * y),),
    kernel=elementwise("tanh(x)"),
    examples=UNARY,
)

sigmoid: Op = Op(
    name="sigmoid",
    forward=lambda x: 0.5 * (np.tanh(0.5 * x) + 1.0),
    shape=same_as(0),
    back=lambda d, y, x: (d * y * (1.0 - y),),
    kernel=elementwise("sigmoid(x)"),
    examples=UNARY,
)

relu: Op = Op(
    name="relu",
    forward=lambda x: np.maximum(x, 0),
    shape=same_as(0),
    back=lambda d, y, x: (d * greater(y, 0.0),),  # by y, so that nothing keeps x
    kernel=elementwise("maximum(x, 0)"),
    examples=UNARY,
)


def _leaky_relu(x: Array, *, slope: float = 0.01) -> Any:
    return np.where(x > 0, x, slope * x)


leaky_relu: Op = Op(
    name="leaky_relu",
    forward=_leaky_relu,
    shape=same_as(0),
    back=lambda d, y, x, *, slope: (d * where(greater(x, 0.0), 1.0, slope),),
    kernel=elementwise("x if x > 0 else slope * x"),
    examples=[*UNARY, case(normal(3, 4), slope=0.3)],
)


def _elu(x: Array, *, alpha: float = 1.0) -> Any:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


elu: Op = Op(
    name="elu",
    forward=_elu,
    shape=same_as(0),
    # below zero y + alpha = alpha * exp(x), which costs no second exp but loses its last bits near -alpha
    back=lambda d, y, x, *, alpha: (d * where(greater(y, 0.0), 1.0, y + alpha),),
    kernel=elementwise("x if x > 0 else alpha * expm1(x)"),
    examples=[*UNARY, case(normal(3, 4), alpha=0.7)],
)


def _erf(x: Array) -> Any:
    from scipy.special import erf  # 0.1 s to import: only models with a gelu pay it

    return erf(x)


erf: Op = Op(
    name="erf",
    forward=_erf,
    shape=same_as(0),
    back=lambda d, y, x: (d * (2.0 / np.sqrt(np.pi)) * exp(-x * x),),
    kernel=elementwise("erf(x)"),
    examples=UNARY,
)


def _gelu(x: Array) -> Any:
    return x * (0.5 * (1.0 + _erf(x * 0.5**0.5)))


# x Φ(x), with the exact normal distribution function Φ (Hendrycks and Gimpel 2016); its slope is Φ(x) + x φ(x)
gelu: Op = Op(
    name="gelu",
    forward=_gelu,
    shape=same_as(0),
    back=lambda d, y, x: (d * (0.5 * (1.0 + erf(x * 0.5**0.5)) + x * exp(-0.5 * x * x) * (2.0 * np.pi) ** -0.5),),
    kernel=elementwise("x * (0.5 * (1 + erf(x * 0.7071067811865476)))"),
    examples=[case(normal(3, 4)), case(normal())],
)

silu: Op = Op(
    name="silu",
    forward=lambda x: x * (0.5 * (np.tanh(0.5 * x) + 1.0)),
    shape=same_as(0),
    back=lambda d, y, x: (d * (sigmoid(x) + y * (1.0 - sigmoid(x))),),
    kernel=elementwise("x * sigmoid(x)"),
    examples=[case(normal(3, 4)), case(normal())],
)

softplus: Op = Op(
    name="softplus",
    forward=lambda x: np.logaddexp(x, np.zeros_like(x)),
    shape=same_as(0),
    back=lambda d, y, x: (d * sigmoid(x),),
    kernel=elementwise("maximum(x, 0) + log1p(exp(-absolute(x)))"),
    examples=UNARY,
)


def _softmax(x: Array, *, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))  # the maximum is taken out: exp overflows float32 above 88
    return e / e.sum(axis=axis, keepdims=True)


def _log_softmax(x: Array, *, axis: int = -1) -> Any:
    z = x - x.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))


softmax: Op = Op(
    name="softmax",
    forward=_softmax,
    shape=same_as(0),
    back=lambda d, y, x, *, axis: (y * (d - sum_(d * y, axis=axis, keepdims=True)),),
    kernel=WHOLE,
    examples=ROWS,
)

log_softmax: Op = Op(
    name="log_softmax",
    forward=_log_softmax,
    shape=same_as(0),
    back=lambda d, y, x, *, axis: (d - exp(y) * sum_(d, axis=axis, keepdims=True),),
    kernel=WHOLE,
    examples=ROWS,
)


def _softmax_cross_entropy(z: Array, column: Array) -> Any:
    return -pick.forward(_log_softmax(z), column)


def _softmax_cross_entropy_back(d: Array, z: Array, column: Array) -> Any:
    p = _softmax(z)
    own = pick.forward(p, column)[..., None]
    np.put_along_axis(p, column[..., None], own - 1, axis=-1)
    return d[..., None] * p


def _rows_of(z: Shape, column: Shape) -> Shape:
    if not z or z[:-1] != column:
        raise ShapeError(f"one id is needed for each row of {z}, not ids {column}", shapes=(z, column))
    return column


def _second_back(g: Any, y: Any, d: Any, z: Any, column: Any) -> Sequence[Any]:
    p = softmax(z)
    gd = g * expand_like(d, z, axis=-1)
    by_d = sum_(g * p, axis=-1) - pick(g, column)
    return (by_d, p * (gd - sum_(gd * p, axis=-1, keepdims=True)), NO_GRADIENT)


# -log softmax(z)[column] for each row of logits: what a classification pays
softmax_cross_entropy: Op = Op(
    name="softmax_cross_entropy",
    forward=_softmax_cross_entropy,
    shape=_rows_of,
    back=lambda d, y, z, column: (softmax_cross_entropy_back(d, z, column), NO_GRADIENT),
    kernel=WHOLE,
    examples=[case(normal(4, 3), ids(4, limit=3)), case(normal(2, 3, 5), ids(2, 3, limit=5))],
)

# its gradient, d (softmax(z) - one_hot(column)), without the probabilities in between
softmax_cross_entropy_back: Op = Op(
    name="softmax_cross_entropy_back",
    forward=_softmax_cross_entropy_back,
    shape=lambda d, z, column: (_rows_of(z, column), z)[1],
    back=_second_back,
    kernel=WHOLE,
    examples=[case(normal(4), normal(4, 3), ids(4, limit=3)), case(normal(2, 3), normal(2, 3, 5), ids(2, 3, limit=5))],
)
