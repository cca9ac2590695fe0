"""Arithmetic, element by element, with broadcasting; comparisons, which give 0 or 1; `where`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from flux_core.ops.op import (
    NO_GRADIENT,
    Array,
    Op,
    broadcast,
    case,
    elementwise,
    extreme,
    normal,
    positive,
    same_as,
)

PAIRS = [case(normal(3, 4), normal(3, 4)), case(normal(3, 4), normal(4)), case(normal(2, 1, 4), normal(3, 1))]

add: Op = Op(
    name="add",
    forward=lambda x, y: np.add(x, y),
    shape=broadcast,
    back=lambda d, z, x, y: (d, d),
    kernel=elementwise("x + y"),
    examples=[*PAIRS, case(extreme(12), extreme(12))],
)

subtract: Op = Op(
    name="subtract",
    forward=lambda x, y: np.subtract(x, y),
    shape=broadcast,
    back=lambda d, z, x, y: (d, -d),
    kernel=elementwise("x - y"),
    examples=PAIRS,
)

multiply: Op = Op(
    name="multiply",
    forward=lambda x, y: np.multiply(x, y),
    shape=broadcast,
    back=lambda d, z, x, y: (d * y, d * x),
    kernel=elementwise("x * y"),
    examples=PAIRS,
)

divide: Op = Op(
    name="divide",
    forward=lambda x, y: np.divide(x, y),
    shape=broadcast,
    back=lambda d, z, x, y: (d / y, -d * z / y),
    kernel=elementwise("x / y"),
    examples=[*PAIRS, case(extreme(12), normal(12))],
)

negative: Op = Op(
    name="negative",
    forward=lambda x: np.negative(x),
    shape=same_as(0),
    back=lambda d, y, x: (-d,),
    kernel=elementwise("-x"),
    examples=[case(normal(3, 4)), case(extreme(12))],
)

power: Op = Op(
    name="power",
    forward=lambda x, y: np.power(x, y),
    shape=broadcast,
    # the slope of x ** 0 is 0, also at 0, where 0 * 0 ** -1 would be NaN; x ** y has no slope in y at x <= 0 that
    # is a real number: 0 there, as PyTorch and JAX have it
    back=lambda d, z, x, y: (
        d * y * power(x, where(equal(x, 0.0) * equal(y, 0.0), 1.0, y - 1.0)),
        d * z * log(where(greater(x, 0.0), x, 1.0)),
    ),
    kernel=elementwise("x ** y"),
    examples=[
        case(positive(3, 4), normal(3, 4)),
        case(positive(3, 4), normal()),
        case(positive(3, 1), normal(4)),
    ],
)

maximum: Op = Op(
    name="maximum",
    forward=lambda x, y: np.maximum(x, y),
    shape=broadcast,
    # both sides share the gradient of a tie
    back=lambda d, z, x, y: (
        d * (greater(x, y) + 0.5 * equal(x, y)),
        d * (less(x, y) + 0.5 * equal(x, y)),
    ),
    kernel=elementwise("maximum(x, y)"),
    examples=PAIRS,
)

minimum: Op = Op(
    name="minimum",
    forward=lambda x, y: np.minimum(x, y),
    shape=broadcast,
    back=lambda d, z, x, y: (
        d * (less(x, y) + 0.5 * equal(x, y)),
        d * (greater(x, y) + 0.5 * equal(x, y)),
    ),
    kernel=elementwise("minimum(x, y)"),
    examples=PAIRS,
)

absolute: Op = Op(
    name="absolute",
    forward=lambda x: np.absolute(x),
    shape=same_as(0),
    back=lambda d, y, x: (d * sign(x),),
    kernel=elementwise("absolute(x)"),
    examples=[case(normal(3, 4)), case(extreme(12))],
)

sign: Op = Op(
    name="sign",
    forward=lambda x: np.sign(x),
    shape=same_as(0),
    back=lambda d, y, x: (NO_GRADIENT,),
    kernel=elementwise("sign(x)"),
    examples=[case(normal(3, 4)), case(extreme(12))],
)

exp: Op = Op(
    name="exp",
    forward=lambda x: np.exp(x),
    shape=same_as(0),
    back=lambda d, y, x: (d * y,),
    kernel=elementwise("exp(x)"),
    examples=[case(normal(3, 4)), case(extreme(12))],
)

log: Op = Op(
    name="log",
    forward=lambda x: np.log(x),
    shape=same_as(0),
    back=lambda d, y, x: (d / x,),
    kernel=elementwise("log(x)"),
    examples=[case(positive(3, 4)), case(extreme(12))],
)

sqrt: Op = Op(
    name="sqrt",
    forward=lambda x: np.sqrt(x),
    shape=same_as(0),
    back=lambda d, y, x: (0.5 * d / y,),
    kernel=elementwise("sqrt(x)"),
    examples=[case(positive(3, 4)), case(extreme(12))],
)


def _comparison(name: str, compare: Callable[[Array, Array], Any], formula: str) -> Op:
    """A row that gives 1 where `compare` holds and 0 elsewhere, in the dtype of its operands."""
    return Op(
        name=name,
        forward=lambda x, y: np.asarray(compare(x, y), np.result_type(x, y)),
        shape=broadcast,
        back=lambda d, z, x, y: (NO_GRADIENT, NO_GRADIENT),
        kernel=elementwise(formula),
        examples=[*PAIRS, case(extreme(12), normal(12))],
    )


greater: Op = _comparison("greater", np.greater, "x > y")
greater_equal: Op = _comparison("greater_equal", np.greater_equal, "x >= y")
less: Op = _comparison("less", np.less, "x < y")
less_equal: Op = _comparison("less_equal", np.less_equal, "x <= y")
equal: Op = _comparison("equal", np.equal, "x == y")
not_equal: Op = _comparison("not_equal", np.not_equal, "x != y")

where: Op = Op(
    name="where",
    forward=lambda c, x, y: np.where(c != 0, x, y),
    shape=broadcast,
    back=lambda d, z, c, x, y: (NO_GRADIENT, where(c, d, 0.0), where(c, 0.0, d)),
    kernel=elementwise("x if c != 0 else y"),
    examples=[case(normal(3, 4), normal(3, 4), normal(4)), case(normal(4), normal(3, 1), normal())],
)
