"""What a source hands to the trainer.

    Source ──load(seed)──▶ Dataset ── train, valid, test: Examples(x, y)
      │                       └────── preprocessing: how new rows become x, and y the units of the file
      └──peek()──▶ Peek: the shape of one example, before anything is trained

A source is any object with the three methods of `Source`; its constructor arguments are the keys of `data` in a spec.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from flux_core.data.preprocessing import Preprocessing

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Examples:
    """Rows for the model: x (rows, ...) float32 or int64; y int64 (rows,) labels or float32 (rows, targets).

    >>> import numpy as np
    >>> len(Examples(np.zeros((3, 2), np.float32), np.array([0, 1, 0])))
    3
    """

    x: NDArray[Any]
    y: NDArray[Any]

    def __post_init__(self) -> None:
        if len(self.x) != len(self.y):
            raise ValueError(f"x has {len(self.x)} rows and y has {len(self.y)}")

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True)
class Dataset:
    """Everything that a training needs of its data; `notes` are things worth saying to the user."""

    train: Examples
    valid: Examples | None
    test: Examples | None
    task: Task
    classes: tuple[str, ...]
    features: tuple[str, ...]
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Peek:
    """The shape of one example (no batch axis), the dtype of x, the number of classes (None for regression)."""

    input_shape: tuple[int, ...]
    input_dtype: Literal["float32", "int64"]
    classes: int | None
    task: Task


class Source(Protocol):
    """Where examples come from."""

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Read, split and encode everything; `task` is what the loss implies, None lets the data decide."""

    def files(self) -> tuple[Path, ...]:
        """The files that are read, in a fixed order."""

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """What `load` with the same arguments would give, as cheaply as possible."""
