"""Broken specs, and what is said about each: specs/NAME.yaml, .set with one override a line, and NAME.txt.

`FLUXRUN_GOLDEN=write pytest tests/fluxrun/spec/test_goldens.py` writes the texts anew; read them before they are kept.
"""

import os
import re
import shutil
from pathlib import Path

import pytest

from fluxrun.jobs.check import check_spec
from fluxrun.spec.problems import as_text

SPECS = Path(__file__).parents[1] / "specs"
NAMES = sorted(path.stem for path in SPECS.glob("*.yaml"))
QUOTED = re.compile(r"'([^']+)'")


def report(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(SPECS / f"{name}.yaml", tmp_path)
    for table in SPECS.glob("*.csv"):
        shutil.copy(table, tmp_path)
    overrides = SPECS / f"{name}.set"
    return check_spec(f"{name}.yaml", overrides.read_text().splitlines() if overrides.exists() else [])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said(name, tmp_path, monkeypatch):
    text = as_text(report(name, tmp_path, monkeypatch).problems) + "\n"
    golden = SPECS / f"{name}.txt"
    if os.environ.get("FLUXRUN_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_problems_are_sorted_and_point_at_something(name, tmp_path, monkeypatch):
    problems = report(name, tmp_path, monkeypatch).problems
    assert problems
    assert [p.place.key for p in problems] == sorted(p.place.key for p in problems)
    for problem in problems:
        line = problem.place.source.line(problem.place.row)
        assert 0 <= problem.place.column <= len(line)
        if problem.message.startswith("unknown"):
            assert line[problem.place.column : problem.place.end].strip("'\"") == QUOTED.search(problem.message)[1]
