"""Predictions of a trained model for the rows of a file, as a table or as arrays.

size,colour        size,colour,prediction,probability_a,probability_b         classes: the most likely, and all shares
1.5,red      ──▶   1.5,red,a,0.93,0.07
                   size,colour,prediction                                     numbers: in the units of the data
the text     ──▶   symbol,prediction,probability_a,...                        text: what comes behind each symbol
sequences    ──▶   row,step,prediction                                        padded ones: at each step, if asked that

All columns of the file are kept, used or not.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_core import fsio
from flux_core.errors import GraphError
from fluxrun.jobs.expect import CannotCreate, UsageError, creating
from fluxrun.jobs.new_data import NewData, limit_of, read_new
from fluxrun.jobs.piped import data_file
from fluxrun.spec.load import load
from fluxrun.store.listing import find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flux_core.training.loaded import Trained

FORMS = (".csv", ".npz")


@dataclass(frozen=True)
class Predictions:
    """What a model says about the rows of a file; `shares` are the probabilities of its classes, if it has any."""

    run: Path
    data: str  # as it was named
    new: NewData
    values: NDArray[Any]  # (rows,) names or numbers, or (rows, targets)
    shares: NDArray[Any] | None
    classes: tuple[str, ...]
    delimiter: str

    def table(self) -> str:
        """The file's columns with the predictions behind them."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        kept, added = list(self.new.columns), self._columns()
        writer.writerow([*kept, *_free((name for name, _ in added), kept)])
        cells = [*self.new.columns.values(), *(self._padded(column) for _, column in added)]
        writer.writerows(zip(*cells, strict=True))
        return text.getvalue()

    def archive(self) -> bytes:
        """An .npz file: prediction, probability, classes, and the file's columns as text."""
        import numpy as np

        arrays: dict[str, Any] = {"prediction": self.values}
        if self.shares is not None:
            arrays |= {"probability": self.shares, "classes": np.array(self.classes)}
        names = _free(self.new.columns, list(arrays))
        arrays |= {name: np.array(cells) for name, cells in zip(names, self._kept().values(), strict=True)}
        stream = io.BytesIO()
        np.savez_compressed(stream, **arrays)
        return stream.getvalue()

    def about(self) -> dict[str, Any]:
        """What `predict --json` prints before the predictions, or in their stead if they are in a file."""
        about = {"run": str(self.run), "data": self.data, "task": self.task, "classes": list(self.classes)}
        return {**about, "notes": list(self.new.notes), "rows": len(self.values)}

    def to_json(self) -> dict[str, Any]:
        """What `predict --json` prints: lists of one length, but for the names of the classes."""
        columns = {name: list(cells) for name, cells in self._kept().items()}
        shares = None if self.shares is None else self.shares.tolist()
        return {**self.about(), "columns": columns, "prediction": self.values.tolist(), "probability": shares}

    @property
    def task(self) -> str:
        return "regression" if self.shares is None else "classification"

    def _kept(self) -> dict[str, Sequence[Any]]:
        """The file's columns, where there is a prediction."""
        return {name: cells[self.new.ahead :] for name, cells in self.new.columns.items()}

    def _columns(self) -> list[tuple[str, list[str]]]:
        """The new columns, by name."""
        if self.shares is not None:
            shares = [(f"probability_{name}", column) for name, column in zip(self.classes, self.shares.T, strict=True)]
            return [("prediction", self.values.tolist()), *((name, [f"{p:.6g}" for p in c]) for name, c in shares)]
        if self.values.ndim == 1:
            return [("prediction", [f"{value:.9g}" for value in self.values])]
        return [(f"prediction_{i}", [f"{value:.9g}" for value in column]) for i, column in enumerate(self.values.T)]

    def _padded(self, column: list[str]) -> list[str]:
        """A window's prediction stands at its last row; the rows before the first have none."""
        return [""] * self.new.ahead + column


def predict(which: str, data: str, runs: Path) -> Predictions:
    """Raises NoSuchRun, CheckpointError, MissingFile, DataError, UsageError."""
    from flux_core.training import load as load_model
    from flux_core.training.reader import Reader

    run = find(runs, which)
    arguments = load(str(run.folder / "resolved.yaml"), surrounding=False).spec.data.arguments
    trained = load_model(run.folder)
    with data_file(data, limit_of(arguments)) as path:
        new = read_new(path, trained.preprocessing, arguments)
    try:
        outputs = (
            _of_rows(trained, new) if trained.preprocessing.vocabulary is None else Reader(trained.model).read(new.x)
        )
    except GraphError as error:
        raise UsageError(f"{run.name} cannot read a text of any length: {error}") from None
    shares = trained.shares(outputs) if trained.task == "classification" else None
    values, delimiter = trained.decided(outputs), getattr(arguments, "delimiter", ",")
    found = Predictions(run.folder, data, new, values, shares, trained.classes, delimiter)
    return _of_steps(found) if trained.model.stepwise else found


def _of_rows(trained: Trained, new: NewData) -> NDArray[Any]:
    trained.require(new.x, new.path)
    return trained.run(new.x, new.lengths)


def _of_steps(found: Predictions) -> Predictions:
    """Each real step of a sequence as a row of its own."""
    import numpy as np

    from flux_core.data.lengths import real_steps

    new, (rows, steps) = found.new, found.values.shape[:2]
    real = real_steps(np.full(rows, steps) if new.lengths is None else new.lengths, steps)
    columns = {name: numbers.tolist() for name, numbers in zip(("row", "step"), np.nonzero(real), strict=True)}
    shares = None if found.shares is None else found.shares[real]
    return replace(found, new=replace(new, x=new.x[real], columns=columns), values=found.values[real], shares=shares)


def check_output(path: str | None) -> None:
    """Raise UsageError, before anything is computed, for a file of a kind that is not written; CannotCreate for a
    place where there can be no file."""
    if path is None:
        return
    if Path(path).suffix not in FORMS:
        raise UsageError(f"-o {path!r}: the name of a file that ends in {' or '.join(FORMS)} is expected")
    if Path(path).is_dir():
        raise CannotCreate(f"{path}: there is a folder of this name already")
    if not Path(path).parent.is_dir():
        raise CannotCreate(f"{path}: there is no folder {str(Path(path).parent)!r}")


def write(predictions: Predictions, path: Path) -> None:
    """Put the file in its place, whole or not at all. Raises CannotCreate, OSError."""
    content = predictions.archive() if path.suffix == ".npz" else predictions.table().encode()
    with creating(path):
        fsio.write_atomically(path, content)


def _free(names: Iterable[str], taken: Sequence[str]) -> list[str]:
    """Names that differ from those that are taken, by underscores behind them."""
    found: list[str] = []
    for name in names:
        while name in taken or name in found:
            name += "_"
        found.append(name)
    return found
