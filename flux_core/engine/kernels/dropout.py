"""The dropout mask, from Philox4x32-10: element j of row i at a step is word j % 4 of the block (j // 4, i, step)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from flux_core.engine.kernels.pointers import as_int64, at


@njit(error_model="numpy", forceinline=True)
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Ten rounds on four 32-bit words, held in uint64."""
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & low, (p0 >> half) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & low, (k1 + np.uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3


@njit(error_model="numpy", forceinline=True)
def kept(word: Any, rate: Any, scale: Any) -> Any:
    """The mask of one word: its 24 high bits are a number of [0, 1)."""
    uniform = np.float32(word >> np.uint64(8)) * np.float32(2**-24)
    return scale if uniform >= rate else np.float32(0)


def dropout_mask(arena: Any, operands: Any) -> None:
    """operands: target (rows, n), rows, n, place of the rate and the scale, place of the int64 step, two key words."""
    n, rate, scale = operands[2], arena[operands[3]], arena[operands[3] + 1]
    step = np.uint64(as_int64(at(arena, operands[4]))[0])
    c2, c3 = step & np.uint64(0xFFFFFFFF), step >> np.uint64(32)
    k0, k1 = np.uint64(operands[5]), np.uint64(operands[6])
    for i in range(operands[1]):
        y = carray(at(arena, operands[0] + i * n), n)
        whole = n // 4
        for block in range(whole):
            w0, w1, w2, w3 = philox(np.uint64(block), np.uint64(i), c2, c3, k0, k1)
            y[4 * block] = kept(w0, rate, scale)
            y[4 * block + 1] = kept(w1, rate, scale)
            y[4 * block + 2] = kept(w2, rate, scale)
            y[4 * block + 3] = kept(w3, rate, scale)
        if 4 * whole < n:
            w0, w1, w2, _ = philox(np.uint64(whole), np.uint64(i), c2, c3, k0, k1)
            y[4 * whole] = kept(w0, rate, scale)
            if 4 * whole + 1 < n:
                y[4 * whole + 1] = kept(w1, rate, scale)
            if 4 * whole + 2 < n:
                y[4 * whole + 2] = kept(w2, rate, scale)
