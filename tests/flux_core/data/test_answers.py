"""Targets of new data in the terms of a trained model."""

import numpy as np
import pytest

from flux_core.data import Preprocessing, Scale
from flux_core.data.answers import answers
from flux_core.data.cells import Place
from flux_core.errors import DataError

DIGITS = Preprocessing(classes=("0", "1", "7"))


@pytest.mark.parametrize(
    "values",
    [
        np.array([7, 0, 1]),
        np.array([7.0, 0.0, 1.0], np.float32),
        np.array(["7", "0", "1"]),
        np.array(["7.0", "0", "01"]),
        np.array([b"7", b"0", b"1"]),
        np.array([7, 0, 1], np.uint8),
    ],
)
def test_one_class_in_many_spellings(values):
    found = answers(values, DIGITS, Place(), 1)
    assert found.dtype == np.int64
    assert found.tolist() == [2, 0, 1]


@pytest.mark.parametrize("values", [[1, 0], [1.0, 0.0], ["1", "0"], ["1.0", "0.0"], [True, False]], ids=str)
def test_classes_that_are_floats_in_any_spelling(values):
    floats = Preprocessing(classes=("0.0", "1.0"))
    assert answers(np.array(values), floats, Place(), 1).tolist() == [1, 0]


def test_the_closest_spelling_comes_first():
    assert answers(np.array(["1.0", "1"]), Preprocessing(classes=("1", "1.0")), Place(), 1).tolist() == [1, 0]


def test_truth_values():
    assert answers(np.array([True, False]), DIGITS, Place(), 1).tolist() == [1, 0]


@pytest.mark.parametrize("values", [np.array([7, 2]), np.array(["7", "x"]), np.array([7, 0.5]), np.array([7, np.nan])])
def test_a_class_that_the_model_does_not_know(values):
    with pytest.raises(DataError, match=r"no class of the model: it knows '0', '1', '7' \(at index 1\)"):
        answers(values, DIGITS, Place(), 1)


def test_numbers_are_scaled():
    found = answers(np.array([5.0, 7.0]), Preprocessing(targets=Scale.of([5.0], [2.0])), Place(), 1)
    assert found.dtype == np.float32
    assert found.tolist() == [[0.0], [1.0]]
    assert answers(np.array([[5, 7]]), Preprocessing(), Place(), 2).tolist() == [[5.0, 7.0]]


def test_numbers_that_are_none():
    scaled = Preprocessing(targets=Scale.of([5.0], [2.0]))
    for values, text in (
        (np.array(["a"]), "holds text"),
        (np.array([np.inf]), "finite"),
        (np.ones((2, 3)), "3 targets, the model gives 1"),
    ):
        with pytest.raises(DataError, match=text):
            answers(values, scaled, Place(), 1)
    with pytest.raises(DataError, match="one a row"):
        answers(np.ones((2, 3)), DIGITS, Place(), 1)
