"""Arrays in .npy files, mapped: what is trained on is read from the file when it is needed, and never copied.

    features.npy float32 (rows, ...)   ──as it is──▶ x
    features.npy of another type       ──decoded once──▶ x, also in a file when it is large
    labels.npy                         ──▶ y

Data may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from flux_core.data.archive import map_array
from flux_core.data.arrays import ReadsArrays, array_dataset, input_shape
from flux_core.data.assemble import Targets, read_targets
from flux_core.data.cells import Place
from flux_core.data.dataset import Dataset, Peek, Task
from flux_core.data.files import MAX_BYTES, fractions_of_main
from flux_core.data.raw import Raw
from flux_core.data.split import PARTS, Part


@dataclass(frozen=True)
class NpySource(ReadsArrays):
    """`features` (rows, ...) and `labels` (rows,) or (rows, targets); other splits may have their own pair of files.

    Numbers become float32, unless `ids` keeps whole numbers as int64 for embeddings and one-hot layers. Without
    `split`, files of other splits make all of `features` training data.
    """

    features: str | Path
    labels: str | Path
    valid_features: str | Path | None = None
    valid_labels: str | Path | None = None
    test_features: str | Path | None = None
    test_labels: str | Path | None = None
    ids: bool = False
    split: Mapping[str, float] | None = None
    standardize: bool = False
    task: Task | None = None
    max_bytes: ClassVar[int] = MAX_BYTES

    def __post_init__(self) -> None:
        for part in ("valid", "test"):
            if (getattr(self, f"{part}_features") is None) != (getattr(self, f"{part}_labels") is None):
                raise ValueError(f"{part}_features and {part}_labels go together")
        self._fractions()

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Map and encode; raises MissingFile or DataError."""
        files = self._files("features")
        return array_dataset(
            {part: Raw.mapped(path) for part, path in files.items()},
            self._targets(task),
            fractions=self._fractions(),
            seed=seed,
            standardize=self.standardize,
            ids=self.ids,
            name="features",
        )

    def files(self) -> tuple[Path, ...]:
        """Features and labels, train first."""
        features, labels = self._files("features"), self._files("labels")
        return tuple(path for part in features for path in (features[part], labels[part]))

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """From the header of the features and all labels."""
        targets = self._targets(task)
        return Peek(
            input_shape=input_shape(map_array(Path(self.features)).shape, self.ids),
            input_dtype="int64" if self.ids else "float32",
            classes=len(targets.classes) if targets.task == "classification" else None,
            task=targets.task,
            target_shape=targets.values["train"].shape[1:],
            names=targets.classes,
        )

    def _files(self, what: str) -> dict[Part, Path]:
        keys = {part: what if part == "train" else f"{part}_{what}" for part in PARTS}
        return {part: Path(value) for part, key in keys.items() if (value := getattr(self, key)) is not None}

    def _fractions(self) -> dict[Part, float]:
        files = self._files("features")
        return fractions_of_main(self.split, files, separate=len(files) > 1)

    def _targets(self, task: Task | None) -> Targets:
        files = self._files("labels")
        ys = {part: map_array(path) for part, path in files.items()}
        return read_targets(ys, {part: Place(path, None, "labels") for part, path in files.items()}, self.task or task)
