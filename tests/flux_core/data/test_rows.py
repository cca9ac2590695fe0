"""Examples that are some rows of shared arrays."""

import numpy as np
import pytest

from flux_core.data import Examples, dataset

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.arange(6) % 3


def test_a_part_holds_the_rows_in_their_order() -> None:
    examples = Examples(X, Y, np.array([4, 1, 5]))
    x, y = examples.part(slice(1, 3))
    assert len(examples) == 3
    assert x.tolist() == X[[1, 5]].tolist()
    assert y.tolist() == Y[[1, 5]].tolist()


def test_without_rows_all_are_there_as_they_lie() -> None:
    examples = Examples(X, Y)
    x, _ = examples.part(slice(1, 3))
    assert len(examples) == 6
    assert x.base is not None  # a view, no copy
    assert x.tolist() == X[1:3].tolist()
    assert examples.order() is None


@pytest.mark.parametrize("stretch", [1, 2, 3, 4])
def test_orders_are_rows_of_x(stretch, monkeypatch) -> None:
    monkeypatch.setattr(dataset, "STRETCH", stretch)
    shuffled, rows = np.array([2, 0, 1]), np.array([4, 1, 5])
    assert Examples(X[:3], Y[:3]).order(shuffled) is shuffled
    assert Examples(X, Y, rows).order(shuffled).tolist() == [5, 4, 1]
    assert Examples(X, Y, rows).order() is rows
    assert rows.tolist() == [4, 1, 5]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (np.array([0, 6]), "from 0 to 6, x has 6 rows"),
        (np.array([-1, 2]), "from -1 to 2"),
        (np.array([0, 1], np.int32), "int64"),
        (np.array([0.0, 1.0]), "int64"),
        (np.arange(6)[::2], "contiguous"),
        (np.array([[0, 1]]), "one contiguous axis"),
    ],
)
def test_rows_that_machine_code_could_not_follow(rows, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        Examples(X, Y, rows)


def test_no_rows_at_all() -> None:
    assert len(Examples(X, Y, np.array([], np.int64))) == 0
