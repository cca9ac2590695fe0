"""Params: state, accumulate, update, copyto, and what they leave alone."""

import numpy as np
import pytest

from flux_core.ir import Param, accumulate, copyto, param, state
from flux_core.model import update

START = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], np.float32)


def test_a_param_is_a_copy_with_a_zero_gradient():
    source = START.copy()
    p = param(source)
    source[:] = 0
    np.testing.assert_array_equal(p.x, START)
    np.testing.assert_array_equal(p.dx, np.zeros((2, 3)))
    assert (p.shape, p.size, len(p), repr(p)) == ((2, 3), 6, 2, "Param(2, 3)")
    assert repr(param(1.0)) == "Param()"
    assert repr(param([1.0])) == "Param(1)"


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.ones(2, np.float64), np.float64),
        (np.ones(2, np.float32), np.float32),
        (np.ones(2, np.float16), np.float32),
        (np.ones(2, np.int64), np.float32),
        (np.float64(1.5), np.float64),
        ([1.0, 2.0], np.float32),
        (2, np.float32),
    ],
)
def test_float64_is_kept_where_it_was_given(given, dtype):
    p = param(given)
    assert p.x.dtype == p.dx.dtype == dtype
    assert isinstance(p.x, np.ndarray)


def test_state_of_a_param_is_its_array_and_of_anything_else_itself():
    p = param(START)
    assert state(p) is p.x
    for other in (3, "a", START, None):
        assert state(other) is other
        assert accumulate(other, 1.0) is other


def test_accumulate_adds_to_the_gradient_and_update_applies_it_once():
    p = param(START)
    x, dx = p.x, p.dx
    assert accumulate(p, np.ones((2, 3))) is p
    accumulate(p, np.full((2, 3), 0.5))
    np.testing.assert_array_equal(p.dx, np.full((2, 3), 1.5))
    np.testing.assert_array_equal(p.x, START)
    assert update(p, 0.1) is p
    np.testing.assert_allclose(p.x, START - 0.15, rtol=1e-6)
    np.testing.assert_array_equal(p.dx, 0)
    update(p, 0.1)
    np.testing.assert_allclose(p.x, START - 0.15, rtol=1e-6)
    assert p.x is x  # in place: views of an arena stay views
    assert p.dx is dx


def test_a_param_of_one_number():
    p = param(2.0)
    accumulate(p, np.float32(3.0))
    update(p, 0.5)
    assert (float(p.x), float(p.dx), p.x.shape) == (0.5, 0.0, ())


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\), not \(3,\)"):
        Param(START, START[0])
    with pytest.raises(ValueError, match="broadcast"):
        accumulate(param(START[0]), START)


def test_copies_go_both_ways_in_place():
    p, array = param(START), np.zeros((2, 3))
    x = p.x
    copyto(array, p)
    np.testing.assert_array_equal(array, START)
    copyto(p, 2 * START)
    np.testing.assert_array_equal(p.x, 2 * START)
    assert p.x is x
