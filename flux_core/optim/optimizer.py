"""An optimiser is (init, update) and its state is a value.

    state = optimizer.init(n)
    state = optimizer.update(state, x, g, learning_rate=..., scale=..., clip_value=..., decayed=...)

`x` and `g` are the flat arena of parameters and their gradients; the slots are arrays of the same size. For
every element: g <- clip(scale g); then weight decay, which only the first `decayed` elements feel (the arena
puts parameters with two or more axes first, so biases are spared); then the rule; then g <- 0. `update` is
the meaning, in NumPy; the engine compiles the same rules into one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.optim.rules import RULES, Rule, clip

Flat = NDArray[Any]


@dataclass(frozen=True)
class OptState:
    """What an optimiser remembers: one flat array per slot, and the number of updates made."""

    slots: Mapping[str, Flat]
    step: int = 0


@dataclass(frozen=True)
class Optimizer:
    """A rule of the table with its numbers; `sgd`, `adam` and the other functions below make one.

    >>> optimizer = sgd(learning_rate=0.5)
    >>> x, g = np.float32([1.0, 2.0]), np.float32([1.0, -1.0])
    >>> state = optimizer.update(optimizer.init(2), x, g, learning_rate=0.5, decayed=2)
    >>> x.tolist(), g.tolist(), state.step
    ([0.5, 2.5], [0.0, 0.0], 1)
    """

    name: str
    hyper: Mapping[str, float]
    slots: tuple[str, ...]

    @property
    def rule(self) -> Rule:
        """The rule's row in the table."""
        return RULES[self.name]

    def init(self, n: int, dtype: Any = np.float32) -> OptState:
        """The state before the first update: every slot zeros, `dtype` (n,)."""
        return OptState({slot: np.zeros(n, dtype) for slot in self.slots})

    def numbers(self, step: int, learning_rate: float) -> tuple[float, ...]:
        """What the rule needs for update number `step`, counted from 1."""
        return self.rule.numbers(self.hyper, step, learning_rate)

    def decay(self, learning_rate: float) -> float:
        """The factor of `x` in weight decay: subtracted from `x` if decoupled, else added to its gradient."""
        weight_decay = self.hyper["weight_decay"]
        return learning_rate * weight_decay if self.rule.decoupled else weight_decay

    def update(
        self,
        state: OptState,
        x: Flat,
        g: Flat,
        *,
        learning_rate: float,
        scale: float = 1.0,
        clip_value: float | None = None,
        decayed: int,
    ) -> OptState:
        """Take one step: `x` and the slots change in place, `g` becomes zero; shapes (n,)."""
        number = x.dtype.type
        rule, step = self.rule, state.step + 1
        slots = [state.slots[slot] for slot in self.slots]
        decay = number(self.decay(learning_rate))
        numbers = map(number, self.numbers(step, learning_rate))
        with np.errstate(over="ignore", invalid="ignore"):  # the training loop watches for divergence
            dx = clip(number(scale) * g, number(inf if clip_value is None else clip_value))
            if rule.decoupled:
                x[:decayed] -= decay * x[:decayed]
            else:
                dx[:decayed] += decay * x[:decayed]
            for old, new in zip([x, *slots], rule.step(x, dx, *slots, *numbers), strict=True):
                old[...] = new
        g[...] = 0
        return OptState(state.slots, step)


def sgd(learning_rate: float = 0.001, weight_decay: float = 0.0) -> Optimizer:
    """Stochastic gradient descent."""
    return _optimizer("sgd", learning_rate=learning_rate, weight_decay=weight_decay)


def momentum(learning_rate: float = 0.001, momentum: float = 0.9, weight_decay: float = 0.0) -> Optimizer:
    """Gradient descent with a velocity (Polyak, 1964)."""
    return _optimizer("momentum", learning_rate=learning_rate, momentum=momentum, weight_decay=weight_decay)


def nesterov(learning_rate: float = 0.001, momentum: float = 0.9, weight_decay: float = 0.0) -> Optimizer:
    """Momentum that looks one step ahead (Nesterov, 1983; Sutskever et al., 2013)."""
    return _optimizer("nesterov", learning_rate=learning_rate, momentum=momentum, weight_decay=weight_decay)


def rmsprop(
    learning_rate: float = 0.01, decay: float = 0.99, epsilon: float = 1e-8, weight_decay: float = 0.0
) -> Optimizer:
    """Steps divided by a running root mean square of the gradient (Tieleman & Hinton, 2012)."""
    return _optimizer("rmsprop", learning_rate=learning_rate, decay=decay, epsilon=epsilon, weight_decay=weight_decay)


def adam(
    learning_rate: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> Optimizer:
    """Adam (Kingma & Ba, 2015); weight decay is added to the gradient."""
    return _optimizer(
        "adam",
        learning_rate=learning_rate,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        weight_decay=weight_decay,
    )


def adamw(
    learning_rate: float = 0.001,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
) -> Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""
    return _optimizer(
        "adamw",
        learning_rate=learning_rate,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        weight_decay=weight_decay,
    )


OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "sgd": sgd,
    "momentum": momentum,
    "nesterov": nesterov,
    "rmsprop": rmsprop,
    "adam": adam,
    "adamw": adamw,
}

FRACTIONS = ("momentum", "decay", "beta1", "beta2")


def _optimizer(name: str, **hyper: float) -> Optimizer:
    """Check the numbers and look up the slots; raises ValueError for a number out of its range."""
    for key, value in hyper.items():
        if not isfinite(value) or value < 0 or (key in FRACTIONS and value >= 1):
            ranged = "at least 0 and below 1" if key in FRACTIONS else "finite and at least 0"
            raise ValueError(f"{name}: {key} must be {ranged}, got {value}")
    return Optimizer(name, {key: float(value) for key, value in hyper.items()}, RULES[name].slots)
