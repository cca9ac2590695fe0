"""The training loop, as a generator of events.

    for event in Fit(model, dataset, plan):      the consumer prints, keeps and stops; the loop trains

Between two events lies at most about a fifth of a second, or the compilation of one kernel, so that signals and clocks
are served. Everything random is a function of (seed, purpose, epoch or step); the state of a training is a value,
`fit.state()`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data import Dataset, Examples
from flux_core.data.lengths import cleared
from flux_core.engine.lower import CannotLowerError
from flux_core.errors import DataError, SettingError
from flux_core.optim import Constant, Plateau
from flux_core.training.description import described
from flux_core.training.engine import Engine, ReferenceEngine
from flux_core.training.events import (
    Compiling,
    Ended,
    EpochEnded,
    Event,
    Progress,
    Snapshot,
    Started,
    Status,
    Tested,
    TrainState,
)
from flux_core.training.metrics import METRICS, Meter, Metric, higher_is_better
from flux_core.training.on_tape import TapeEngine
from flux_core.training.plan import Plan
from flux_core.training.room import require_room
from flux_core.training.state import Position, restore, state_of
from flux_core.training.stepper import Stepper

PROGRESS_SECONDS = 0.1
STRETCH_SECONDS = 0.1


class Fit:
    """A training of `model` on `dataset` by `plan`; with `state`, the rest of one that was kept.

    The rest is equal to the bit to that of an unbroken training; without `exact` the schedule may be another one.

    Raises DataError when no minibatch can be made or no checkpoint can tell what the data are, SettingError when the
    plan watches a metric that is not measured, and from the iteration Diverged, or DataError when a mapped file is cut
    off. After the last event the model has its best weights. `interpreted` says why there is no tape although the plan
    asks for one.
    """

    def __init__(
        self, model: Any, dataset: Dataset, plan: Plan, state: TrainState | None = None, *, exact: bool = True
    ) -> None:
        require_room(dataset)
        self.model, self.plan = model, plan
        self.dataset = _prepared(dataset, plan)
        targets = dataset.preprocessing.targets
        self.metrics = metrics_of(plan, None if targets is None else targets.std)
        padded = self.dataset.train if self.dataset.train.lengths is not None else None
        stepper = Stepper(model, plan.loss_function(), plan.optimizer, carry=dataset.streams, padded=padded)
        self.engine, self.interpreted = _engine(stepper, plan, self.metrics, self.dataset.train)
        self._pace_steps = 1
        self.schedule = plan.schedule or Constant()
        rows = len(self.dataset.train)
        self.steps_per_epoch = rows // plan.batch_size if plan.drop_last else -(-rows // plan.batch_size)
        if self.steps_per_epoch == 0:
            raise DataError(
                f"the training split has {rows} examples, which make no batch of {plan.batch_size}",
                hint="lower batch_size, or set drop_last: false",
            )
        self.meter = Meter(self.metrics)
        self._require_measured()
        self.at = Position(schedule=self.schedule.start())
        self.best: dict[str, NDArray[Any]] | None = None
        self._last: TrainState | None = None  # kept when the model gets its best weights at the end
        self._stop: Status | None = None
        self._began = time.monotonic()
        if state is not None:
            resolved = self._resolved()
            self.at, self.best = restore(state, self.engine, self.meter, plan, resolved, self.schedule, exact=exact)

    def _require_measured(self) -> None:
        """Raise SettingError for a metric that the plan watches and no epoch measures."""
        plan, splits = self.plan, ("train", "valid") if self.dataset.valid is not None else ("train",)
        known = [f"{split}.{name}" for split in splits for name in self.meter.names]
        watched = {
            "monitor": plan.monitor,
            "early_stop": None if plan.early_stop is None else plan.early_stop.metric,
            "schedule": self.schedule.metric if isinstance(self.schedule, Plateau) else None,
        }
        for key, metric in watched.items():
            if metric is not None and metric not in known:
                raise SettingError(
                    f"{key} watches {metric!r}, which no epoch measures", key=key, hint=f"known: {', '.join(known)}"
                )

    def stop(self, status: Status) -> None:
        """Ask the loop to end before its next step, resumable."""
        self._stop = status

    def state(self) -> TrainState:
        """Everything that a checkpoint holds, copied; to be asked for between two events."""
        if self._last is not None:
            return self._last
        kept = (self.at, self.engine, self.meter, self.best, self.plan, self.dataset, self._resolved())
        return state_of(*kept, self._description)

    @cached_property
    def _description(self) -> dict[str, Any] | None:
        train = self.dataset.train
        return described(self.model, self.engine.params, train.x, self.plan.loss, lengths=train.lengths is not None)

    def __iter__(self) -> Iterator[Event]:
        self._began = time.monotonic()
        parameters = sum(p.size for p in self.engine.params.values())
        yield Started(
            parameters, self.steps_per_epoch, self.plan.epochs, self.at.epoch, self.at.step, len(self.dataset.train)
        )
        yield from self._prepare()
        while self._stop is None and self._goes_on():
            yield from self._epoch()
            if self._out_of_steps():
                break
        if self._stop is not None:
            yield self._ended(self._stop)
            return
        yield from self._test()
        done = self.at.epoch >= self.plan.epochs or self.at.reason
        yield self._ended("finished" if done else "stopped")

    def _prepare(self) -> Iterator[Event]:
        """Make the engine ready, or until asked to stop."""
        data = self.dataset
        others = (part for part in (data.valid, data.test) if part is not None)
        for number, count in self.engine.prepare(data.train, *others):
            yield Compiling(number, count)
            if self._stop is not None:
                return

    def _epoch(self) -> Iterator[Event]:
        """Train for the rest of an epoch, or until asked to stop, and evaluate."""
        plan, at, train = self.plan, self.at, self.dataset.train
        began = reported = time.monotonic()
        shuffled = plan.shuffle and not self.dataset.streams
        order = train.order(self.engine.order(len(train), at.epoch)) if shuffled else None
        behind = at.step_in_epoch
        while at.step_in_epoch < self.steps_per_epoch and not self._out_of_steps():
            if self._stop is not None:
                return
            rates = [self._rate(at.step + i) for i in range(self._stretch())]
            started = time.monotonic()
            self.dataset.require_whole()
            self.engine.train(train, order, at.step_in_epoch, rates, at.step, self.meter)
            at.step, at.step_in_epoch = at.step + len(rates), at.step_in_epoch + len(rates)
            now = time.monotonic()
            self._pace(len(rates), now - started)
            if now - reported >= PROGRESS_SECONDS:
                reported = now
                speed = (at.step_in_epoch - behind) * plan.batch_size / (now - began)
                yield Progress(at.epoch, at.step, at.step_in_epoch, self.meter.mean_loss, speed)
            if plan.every_steps and at.step % plan.every_steps == 0 and at.step_in_epoch < self.steps_per_epoch:
                yield Snapshot("last", self.state(), {})
        seconds = time.monotonic() - began
        rows = min(at.step_in_epoch * plan.batch_size, len(train)) - behind * plan.batch_size
        rate = self._rate(at.step - 1)
        metrics = self.meter.values("train")
        if self.dataset.valid is not None:
            metrics |= self.evaluate("valid", self.dataset.valid)
        improved = self._close_epoch(metrics)
        yield EpochEnded(
            at.epoch, at.step, metrics, rate, time.monotonic() - began, rows / max(seconds, 1e-9), improved
        )
        if improved:
            yield Snapshot("best", self.state(), metrics)
        if plan.every_steps and at.step % plan.every_steps == 0:
            yield Snapshot("last", self.state(), metrics)

    def _close_epoch(self, metrics: dict[str, float]) -> bool:
        """Count the epoch, and tell the schedule, early stopping and the best weights how it went."""
        at, plan = self.at, self.plan
        whole = at.step_in_epoch >= self.steps_per_epoch
        if not whole:
            self._last = self.state()  # an unbroken training measures nothing here: what goes on must not know of it
        at.final = dict(metrics)
        if whole:
            at.epoch, at.step_in_epoch, self.meter = at.epoch + 1, 0, Meter(self.metrics)
            if isinstance(self.schedule, Plateau):
                watched = self.schedule.metric
                at.schedule = self.schedule.observe(
                    at.schedule, metrics[watched], higher_is_better=self._higher(watched)
                )
            if plan.early_stop is not None:
                stop = plan.early_stop
                at.stopper.observe(metrics[stop.metric], stop.min_delta, self._higher(stop.metric))
                if at.stopper.stalled > stop.patience:
                    at.reason = "early_stop"
        if plan.monitor is None:
            at.best, at.best_epoch = dict(metrics), at.epoch
            return False
        improved = at.leader.observe(metrics[plan.monitor], 0.0, self._higher(plan.monitor))
        if improved:
            at.best, at.best_epoch = dict(metrics), at.epoch
            self.best = {name: p.x.copy() for name, p in self.engine.params.items()}
        return improved

    def _test(self) -> Iterator[Event]:
        """Give the model its best weights and measure the test split on them."""
        self._last = self.state()
        if self.best is not None:
            for name, array in self.best.items():
                self.engine.params[name].x[...] = array
        if self.dataset.test is not None:
            metrics = self.evaluate("test", self.dataset.test)
            self.at.final |= metrics
            if self.at.best is not None:
                self.at.best |= metrics
            yield Tested(self.at.epoch, self.at.step, metrics)

    def evaluate(self, split: str, examples: Examples) -> dict[str, float]:
        """The loss and the metrics of examples with the weights of now, under the name of the split."""
        meter = Meter(self.metrics)
        self.dataset.require_whole()
        self.engine.evaluate(examples, meter)
        return meter.values(split)

    def _stretch(self) -> int:
        """How many steps to take before the next look around: to the end of the epoch at most."""
        at, plan = self.at, self.plan
        steps = min(self._pace_steps, self.steps_per_epoch - at.step_in_epoch)
        if plan.max_steps is not None:
            steps = min(steps, plan.max_steps - at.step)
        if plan.every_steps:
            steps = min(steps, plan.every_steps - at.step % plan.every_steps)
        return steps

    def _pace(self, steps: int, seconds: float) -> None:
        """Bring the next stretch near STRETCH_SECONDS, at most four times as long as this one."""
        wanted = int(steps * STRETCH_SECONDS / max(seconds, 1e-6))
        self._pace_steps = max(1, min(wanted, 4 * self._pace_steps))

    def _rate(self, step: int) -> float:
        base, at = self.plan.optimizer.hyper["learning_rate"], self.at
        return self.schedule.rate(base, step, at.epoch, self.steps_per_epoch, self.plan.epochs, at.schedule)

    def _resolved(self) -> dict[str, Any]:
        base = self.plan.optimizer.hyper["learning_rate"]
        return self.schedule.resolved(base, self.steps_per_epoch, self.plan.epochs)

    def _higher(self, metric: str) -> bool:
        return higher_is_better(metric, self.metrics)

    def _goes_on(self) -> bool:
        """Whether there is an epoch to begin, or one to measure that was broken off where the steps are over."""
        at = self.at
        measured = at.step_in_epoch == 0
        return at.epoch < self.plan.epochs and not at.reason and not (measured and self._out_of_steps())

    def _out_of_steps(self) -> bool:
        return self.plan.max_steps is not None and self.at.step >= self.plan.max_steps

    def _ended(self, status: Status) -> Ended:
        at, seconds = self.at, time.monotonic() - self._began
        return Ended(status, at.reason, at.epoch, at.step, seconds, at.best, at.best_epoch, at.final)


def _engine(stepper: Stepper, plan: Plan, metrics: tuple[Metric, ...], examples: Examples) -> tuple[Engine, str | None]:
    """The engine that the plan asks for; a model that has no tape is interpreted, and the second value says why."""
    why = None
    if plan.engine == "tape":
        try:
            return TapeEngine(stepper, plan, metrics, examples), None
        except CannotLowerError as error:
            why = str(error)
    return ReferenceEngine(stepper, plan), why


def _prepared(dataset: Dataset, plan: Plan) -> Dataset:
    """The dataset with zeros in the padding of sequences, and with targets as the loss takes them: ids, or floats with
    an axis for the targets."""
    if dataset.streams:
        dataset = _whole_minibatches(dataset, plan.batch_size)
    made: dict[int, NDArray[Any]] = {}  # by the identity of y, which splits may share

    def floats(y: NDArray[Any], stepwise: bool) -> NDArray[Any]:
        shape = (*y.shape[: 1 + stepwise], -1)
        return made.setdefault(id(y), y.astype(np.float32, copy=False).reshape(shape))

    def prepared(part: Examples | None) -> Examples | None:
        if part is None:
            return None
        y = part.y if plan.labels else floats(part.y, part.stepwise)
        x = part.x if part.lengths is None else cleared(part.x, part.lengths)
        return replace(part, x=x, y=y)

    train = prepared(dataset.train)
    assert train is not None  # a dataset has training examples
    return replace(dataset, train=train, valid=prepared(dataset.valid), test=prepared(dataset.test))


def _whole_minibatches(dataset: Dataset, size: int) -> Dataset:
    """Streams without the examples that make no full minibatch; raises DataError for a split that has none."""

    def whole(name: str, part: Examples | None) -> Examples | None:
        if part is None:
            return None
        if len(part) < size:
            raise DataError(
                f"the {name} split has {len(part)} windows, too few for {size} streams", hint="lower batch_size"
            )
        kept = slice(len(part) // size * size)
        if part.rows is None:
            return Examples(*part.at(kept)[:2])
        return replace(part, rows=part.rows[kept])

    train = whole("train", dataset.train)
    assert train is not None  # a dataset has training examples
    return replace(dataset, train=train, valid=whole("valid", dataset.valid), test=whole("test", dataset.test))


def metrics_of(plan: Plan, scale: NDArray[np.float64] | None = None) -> tuple[Metric, ...]:
    """The metrics that a plan names; `scale` (targets,) is what targets were divided by."""
    made = []
    for entry in plan.metrics:
        name, arguments = (entry, {}) if isinstance(entry, str) else entry
        made.append(METRICS[name](scale=scale, **arguments))
    return tuple(made)
