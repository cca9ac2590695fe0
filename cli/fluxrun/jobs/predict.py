"""Predictions of a trained model for the rows of a file, as a table or as arrays.

size,colour        size,colour,prediction,probability_a,probability_b         classes: the most likely, and all shares
1.5,red      ──▶   1.5,red,a,0.93,0.07
                   size,colour,prediction                                     numbers: in the units of the data
the text     ──▶   symbol,prediction,probability_a,...                        text: what comes behind each symbol
sequences    ──▶   row,step,prediction                                        padded ones: at each step, if asked that

All columns of the file are kept, used or not, and a table that came without a header goes without one. Rows are
computed and written some after the others, so that their probabilities are never in memory all at once.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_core import fsio
from flux_core.data.files import matching
from flux_core.errors import GraphError
from fluxrun.jobs.expect import CannotCreate, UsageError, creating
from fluxrun.jobs.piped import NAMES, PATH, data_file
from fluxrun.spec.build import build_source
from fluxrun.spec.load import load
from fluxrun.store.listing import Run, find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from flux_core.data.new import NewData
    from flux_core.training.loaded import Trained

FORMS = (".csv", ".npz")


@dataclass(frozen=True)
class Block:
    """Some of the predictions: `rows` of all, the values, and the probabilities of classes, if there are any."""

    rows: slice
    values: NDArray[Any]  # (rows,) names or numbers, or (rows, targets)
    shares: NDArray[Any] | None


@dataclass(frozen=True)
class Predictions:
    """What a model says about the rows of a file; `outputs` are its own, some rows after the others, once."""

    run: Path
    data: str  # as it was named
    new: NewData
    trained: Trained
    outputs: Iterator[NDArray[Any]]

    def __len__(self) -> int:
        return len(self.new.x) if self._real is None else int(self._real.sum())

    def blocks(self) -> Iterator[Block]:
        """The predictions, to be taken once."""
        at = row = 0
        for outputs in self.outputs:
            values = self.trained.decided(outputs)
            shares = self.trained.shares(outputs) if self.trained.task == "classification" else None
            if self._real is not None:  # each real step is a row of its own
                real = self._real[row : row + len(outputs)]
                values, shares = values[real], None if shares is None else shares[real]
            yield Block(slice(at, at + len(values)), values, shares)
            at, row = at + len(values), row + len(outputs)

    def table(self) -> Iterator[bytes]:
        """The file's columns with the predictions behind them."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.new.delimiter, lineterminator="\n")
        names = _free(self._added, list(self.columns))
        if self.new.header:
            writer.writerow([*self.columns, *names])
        for cells in zip(*(cells[: self.new.ahead] for cells in self.columns.values()), strict=True):
            writer.writerow([*cells, *("" for _ in names)])  # no window ends here
        for block in self.blocks():
            kept = [cells[block.rows] for cells in self._kept.values()]
            writer.writerows(zip(*kept, *_columns(block), strict=True))
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()

    def archive(self) -> Iterator[bytes]:
        """An .npz file: prediction, probability, classes, and the file's columns as text."""
        import numpy as np

        from fluxrun.jobs.zipped import Member, zipped

        classes, targets = np.array(self.trained.classes), self.trained.gives.numbers

        def members() -> Iterator[tuple[str, Member]]:
            names = ["prediction"]
            if self.trained.task == "classification":
                shares, chosen = self._apart()
                names += ["probability", "classes"]
                yield "probability", Member(np.dtype(np.float64), (len(self), len(classes)), shares)
                yield "prediction", Member(classes.dtype, (len(self),), chosen)
                yield "classes", Member(classes.dtype, classes.shape, [classes])
            else:
                shape = (len(self),) if targets == 1 else (len(self), targets)
                yield "prediction", Member(np.dtype(np.float64), shape, (block.values for block in self.blocks()))
            for name, cells in zip(_free(self._kept, names), self._kept.values(), strict=True):
                yield name, Member.of_cells(cells)

        return zipped(members())

    def about(self) -> dict[str, Any]:
        """What `predict --json` prints before the predictions, or in their stead if they are in a file."""
        about = {"run": str(self.run), "data": self.data, "task": self.trained.task}
        return {**about, "classes": list(self.trained.classes), "notes": list(self.new.notes), "rows": len(self)}

    def to_json(self) -> dict[str, Any]:
        """What `predict --json` prints: lists of one length, but for the names of the classes; those that are long are
        iterators, to be taken in their order."""
        columns = {name: list(cells) for name, cells in self._kept.items()}
        if self.trained.task == "regression":
            values = (value for block in self.blocks() for value in block.values.tolist())
            return {**self.about(), "columns": columns, "probability": None, "prediction": values}
        shares, names = self._apart()
        rows = (row for part in shares for row in part.tolist())
        return {
            **self.about(),
            "columns": columns,
            "probability": rows,
            "prediction": (name for part in names for name in part.tolist()),
        }

    def _apart(self) -> tuple[Iterator[NDArray[Any]], Iterator[NDArray[Any]]]:
        """The probabilities of all rows, and then their classes, which are kept meanwhile."""
        kept: list[NDArray[Any]] = []

        def shares() -> Iterator[NDArray[Any]]:
            for block in self.blocks():
                kept.append(block.values)
                assert block.shares is not None, "classes have probabilities"
                yield block.shares

        def names() -> Iterator[NDArray[Any]]:
            yield from kept

        return shares(), names()

    @cached_property
    def columns(self) -> Mapping[str, Sequence[Any]]:
        """The file's columns; where each step of a sequence has a prediction, the numbers of both."""
        import numpy as np

        if self._real is None:
            return self.new.columns
        return {name: numbers.tolist() for name, numbers in zip(("row", "step"), np.nonzero(self._real), strict=True)}

    @cached_property
    def _kept(self) -> dict[str, Sequence[Any]]:
        """The columns where there is a prediction: a window's stands at its last row, rows before the first lack it."""
        return {name: cells[self.new.ahead :] if self.new.ahead else cells for name, cells in self.columns.items()}

    @cached_property
    def _real(self) -> NDArray[Any] | None:
        """The steps that have predictions, (rows, steps); None where rows have them."""
        import numpy as np

        from flux_core.data.lengths import real_steps

        new = self.new
        if not self.trained.model.stepwise:
            return None
        rows, steps = new.x.shape[:2]
        return real_steps(np.full(rows, steps) if new.lengths is None else new.lengths, steps)

    @property
    def _added(self) -> list[str]:
        """The names of the new columns."""
        targets = self.trained.gives.numbers
        if self.trained.task == "classification":
            return ["prediction", *(f"probability_{name}" for name in self.trained.classes)]
        return ["prediction"] if targets == 1 else [f"prediction_{i}" for i in range(targets)]


def _columns(block: Block) -> list[list[Any]]:
    """The new columns of some rows."""
    if block.shares is not None:
        return [block.values.tolist(), *([f"{p:.6g}" for p in column] for column in block.shares.T.tolist())]
    columns = block.values.reshape(len(block.values), -1).T.tolist()
    return [[f"{value:.9g}" for value in column] for column in columns]


def predict(which: str, data: str, runs: Path, output: str | None = None) -> Predictions:
    """What a model says about the rows of `data`, to be written to `output`; it is computed later.

    Raises NoSuchRun, CheckpointError, MissingFile, DataError, UsageError, CannotCreate.
    """
    from flux_core.training import load as load_model
    from flux_core.training.reader import Reader

    if output is not None:
        check_output(output)
    run = find(runs, which)
    if output is not None:
        _require_free(output, data, run)
    source = build_source(load(str(run.folder / "resolved.yaml"), surrounding=False).spec.data)
    trained = load_model(run.folder)
    with data_file(data, source.max_bytes) as path:
        new = source.read_new(path, trained.preprocessing)
    if trained.preprocessing.vocabulary is None:
        trained.require(new.x, new.path)
        return Predictions(run.folder, data, new, trained, trained.pieces(new.x, new.lengths))
    try:
        reader = Reader(trained.model)
    except GraphError as error:
        raise UsageError(f"{run.name} cannot read a text of any length: {error}") from None
    return Predictions(run.folder, data, new, trained, reader.pieces(new.x))


def check_output(path: str) -> None:
    """Raise UsageError, before anything is computed, for a file of a kind that is not written; CannotCreate for a
    place where there can be no file."""
    if Path(path).suffix.lower() not in FORMS:
        raise UsageError(f"-o {path!r}: the name of a file that ends in {' or '.join(FORMS)} is expected")
    if Path(path).is_dir():
        raise CannotCreate(f"{path}: there is a folder of this name already")
    if not Path(path).parent.is_dir():
        raise CannotCreate(f"{path}: there is no folder {str(Path(path).parent)!r}")


def _require_free(path: str, data: str, run: Run) -> None:
    """Raise CannotCreate for a file that is read, or was by the training, by whatever name."""
    read = matching(PATH if data in NAMES else Path(data))
    learnt = [Path(str(file.get("path"))) for file in run.values.get("data") or ()]
    for files, what in ((read, "is what is read"), (learnt, f"belongs to the data of {run.name}")):
        for file in files:
            with suppress(OSError, ValueError):  # one of them is not there
                if os.path.samefile(file, path):
                    raise CannotCreate(f"{path}: this {what}, and it is not overwritten: name another file")


def write(predictions: Predictions, path: Path) -> None:
    """Put the file in its place, whole or not at all. Raises CannotCreate, OSError."""
    parts = predictions.archive() if path.suffix.lower() == ".npz" else predictions.table()
    with creating(path):
        fsio.write_parts(path, parts)


def _free(names: Iterable[str], taken: Sequence[str]) -> list[str]:
    """Names that differ from those that are taken, by underscores behind them."""
    found: list[str] = []
    for name in names:
        while name in taken or name in found:
            name += "_"
        found.append(name)
    return found
