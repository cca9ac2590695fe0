"""A data file that a trained model has never seen, read by the source of its training.

    source.read_new(path, preprocessing)              ──▶ NewData     x of all rows, the file's columns beside it
    source.read_answered(path, preprocessing, gives)  ──▶ Dataset     x and y of the rows that have an answer

What a model has learnt from decides what it can be given: a table for a table, arrays for arrays, text for text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.answers import answers
from flux_core.data.cells import Place
from flux_core.data.dataset import Dataset, Examples, Task
from flux_core.data.files import open_file
from flux_core.data.lengths import at_real_steps, in_their_steps, is_stepwise, real_steps
from flux_core.data.preprocessing import Preprocessing
from flux_core.errors import ColumnError, DataError

STARTS = {b"PK\3\4": ".npz", b"\x93NUM": ".npy"}  # how a file of NumPy begins, whatever its name


@dataclass(frozen=True)
class NewData:
    """The encoded rows of a file; what is no array also has its columns as they were, and how they were written."""

    path: Path
    x: NDArray[Any]
    notes: tuple[str, ...] = ()
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    lengths: NDArray[Any] | None = None  # of sequences that are padded
    header: bool = True  # whether the names of the columns stand in the file
    delimiter: str = ","

    @property
    def ahead(self) -> int:
        """How many rows of the columns stand before the first that has a prediction."""
        return next((len(cells) - len(self.x) for cells in self.columns.values()), 0)


@dataclass(frozen=True)
class Symbols(Sequence[str]):
    """What ids are called, as the cells of a column.

    >>> list(Symbols(np.array([1, 0, 0]), ("a", "b"))[1:])
    ['a', 'a']
    """

    ids: NDArray[np.int64]
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, which: Any) -> Any:
        if isinstance(which, slice):
            return [self.names[i] for i in self.ids[which].tolist()]
        return self.names[self.ids[which]]


@dataclass(frozen=True)
class Gives:
    """What a model answers: so many numbers, for each example or for each step of a sequence."""

    numbers: int
    stepwise: bool = False


def kind_of(path: Path) -> str:
    """What a file is: .npz, .npy, or another ending of its name, in lower case; where that does not tell, its first
    bytes do. Raises MissingFile."""
    suffix = path.suffix.lower()
    if suffix in STARTS.values():
        return suffix
    with open_file(path) as file:
        return STARTS.get(file.read(4), suffix)


@contextmanager
def of_this_file() -> Iterator[None]:
    """A name that a new file lacks is a fault of the file, not of a spec."""
    try:
        yield
    except ColumnError as error:
        raise DataError(error.reason, file=error.file, hint=error.hint) from None


def answered(
    new: NewData, values: NDArray[Any], place: Place, preprocessing: Preprocessing, gives: Gives, *notes: str
) -> Dataset:
    """New rows with their answers, which stand in `place`. Raises DataError for what the model could not answer."""
    if len(new.x) != len(values):
        raise DataError(f"it has {len(new.x)} examples and {len(values)} answers", file=new.path)
    examples = Examples(new.x, _encoded(new, values, place, preprocessing, gives), lengths=new.lengths)
    task: Task = "classification" if preprocessing.classes else "regression"
    return Dataset(examples, None, None, task, preprocessing.classes, (), preprocessing, (*new.notes, *notes))


def _encoded(
    new: NewData, values: NDArray[Any], place: Place, preprocessing: Preprocessing, gives: Gives
) -> NDArray[Any]:
    """The answers as the model's y; of padded sequences with one for each step, those of real steps are looked at."""
    if new.lengths is None:
        return answers(values, preprocessing, place, gives.numbers)
    steps = new.x.shape[1]
    if is_stepwise(values, steps) != gives.stepwise:
        each = "step" if gives.stepwise else "sequence"
        raise DataError(f"the model answers for each {each}, there are answers of {values.shape}", file=new.path)
    if not gives.stepwise:
        return answers(values, preprocessing, place, gives.numbers)
    real = real_steps(new.lengths, steps)
    found = answers(at_real_steps(values, real, new.path, place.column), preprocessing, place, gives.numbers)
    return in_their_steps(found, real)
