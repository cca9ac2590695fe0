"""What columns hold, and which are left out."""

import pytest

from flux_core.data.cells import MISSING
from flux_core.data.profile import marks_of, profile, profile_target

ROWS = 100


@pytest.mark.parametrize(
    ("cells", "kind", "words"),
    [
        (["1.5", "2", "-3"] * 30, "numeric", "3 different numbers from -3 to 2"),
        (["a", "b", "c", "?"] * 30, "categorical", "3 categories"),
        (["1", "2", *["?"] * 98], None, "a value in only 2 of 100 rows"),
        ([str(i / 7) for i in range(9)] + ["?"] * 9, "numeric", None),
        (["x"] * ROWS, None, "the same value in every row, 'x'"),
        (["", "?"] * ROWS, None, "no value at all"),
        ([f"person {i}" for i in range(ROWS)], None, "a different text in almost every row: 100 in 100"),
        ([str(i) for i in range(ROWS)], None, "the number of a row: 100 different ones from 0 to 99"),
        ([str((i * 37) % ROWS) for i in range(ROWS)], None, "the number of a row: 100 different ones from 0 to 99"),
        ([str(i * i) for i in range(ROWS)], None, "the number of a row: 100 different ones from 0 to 9,801"),
        ([str((i * 7919) % 100_003) for i in range(ROWS)], "numeric", None),
        ([str(i + 0.5) for i in range(ROWS)], "numeric", None),
        ([f"t{i % 300}" for i in range(3000)], None, "300 different texts, too many to be categories"),
        ([*(str(i / 7) for i in range(ROWS)), "oops"], None, "numbers, and others such as 'oops': correct these cells"),
        (["1", "2", "x"] * 30, "categorical", "3 categories"),
        (["1", "0,5", "-2,25"] * 30, None, "numbers with a comma such as '0,5': write them with a point"),
        (["inf", "1", "2"] * 30, "categorical", "3 categories"),
    ],
)
def test_columns(cells, kind, words):
    found = profile("a", cells, MISSING)
    assert found.kind == kind
    if words is not None:
        assert found.words == words
    assert found.missing == sum(cell in MISSING for cell in cells)


def test_odd_marks_are_only_believed_between_numbers():
    assert marks_of([["1", "null", "2", "-", "3", "4", "5"]]) == (*MISSING, "null", "-")
    assert marks_of([["a", "None", "b"], ["none", "-", "."]]) == MISSING
    assert marks_of([["1", "oops", "3"]]) == MISSING


@pytest.mark.parametrize(
    ("cells", "task", "declared"),
    [
        (["yes", "no", "no"] * 30, "classification", False),
        (["0", "1", "1"] * 30, "classification", True),
        (["1.0", "2.0"] * 30, "classification", True),
        (["0.5", "1.5"] * 30, "regression", False),
        ([str(i) for i in range(90)], "regression", False),
        ([str(i % 30) for i in range(900)], "regression", False),
        (["1", "2", "3", "4"] * 2, "regression", False),
    ],
)
def test_targets(cells, task, declared):
    found = profile_target(cells, MISSING)
    assert (found.task, found.declared) == (task, declared)


def test_classes_are_counted():
    found = profile_target([*["no"] * 75, *["yes"] * 25, "?"], MISSING)
    assert found.counts == (("no", 75), ("yes", 25))
    assert found.words == "2 classes: 'no' 75%, 'yes' 25%"


@pytest.mark.parametrize(
    "cells", [["a"] * 9, ["1,5", "2", "0,5"] * 30, ["?"] * 9, [f"name {i}" for i in range(99)], ["a", "b", "c"]]
)
def test_what_cannot_be_predicted(cells):
    assert isinstance(profile_target(cells, MISSING), str)
