"""Curves in a line."""

import math

from fluxrun.render.sparkline import BARS, sparkline, sparklines


def test_the_largest_and_the_smallest_have_their_bars():
    assert sparkline([0.0, 7.0]) == BARS[0] + BARS[7]
    assert sparkline(range(8)) == BARS
    assert sparkline([5.0, 5.0, 5.0]) == BARS[0] * 3


def test_many_values_become_means():
    assert sparkline([0, 0, 7, 7, 3, 4], 3) == BARS[0] + BARS[7] + BARS[4]
    assert len(sparkline(range(1000))) == 40
    assert len(sparkline(range(41))) == 40


def test_what_is_no_number_is_a_gap():
    assert sparkline([1.0, math.inf, 0.0]) == f"{BARS[7]} {BARS[0]}"
    assert sparkline([math.nan]) == ""


def test_a_line_for_each_curve():
    found = sparklines({"train.loss": [2.0, 1.0], "valid.loss": [3.0]})
    assert found == [f"train.loss  {BARS[7]}{BARS[0]}  2.0000 to 1.0000"]
