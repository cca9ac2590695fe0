"""Engines: two ways to run the same training.

    Engine.train(...)     some steps over the rows of an order; the meter gathers loss and metrics
    Engine.evaluate(...)  one pass over a split

`ReferenceEngine` interprets the graph, one minibatch at a time; `TapeEngine` (in `on_tape`) runs many steps by one
call of machine code. Both update the same arena.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data import Examples
from flux_core.engine.arena import Arena
from flux_core.ir import Param
from flux_core.ops import Run
from flux_core.optim import OptState
from flux_core.philox import Stream
from flux_core.training.metrics import Meter
from flux_core.training.plan import Plan
from flux_core.training.stepper import Stepper


class Engine(ABC):
    """Trains a model by a plan; holds its Params in an arena and the state of the optimiser."""

    name: str
    threads: int  # at most
    params: dict[str, Param]
    arena: Arena
    state: OptState

    @abstractmethod
    def train(
        self,
        examples: Examples,
        order: NDArray[np.int64] | None,
        first: int,
        rates: Sequence[float],
        step: int,
        meter: Meter,
    ) -> None:
        """Take `len(rates)` steps on the minibatches from number `first` on of the order.

        `order` (examples,) holds rows of x and y, as `Examples.order` gives them; None: the examples as they come.

        `step` steps of the training are behind. Raises Diverged, with nothing updated in that step.
        """

    @property
    @abstractmethod
    def carried(self) -> list[NDArray[Any]]:
        """The states of a recurrent model that the next step of training goes on from; none before the first."""

    @carried.setter
    @abstractmethod
    def carried(self, states: list[NDArray[Any]]) -> None: ...

    @abstractmethod
    def evaluate(self, examples: Examples, meter: Meter) -> None:
        """Measure a whole split."""

    @abstractmethod
    def prepare(self, train: Examples, *others: Examples) -> Iterator[tuple[int, int]]:
        """Make ready what training on `train` and evaluating all of them needs, so that no step waits for it.

        Before each kernel that has to be compiled come its number, from 1, and their count; number 0 waits for others.
        """

    @abstractmethod
    def order(self, size: int, epoch: int) -> NDArray[np.int64]:
        """The shuffled order of `size` examples in an epoch, int64 (size,)."""


class ReferenceEngine(Engine):
    """The interpreter, NumPy only."""

    name = "reference"
    threads = 1

    def __init__(self, stepper: Stepper, plan: Plan) -> None:
        self.stepper, self.plan = stepper, plan
        self.params, self.arena = stepper.params, stepper.arena

    @property
    def state(self) -> OptState:
        """The state of the optimiser."""
        return self.stepper.state

    @state.setter
    def state(self, state: OptState) -> None:
        self.stepper.state = state

    @property
    def carried(self) -> list[NDArray[Any]]:
        """Those of the stepper."""
        return self.stepper.carried

    @carried.setter
    def carried(self, states: list[NDArray[Any]]) -> None:
        self.stepper.carried = states

    def train(
        self,
        examples: Examples,
        order: NDArray[np.int64] | None,
        first: int,
        rates: Sequence[float],
        step: int,
        meter: Meter,
    ) -> None:
        """One interpreted step after the other."""
        size = self.plan.batch_size
        for i, rate in enumerate(rates):
            x, y, lengths = _minibatch(examples, examples.order() if order is None else order, first + i, size)
            loss, prediction = self.stepper.step(
                (x,),
                y,
                learning_rate=rate,
                run=Run(training=True, seed=self.plan.seed, step=step + i),
                clip_norm=self.plan.clip_norm,
                clip_value=self.plan.clip_value,
                first=first + i == 0,
                lengths=lengths,
            )
            meter.add(loss, prediction, y, lengths if examples.stepwise else None)

    def evaluate(self, examples: Examples, meter: Meter) -> None:
        """Minibatch after minibatch."""
        states: list[NDArray[Any]] = []
        for number in range(-(-len(examples) // self.plan.batch_size)):
            x, y, lengths = _minibatch(examples, examples.order(), number, self.plan.batch_size)
            loss, prediction, states = self.stepper.evaluate((x,), y, states, lengths)
            meter.add(loss, prediction, y, lengths if examples.stepwise else None)

    def prepare(self, train: Examples, *others: Examples) -> Iterator[tuple[int, int]]:
        """The interpreter needs nothing."""
        return iter(())

    def order(self, size: int, epoch: int) -> NDArray[np.int64]:
        """By the stream of the seed."""
        return Stream.of(self.plan.seed, "shuffle").permutation(size, step=epoch)


def _minibatch(
    examples: Examples, order: NDArray[np.int64] | None, number: int, size: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """x, y and the lengths, if there are any, of minibatch `number` of an order of rows; None: as they lie."""
    part = slice(number * size, (number + 1) * size)
    x, y, *lengths = examples.at(part if order is None else order[part])
    return x, y, lengths[0] if lengths else None
