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

from flux_core.caches.facts import file_digest
from flux_core.errors import ColumnError, DataError
from fluxrun.jobs.expect import UsageError
from fluxrun.jobs.new_data import NewData, limit_of, read_new
from fluxrun.jobs.piped import data_file
from fluxrun.spec.build import build_plan, build_source
from fluxrun.spec.load import load
from fluxrun.spec.problems import listing
from fluxrun.spec.resolve import implied_task
from fluxrun.spec.schema.root import Spec
from fluxrun.store.listing import Run, find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flux_core.data import Dataset, Examples
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
    examples, dataset, notes = _own(run, spec, split) if data is None else _new(data, spec, trained)
    # nothing is trained, so nothing is watched
    plan = replace(build_plan(spec, threads=threads), drop_last=False, monitor=None, early_stop=None, schedule=None)
    dataset = replace(dataset, train=examples, valid=None, test=None, preprocessing=trained.preprocessing)
    fit = Fit(trained.model.graph, dataset, plan)
    name = split if data is None else "data"
    return Evaluation(run.folder, data, name, len(examples), fit.evaluate(name, fit.dataset.train), notes)


def _own(run: Run, spec: Spec, split: str) -> tuple[Examples, Dataset, tuple[str, ...]]:
    """A split of the data that the run was trained on, which must be what they were."""
    source = build_source(spec.data)
    for path, kept in zip(source.files(), run.values.get("data") or (), strict=False):
        if path.is_file() and file_digest(path) != kept.get("sha256"):
            raise DataError(
                "the file has changed since the training, so its splits are others",
                file=path,
                hint=f"`fluxrun evaluate {run.name} {path}` measures all of its rows",
            )
    dataset = source.load(seed=spec.seed, task=implied_task(spec))
    parts = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    part = parts[split]
    if part is None:
        present = listing(name for name, one in parts.items() if one is not None)
        raise UsageError(f"the data of {run.name} have no {split} split; --split takes: {present}")
    return part, dataset, ()


def _new(data: str, spec: Spec, trained: Trained) -> tuple[Examples, Dataset, tuple[str, ...]]:
    with data_file(data, limit_of(spec.data.arguments)) as path:
        return _rows(path, spec, trained)


def _rows(path: Path, spec: Spec, trained: Trained) -> tuple[Examples, Dataset, tuple[str, ...]]:
    """All rows of a new file that have an answer."""
    from flux_core.data import Dataset, Examples
    from flux_core.data.cells import Place

    if trained.preprocessing.vocabulary is not None:
        dataset = _text(path, spec, trained)
        return dataset.train, dataset, dataset.notes
    new = read_new(path, trained.preprocessing, spec.data.arguments)
    notes = list(new.notes)
    if new.table is None:
        if new.y is None:
            raise DataError("there are no answers in it to measure by", file=path, hint=_ARRAYS)
        x, values, place = new.x, new.y, Place(path, None, "target")
    else:
        x, values, place = _answered(new, spec, trained, notes)
    if len(x) != len(values):
        raise DataError(f"it has {len(x)} examples and {len(values)} answers", file=path)
    examples = Examples(x, _answers(values, trained, new, place), lengths=new.lengths)
    task: Any = trained.task
    return examples, Dataset(examples, None, None, task, trained.classes, (), trained.preprocessing), tuple(notes)


def _answers(values: NDArray[Any], trained: Trained, new: NewData, place: Any) -> NDArray[Any]:
    """The answers as the model's y; of padded sequences with one for each step, those of real steps are looked at."""
    from flux_core.data.answers import answers
    from flux_core.data.lengths import at_real_steps, in_their_steps, is_stepwise, real_steps

    if new.lengths is None:
        return answers(values, trained.preprocessing, place)
    steps = new.x.shape[1]
    if is_stepwise(values, steps) != trained.model.stepwise:
        each = "step" if trained.model.stepwise else "sequence"
        raise DataError(f"the model answers for each {each}, there are answers of {values.shape}", file=new.path)
    if not trained.model.stepwise:
        return answers(values, trained.preprocessing, place)
    real = real_steps(new.lengths, steps)
    found = answers(at_real_steps(values, real, new.path, place.column), trained.preprocessing, place)
    return in_their_steps(found, real)


_ARRAYS = "an .npz file with the arrays x and y, or those that data.features and data.target name, has both"


def _answered(new: NewData, spec: Spec, trained: Trained, notes: list[str]) -> tuple[NDArray[Any], NDArray[Any], Any]:
    """The rows of a table that have a target, its values, and where these stand."""
    import numpy as np

    from flux_core.data.cells import Place, read_numbers
    from flux_core.data.csv import choose
    from flux_core.data.sliding import sliding

    table, preprocessing, data = new.table, trained.preprocessing, spec.data.arguments
    assert table is not None, "only tables come here"
    wanted = getattr(data, "target", -1)
    try:
        names = [choose(table, name, "target") for name in (wanted if isinstance(wanted, list) else [wanted])]
    except ColumnError as error:
        raise DataError(error.reason, file=new.path, hint=error.hint) from None
    clash = [name for name in names if preprocessing.window is None and name in trained.columns]
    if clash:  # the target is given by its index, and this table lacks it or has another order
        raise DataError(f"column {clash[0]!r} would be the target, and the model reads it", file=new.path)
    marks = preprocessing.missing
    if preprocessing.window is not None:
        columns = [read_numbers(table.columns[n], marks, Place(new.path, table.lines, n)).values for n in names]
        ahead = sliding(np.stack(columns, axis=1)[preprocessing.window :], getattr(data, "horizon", 1))
        values = ahead.reshape(len(ahead), -1)
        return new.x[: len(values)], values, Place(new.path, None, names[0])
    cells = table.columns[names[0]]
    rows = np.flatnonzero([cell not in marks for cell in cells])
    if not len(rows):
        raise DataError("no row has a value here", file=new.path, column=names[0])
    if len(rows) < len(cells):
        notes.append(f"{new.path.name}: {len(cells) - len(rows)} of {len(cells)} rows have no target, left out")
    place = Place(new.path, table.lines[rows], names[0])
    kept = [cell for cell in cells if cell not in marks]
    values = np.array(kept) if preprocessing.classes else read_numbers(kept, marks, place).values
    return new.x[rows], values, place


def _text(path: Path, spec: Spec, trained: Trained) -> Dataset:
    """A new text in the ids of the model's vocabulary."""
    from flux_core.data.text import TextSource
    from flux_core.data.vocabulary import codes_of

    data = spec.data.arguments
    same = {name: getattr(data, name) for name in ("unit", "steps", "carry_state", "batch_size")}
    try:
        dataset = TextSource(path=path, split={"train": 1.0}, **same).load(seed=spec.seed)
    except ColumnError as error:
        raise DataError(error.reason, file=path, hint=error.hint) from None
    own, known = dataset.preprocessing.vocabulary, trained.preprocessing.vocabulary
    assert own is not None
    assert known is not None, "only models of text come here"
    if own.unit == "byte":
        return dataset
    ids = known.ids(codes_of(own.characters, "char"))
    if (ids < 0).any():
        strange = [name for name, known_id in zip(own.names, ids, strict=True) if known_id < 0]
        raise DataError(f"the model has never seen the character {strange[0]!r}", file=path)
    train = dataset.train
    return replace(dataset, train=replace(train, x=ids[train.x], y=ids[train.y]))
