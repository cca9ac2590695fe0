"""Elementary functions of one float32, for the loops of kernels.

    x ──▶ reduce: x = 2m·ln 2 + r ──▶ polynomial in r ──▶ scale by 2^m, twice ──▶ select the special values

No branch, no call, no float64: a loop over them becomes vectors of whatever width the machine has, and an
element gets the same bits wherever in the array it is. Accurate to 4 units in the last place over all of
float32, denormal results and the tails of tanh, sigmoid, erf and softplus included; zeros, infinities and NaN
as in NumPy. Polynomials and quotients are minimax fits (Remez) with coefficients rounded one after another;
beside each stand its interval and its relative error.

Imported by the text of kernels, that is, only while one is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from flux_core.engine.kernels.bits import absolute, bits, copysign, fma, number, polynomial, sqrt, truncate

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


def floats(*values: float) -> tuple[Any, ...]:
    """Coefficients as float32."""
    return tuple(np.float32(value) for value in values)


ZERO, QUARTER, HALF, ONE, TWO = floats(0, 0.25, 0.5, 1, 2)
INF, NAN = floats(np.inf, np.nan)
TINY = np.float32(1e-10)  # below it expm1(x) and log1p(x) are x
LN2_HI, LN2_LO, HALF_LOG2_E, LOG2_E = floats(0.693145751953125, 1.42860682030941723e-6, 0.72134752, 1.442695)
ROUND = np.float32(1.5 * 2**23)  # added, it leaves an integer in the last bits of the sum
ROUND_127, ROUND_126 = np.float32(1.5 * 2**23 + 127), np.float32(1.5 * 2**23 + 126)  # that integer is an exponent
EXP_LEAST, EXP_MOST, EXPM1_LEAST = floats(-104.5, 89, -20)  # beyond them results are 0, inf and -1
LEAST_NORMAL, TWO_23 = floats(2.0**-126, 2.0**23)
SQRT_HALF = 0x3F3504F3  # its bits
LN2 = np.float32(0.6931472)
SQRT_2_LESS_1 = np.float32(0.41421356)

# exp(r), |r| <= ln 2: 1.5e-8
EXP = floats(1, 1, 0.50000036, 0.16666618, 0.04166123, 0.008335935, 0.0014104778, 0.00019629751)
# (expm1(r) - r) / r², |r| <= ln 2 / 2: 1.4e-8 of expm1
EXPM1 = floats(0.5, 0.16666548, 0.041666828, 0.008366112, 0.001390043)
# (log1p(f) - f + f²/2) / f³, sqrt(1/2) - 1 <= f <= sqrt(2) - 1: 6e-9 of log1p
LOG = floats(0.3333333, -0.2500082, 0.20001242, -0.16623408, 0.14201577, -0.13159631, 0.12762262, -0.07636431)
# (atanh(q) / q - 1) / q², of q², |q| <= 0.1716: 3e-11 of atanh
ATANH = floats(0.3333333, 0.20000486, 0.14249393, 0.121396065)
# log(1 - erf(x)) / x, 0 <= x <= 4: 5.2e-8 of erf
ERF = floats(
    -1.1283792, -0.6366153, -0.102826595, 0.019366473, -0.00028080877, -0.0011899342, 0.00035683537, -3.7141413e-05
)
TANH_MOST, ERF_MOST = floats(10, 4)  # beyond them tanh and erf are 1

function = njit(error_model="numpy", forceinline=True)


@function
def power_of_2(shifted: Any) -> Any:
    """2^n of n + ROUND_127: the last bits of that sum, n + 127, are the exponent of 2^n."""
    return number(np.int32(bits(shifted) << 23))


@function
def exp_within(x: Any) -> Any:
    """eˣ for EXP_LEAST <= x <= EXP_MOST, or NaN."""
    shifted = fma(x, HALF_LOG2_E, ROUND_127)
    m = shifted - ROUND_127
    r = fma(m, -TWO * LN2_LO, fma(m, -TWO * LN2_HI, x))
    scale = power_of_2(shifted)
    return polynomial(r, EXP) * scale * scale  # in two steps: 2^2m may be too small or too large a number


@function
def exp(x: Any) -> Any:
    """eˣ."""
    x = EXP_LEAST if x < EXP_LEAST else x
    return exp_within(EXP_MOST if x > EXP_MOST else x)


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


@function
def expm1_near(x: Any) -> Any:
    """exp(x) - 1 for |x| <= 20, or NaN."""
    shifted = fma(x, LOG2_E, ROUND_127)
    r = fma(shifted - ROUND_127, -LN2, x)
    scale = power_of_2(shifted)
    return fma(scale, fma(r * r, polynomial(r, EXPM1), r), scale - ONE)


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
def exp_minus(x: Any) -> Any:
    """exp(-|x|)."""
    y = -absolute(x)
    return exp_within(EXP_LEAST if y < EXP_LEAST else y)


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


@function
def power(x: Any, y: Any) -> Any:
    """x to the power y."""
    a = absolute(x)
    b = absolute(y)
    b = copysign(np.float32(1e30) if b > np.float32(1e30) else b, y)  # inf·0 is NaN, and 1^inf is 1
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
