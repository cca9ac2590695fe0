"""The arena: all parameters of a model in one flat, aligned array, so that one loop updates all of them.

    | weights (two axes or more) ... | biases and other vectors ... |
                                     └ decayed: what weight decay leaves alone begins here

Every Param's array becomes a view of it; each view begins on a 64-byte line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.ir import Param

LINE = 64  # bytes

Flat = NDArray[Any]


def aligned(size: int, dtype: Any) -> Flat:
    """Zeros (size,) that begin on a 64-byte line."""
    item = np.dtype(dtype).itemsize
    raw = np.zeros(size * item + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size * item].view(dtype)


class Arena:
    """The Params of a model laid out in `x` (n,), with gradients `g` (n,) beside it.

    >>> from flux_core.ir import param
    >>> b, W = param([1.0, 1.0, 1.0]), param([[1.0, 1.0], [1.0, 1.0]])
    >>> arena = Arena({"b": b, "W": W})
    >>> arena.decayed, arena.x.size, W.x.base is not None
    (16, 32, True)
    """

    def __init__(self, params: Mapping[str, Param]) -> None:
        dtypes = {p.x.dtype for p in params.values()}
        self.dtype = dtypes.pop() if len(dtypes) == 1 else np.dtype(np.float32)
        per_line = LINE // self.dtype.itemsize
        order = sorted(params.items(), key=lambda item: item[1].x.ndim < 2)  # stable: weights first
        self.spans: dict[str, tuple[int, int]] = {}
        end, self.decayed = 0, 0
        for name, p in order:
            self.spans[name] = (end, end + p.size)
            end += -(-p.size // per_line) * per_line
            if p.x.ndim >= 2:
                self.decayed = end
        self.params = dict(params)
        self.x, self.g = aligned(end, self.dtype), aligned(end, self.dtype)
        for name, p in params.items():
            view = self.view(self.x, name)
            view[...] = p.x
            p.x = view

    def view(self, flat: Flat, name: str) -> NDArray[Any]:
        """The part of a flat array that belongs to a Param, in its shape."""
        start, end = self.spans[name]
        return flat[start:end].reshape(self.params[name].shape)

    def views(self, flat: Flat) -> dict[str, NDArray[Any]]:
        """Every Param's part of a flat array."""
        return {name: self.view(flat, name) for name in self.params}
