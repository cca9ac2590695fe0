"""Update rules, one element at a time.

    rule.step(x, g, *slots, *numbers) -> (x, *slots)

`x` is a parameter, `g` its gradient, already scaled, clipped and (in all but AdamW) decayed; the numbers
are what one step needs, computed in double precision by `rule.numbers`, for one step or for an array of
them. A step is written so that the same text works on NumPy arrays (the meaning) and on scalars inside
Numba (the fused loop): only arithmetic and functions that exist in both, and no literal numbers, because `1
- beta` is double precision in Numba and single precision in NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Hyper = Mapping[str, float]


@dataclass(frozen=True)
class Rule:
    """One row of the table: the step, its slots, its numbers and where weight decay enters.

    `decoupled` says that decay shrinks the parameter itself (Loshchilov & Hutter, 2019); otherwise
    `weight_decay * x` is added to the gradient, as in L2 regularisation.
    """

    step: Callable[..., tuple[Any, ...]]
    slots: tuple[str, ...]
    numbers: Callable[[Hyper, Any, Any], tuple[Any, ...]]
    decoupled: bool = False


def clip(g: Any, limit: Any) -> Any:
    """Bring a gradient into [-limit, limit]; a NaN stays one, so that divergence is seen."""
    return np.minimum(np.maximum(g, -limit), limit)


def sgd_step(x: Any, g: Any, rate: Any) -> tuple[Any, ...]:
    """x <- x - rate g."""
    return (x - rate * g,)


def momentum_step(x: Any, g: Any, velocity: Any, rate: Any, momentum: Any) -> tuple[Any, ...]:
    """v <- momentum v + g;  x <- x - rate v."""
    velocity = momentum * velocity + g
    return x - rate * velocity, velocity


def nesterov_step(x: Any, g: Any, velocity: Any, rate: Any, momentum: Any) -> tuple[Any, ...]:
    """v <- momentum v + g;  x <- x - rate (g + momentum v)."""
    velocity = momentum * velocity + g
    return x - rate * (g + momentum * velocity), velocity


def rmsprop_step(x: Any, g: Any, square: Any, rate: Any, decay: Any, rest: Any, epsilon: Any) -> tuple[Any, ...]:
    """s <- decay s + rest g²;  x <- x - rate g / (√s + epsilon), with rest = 1 - decay."""
    square = decay * square + rest * (g * g)
    return x - rate * (g / (np.sqrt(square) + epsilon)), square


def adam_step(
    x: Any,
    g: Any,
    mean: Any,
    square: Any,
    rate: Any,
    beta1: Any,
    rest1: Any,
    beta2: Any,
    rest2: Any,
    correction: Any,
    epsilon: Any,
) -> tuple[Any, ...]:
    """m <- beta1 m + rest1 g;  s <- beta2 s + rest2 g²;  x <- x - rate m / (correction √s + epsilon).

    `rate` and `correction` hold Adam's bias corrections: rate = learning_rate / (1 - beta1^t) and
    correction = 1 / √(1 - beta2^t), t counted from 1 (Kingma & Ba, 2015).
    """
    mean = beta1 * mean + rest1 * g
    square = beta2 * square + rest2 * (g * g)
    return x - rate * (mean / (correction * np.sqrt(square) + epsilon)), mean, square


def plain_numbers(hyper: Hyper, step: Any, rate: Any) -> tuple[Any, ...]:
    """The numbers of SGD: the learning rate alone."""
    return (rate,)


def momentum_numbers(hyper: Hyper, step: Any, rate: Any) -> tuple[Any, ...]:
    """The numbers of SGD with a velocity."""
    return rate, hyper["momentum"]


def rmsprop_numbers(hyper: Hyper, step: Any, rate: Any) -> tuple[Any, ...]:
    """The numbers of RMSProp."""
    return rate, hyper["decay"], 1.0 - hyper["decay"], hyper["epsilon"]


def adam_numbers(hyper: Hyper, step: Any, rate: Any) -> tuple[Any, ...]:
    """The numbers of Adam at `step`, counted from 1: both bias corrections are folded in.

    >>> adam_numbers({"beta1": 0.5, "beta2": 0.75, "epsilon": 0.0}, 1, 1.0)
    (2.0, 0.5, 0.5, 0.75, 0.25, 2.0, 0.0)
    """
    beta1, beta2 = hyper["beta1"], hyper["beta2"]
    return (
        rate / (1.0 - beta1**step),
        beta1,
        1.0 - beta1,
        beta2,
        1.0 - beta2,
        1.0 / (1.0 - beta2**step) ** 0.5,
        hyper["epsilon"],
    )


RULES: Mapping[str, Rule] = {
    "sgd": Rule(sgd_step, (), plain_numbers),
    "momentum": Rule(momentum_step, ("velocity",), momentum_numbers),
    "nesterov": Rule(nesterov_step, ("velocity",), momentum_numbers),
    "rmsprop": Rule(rmsprop_step, ("square",), rmsprop_numbers),
    "adam": Rule(adam_step, ("mean", "square"), adam_numbers),
    "adamw": Rule(adam_step, ("mean", "square"), adam_numbers, decoupled=True),
}
