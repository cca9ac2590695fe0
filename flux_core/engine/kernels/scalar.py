"""Elementary functions of one float32, for the loops of kernels.

    exp(-|x|) ──▶ sigmoid, softplus        exp(x) - 1 ──▶ tanh, erf        log x, in two parts ──▶ power

No branch, no call, no float64: a loop over them becomes vectors of whatever width the machine has, and an
element gets the same bits wherever in the array it is. Accurate to 4 units in the last place over all of
float32, denormal results and the tails of tanh, sigmoid, erf and softplus included; zeros, infinities and NaN
as in NumPy. Of two zeros, maximum and minimum return either.

Imported by the text of kernels, that is, only while one is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.engine.kernels.bits import absolute, copysign, fma, polynomial, sqrt
from flux_core.engine.kernels.exponential import (
    HALF,
    ONE,
    TWO,
    ZERO,
    exp,
    exp_minus,
    expm1,
    expm1_near,
    floats,
    function,
    log,
    log1p,
    log_of,
)
from flux_core.engine.kernels.power import power

__all__ = [
    "absolute",
    "erf",
    "exp",
    "expm1",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "power",
    "sigmoid",
    "sign",
    "softplus",
    "sqrt",
    "tanh",
]


# log(1 - erf(x)) / x, 0 <= x <= 4: 5.2e-8 of erf
ERF = floats(
    -1.1283792, -0.6366153, -0.102826595, 0.019366473, -0.00028080877, -0.0011899342, 0.00035683537, -3.7141413e-05
)
SQRT_2_LESS_1 = np.float32(0.41421356)
TANH_MOST, ERF_MOST = floats(10, 4)  # beyond them tanh and erf are 1


@function
def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    a = absolute(x)
    e = expm1_near(-TWO * (TANH_MOST if a > TANH_MOST else a))
    return copysign(e / (TWO + e), x)


@function
def erf(x: Any) -> Any:
    """The error function, 2/sqrt(pi)·∫₀ˣ exp(-t²) dt."""
    a = absolute(x)
    a = ERF_MOST if a > ERF_MOST else a
    return copysign(expm1_near(a * polynomial(a, ERF)), x)


@function
def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x))."""
    e = exp_minus(x)
    return (e if x < ZERO else ONE) / (ONE + e)


@function
def softplus(x: Any) -> Any:
    """log(1 + exp(x))."""
    e = exp_minus(x)
    near_1 = e > SQRT_2_LESS_1
    f = fma(e, HALF, -HALF) if near_1 else e
    return log_of(f, ONE if near_1 else ZERO) + (x if x > ZERO else ZERO)


@function
def maximum(x: Any, y: Any) -> Any:
    """The larger of two numbers; NaN if one is."""
    larger = x if x > y else y
    return larger if x == x else x


@function
def minimum(x: Any, y: Any) -> Any:
    """The smaller of two numbers; NaN if one is."""
    smaller = x if x < y else y
    return smaller if x == x else x


@function
def sign(x: Any) -> Any:
    """-1, 0 or 1; NaN of NaN."""
    y = copysign(ONE, x)
    y = ZERO if x == ZERO else y
    return y if x == x else x
