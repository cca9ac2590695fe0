"""x to the power y, of float32.

    x ──▶ log|x| = hi + lo ──▶ y·log|x| = t + t_lo ──▶ exp(t)·(1 + t_lo) ──▶ sign, special values

An error of the logarithm grows with y·log|x|, up to a hundredfold, so it is carried in two float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.engine.kernels.bits import absolute, bits, copysign, fma, number, polynomial, truncate
from flux_core.engine.kernels.exponential import (
    HALF,
    INF,
    LEAST_NORMAL,
    LN2_HI,
    LN2_LO,
    NAN,
    ONE,
    TWO,
    TWO_23,
    ZERO,
    exp,
    exponent,
    floats,
    function,
)

# (atanh(q) / q - 1) / q², of q², |q| <= 0.1716: 3e-11 of atanh
ATANH = floats(0.3333333, 0.20000486, 0.14249393, 0.121396065)
MOST = np.float32(1e30)  # a y beyond it gives what it gives, without inf·0


@function
def power(x: Any, y: Any) -> Any:
    """x to the power y."""
    a = absolute(x)
    b = absolute(y)
    b = copysign(MOST if b > MOST else b, y)
    # log(a) = hi + lo = e·ln 2 + 2·atanh(q), q = (m - 1) / (m + 1)
    normal = a if a >= LEAST_NORMAL else a * TWO_23
    e_bits = exponent(normal)
    e = np.float32(e_bits >> 23) + (ZERO if a >= LEAST_NORMAL else np.float32(-23))
    m = number(np.int32(bits(normal) - e_bits))
    f = m - ONE
    r = ONE / (m + ONE)
    q = r * f
    q_lo = r * fma(q, -f, fma(q, -TWO, f))
    qq = q * q
    qq_lo = fma(q, q_lo + q_lo, fma(q, q, -qq))
    cube = qq * q
    cube_lo = fma(qq, q_lo, fma(qq_lo, q, fma(qq, q, -cube)))
    p = polynomial(qq, ATANH)
    rest = fma(p, cube, fma(p, cube_lo, q_lo))
    twice = TWO * q
    sum_ = fma(e, LN2_HI, twice)
    lost = fma(-LN2_HI, e, sum_)
    rest = fma(e, LN2_LO, fma(TWO, rest, twice - lost))
    hi = sum_ + rest
    lo = (sum_ - hi) + rest
    # exp(log(a)·b)
    t = hi * b
    t_lo = fma(lo, b, fma(hi, b, -t))
    z = exp(t)
    z = fma(z, t_lo, z) if z < INF else z
    # the special values
    if_zero = INF if y < ZERO else ZERO
    if_inf = ZERO if y < ZERO else INF
    z = if_zero if a == ZERO else z
    z = if_inf if a == INF else z
    whole = truncate(b) == b
    half = b * HALF
    odd = whole & (truncate(half) != half)
    z = copysign(z, x) if odd else z
    z = NAN if (x < ZERO) & (a < INF) & (not whole) else z
    z = z if (x == x) & (y == y) else x + y
    return ONE if (y == ZERO) | (x == ONE) else z
