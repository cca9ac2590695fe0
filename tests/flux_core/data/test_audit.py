"""What is suspicious in data is found, and what is not is left alone."""

import numpy as np
import pytest

from flux_core.data import CsvSource, NpzSource, SyntheticSource, audit, baseline, chunks, leaks, shared_rows
from flux_core.data.audit import audit as look
from flux_core.data.dataset import Dataset, Examples
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.text import TextSource

RNG = np.random.default_rng(0)
ROWS = 300


def table(tmp_path, columns, **options):
    """Findings by kind, and the baseline, of a csv file with these columns; the last one is the target."""
    path = tmp_path / "table.csv"
    rows = zip(*(map(str, cells) for cells in columns.values()), strict=True)
    path.write_text("\n".join([",".join(columns), *map(",".join, rows)]) + "\n")
    seen = look(CsvSource(path, **{"target": list(columns)[-1], **options}).load(seed=0))
    return {finding.kind: finding for finding in seen.findings}, seen.baseline


def harmless(**more):
    """Columns that only help."""
    size, colour = RNG.normal(size=ROWS).round(9), RNG.choice(["red", "blue"], ROWS)
    kind = np.where(size + (colour == "red") + RNG.normal(size=ROWS) > 0.5, "yes", "no")
    return {"size": size, "colour": colour, **more, "kind": kind}


def test_nothing_is_found_where_nothing_is_wrong(tmp_path):
    found, _ = table(tmp_path, harmless())
    assert found == {}
    for name in ("xor", "spirals", "sine"):
        assert look(SyntheticSource(name, noise=0.1).load(seed=0)).findings == ()


def test_constant_columns(tmp_path):
    found, _ = table(tmp_path, harmless(unit=["cm"] * ROWS, year=[1999] * ROWS))
    assert set(found) == {"constant"}
    assert found["constant"].message == "2 columns: the same value in every row to train on ('unit', 'year')"
    assert found["constant"].hint == "data.ignore: ['unit', 'year']"


@pytest.mark.parametrize(
    "values",
    [
        [f"row {i}" for i in range(ROWS)],
        list(range(1000, 1000 + ROWS)),
        RNG.permutation(ROWS).tolist(),
        [3 * i + i % 2 for i in range(ROWS, 0, -1)],
    ],
)
def test_identifiers(tmp_path, values):
    found, _ = table(tmp_path, harmless(id=values))
    assert found["identifier"].message == "column looks like the name or number of a row: 'id'"
    assert found["identifier"].key == "ignore"


def test_numbers_that_only_differ_are_no_identifiers(tmp_path):
    found, _ = table(tmp_path, harmless(weight=RNG.choice(10**6, ROWS, replace=False)))
    assert found == {}


def leaky(kind):
    return [
        np.where(kind == "yes", "j", "n"),
        np.where(kind == "yes", 2, 1),
        np.where(kind == "yes", RNG.uniform(1, 2, ROWS), RNG.uniform(-1, 1, ROWS)).round(5),
    ]


@pytest.mark.parametrize("which", range(3))
def test_a_column_that_tells_the_class(tmp_path, which):
    columns = harmless()
    kind = columns.pop("kind")
    found, _ = table(tmp_path, {**columns, "later": leaky(kind)[which], "kind": kind})
    assert set(found) == {"leak"}
    assert "column 'later' alone tells the target: it is right for" in found["leak"].message


@pytest.mark.parametrize("tell", [lambda y: 2 * y + 1, np.exp, lambda y: np.sin(y) + 2 * y])
def test_a_column_that_tells_the_number(tmp_path, tell):
    y = RNG.normal(size=ROWS)
    columns = {"a": RNG.normal(size=ROWS), "later": tell(y), "noisy": y + 0.5 * RNG.normal(size=ROWS), "y": y}
    found, _ = table(tmp_path, columns, task="regression")
    assert set(found) == {"leak"}
    assert "'later'" in found["leak"].message


def test_a_leak_that_is_not_looked_for_is_missed(tmp_path, monkeypatch):
    columns = harmless()
    kind = columns.pop("kind")
    monkeypatch.setattr(leaks, "LEFT", -1.0)
    found, _ = table(tmp_path, {**columns, "later": leaky(kind)[0], "kind": kind})
    assert found == {}, "so the tests above do see the leak"


def test_imbalance(tmp_path):
    columns = harmless()
    columns["kind"] = ["rare" if i % 40 == 0 else "usual" for i in range(ROWS)]
    found, beat = table(tmp_path, columns)
    assert found["imbalance"].message == "class 'rare' has 6 rows to train on, class 'usual' has 234"
    assert beat.answer == "always 'usual'"


def examples(rows, labels):
    return Examples(np.array(rows, np.float32), np.array(labels))


def test_rows_in_two_splits():
    data = Dataset(
        train=examples([[1, 2], [3, 4], [5, 0.0]], [0, 1, 1]),
        valid=examples([[3, 4], [9, 9]], [1, 0]),
        test=examples([[1, 2], [3, 4], [5, -0.0], [9, 9], [2, 1]], [1, 1, 1, 0, 0]),
        task="classification",
        classes=("a", "b"),
        features=(),
        preprocessing=Preprocessing(),
    )
    # the first row of test has another answer in train
    assert list(shared_rows.shared_rows(data)) == [
        ("valid", "train", 1, 2),
        ("test", "train", 2, 5),
        ("test", "valid", 2, 5),
    ]
    messages = [finding.message for finding in audit._shared(data)]
    assert messages[0] == "1 of 2 rows of the valid split is also in the train split, answer and all"


def test_checksums_tell_rows_apart_bit_by_bit():
    for dtype in (np.float32, np.int64):
        base = RNG.integers(1, 100, (1, 70)).astype(dtype)
        rows = np.repeat(base, 71, axis=0)
        rows[np.arange(70), np.arange(70)] += 1
        rows = np.concatenate([rows, rows[:, ::-1], np.roll(rows, 1, axis=1)])
        sums = shared_rows.checksums(Examples(rows, np.zeros(len(rows), np.int64)))
        assert len(np.unique(sums)) == len(np.unique(rows, axis=0))
    flat = Examples(np.zeros((4, 0), np.float32), np.arange(4))
    assert len(np.unique(shared_rows.checksums(flat))) == 4


def test_arrays_have_columns_by_number(tmp_path):
    x = RNG.normal(size=(100, 4))
    x[:, 2] = 7
    np.savez(tmp_path / "a.npz", x=x, y=(x[:, 0] > 0).astype(int))
    found = {f.kind: f.message for f in look(NpzSource(tmp_path / "a.npz").load(seed=0)).findings}
    assert found == {
        "constant": "column: the same value in every row to train on ('2')",
        "leak": found["leak"],
    }
    assert "column '0' alone tells the target" in found["leak"]


def test_images_have_no_columns(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((50, 4, 4)) + RNG.normal(size=(50, 1, 1)), y=np.arange(50) % 2)
    assert look(NpzSource(tmp_path / "a.npz").load(seed=0)).findings == ()


def test_ids_one_in_a_row_have_no_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "PIECE", 64)  # rows are more than a piece
    np.savez(tmp_path / "a.npz", x=RNG.permutation(200), y=np.arange(200) % 2)
    assert look(NpzSource(tmp_path / "a.npz", ids=True).load(seed=0)).findings == ()


def test_notes_of_the_source_are_findings(tmp_path):
    colours = ["red"] * (ROWS - 1) + ["violet"]
    for seed in range(30):  # until the only violet one is not in the training split
        path = tmp_path / "table.csv"
        columns = harmless(shade=colours)
        rows = zip(*(map(str, cells) for cells in columns.values()), strict=True)
        path.write_text("\n".join([",".join(columns), *map(",".join, rows)]) + "\n")
        notes = [
            f.message
            for f in look(CsvSource(path, target=list(columns)[-1]).load(seed=seed)).findings
            if f.kind == "note"
        ]
        if notes:
            assert "a category that training never saw ('violet')" in notes[0]
            return
    pytest.fail("no seed put the row elsewhere")


def test_the_baseline_of_classes_is_measured_on_the_test_split(tmp_path):
    _, beat = table(tmp_path, harmless())
    data = CsvSource(tmp_path / "table.csv").load(seed=0)
    most = np.bincount(data.train.y).argmax()
    assert beat == baseline.Baseline("test.accuracy", np.mean(data.test.y == most), f"always {data.classes[most]!r}")
    _, beat = table(tmp_path, harmless(), split={"train": 0.8, "valid": 0.2})
    assert beat.metric == "valid.accuracy"


def test_the_baseline_of_numbers_is_in_their_units(tmp_path):
    y = 1000 + 50 * RNG.normal(size=ROWS)
    _, beat = table(tmp_path, {"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS), "y": y})
    data = CsvSource(tmp_path / "table.csv").load(seed=0)
    scale = data.preprocessing.targets
    train, test = scale.restore(data.train.y), scale.restore(data.test.y)
    assert beat.metric == "test.mae"
    assert beat.value == pytest.approx(np.abs(test - train.mean()).mean())
    assert 30 < beat.value < 50


def test_the_baseline_of_text_is_its_entropy(tmp_path):
    (tmp_path / "a.txt").write_text("".join(RNG.choice(list("aabc"), 20_000)))
    seen = look(TextSource(tmp_path / "a.txt", steps=10, batch_size=4).load(seed=0))
    assert seen.baseline.metric == "test.bits_per_symbol"
    assert seen.baseline.value == pytest.approx(1.5, abs=0.02)
    assert seen.findings == ()
