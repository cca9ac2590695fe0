"""What a source hands to the trainer.

    Source ──load(seed)──▶ Dataset ── train, valid, test: Examples(x, y, rows)
      │                       └────── preprocessing: how new rows become x, and y the units of the file
      ├──peek()──▶ Peek: the shape of one example, before anything is trained
      └──read_new(path), read_answered(path): a file that a trained model has never seen

A source is any object with the methods of `Source`; its constructor arguments are the keys of `data` in a spec.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import Place
from flux_core.data.lengths import checked_lengths, real_steps
from flux_core.data.preprocessing import Preprocessing
from flux_core.errors import DataError

if TYPE_CHECKING:
    from flux_core.data.new import Gives, NewData

Task = Literal["classification", "regression"]
STRETCH = 2**20  # rows of an order that are looked up at once


@dataclass(frozen=True)
class Examples:
    """Rows for the model: x (n, ...) float32 or int64; y int64 (n,) labels or float32 (n, targets).

    `rows`, int64 and contiguous, says which of them are the examples, in this order; None: all, as they lie. So
    the splits of a large array share it, and an array in a file is never copied. `lengths`, int64 (n,), are those of
    sequences x (n, steps, ...) that are padded behind; then y may also be int64 (n, steps) or float32 (n, steps,
    targets), a target for each step.

    >>> examples = Examples(np.array([[0.0], [1.0], [2.0]], np.float32), np.array([0, 1, 0]), np.array([2, 0]))
    >>> len(examples), examples.part(slice(0, 1))
    (2, (array([[2.]], dtype=float32), array([0])))
    """

    x: NDArray[Any]
    y: NDArray[Any]
    rows: NDArray[np.int64] | None = None
    lengths: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} rows and y has {len(self.y)}")
        if self.lengths is not None:
            checked_lengths(self.lengths, self.x.shape, self.x.dtype.kind == "i", Place(column="lengths"))
        if (rows := self.rows) is None:
            return
        if rows.ndim != 1 or rows.dtype != np.int64 or not rows.flags.c_contiguous:
            raise ValueError("rows must be one contiguous axis of int64")
        # machine code gathers by these numbers and looks at nothing
        if len(rows) and not (int(rows.min()) >= 0 and int(rows.max()) < len(self.x)):
            raise ValueError(f"rows has numbers from {rows.min()} to {rows.max()}, x has {len(self.x)} rows")

    def __len__(self) -> int:
        return len(self.x) if self.rows is None else len(self.rows)

    def order(self, shuffled: NDArray[np.int64] | None = None) -> NDArray[np.int64] | None:
        """The rows of x and y that make the examples, in a shuffled order of theirs; None: all, as they lie.

        They are written over `shuffled`: of many small examples, orders are most of the memory.
        """
        if self.rows is None or shuffled is None:
            return shuffled if self.rows is None else self.rows
        for start in range(0, len(shuffled), STRETCH):
            part = shuffled[start : start + STRETCH]
            part[:] = self.rows[part]
        return shuffled

    def part(self, which: slice) -> tuple[NDArray[Any], NDArray[Any]]:
        """x and y of some of the examples."""
        x, y, *_ = self.at(which if self.rows is None else self.rows[which])
        return x, y

    def at(self, rows: slice | NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
        """These rows of all `arrays`."""
        return tuple(array[rows] for array in self.arrays)

    @property
    def stepwise(self) -> bool:
        """Whether each step of a sequence has a target, and not each sequence."""
        return self.lengths is not None and self.y.ndim == (2 if self.y.dtype.kind == "i" else 3)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """x, y and, where there are any, the lengths."""
        return (self.x, self.y) if self.lengths is None else (self.x, self.y, self.lengths)

    def targets(self) -> NDArray[Any]:
        """y of the examples; where each step has one, those of all real steps, one behind the other."""
        y = self.part(slice(None))[1]
        if self.lengths is None or not self.stepwise:
            return y
        lengths = self.lengths if self.rows is None else self.lengths[self.rows]
        return np.asarray(y[real_steps(lengths, y.shape[1])])


@dataclass(frozen=True)
class MappedFile:
    """A data file that is read while the training goes on, as it was when it was mapped."""

    path: Path
    inode: int
    size: int

    @classmethod
    def of(cls, path: Path) -> MappedFile:
        """The file as it is now."""
        status = path.stat()
        return cls(path, status.st_ino, status.st_size)

    def require_whole(self) -> None:
        """Raise DataError if the file was cut off; one that was removed or replaced is still there for who maps it."""
        try:
            status = self.path.stat()
        except OSError:
            return
        if status.st_ino == self.inode and status.st_size < self.size:
            raise DataError(
                f"the file was cut off while it was in use: it had {self.size:,} bytes, now {status.st_size:,}",
                file=self.path,
                hint="replace files under another name and rename them, instead of writing over them",
            )


@dataclass(frozen=True)
class Dataset:
    """Everything that a training needs of its data; `notes` are things worth saying to the user.

    `mapped` are data files that x is read from as they lie. With `streams`, every minibatch goes on where the one
    before it ended: example k * batch_size + b follows example (k - 1) * batch_size + b in the same text, so that
    nothing may be shuffled and no minibatch be smaller. Of x that holds ids, `largest` is the largest at each place of
    an example.
    """

    train: Examples
    valid: Examples | None
    test: Examples | None
    task: Task
    classes: tuple[str, ...]
    features: tuple[str, ...]
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()
    mapped: tuple[MappedFile, ...] = ()
    streams: bool = False
    largest: NDArray[np.int64] | None = None

    def require_whole(self) -> None:
        """Look at mapped files before machine code does: to read behind the end of one kills the process."""
        for file in self.mapped:
            file.require_whole()


@dataclass(frozen=True)
class Peek:
    """The shape of one example (no batch axis), the dtype of x, the number of classes (None for regression), the shape
    of one target, the number of symbols where x is text, whether examples are sequences that have lengths, and the
    names of the classes where these are no symbols."""

    input_shape: tuple[int, ...]
    input_dtype: Literal["float32", "int64"]
    classes: int | None
    task: Task
    target_shape: tuple[int, ...]
    vocabulary: int | None = None
    lengths: bool = False
    names: tuple[str, ...] = ()


class Source(Protocol):
    """Where examples come from."""

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Read, split and encode everything; `task` is what the loss implies, None lets the data decide."""

    def files(self) -> tuple[Path, ...]:
        """The files that are read, in a fixed order."""

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """What `load` with the same arguments would give, as cheaply as possible."""

    @property
    def max_bytes(self) -> int:
        """How many bytes an array or a text may have, whatever a file claims."""

    def read_new(self, path: Path, preprocessing: Preprocessing) -> NewData:
        """A new file as the input of a model that was trained on this source; raises MissingFile, DataError with
        file, row and column, SettingError for a kind of file that the model cannot take."""

    def read_answered(self, path: Path, preprocessing: Preprocessing, gives: Gives) -> Dataset:
        """The rows of a new file that have an answer, as the only split; raises as `read_new`."""
