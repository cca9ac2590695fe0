"""Embedding, Last and TimeMean: values, gradients, shapes, and what they refuse."""

import numpy as np
import pytest

from flux_core.errors import ShapeError
from flux_core.layers import Affine, Chain, Embedding, Last, TimeMean, initialise, lstm
from flux_core.layers.init import draws
from flux_core.model import back, infer, parameters
from flux_core.passes import Type

X = np.random.default_rng(0).standard_normal((2, 4, 3))
IDS = np.array([[0, 4, 4], [1, 0, 4]])


def test_an_embedding_gives_rows_of_its_table():
    layer = initialise(Embedding(n=5, out=2, init="glorot"), (2, 3), kind="int", seed=7)
    np.testing.assert_array_equal(layer.W.x, draws(7)("W", (5, 2), "glorot"))
    np.testing.assert_array_equal(layer(IDS), layer.W.x[IDS])
    dy = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    back(layer, dy, IDS)
    want = np.zeros((5, 2))
    for row, d in zip(IDS.ravel(), dy.reshape(-1, 2), strict=True):
        want[row] += d
    np.testing.assert_array_equal(layer.W.dx, want)
    by_hand = Embedding(n=5, out=2)
    assert by_hand.W is None
    np.testing.assert_array_equal(by_hand(IDS), by_hand.W.x[IDS])  # drawn when it is used
    assert repr(by_hand) == "Embedding(n=5, out=2)"
    with pytest.raises(ValueError, match="sizes are 1 or more, not 0 and 2"):
        Embedding(n=0, out=2)
    with pytest.raises(ShapeError, match=r"the id 5 lies outside \[0, 5\)"):
        by_hand(np.array([[5]]))


def test_last_and_mean_over_the_steps():
    np.testing.assert_array_equal(Last()(X), X[:, -1])
    np.testing.assert_allclose(TimeMean()(X), X.sum(1) / 4)
    dy = np.ones((2, 3))
    np.testing.assert_array_equal(back(Last(), dy, X), np.pad(np.ones((2, 1, 3)), [(0, 0), (3, 0), (0, 0)]))
    np.testing.assert_allclose(back(TimeMean(), dy, X), np.full((2, 4, 3), 0.25))
    images = np.arange(48.0).reshape(2, 3, 2, 4)
    np.testing.assert_array_equal(Last()(images), images[:, -1])
    np.testing.assert_array_equal(TimeMean()(images), images.mean(1))


def test_a_model_of_ids():
    model = Chain(Embedding(n=5, out=3), lstm(4), Last(), Affine(2))
    initialise(model, (1, 3), kind="int")
    assert infer(model, Type((2, 7), "int")) == (2, 2)
    assert list(parameters(model)) == ["0.W", "1.0.W", "1.0.U", "1.0.b", "3.W", "3.b"]
    assert model(IDS).shape == (2, 2)


@pytest.mark.parametrize(
    ("make", "shape", "text"),
    [
        (lambda: Embedding(n=5, out=3), (2, 3), "in 0: Embedding: an embedding takes ids, integers, not numbers"),
        (Last, (2, 3), r"in 0: Last: Last\(\) takes sequences \(batch, steps, ...\), not \(2, 3\)"),
        (TimeMean, (2, 3), r"in 0: TimeMean: TimeMean\(\) takes sequences"),
    ],
)
def test_what_is_refused(make, shape, text):
    with pytest.raises(ShapeError, match=text):
        initialise(Chain(make(), Affine(2)), shape)
