"""Parameters. A Param is an array under training, `x`, and the gradient gathered for it, `dx`.

Identity is meaning: the same Param used in two places is one variable, whose gradient is the sum over its uses.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
T = TypeVar("T")


class Param:
    """A parameter array `x` and its accumulated gradient `dx`, of the same shape and dtype.

    >>> p = param([[1.0, 2.0]])
    >>> p
    Param(1, 2)
    """

    __slots__ = ("__weakref__", "dx", "x")

    def __init__(self, x: Floats, dx: Floats) -> None:
        if x.shape != dx.shape:
            raise ValueError(f"a Param's gradient has the shape of its array: {x.shape}, not {dx.shape}")
        self.x = x
        self.dx = dx

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.x.shape

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.x.size

    def __len__(self) -> int:
        return len(self.x)

    def __repr__(self) -> str:
        return f"Param({', '.join(map(str, self.x.shape))})"


def param(x: ArrayLike) -> Param:
    """param(x) => Param(x, 0): a float copy of an array, with a zero gradient; float64 is kept where given."""
    array = np.asarray(x)
    if array.dtype != np.float64 or not hasattr(x, "dtype"):
        array = array.astype(np.float32)
    return Param(array.copy(), np.zeros_like(array))


def state(p: Any) -> Any:
    """state(p) => p.x: the value of a Param; anything else is its own value."""
    return p.x if isinstance(p, Param) else p


def accumulate(p: T, d: ArrayLike) -> T:
    """accumulate(p, d) => p: add `d` to the gradient of a Param and leave its value alone.

    >>> p = param([1.0, 2.0])
    >>> accumulate(p, [0.5, 0.5]).dx
    array([0.5, 0.5], dtype=float32)
    """
    if isinstance(p, Param):
        p.dx += np.asarray(d, p.dx.dtype)
    return p


def copyto(target: Any, source: Any) -> None:
    """Copy an array into a Param, or a Param into an array, in place."""
    np.copyto(state(target), state(source))
