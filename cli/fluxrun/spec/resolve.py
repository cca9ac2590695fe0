"""Defaults that depend on the data: filled in once the task and the splits are known, so that a resolved spec has them.

classification: loss cross_entropy, metrics [accuracy]        regression: loss mse, metrics [mae, r2]
text: loss cross_entropy, metrics [bits_per_symbol]
checkpoint.metric, early_stop.metric: valid.loss, without a valid split train.loss
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fluxrun.spec.catalog import CATALOG, Task, of_task
from fluxrun.spec.part import Component, Part
from fluxrun.spec.problems import Problems, listing, near
from fluxrun.spec.schema.layers import NoArguments
from fluxrun.spec.schema.root import Spec
from fluxrun.spec.schema.sources import Split
from fluxrun.spec.text import Place
from fluxrun.spec.tree import Node

NUMBER = re.compile(r"-?[0-9]+")
MANY = 20  # classes; more of them, and with gaps, may be a quantity
INSIDE = re.compile(r"(.*):(\d+):(\d+):(\d+)")
C = TypeVar("C", bound=Component)

DEFAULT_METRICS = {"classification": ("accuracy",), "regression": ("mae", "r2")}
DEFAULT_LOSS = {"classification": "cross_entropy", "regression": "mse"}


@dataclass(frozen=True)
class Facts:
    """What the data say: the task, the number of classes, which splits there are, the symbols of a text, and else the
    names of the classes."""

    task: Task
    classes: int | None
    splits: tuple[str, ...]
    vocabulary: int | None = None
    names: tuple[str, ...] = ()

    @property
    def numbered(self) -> bool:
        """Whether the classes are numbers."""
        return bool(self.names) and all(NUMBER.fullmatch(name) for name in self.names)

    @property
    def quantity(self) -> bool:
        """Whether what is taken for classes looks like a quantity: many numbers, which do not just count up."""
        if not self.numbered or len(self.names) <= MANY:
            return False
        numbers = [int(name) for name in self.names]
        return max(numbers) - min(numbers) >= len(numbers)

    @property
    def classes_hint(self) -> str | None:
        """What to do where a loss for classes does not fit."""
        return "the target looks like a quantity: take mse" if self.quantity else None


def implied_task(spec: Spec) -> Task | None:
    """The task that the loss implies, or None."""
    loss = spec.train.loss
    return "classification" if loss and CATALOG["loss"][loss.name].task == "classification" else None


def resolve_split(spec: Spec) -> Spec:
    """The spec with the default of `data.split` written out."""
    data = spec.data.arguments
    if getattr(data, "split", None) is not None:
        return spec
    own = ("train_path", "test_images", "valid_features", "test_features")
    separate = any(getattr(data, key, None) is not None for key in own)
    split = Split(train=1.0) if separate else Split(train=0.8, valid=0.1, test=0.1)
    return _with(spec, data=Part(spec.data.name, _with(data, split=split)))


def resolve(spec: Spec, facts: Facts) -> Spec:
    """The spec with every default that the data decide."""
    train = spec.train
    loss = train.loss or Part(DEFAULT_LOSS[facts.task], NoArguments())
    metrics = train.metrics
    if metrics is None:
        symbols = facts.vocabulary is not None and loss.name == "cross_entropy"
        names = ("bits_per_symbol",) if symbols else DEFAULT_METRICS[facts.task]
        metrics = [Part(name, NoArguments()) for name in names]
    watched = "valid.loss" if "valid" in facts.splits else "train.loss"
    checkpoint = train.checkpoint
    if checkpoint.metric is None and "valid" in facts.splits:
        checkpoint = _with(checkpoint, metric=watched)
    early_stop = train.early_stop
    if early_stop is not None and early_stop.metric is None:
        early_stop = _with(early_stop, metric=watched)
    schedule = train.schedule
    if schedule is not None and getattr(schedule.arguments, "metric", "") is None:
        schedule = Part(schedule.name, _with(schedule.arguments, metric=watched))
    changed = _with(train, loss=loss, metrics=metrics, checkpoint=checkpoint, early_stop=early_stop, schedule=schedule)
    return _with(spec, train=changed)


@dataclass
class Doubts:
    """Problems of a checked spec in the light of the data, each at the place of a spec path."""

    tree: Node
    problems: Problems = field(default_factory=Problems)

    def at(self, path: str, message: str, hint: str | None = None, notes: Any = ()) -> None:
        self.problems.add(self.place(path), message, hint, notes=[(self.place(p), text) for p, text in notes])

    def place(self, path: str) -> Place:
        """The place of a spec path; `path:line:column:end` is one inside a text."""
        from fluxrun.spec.check import find, find_inside

        inside = INSIDE.fullmatch(path)
        return find_inside(self.tree, inside[1], *map(int, inside.groups()[1:])) if inside else find(self.tree, path)


def metric_names(spec: Spec, splits: tuple[str, ...]) -> list[str]:
    """The full names of all metrics that a run of a resolved spec will have."""
    labels = [getattr(metric.arguments, "label", metric.name) for metric in spec.train.metrics or ()]
    names = ["loss", *labels]
    return [f"{split}.{name}" for split in splits for name in names]


def check_task(spec: Spec, facts: Facts, doubts: Doubts) -> None:
    """The loss and the metrics of a resolved spec against the data."""
    loss = spec.train.loss
    assert loss is not None, "a resolved spec has a loss"
    if CATALOG["loss"][loss.name].task != facts.task:
        other = DEFAULT_LOSS[facts.task]
        hint = f"take {other}"
        if "task" in type(spec.data.arguments).model_fields and (facts.task == "regression" or facts.numbered):
            hint += f", or say 'task: {'classification' if facts.task == 'regression' else 'regression'}' in data"
        doubts.at("train.loss", f"{loss.name} does not fit: the data are a {facts.task}", hint)
    if loss.name == "binary_cross_entropy" and facts.vocabulary is not None:
        doubts.at("train.loss", "binary_cross_entropy does not fit: the data are a text", "take cross_entropy")
    elif loss.name == "binary_cross_entropy" and facts.classes not in (None, 2):
        hint = facts.classes_hint or "take cross_entropy"
        doubts.at("train.loss", f"binary_cross_entropy is for 2 classes, the data have {facts.classes}", hint)
    for i, metric in enumerate(spec.train.metrics or ()):
        row = CATALOG["metric"][metric.name]
        if row.task != facts.task:
            fitting = listing(of_task("metric", facts.task))
            doubts.at(
                f"train.metrics.{i}", f"{metric.name} does not fit: the data are a {facts.task}", f"known: {fitting}"
            )
        elif row.loss not in (None, loss.name):
            doubts.at(f"train.metrics.{i}", f"{metric.name} is made from {row.loss}, the loss is {loss.name}")
        k = getattr(metric.arguments, "k", 0)
        if facts.classes is not None and k > facts.classes:
            doubts.at(f"train.metrics.{i}.{metric.name}.k", f"k is {k}, the data have {facts.classes} classes")
    known = metric_names(spec, tuple(split for split in facts.splits if split != "test"))
    for path, name in _watched(spec):
        if name not in known:
            doubts.at(path, f"there will be no metric {name!r}", near(name, known) or f"known: {listing(known)}")


def _watched(spec: Spec) -> Iterator[tuple[str, str]]:
    train = spec.train
    if train.checkpoint.metric is not None:
        yield "train.checkpoint.metric", train.checkpoint.metric
    if train.early_stop is not None and train.early_stop.metric is not None:
        yield "train.early_stop.metric", train.early_stop.metric
    if train.schedule is not None and (metric := getattr(train.schedule.arguments, "metric", None)):
        yield f"train.schedule.{train.schedule.name}.metric", metric


def _with(component: C, **values: Any) -> C:
    """A copy with some values; they are sound, so nothing is checked again."""
    return component.model_copy(update=values)
