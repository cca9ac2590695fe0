"""Measure a trained model: on a split of its own data, or on a file that it has never seen.

run ──flux_core.load──▶ best weights, preprocessing ──▶ Fit.evaluate ──▶ {"test.loss": ..., "test.accuracy": ...}
data ──the run's source, or a new file──▶ examples ┘

It is measured as the training measures, by the same engine and in the same minibatches, so the test split gives what
the run's record says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxrun.jobs.expect import UsageError
from fluxrun.jobs.piped import data_file
from fluxrun.jobs.same_data import require_same_data, require_same_format
from fluxrun.spec.build import build_plan, build_source
from fluxrun.spec.load import load
from fluxrun.spec.problems import listing
from fluxrun.spec.resolve import implied_task
from fluxrun.spec.schema.root import Spec
from fluxrun.store.listing import Run, find

if TYPE_CHECKING:
    from flux_core.data import Dataset
    from flux_core.training.loaded import Trained


@dataclass(frozen=True)
class Evaluation:
    """What was measured on what; `data` is None for a split of the run's own data."""

    run: Path
    data: str | None
    split: str
    examples: int
    metrics: dict[str, float]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What `evaluate --json` prints."""
        return {**vars(self), "run": str(self.run), "notes": list(self.notes)}


def evaluate(which: str, data: str | None, split: str, runs: Path, threads: int | None = None) -> Evaluation:
    """Raises NoSuchRun, CheckpointError, MissingFile, DataError, UsageError for a split that the run does not have."""
    from flux_core.training import load as load_model
    from flux_core.training.loop import Fit

    run = find(runs, which)
    spec = load(str(run.folder / "resolved.yaml"), surrounding=False).spec
    trained = load_model(run.folder)
    dataset = _own(run, spec, split) if data is None else _new(data, spec, trained)
    # nothing is trained, so nothing is watched
    plan = replace(build_plan(spec, threads=threads), drop_last=False, monitor=None, early_stop=None, schedule=None)
    fit = Fit(trained.model.graph, replace(dataset, preprocessing=trained.preprocessing), plan)
    name = split if data is None else "data"
    notes = () if data is None else dataset.notes
    return Evaluation(run.folder, data, name, len(dataset.train), fit.evaluate(name, fit.dataset.train), notes)


def _own(run: Run, spec: Spec, split: str) -> Dataset:
    """A split of the data that the run was trained on, which must be what they were, as the only split."""
    anyway = f"`fluxrun evaluate {run.name} FILE` measures all rows of a file"
    require_same_format(run, anyway)
    source = build_source(spec.data)
    hint = f"put it back; {anyway}"
    digests = [str(file.get("sha256")) for file in run.values.get("data") or ()]
    require_same_data(source.files(), digests, hint)
    dataset = source.load(seed=spec.seed, task=implied_task(spec))
    parts = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    part = parts[split]
    if part is None:
        present = listing(name for name, one in parts.items() if one is not None)
        raise UsageError(f"the data of {run.name} have no {split} split; --split takes: {present}")
    return replace(dataset, train=part, valid=None, test=None)


def _new(data: str, spec: Spec, trained: Trained) -> Dataset:
    """All rows of a new file that have an answer."""
    source = build_source(spec.data)
    with data_file(data, source.max_bytes) as path:
        dataset = source.read_answered(path, trained.preprocessing, trained.gives)
        trained.require(dataset.train.x, path)
        return dataset
