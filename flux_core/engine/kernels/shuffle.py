"""The order of an epoch: the shuffle of Fisher and Yates, fed by the words of one Philox stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.engine.kernels.dropout import philox
from flux_core.engine.kernels.pointers import as_int64, at


def shuffle(arena: Any, operands: Any) -> None:
    """operands: int64 order, n, step (the epoch), two key words: `Stream.permutation` of range(n)."""
    order, n = as_int64(at(arena, operands[0])), operands[1]
    step = np.uint64(operands[2])
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    k0, k1 = np.uint64(operands[3]), np.uint64(operands[4])
    for i in range(n):
        order[i] = i
    for block in range((n - 1) // 4, -1, -1):
        w0, w1, w2, w3 = philox(np.uint64(block), np.uint64(0), step & low, step >> half, k0, k1)
        for lane in range(3, -1, -1):
            i = 4 * block + lane
            if 0 < i < n:
                word = w3 if lane == 3 else (w2 if lane == 2 else (w1 if lane == 1 else w0))
                j = np.int64((word * np.uint64(i + 1)) >> half)
                order[i], order[j] = order[j], order[i]
