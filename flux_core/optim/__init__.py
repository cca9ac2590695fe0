"""Optimisers and learning-rate schedules.

    gradient ──scale, clip, decay──▶ rule(x, g, slots, numbers) ──▶ x, slots
                                        ▲
                   schedule.rate(step) ─┘

An optimiser is a pair of functions (init, update) and its state is data: see `optimizer`. The arithmetic of
one element stands in `rules`, the learning rate over time in `schedule`.
"""

from flux_core.optim.optimizer import (
    OPTIMIZERS,
    Optimizer,
    OptState,
    adam,
    adamw,
    momentum,
    nesterov,
    rmsprop,
    sgd,
)
from flux_core.optim.schedule import (
    SCHEDULES,
    Constant,
    Cosine,
    Exponential,
    Plateau,
    Schedule,
    Step,
)

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "Constant",
    "Cosine",
    "Exponential",
    "OptState",
    "Optimizer",
    "Plateau",
    "Schedule",
    "Step",
    "adam",
    "adamw",
    "momentum",
    "nesterov",
    "rmsprop",
    "sgd",
]
