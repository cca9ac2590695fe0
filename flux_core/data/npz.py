"""NumPy archives: arrays `x` and `y` of one .npz file, or one file for each part.

    data.npz: x (rows, ...), y (rows,) ──▶ Dataset

Numbers become float32, unless `ids` keeps whole numbers as int64 for embeddings and one-hot layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flux_core.data.archive import read_array, read_header
from flux_core.data.arrays import array_dataset, input_shape
from flux_core.data.assemble import Targets, read_targets
from flux_core.data.cells import Place
from flux_core.data.dataset import Dataset, Peek, Task
from flux_core.data.files import MAX_BYTES, fractions_of_main, part_files
from flux_core.data.raw import Raw
from flux_core.data.split import Part


@dataclass(frozen=True)
class NpzSource:
    """`features` (rows, ...) and `target` (rows,) or (rows, targets) of .npz files.

    `standardize` defaults to true where the features are floats with two axes. Whole-number targets are
    classes unless `task` is "regression".
    """

    path: str | Path | None = None
    train_path: str | Path | None = None
    valid_path: str | Path | None = None
    test_path: str | Path | None = None
    features: str = "x"
    target: str = "y"
    ids: bool = False
    split: Mapping[str, float] | None = None
    standardize: bool | None = None
    task: Task | None = None
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        self._fractions()

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Read and encode; raises MissingFile, ColumnError (no such array) or DataError."""
        paths = self._paths()
        return array_dataset(
            {part: self._raw(path) for part, path in paths.items()},
            self._targets(task),
            fractions=self._fractions(),
            seed=seed,
            standardize=self.standardize,
            ids=self.ids,
            name=self.features,
        )

    def files(self) -> tuple[Path, ...]:
        """The files, train first."""
        return tuple(self._paths().values())

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """From the header of the features and the targets of every file."""
        header = read_header(self._paths()["train"], self.features, "features", self.max_bytes)
        targets = self._targets(task)
        return Peek(
            input_shape=input_shape(header.shape, self.ids),
            input_dtype="int64" if self.ids else "float32",
            classes=len(targets.classes) if targets.task == "classification" else None,
            task=targets.task,
            target_shape=targets.values["train"].shape[1:],
        )

    def _raw(self, path: Path) -> Raw:
        which = (path, self.features, "features", self.max_bytes)
        header = read_header(*which)
        return Raw(header.shape, header.dtype, lambda: read_array(*which), path)

    def _paths(self) -> dict[Part, Path]:
        return part_files(self.path, self.train_path, self.valid_path, self.test_path)

    def _fractions(self) -> dict[Part, float]:
        return fractions_of_main(self.split, self._paths(), separate=self.train_path is not None)

    def _targets(self, task: Task | None) -> Targets:
        paths = self._paths()
        ys = {part: read_array(path, self.target, "target", self.max_bytes) for part, path in paths.items()}
        places = {part: Place(path, None, self.target) for part, path in paths.items()}
        return read_targets(ys, places, self.task or task)
