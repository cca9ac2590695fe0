"""What a model must beat: the best answer that looks at no feature.

    classes     always the most frequent one        test.accuracy
    numbers     always the mean                     test.mae, in the units of the data
    text        every symbol by its frequency       test.bits_per_symbol

The answer comes from the training split and is measured on the test split (without one, on valid, else on train).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import shown
from flux_core.data.dataset import Dataset


@dataclass(frozen=True)
class Baseline:
    """A metric by its full name, its value, and the answer that reaches it."""

    metric: str
    value: float
    answer: str


def baseline(data: Dataset) -> Baseline:
    """The baseline of a data set."""
    split = next(name for name in ("test", "valid", "train") if getattr(data, name) is not None)
    known, asked = data.train.targets(), getattr(data, split).targets()
    if data.task == "regression":
        return _mean(known, asked, data, split)
    if known.ndim > 1:
        return _frequencies(known, asked, len(data.classes), split)
    most = int(np.bincount(known).argmax())
    return Baseline(f"{split}.accuracy", float((asked == most).mean()), f"always {shown(data.classes[most])}")


def _mean(known: NDArray[Any], asked: NDArray[Any], data: Dataset, split: str) -> Baseline:
    scale = data.preprocessing.targets
    known, asked = (y.reshape(len(y), -1).astype(np.float64) for y in (known, asked))
    if scale is not None:
        known, asked = scale.restore(known), scale.restore(asked)
    mean = known.mean(axis=0)
    answer = f"always the mean, {mean[0]:.6g}" if len(mean) == 1 else "always the means"
    return Baseline(f"{split}.mae", float(np.abs(asked - mean).mean()), answer)


def _frequencies(known: NDArray[Any], asked: NDArray[Any], symbols: int, split: str) -> Baseline:
    counts = np.bincount(known.reshape(-1), minlength=symbols) + 1.0  # one more, for symbols that only others have
    bits = -np.log2(counts / counts.sum())
    value = float(bits[asked.reshape(-1)].mean())
    return Baseline(f"{split}.bits_per_symbol", value, "every symbol by its frequency, its entropy")
