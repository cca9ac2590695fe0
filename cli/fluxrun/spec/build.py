"""A checked spec into the objects of flux_core.

    Loaded ──source──▶ Dataset ──resolve──▶ Spec ──model, plan──▶ Built(spec, source, dataset, model, plan)

A component is built by calling its maker with its arguments. What does not fit is reported at the spec's lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flux_core.errors import SettingError
from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.load import Loaded
from fluxrun.spec.part import Component, Part
from fluxrun.spec.resolve import Doubts, Facts, check_task, implied_task, resolve, resolve_split
from fluxrun.spec.schema.root import Spec
from fluxrun.spec.schema.sources import Batches

if TYPE_CHECKING:
    from flux_core.data import Dataset
    from flux_core.data.dataset import Peek, Source
    from flux_core.training.plan import Plan


@dataclass(frozen=True)
class Built:
    """Everything that a training needs; `spec` is resolved."""

    spec: Spec
    source: Source
    dataset: Dataset
    model: Any
    plan: Plan
    facts: Facts


def build(loaded: Loaded, *, max_steps: int | None = None, threads: int | None = None) -> Built:
    """Load the data and build the rest. Raises SpecError, DataError, MissingFile."""
    spec, facts, source, dataset, model = gather(loaded)
    return Built(spec, source, dataset, model, build_plan(spec, max_steps, threads), facts)


def gather(loaded: Loaded, *, drawn: bool = True) -> tuple[Spec, Facts, Source, Dataset, Any]:
    """All but the plan; `drawn` says whether the model needs its weights. Raises as `build`."""
    from fluxrun.spec.fit import Inputs, fit_model

    spec = resolve_split(loaded.spec)
    doubts = Doubts(loaded.tree)
    source = build_source(spec.data)
    dataset = _ask(source, lambda: source.load(seed=spec.seed, task=implied_task(spec)), doubts)
    parts = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    classes = len(dataset.classes) if dataset.task == "classification" else None
    vocabulary = dataset.preprocessing.vocabulary
    symbols = None if vocabulary is None else len(vocabulary)
    splits = tuple(name for name, part in parts.items() if part is not None)
    facts = Facts(dataset.task, classes, splits, symbols, dataset.classes if symbols is None else ())
    spec = resolve(spec, facts)
    check_task(spec, facts, doubts)
    check_batch(spec, len(dataset.train), doubts)
    x, y = dataset.train.x, dataset.train.y
    padded = dataset.train.lengths is not None
    inputs = Inputs(x.shape[1:], "int64" if x.dtype.kind == "i" else "float32", y.shape[1:], padded, dataset.largest)
    model = fit_model(spec, facts, inputs, doubts, drawn=drawn)
    doubts.problems.raise_if_any()
    return spec, facts, source, dataset, model


def peek(loaded: Loaded) -> tuple[Spec, Facts, Peek, Any]:
    """The same as far as it goes without loading: resolved spec, facts, shapes, and the model. Raises as `build`."""
    from fluxrun.spec.fit import Inputs, fit_model

    spec = resolve_split(loaded.spec)
    doubts = Doubts(loaded.tree)
    source = build_source(spec.data)
    seen = _ask(source, lambda: source.peek(seed=spec.seed, task=implied_task(spec)), doubts)
    facts = Facts(seen.task, seen.classes, _splits(spec), seen.vocabulary, seen.names)
    spec = resolve(spec, facts)
    check_task(spec, facts, doubts)
    inputs = Inputs(seen.input_shape, seen.input_dtype, seen.target_shape, seen.lengths)
    model = fit_model(spec, facts, inputs, doubts, drawn=False)
    doubts.problems.raise_if_any()
    return spec, facts, seen, model


def build_source(part: Part) -> Source:
    """The data source, with the constructor's defaults for what the spec leaves open."""
    assert isinstance(part.arguments, Batches)
    arguments = {
        name: value
        for name in type(part.arguments).model_fields
        if name not in part.arguments.dealing and (value := getattr(part.arguments, name)) is not None
    }
    split = arguments.get("split")
    if isinstance(split, Component):
        arguments["split"] = {name: share for name, share in split.model_dump().items() if share}
    source: Source = CATALOG["source"][part.name].make()(**arguments)
    return source


def build_part(kind: str, part: Part, **more: Any) -> Any:
    """What the maker of a component makes of its arguments."""
    values = {name: getattr(part.arguments, name) for name in type(part.arguments).model_fields}
    return CATALOG[kind][part.name].make()(**{**values, **more})


def build_plan(spec: Spec, max_steps: int | None = None, threads: int | None = None) -> Plan:
    """How the trainer is to go about it."""
    from flux_core.training.plan import EarlyStop, Plan

    train, data = spec.train, spec.data.arguments
    assert isinstance(data, Batches)
    assert train.loss is not None
    assert train.metrics is not None
    stop = train.early_stop
    return Plan(
        loss=train.loss.name,
        loss_arguments=train.loss.arguments.model_dump(),
        optimizer=build_part("optimizer", train.optimizer),
        schedule=build_part("schedule", train.schedule) if train.schedule else None,
        epochs=train.epochs,
        batch_size=data.batch_size,
        shuffle=data.shuffle,
        drop_last=data.drop_last,
        seed=spec.seed,
        metrics=tuple(
            (metric.name, arguments) if (arguments := metric.arguments.model_dump()) else metric.name
            for metric in train.metrics
        ),
        clip_norm=train.clip_norm,
        clip_value=train.clip_value,
        early_stop=EarlyStop(stop.metric or "train.loss", stop.patience, stop.min_delta) if stop else None,
        monitor=train.checkpoint.metric,
        every_steps=train.checkpoint.every_steps,
        engine=train.engine,
        threads=threads,
        max_steps=max_steps,
    )


def check_batch(spec: Spec, examples: int, doubts: Doubts) -> None:
    """The size of minibatches against the examples to train on."""
    data = spec.data.arguments
    assert isinstance(data, Batches)
    if data.drop_last and examples < data.batch_size:
        count = f"{examples:,} example{'s' * (examples != 1)}"
        message = f"the training split has {count}, which make no batch of {data.batch_size:,}"
        doubts.at("data.batch_size", message, "lower it, or set drop_last: false")


def _splits(spec: Spec) -> tuple[str, ...]:
    """The splits that a spec asks for."""
    data = spec.data.arguments
    split = getattr(data, "split", None)
    own = {
        name: any(getattr(data, f"{name}_{what}", None) for what in ("path", "images", "features"))
        for name in ("train", "valid", "test")
    }
    return tuple(name for name in own if name == "train" or own[name] or getattr(split, name, None))


def _ask(source: Source, question: Any, doubts: Doubts) -> Any:
    """The answer of a source; a name that the file lacks, a window that it is too short for, or a task that its target
    does not take, which the loss implies where `data.task` does not say it, is one of the spec."""
    try:
        return question()
    except SettingError as first:
        names: list[SettingError] = getattr(source, "misnamed", list)()  # all of them; a table has more names than one
        for error in names or [first]:
            implied = error.key == "task" and getattr(source, "task", None) is None
            path = "train.loss" if implied else f"data.{error.key}"
            what = error.reason if error.column is None else f"column {error.column!r}: {error.reason}"
            where = ":".join(str(part) for part in (error.file, error.row) if part is not None)
            doubts.at(path, f"{what} ({where})" if where else what, error.hint)
        doubts.problems.raise_if_any()
        raise
