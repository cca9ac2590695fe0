"""Expectations and lengths of time."""

import pytest

from fluxrun.jobs.duration import parse_duration, show_duration
from fluxrun.jobs.expect import Expectation, UsageError


@pytest.mark.parametrize(
    ("text", "value", "met"),
    [
        ("valid.accuracy>=0.9", 0.9, True),
        ("valid.accuracy>0.9", 0.9, False),
        ("valid.accuracy <= 0.9", 0.9, True),
        ("valid.accuracy<0.9", 0.9, False),
        ("valid.accuracy==0.9", 0.9, True),
        ("valid.accuracy!=0.9", 0.9, False),
        ("valid.accuracy<1e9", float("nan"), False),
        ("valid.accuracy!=1", float("nan"), False),
        ("valid.accuracy<inf", 3.0, True),
    ],
)
def test_expectations(text, value, met):
    assert Expectation.parse(text).met({"valid.accuracy": value}) is met


@pytest.mark.parametrize("text", ["", "valid.accuracy", ">=1", "a=1", "a>=x", "a>=nan", "a>=1 b", "a=>1"])
def test_conditions_without_a_meaning(text):
    with pytest.raises(UsageError, match="--expect"):
        Expectation.parse(text)


def test_a_metric_that_will_not_be_there_is_named_before_the_training():
    with pytest.raises(UsageError, match=r"did you mean 'valid\.accuracy'"):
        Expectation.parse("valid.acuracy>=1").require_known(["train.loss", "valid.accuracy"])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("2d", 172800),
        ("45", 45),
        ("5min", 300),
        (" 1h 30 m", 5400),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "1 0m", "5ms", "1 h m", "-5", "1h-3m", "nan", "inf", "10q", "m"])
def test_durations_without_a_meaning(text):
    with pytest.raises(UsageError, match="--max-time"):
        parse_duration(text)


def test_durations_are_shown_in_two_units():
    assert [show_duration(s) for s in (0.04, 59.99, 3599.9, 90000)] == ["0.0 s", "1 min 0 s", "1 h 0 min", "25 h 0 min"]
