"""exp and log of one float32, and the forms of them that lose nothing near 0 and 1.

    exp: x = n·ln 2 + r ──▶ polynomial in r ──▶ times 2^n       log: x = m·2^e ──▶ polynomial in m - 1 ──▶ plus e·ln 2

n comes out of the last bits of x / ln 2 + 1.5·2^23, where no digit behind the point has room, and is shifted
into the exponent. Polynomials are minimax fits (Remez) whose coefficients were rounded one after another, each
time fitting the rest anew; beside each stand its interval and its relative error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from flux_core.engine.kernels.bits import absolute, bits, fma, number, polynomial


def floats(*values: float) -> tuple[Any, ...]:
    """Coefficients as float32."""
    return tuple(np.float32(value) for value in values)


ZERO, QUARTER, HALF, ONE, TWO = floats(0, 0.25, 0.5, 1, 2)
INF, NAN = floats(np.inf, np.nan)
LN2, LN2_HI, LN2_LO = floats(0.6931472, 0.693145751953125, 1.42860682030941723e-6)
LOG2_E, HALF_LOG2_E = floats(1.442695, 0.72134752)
ROUND_127, ROUND_126 = floats(1.5 * 2**23 + 127, 1.5 * 2**23 + 126)
EXP_LEAST, EXP_MOST, EXPM1_LEAST = floats(-104.5, 89, -20)  # beyond them results are 0, inf and -1
TINY = np.float32(1e-10)  # below it expm1(x) and log1p(x) are x
LEAST_NORMAL, TWO_23 = floats(2.0**-126, 2.0**23)
SQRT_HALF = 0x3F3504F3  # its bits

# exp(r), |r| <= ln 2: 1.5e-8
EXP = floats(1, 1, 0.50000036, 0.16666618, 0.04166123, 0.008335935, 0.0014104778, 0.00019629751)
# (expm1(r) - r) / r², |r| <= ln 2 / 2: 1.4e-8 of expm1
EXPM1 = floats(0.5, 0.16666548, 0.041666828, 0.008366112, 0.001390043)
# (log1p(f) - f + f²/2) / f³, sqrt(1/2) - 1 <= f <= sqrt(2) - 1: 6e-9 of log1p
LOG = floats(0.3333333, -0.2500082, 0.20001242, -0.16623408, 0.14201577, -0.13159631, 0.12762262, -0.07636431)

function = njit(error_model="numpy", forceinline=True)


@function
def power_of_2(shifted: Any) -> Any:
    """2^n of n + ROUND_127: the last bits of that sum, n + 127, are the exponent of 2^n."""
    return number(np.int32(bits(shifted) << 23))


@function
def exp_within(x: Any) -> Any:
    """eˣ for EXP_LEAST <= x <= EXP_MOST, or NaN."""
    shifted = fma(x, HALF_LOG2_E, ROUND_127)  # n = 2m, and 2^2m in two steps: it may be no number
    m = shifted - ROUND_127
    r = fma(m, -TWO * LN2_LO, fma(m, -TWO * LN2_HI, x))
    scale = power_of_2(shifted)
    return polynomial(r, EXP) * scale * scale


@function
def exp(x: Any) -> Any:
    """eˣ."""
    x = EXP_LEAST if x < EXP_LEAST else x
    return exp_within(EXP_MOST if x > EXP_MOST else x)


@function
def exp_minus(x: Any) -> Any:
    """exp(-|x|)."""
    y = -absolute(x)
    return exp_within(EXP_LEAST if y < EXP_LEAST else y)


@function
def expm1(x: Any) -> Any:
    """eˣ - 1."""
    clipped = EXPM1_LEAST if x < EXPM1_LEAST else x
    clipped = EXP_MOST if clipped > EXP_MOST else clipped
    shifted = fma(clipped, LOG2_E, ROUND_126)
    n = shifted - ROUND_126
    r = fma(n, -LN2_LO, fma(n, -LN2_HI, clipped))
    half_scale = power_of_2(shifted)  # half, as 2^128 is no number
    y = fma(r * r, polynomial(r, EXPM1), r)
    y = TWO * fma(half_scale, y, half_scale - HALF)
    return x if absolute(x) < TINY else y


@function
def expm1_near(x: Any) -> Any:
    """exp(x) - 1 for |x| <= 20, or NaN."""
    shifted = fma(x, LOG2_E, ROUND_127)
    r = fma(shifted - ROUND_127, -LN2, x)
    scale = power_of_2(shifted)
    return fma(scale, fma(r * r, polynomial(r, EXPM1), r), scale - ONE)


@function
def log_of(f: Any, e: Any) -> Any:
    """log((1 + f)·2^e), sqrt(1/2) <= 1 + f <= sqrt(2)."""
    ff = f * f
    tail = fma(ff * f, polynomial(f, LOG), e * LN2_LO)
    return fma(e, LN2_HI, fma(-HALF, ff, tail) + f)


@function
def exponent(x: Any) -> Any:
    """The bits that 2^e adds to those of m, where x = m·2^e and sqrt(1/2) <= m < sqrt(2)."""
    return np.int32((bits(x) - SQRT_HALF) & -0x800000)


@function
def log_special(x: Any, y: Any) -> Any:
    """What log(x) is: y for a number above zero."""
    y = y if x < INF else x
    y = y if x > ZERO or x != x else -INF
    return NAN if x < ZERO else y


@function
def log(x: Any) -> Any:
    """The natural logarithm."""
    normal = x if x >= LEAST_NORMAL else x * TWO_23
    e = exponent(normal)
    less = ZERO if x >= LEAST_NORMAL else np.float32(-23)
    f = number(np.int32(bits(normal) - e)) - ONE
    return log_special(x, log_of(f, np.float32(e >> 23) + less))


@function
def log1p(x: Any) -> Any:
    """log(1 + x)."""
    u = x + ONE
    e = exponent(u)
    scale = number(np.int32(0x40800000 - e))  # 4·2^-e: 2^-128 is no normal number
    f = fma(x * QUARTER, scale, fma(QUARTER, scale, -ONE))
    return x if absolute(x) < TINY else log_special(u, log_of(f, np.float32(e >> 23)))
