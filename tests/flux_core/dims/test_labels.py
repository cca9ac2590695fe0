"""One-hot vectors and accuracy, in numbers."""

import numpy as np
import pytest

from flux_core.dims import Batch, Seq, accuracy, batchone, onecold, onehot, rebatch, rebatchseq


def test_onecold_undoes_onehot() -> None:
    for label in "abcd":
        hot = onehot(label, "abcd")
        assert hot.dtype == np.float32
        assert hot.sum() == 1
        assert onecold(hot, "abcd") == label
    assert onehot(3, [1, 3], dtype=np.int64).dtype == np.int64
    with pytest.raises(ValueError, match="'x' is none"):
        onehot("x", "abcd")


def test_onecold_takes_the_first_of_equals_and_any_number_of_axes() -> None:
    assert onecold([0.5, 0.5, 0.0]) == 0
    assert isinstance(onecold([0.5, 0.5, 0.0]), int)
    assert onecold(np.eye(2)[[[0, 1], [1, 1]]], "ab") == [["a", "b"], ["b", "b"]]
    assert onecold(Batch([[0, 1], [1, 0]])).tolist() == [1, 0]
    with pytest.raises(ValueError, match="2 scores do not fit 3 labels"):
        onecold([0.1, 0.9], "abc")


W = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]])


def model(x: np.ndarray) -> np.ndarray:
    assert x.ndim >= 2  # a batch axis is always there
    return x @ W


X = np.array([[2.0, 1.0], [1.0, 2.0], [0.0, 1.0], [5.0, 1.0]])  # the answers of the model: 0 1 1 0
Y = np.array([0, 1, 2, 1])


@pytest.mark.parametrize(
    "data",
    [
        [(X, Y)],
        [(X[:3], Y[:3]), (X[3:], Y[3:])],
        [(X, np.eye(3)[Y])],
        [(X, np.eye(3, dtype=int)[Y])],
        [(rebatch(X), rebatch(Y))],
        [(rebatch(X), rebatch(np.eye(3)[Y]))],
        list(zip(X, Y, strict=True)),
        list(zip(X, np.eye(3)[Y], strict=True)),
        [(Seq(X), Seq(Y))],
        [(rebatchseq(X.reshape(2, 2, 2)), rebatchseq(Y.reshape(2, 2)))],
        [(batchone(x), batchone(y)) for x, y in zip(X, Y, strict=True)],
    ],
    ids=lambda data: type(data[0][0]).__name__ + str(np.shape(data[0][1])),
)
def test_accuracy_of_batches_examples_and_sequences(data: list[tuple[object, object]]) -> None:
    assert accuracy(model, data) == 0.5


def test_accuracy_weighs_rows_not_batches() -> None:
    assert accuracy(model, [(X[:3], Y[:3]), (X[3:], Y[3:])]) == 0.5
    assert accuracy(model, [(X[:3], Y[:3])]) == pytest.approx(2 / 3)


def test_accuracy_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="no data"):
        accuracy(model, [])
    with pytest.raises(ValueError, match=r"gives \(4,\) answers, y holds \(3,\)"):
        accuracy(model, [(X, Y[:3])])
