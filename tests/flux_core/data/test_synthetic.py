"""Made-up data obeys its formulas."""

import numpy as np
import pytest

from flux_core.data import SyntheticSource
from flux_core.errors import DataError

ALL = {"train": 1.0}


def test_xor_is_the_sign_of_the_product() -> None:
    data = SyntheticSource("xor", examples=400, noise=0.1).load(seed=0)
    assert (len(data.train), len(data.valid), len(data.test)) == (320, 40, 40)
    for part in (data.train, data.valid, data.test):
        np.testing.assert_array_equal(part.y, part.x.prod(axis=1) < 0)
        assert np.bincount(part.y).tolist() == [len(part) // 2] * 2
    corners = np.sign(data.train.x)
    assert np.std(data.train.x - corners) == pytest.approx(0.1, rel=0.1)


def test_spirals_wind_one_and_a_half_turns() -> None:
    data = SyntheticSource("spirals", examples=300, noise=0.0, split=ALL).load(seed=0)
    radius = np.hypot(*data.train.x.T)
    turned = np.arctan2(*data.train.x.T[::-1]) - 3 * np.pi * radius - np.pi * data.train.y
    np.testing.assert_allclose(np.cos(turned), 1, atol=1e-5)
    assert radius.max() == pytest.approx(1, abs=0.02)
    # evenly spread in area: half of the points lie beyond the radius of half the area
    assert np.mean(radius > np.sqrt(0.5)) == pytest.approx(0.5, abs=0.08)


def test_sine_is_a_regression() -> None:
    data = SyntheticSource("sine", examples=200, noise=0.0, split=ALL).load(seed=0)
    assert (data.task, data.classes) == ("regression", ())
    np.testing.assert_allclose(data.train.y, np.sin(data.train.x), atol=1e-5)
    assert data.train.x.min() < -6
    assert data.train.x.max() > 6
    with pytest.raises(DataError, match="no label of a class"):
        SyntheticSource("sine").load(seed=0, task="classification")


@pytest.mark.parametrize("name", ["xor", "spirals", "sine"])
def test_a_function_of_the_seed(name: str) -> None:
    source = SyntheticSource(name, examples=50)
    first, again, other = (source.load(seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train.x, again.train.x)
    np.testing.assert_array_equal(first.train.y, again.train.y)
    assert not np.array_equal(first.train.x, other.train.x)
    peek = source.peek()
    assert peek.input_shape == first.train.x.shape[1:]
    assert peek.task == first.task
    assert source.files() == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "moons"}, "names are xor, spirals, sine"),
        ({"name": "xor", "examples": 0}, "at least 1"),
        ({"name": "xor", "noise": -1.0}, "0 or more"),
        ({"name": "xor", "noise": float("nan")}, "0 or more"),
        ({"name": "xor", "split": {"train": 2.0}}, "between 0 and 1"),
    ],
)
def test_arguments_without_a_meaning(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SyntheticSource(**arguments)
