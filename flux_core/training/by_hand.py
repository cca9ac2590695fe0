"""`train`: a model, an iterable of minibatches, a loss. The same step as under the command line, without files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from flux_core.dims import Batch, Seq, rawbatch
from flux_core.layers import mse
from flux_core.ops import Run
from flux_core.optim import Optimizer, adam
from flux_core.training.plan import Loss
from flux_core.training.stepper import Stepper

M = TypeVar("M")
CALLBACK_SECONDS = 1.0


def train(
    m: M,
    data: Iterable[tuple[Any, Any]],
    *,
    loss: Loss = mse,
    optimizer: Optimizer | None = None,
    epochs: int = 1,
    callbacks: Iterable[Callable[[], Any]] = (),
    callback_seconds: float = CALLBACK_SECONDS,
    seed: int = 0,
) -> M:
    """train(m, data) => m: `epochs` passes over the (x, y) minibatches of `data`, which can be iterated again.

    `x` is an array with the batch axis first, a Batch, or a tuple of these for several inputs. Each callback is
    called at the end, and before that at most once every `callback_seconds`. Raises Diverged when the loss or a
    gradient is NaN or infinite.

    >>> import numpy as np
    >>> from flux_core.layers import Affine
    >>> from flux_core.optim import sgd
    >>> x = np.linspace(-1, 1, 16, dtype=np.float32).reshape(16, 1)
    >>> m = train(Affine(1, 1), [(x, 3 * x + 1)], optimizer=sgd(learning_rate=0.5), epochs=100)
    >>> round(float(m.W.x[0, 0]), 3), round(float(m.b.x[0]), 3)
    (3.0, 1.0)
    """
    optimizer = adam() if optimizer is None else optimizer
    calls = [_throttled(callback, callback_seconds) for callback in callbacks]
    stepper: Stepper | None = None
    step = 0
    for _ in range(epochs):
        for x, y in data:
            xs = tuple(_raw(part) for part in x) if isinstance(x, tuple) else (_raw(x),)
            if stepper is None:
                stepper = Stepper(m, loss, optimizer, len(xs))
            rate = optimizer.hyper["learning_rate"]
            stepper.step(xs, _raw(y), learning_rate=rate, run=Run(training=True, seed=seed, step=step))
            step += 1
            for call in calls:
                call()
    for callback in callbacks:
        callback()
    return m


def _raw(value: Any) -> Any:
    return rawbatch(value) if isinstance(value, Batch | Seq) else value


def _throttled(callback: Callable[[], Any], seconds: float) -> Callable[[], None]:
    """The callback, silent until `seconds` have passed since its last call or since now."""
    last = time.monotonic()

    def call() -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            callback()
            last = time.monotonic()

    return call
