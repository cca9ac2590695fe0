"""Standardising: from the units of the file to numbers of mean 0 and standard deviation 1, and back.

    file's units ──apply: (x - mean) / std──▶ float32 for the model ──restore: y * std + mean──▶ file's units

The moments are float64 and come from the training split only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Scale:
    """Mean and standard deviation, float64, in a shape that broadcasts against rows: () or (columns,).

    >>> scale = Scale.fit(np.array([[1.0, 7.0], [3.0, 7.0]]))
    >>> scale.apply([[5.0, 7.0]]).tolist()
    [[3.0, 0.0]]
    >>> scale.restore([[3.0, 0.0]]).tolist()
    [[5.0, 7.0]]
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[Any], *, whole: bool = False) -> Scale:
        """The moments of each column of `values` (rows, columns), or with `whole` of all its elements."""
        axis = None if whole else 0
        values = np.asarray(values, np.float64)
        # a power of two near the largest magnitude: dividing by it is exact, and 1e300 ** 2 would overflow
        exponent = np.frexp(np.max(np.abs(values), axis=axis, initial=0.0))[1]
        values = np.ldexp(values, -exponent)
        return cls.from_moments(values.mean(axis=axis), values.std(axis=axis), exponent)

    @classmethod
    def from_moments(cls, mean: ArrayLike, std: ArrayLike, exponent: ArrayLike) -> Scale:
        """Moments of values that were divided by 2^exponent; a constant gets 1 as its standard deviation."""
        # the mean of equal numbers is off by rounding, so a constant column has a tiny std, not 0
        constant = np.asarray(std) <= 1e-13
        return cls.of(np.ldexp(mean, exponent), np.where(constant, 1.0, np.ldexp(std, exponent)))

    @classmethod
    def of(cls, mean: ArrayLike, std: ArrayLike) -> Scale:
        """A scale with given numbers."""
        return cls(np.asarray(mean, np.float64), np.asarray(std, np.float64))

    def apply(self, values: ArrayLike) -> NDArray[np.float32]:
        """Standardise; what is too large for float32 becomes infinite, which callers check."""
        with np.errstate(over="ignore"):
            return np.asarray((np.asarray(values, np.float64) - self.mean) / self.std).astype(np.float32)

    def restore(self, values: ArrayLike) -> NDArray[np.float64]:
        """Undo `apply`, in float64."""
        return np.asarray(np.asarray(values, np.float64) * self.std + self.mean)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scale):
            return NotImplemented
        return np.array_equal(self.mean, other.mean) and np.array_equal(self.std, other.std)

    def to_json(self) -> dict[str, Any]:
        """Plain lists; JSON keeps float64 exactly."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Scale:
        """The scale that `to_json` wrote; raises ValueError for anything else."""
        scale = cls.of(data["mean"], data["std"])
        if scale.mean.shape != scale.std.shape or not np.isfinite([scale.mean, scale.std]).all():
            raise ValueError("mean and std are not two finite arrays of one shape")
        if not (scale.std > 0).all():
            raise ValueError("a standard deviation is not positive")
        return scale

    def __hash__(self) -> int:
        return hash((self.mean.tobytes(), self.std.tobytes()))
