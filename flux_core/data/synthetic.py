"""Made-up data for first steps and tests, a function of the seed.

    xor      four corners of a square, opposite ones are of one class           x (rows, 2), labels
    spirals  two arms of one and a half turns around each other                 x (rows, 2), labels
    sine     y = sin(x) over two periods                                        x (rows, 1), y (rows, 1)

`noise` is the standard deviation of what is added: to the points of xor and spirals, to the values of sine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from flux_core.data.arrays import ReadsArrays, array_dataset
from flux_core.data.assemble import read_targets
from flux_core.data.cells import Place
from flux_core.data.dataset import Dataset, Peek, Task
from flux_core.data.files import MAX_BYTES, fractions_of_main
from flux_core.data.raw import Raw
from flux_core.philox import Stream

Name = Literal["xor", "spirals", "sine"]
Points = tuple[NDArray[np.float64], NDArray[Any]]


@dataclass(frozen=True)
class SyntheticSource(ReadsArrays):
    """`examples` rows of one of the data sets above; classes are equally frequent.

    >>> data = SyntheticSource("xor", examples=8, noise=0.0, split={"train": 1.0}).load(seed=0)
    >>> data.train.x[:4].tolist(), data.train.y[:4].tolist()
    ([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]], [0, 1, 1, 0])
    """

    name: Name
    examples: int = 1000
    noise: float = 0.1
    split: Mapping[str, float] | None = None
    standardize: bool = False
    task: Task | None = None
    max_bytes: ClassVar[int] = MAX_BYTES

    def __post_init__(self) -> None:
        if self.name not in MAKERS:
            raise ValueError(f"there is no {self.name!r}: the names are {', '.join(get_args(Name))}")
        if self.examples < 1:
            raise ValueError(f"examples is {self.examples}, it must be at least 1")
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"noise is {self.noise}, it must be 0 or more")
        fractions_of_main(self.split, {}, separate=False)

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Draw and split; raises DataError for a classification of sine."""
        x, y = MAKERS[self.name](self.examples, self.noise, seed)
        return array_dataset(
            {"train": Raw.of(x)},
            read_targets({"train": y}, {"train": Place(column="y")}, self.task or task),
            fractions=fractions_of_main(self.split, {}, separate=False),
            seed=seed,
            standardize=self.standardize,
        )

    def files(self) -> tuple[Path, ...]:
        """None: nothing is read."""
        return ()

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """By drawing, which is cheap."""
        data = self.load(seed=seed, task=task)
        classes = len(data.classes) if data.task == "classification" else None
        return Peek(data.train.x.shape[1:], "float32", classes, data.task, data.train.y.shape[1:], names=data.classes)


def _xor(rows: int, noise: float, seed: int) -> Points:
    corner = np.arange(rows) % 4
    bits = np.stack([corner % 2, corner // 2], axis=1)
    points = 2.0 * bits - 1.0 + noise * _normal(rows, 2, seed, "xor")
    return points, bits[:, 0] ^ bits[:, 1]


def _spirals(rows: int, noise: float, seed: int) -> Points:
    arm = np.arange(rows) % 2
    # the square root spreads the points evenly along the arm, whose outer turns are longer
    radius = np.sqrt(_uniform(rows, seed, "spirals"))
    angle = 3.0 * np.pi * radius + np.pi * arm
    points = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return points + noise * _normal(rows, 2, seed, "spirals"), arm


def _sine(rows: int, noise: float, seed: int) -> Points:
    x = 4.0 * np.pi * _uniform(rows, seed, "sine")[:, None] - 2.0 * np.pi
    return x, np.sin(x) + noise * _normal(rows, 1, seed, "sine")


def _uniform(rows: int, seed: int, path: str) -> NDArray[np.float64]:
    return Stream.of(seed, "synthetic.place", path).uniform(rows, 1)[:, 0].astype(np.float64)


def _normal(rows: int, columns: int, seed: int, path: str) -> NDArray[np.float64]:
    return Stream.of(seed, "synthetic.noise", path).normal(rows, columns)


MAKERS: dict[str, Callable[[int, float, int], Points]] = {"xor": _xor, "spirals": _spirals, "sine": _sine}
