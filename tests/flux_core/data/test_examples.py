"""The example data is what it says it is, and every key of an example spec is explained."""

from pathlib import Path

import numpy as np
import pytest

from flux_core.data import CsvSource, NpzSource

CONFIGS = Path(__file__).parents[3] / "configs"
ALL = {"split": {"train": 1.0}, "standardize": False}

datasets = pytest.importorskip("sklearn.datasets", reason="compares with scikit-learn's copies")


def test_digits() -> None:
    data = NpzSource(CONFIGS / "data/digits.npz", **ALL).load(seed=0)
    original = datasets.load_digits()
    np.testing.assert_array_equal(data.train.x, original.data)
    np.testing.assert_array_equal(data.train.y, original.target)
    assert data.classes == tuple("0123456789")


def test_iris() -> None:
    data = CsvSource(CONFIGS / "data/iris.csv", target="species", **ALL).load(seed=0)
    original = datasets.load_iris()
    np.testing.assert_allclose(data.train.x, original.data, rtol=1e-6)
    np.testing.assert_array_equal(data.train.y, original.target)
    assert data.classes == tuple(original.target_names)


def test_diabetes() -> None:
    data = CsvSource(CONFIGS / "data/diabetes.csv", target="progression", **ALL).load(seed=0)
    original = datasets.load_diabetes(scaled=False)
    np.testing.assert_allclose(data.train.x, original.data, rtol=1e-6)
    np.testing.assert_array_equal(data.train.y[:, 0], original.target)
    assert data.features == tuple(original.feature_names)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_key_has_a_comment(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    sections = {"data:", "train:"}  # what they hold is explained line by line
    start = next(i for i, line in enumerate(lines) if not line.startswith("# "))
    assert start > 0
    section, bare = "", []
    for line in lines[start:]:
        section = line if not line.startswith(" ") else section
        formula = section.startswith("nets:") and line.startswith("    ")  # sizes and equations speak for themselves
        if " # " not in line and line not in sections and not formula:
            bare.append(line)
    assert bare == []
