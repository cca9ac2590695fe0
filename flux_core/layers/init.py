"""Initial weights. Each is drawn from a stream of its own, so that the weights of one layer depend on the seed and
the layer's path and on nothing else.

    glorot      uniform, ±sqrt(6 / (in + out))      Glorot and Bengio 2010
    he          normal, sqrt(2 / in)                He et al. 2015
    orthogonal  QR of a normal matrix               Saxe et al. 2014
    normal, uniform, zeros, ones
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import count
from math import prod, sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from flux_core.philox import Stream

Shape = tuple[int, ...]
Init: TypeAlias = "str | Mapping[str, Mapping[str, Any]]"
Draw: TypeAlias = "Callable[[str, Shape, Init], NDArray[np.float32]]"


def _fans(shape: Shape) -> tuple[int, int]:
    """How many values feed one output and how many outputs one value feeds, for weights (..., in, out)."""
    if len(shape) < 2:
        return (shape[0] if shape else 1), (shape[0] if shape else 1)
    field = prod(shape[:-2])
    return field * shape[-2], field * shape[-1]


def _uniform(shape: Shape, stream: Stream, limit: float) -> NDArray[np.float64]:
    return (2.0 * stream.uniform(1, prod(shape)).astype(np.float64) - 1.0).reshape(shape) * limit


def glorot(shape: Shape, stream: Stream, *, gain: float = 1.0) -> NDArray[np.float64]:
    """Uniform within ±gain·sqrt(6 / (in + out)), which keeps the variance of values and of gradients."""
    return _uniform(shape, stream, gain * sqrt(6.0 / sum(_fans(shape))))


def he(shape: Shape, stream: Stream, *, gain: float = 1.0) -> NDArray[np.float64]:
    """Normal with deviation gain·sqrt(2 / in), for layers followed by a relu."""
    return normal(shape, stream, std=gain * sqrt(2.0 / _fans(shape)[0]))


def orthogonal(shape: Shape, stream: Stream, *, gain: float = 1.0) -> NDArray[np.float64]:
    """Orthonormal rows or columns, whichever are fewer, times gain."""
    rows, columns = prod(shape[:-1]), shape[-1] if shape else 1
    tall = normal((max(rows, columns), min(rows, columns)), stream, std=1.0)
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diagonal(r))  # makes the factors unique, and so q uniform
    return np.asarray(gain * (q if rows >= columns else q.T).reshape(shape))


def normal(shape: Shape, stream: Stream, *, std: float = 0.05) -> NDArray[np.float64]:
    """Normal with mean 0."""
    return stream.normal(1, prod(shape)).reshape(shape) * std


def uniform(shape: Shape, stream: Stream, *, limit: float = 0.05) -> NDArray[np.float64]:
    """Uniform within ±limit."""
    return _uniform(shape, stream, limit)


def zeros(shape: Shape, stream: Stream) -> NDArray[np.float64]:
    """All 0."""
    return np.zeros(shape)


def ones(shape: Shape, stream: Stream) -> NDArray[np.float64]:
    """All 1."""
    return np.ones(shape)


INITIALISERS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "glorot": glorot,
    "he": he,
    "normal": normal,
    "ones": ones,
    "orthogonal": orthogonal,
    "uniform": uniform,
    "zeros": zeros,
}


def initial(init: Init, shape: Shape, stream: Stream) -> NDArray[np.float32]:
    """The initial array of a parameter, by the name of an initialiser or `{name: {argument: value}}`.

    >>> float(initial("zeros", (2,), Stream.of(0, "init")).sum())
    0.0
    """
    name, arguments = (init, {}) if isinstance(init, str) else next(iter(init.items()))
    if name not in INITIALISERS:
        raise ValueError(f"there is no initialiser {name!r}; there are {', '.join(INITIALISERS)}")
    return INITIALISERS[name](shape, stream, **arguments).astype(np.float32)


def draws(seed: int, path: str = "") -> Draw:
    """The draws of one layer: `draw("W", shape, init)` is a function of the seed, the layer's path and the name."""
    return lambda name, shape, init: initial(init, shape, Stream.of(seed, "init", f"{path}.{name}".lstrip(".")))


class _ByHand:
    """The seed of layers that are made by hand, and how many there were."""

    seed = 0
    layers = count()


def seed(value: int) -> None:
    """seed(n): layers made by hand from here on draw their weights from n, each in its turn."""
    _ByHand.seed, _ByHand.layers = value, count()


def default_draws() -> Draw:
    """The draws of the next layer that is made by hand."""
    return draws(_ByHand.seed, f"#{next(_ByHand.layers)}")
