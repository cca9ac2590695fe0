"""NumPy archives: arrays `x` and `y` of one .npz file, or one file for each part.

    data.npz: x (rows, ...), y (rows,)                             ──▶ Dataset
              x (rows, steps, ...), lengths (rows,), y (rows,)         of sequences, padded behind
                                          or y (rows, steps, ...)      with a target for each step

Numbers become float32, unless `ids` keeps whole numbers as int64 for embeddings and one-hot layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.archive import misnamed, read_array, read_header
from flux_core.data.arrays import array_dataset, input_shape
from flux_core.data.assemble import Targets, read_targets
from flux_core.data.cells import Place
from flux_core.data.dataset import Dataset, Peek, Task
from flux_core.data.files import MAX_BYTES, fractions_of_main, part_files
from flux_core.data.lengths import (
    at_real_steps,
    checked_lengths,
    cleared,
    in_their_steps,
    is_stepwise,
    real_steps,
)
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.raw import Raw
from flux_core.data.split import Part
from flux_core.errors import ColumnError, DataError

if TYPE_CHECKING:
    from flux_core.data.new import Gives, NewData


@dataclass(frozen=True)
class NpzSource:
    """`features` (rows, ...) and `target` (rows,) or (rows, targets) of .npz files.

    With `lengths`, int64 (rows,), features are sequences (rows, steps, ...) of 1 to `steps` steps, and a target whose
    second axis is as long holds one for each step; what stands behind a sequence's end is not looked at.

    `standardize` defaults to true where the features are floats with two axes. Whole-number targets are
    classes unless `task` is "regression".
    """

    path: str | Path | None = None
    train_path: str | Path | None = None
    valid_path: str | Path | None = None
    test_path: str | Path | None = None
    features: str = "x"
    target: str = "y"
    lengths: str | None = None
    ids: bool = False
    split: Mapping[str, float] | None = None
    standardize: bool | None = None
    task: Task | None = None
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        self._fractions()

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Read and encode; raises MissingFile, ColumnError (no such array) or DataError."""
        paths, lengths = self._paths(), self._lengths()
        return array_dataset(
            {part: self._raw(path, lengths.get(part)) for part, path in paths.items()},
            self._targets(task, lengths),
            fractions=self._fractions(),
            seed=seed,
            standardize=self.standardize,
            ids=self.ids,
            name=self.features,
        )

    def misnamed(self) -> list[ColumnError]:
        """Every name of an array that a file lacks, of each name the first file, where `load` stops at the first."""
        asked = {"features": self.features, "target": self.target}
        asked |= {} if self.lengths is None else {"lengths": self.lengths}
        found: dict[str, ColumnError] = {}
        for path in self._paths().values():
            with suppress(DataError):  # of a file that cannot be read: `load` says so when names are right
                found = {error.key: error for error in misnamed(path, asked)} | found
        return list(found.values())

    def files(self) -> tuple[Path, ...]:
        """The files, train first."""
        return tuple(self._paths().values())

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """From the header of the features and the targets of every file."""
        header = read_header(self._paths()["train"], self.features, "features", self.max_bytes)
        targets = self._targets(task, self._lengths())
        return Peek(
            input_shape=input_shape(header.shape, self.ids),
            input_dtype="int64" if self.ids else "float32",
            classes=len(targets.classes) if targets.task == "classification" else None,
            task=targets.task,
            target_shape=targets.values["train"].shape[1:],
            lengths=self.lengths is not None,
            names=targets.classes,
        )

    def read_new(self, path: Path, preprocessing: Preprocessing) -> NewData:
        """The examples of an archive, a .npy or an idx file."""
        from flux_core.data.new_arrays import new_arrays

        return new_arrays(path, preprocessing, x=self.features, lengths=self.lengths, limit=self.max_bytes)

    def read_answered(self, path: Path, preprocessing: Preprocessing, gives: Gives) -> Dataset:
        """The examples of an archive with its targets."""
        from flux_core.data.new_arrays import answered_arrays

        return answered_arrays(
            self.read_new(path, preprocessing), preprocessing, gives, y=self.target, limit=self.max_bytes
        )

    def _raw(self, path: Path, lengths: NDArray[np.int64] | None) -> Raw:
        which = (path, self.features, "features", self.max_bytes)

        def read() -> NDArray[Any]:
            x = read_array(*which)
            return x if lengths is None else cleared(x, lengths)

        return Raw.of_file(path, lambda: read_header(*which), read)

    def _lengths(self) -> dict[Part, NDArray[np.int64]]:
        """The lengths of the sequences of each file; nothing without lengths."""
        if self.lengths is None:
            return {}
        found = {}
        for part, path in self._paths().items():
            shape = read_header(path, self.features, "features", self.max_bytes).shape
            values = read_array(path, self.lengths, "lengths", self.max_bytes)
            found[part] = checked_lengths(values, shape, self.ids, Place(path, None, self.lengths))
        return found

    def _paths(self) -> dict[Part, Path]:
        return part_files(self.path, self.train_path, self.valid_path, self.test_path)

    def _fractions(self) -> dict[Part, float]:
        return fractions_of_main(self.split, self._paths(), separate=self.train_path is not None)

    def _targets(self, task: Task | None, lengths: Mapping[Part, NDArray[np.int64]]) -> Targets:
        paths = self._paths()
        ys = {part: read_array(path, self.target, "target", self.max_bytes) for part, path in paths.items()}
        places = {part: Place(path, None, self.target) for part, path in paths.items()}
        real: dict[Part, NDArray[np.bool_]] = {}
        if lengths:
            steps = read_header(paths["train"], self.features, "features", self.max_bytes).shape[1]
            if is_stepwise(ys["train"], steps):
                real = {part: real_steps(lengths[part], steps) for part in paths}
                ys = {part: at_real_steps(y, real[part], paths[part], self.target) for part, y in ys.items()}
        targets = read_targets(ys, places, self.task or task)
        values = {part: in_their_steps(y, real[part]) for part, y in targets.values.items()} if real else targets.values
        return replace(targets, values=values, real=real, lengths=lengths)
