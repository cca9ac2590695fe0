"""Windows over rows.

rows  0 1 2 3 4 5      steps 3, stride 2      ──▶      [0 1 2] [2 3 4]
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sliding(rows: NDArray[Any], steps: int, stride: int = 1) -> NDArray[Any]:
    """Windows of `steps` rows that start `stride` apart, (windows, steps, ...), copied; none where there are too few.

    >>> sliding(np.arange(6), 3, 2).tolist()
    [[0, 1, 2], [2, 3, 4]]
    """
    if len(rows) < steps:
        return np.empty((0, steps, *rows.shape[1:]), rows.dtype)
    views = np.lib.stride_tricks.sliding_window_view(rows, steps, axis=0)[::stride]
    return np.ascontiguousarray(np.moveaxis(views, -1, 1))
