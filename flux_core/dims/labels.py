"""Labels and one-hot vectors, and how often a model is right.

'b' ──onehot──▶ [0, 1, 0, 0] ──model──▶ [.1, .7, .1, .1] ──onecold──▶ 'b'
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from flux_core.dims.batching import batchone
from flux_core.dims.catmat import Batch, Seq, rawbatch


def onehot(label: Any, labels: Iterable[Any], *, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """A vector (labels,) with 1 where the label stands in `labels`; raises ValueError where it does not.

    >>> onehot("b", "abcd").tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    hot = np.array([other == label for other in labels], bool)
    if not hot.any():
        raise ValueError(f"{label!r} is none of the labels")
    return hot.astype(dtype)


def onecold(y: ArrayLike, labels: Sequence[Any] | None = None) -> Any:
    """The label of the largest element along the last axis, the first of equals; without `labels`, its index.

    A vector gives one label, more axes a list of lists of them (an int64 array without `labels`).

    >>> onecold([0.1, 0.7, 0.2], "abc")
    'b'
    >>> onecold([[0.1, 0.7, 0.2], [0.9, 0.0, 0.1]], "abc")
    ['b', 'a']
    >>> onecold([[0.1, 0.7, 0.2], [0.9, 0.0, 0.1]])
    array([1, 0])
    """
    best = np.argmax(rawbatch(y), axis=-1)
    if labels is None:
        return best if best.ndim else int(best)
    if np.shape(rawbatch(y))[-1] != len(labels):
        raise ValueError(f"{np.shape(rawbatch(y))[-1]} scores do not fit {len(labels)} labels")
    return _pick(best.tolist(), labels)


def accuracy(model: Callable[[Any], Any], data: Iterable[tuple[Any, Any]]) -> float:
    """The fraction of right answers over pairs (x, y) of batches or of single examples.

    x and y are Batches, or arrays with the batch axis first; y holds whole-number labels or one-hot vectors. A
    pair is one example if x is a Seq, or y is a single label or a single one-hot vector of floats.

    >>> def model(x):
    ...     return x
    >>> accuracy(model, [(np.eye(3)[[0, 1, 2]], np.array([0, 1, 1]))])
    0.6666666666666666
    """
    right = rows = 0
    for x, y in data:
        y_raw = np.asarray(rawbatch(y))
        whole = y_raw.dtype.kind in "biu"
        if not isinstance(y, Batch) and (isinstance(x, Seq) or y_raw.ndim == (0 if whole else 1)):
            x, y_raw = batchone(x).data, y_raw[None]
        scores = np.asarray(rawbatch(model(rawbatch(x))))
        answers = y_raw if whole and y_raw.ndim < scores.ndim else onecold(y_raw)
        predicted = onecold(scores)
        if predicted.shape != answers.shape:
            raise ValueError(f"the model gives {predicted.shape} answers, y holds {answers.shape}")
        right += int((predicted == answers).sum())
        rows += answers.size
    if not rows:
        raise ValueError("no data to measure the accuracy on")
    return right / rows


def _pick(best: Any, labels: Sequence[Any]) -> Any:
    return [_pick(item, labels) for item in best] if isinstance(best, list) else labels[best]
