"""Sequences of different lengths in npz files: what stands in the padding is not looked at, what cannot be is said."""

import numpy as np
import pytest

from flux_core.data import Examples, NpzSource
from flux_core.data import npz as npz_module
from flux_core.data.baseline import baseline
from flux_core.errors import ColumnError, DataError

N, STEPS = 40, 5
LENGTHS = np.random.default_rng(0).integers(1, STEPS + 1, N)
REAL = np.arange(STEPS) < LENGTHS[:, None]
X = np.random.default_rng(1).standard_normal((N, STEPS, 2)) * 3 + 7
EACH = np.random.default_rng(2).integers(3, 6, (N, STEPS))


def save(tmp_path, name="seq.npz", **arrays):
    path = tmp_path / name
    np.savez(path, **{"x": X, "y": LENGTHS % 2, "n": LENGTHS, **arrays})
    return path


def whole(data):
    """x, y and lengths of all splits, in the order of the lengths' rows."""
    parts = [part for part in (data.train, data.valid, data.test) if part is not None]
    return [np.concatenate(arrays) for arrays in zip(*(part.arrays for part in parts), strict=True)]


def test_lengths_travel_with_their_rows(tmp_path):
    data = NpzSource(save(tmp_path), lengths="n", standardize=False).load(seed=3)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [32, 4, 4]
    found = {x[0].tobytes(): length for x, _, length in zip(*whole(data), strict=True)}
    assert found == {x[0].tobytes(): length for x, length in zip(X.astype(np.float32), LENGTHS, strict=True)}
    assert data.train.lengths.dtype == np.int64
    assert not data.train.stepwise


@pytest.mark.parametrize("garbage", [np.nan, np.inf, 1e300])
def test_padding_is_not_looked_at(tmp_path, garbage):
    x = np.where(REAL[..., None], X, garbage)
    found, wanted = (
        NpzSource(save(tmp_path, f"{i}.npz", x=values), lengths="n", standardize=True).load(seed=0)
        for i, values in enumerate((x, X))
    )
    assert found.preprocessing == wanted.preprocessing
    for a, b in zip(whole(found), whole(wanted), strict=True):
        np.testing.assert_array_equal(a, b)


def test_padding_that_is_looked_at_is_caught(tmp_path, monkeypatch):
    monkeypatch.setattr(npz_module, "cleared", lambda x, lengths: x)
    with pytest.raises(DataError, match="finite"):
        test_padding_is_not_looked_at(tmp_path, np.nan)


def test_the_scale_is_that_of_real_steps(tmp_path):
    data = NpzSource(save(tmp_path), lengths="n", standardize=True, split={"train": 1.0}).load(seed=0)
    scale = data.preprocessing.inputs
    np.testing.assert_allclose([scale.mean, scale.std], [X[REAL].mean(), X[REAL].std()])


def test_ids_in_the_padding_may_be_anything(tmp_path):
    x = np.where(REAL, EACH, -1)
    data = NpzSource(save(tmp_path, x=x), lengths="n", ids=True, split={"train": 1.0}).load(seed=0)
    np.testing.assert_array_equal(data.train.x, np.where(REAL, EACH, 0))


def test_labels_of_every_step(tmp_path):
    y = np.where(REAL, EACH, -100)
    source = NpzSource(save(tmp_path, y=y), lengths="n", split={"train": 1.0})
    data = source.load(seed=0)
    assert data.classes == ("3", "4", "5"), "what stands in the padding is no class"
    np.testing.assert_array_equal(data.train.y[REAL], EACH[REAL] - 3)
    assert data.train.stepwise
    np.testing.assert_array_equal(data.train.targets(), EACH[REAL] - 3)
    seen = source.peek()
    assert (seen.target_shape, seen.classes, seen.lengths) == ((STEPS,), 3, True)
    assert not NpzSource(save(tmp_path)).peek().lengths
    counts = np.bincount(EACH[REAL] - 3)
    assert baseline(data).value == pytest.approx(counts.max() / counts.sum())


def test_text_labels_of_every_step(tmp_path):
    y = np.where(REAL, np.array(["b", "a", "c"])[EACH - 3], "padding")
    data = NpzSource(save(tmp_path, y=y), lengths="n").load(seed=0)
    assert data.classes == ("a", "b", "c")


@pytest.mark.parametrize("axis", [False, True])
def test_numbers_of_every_step(tmp_path, axis):
    y = np.where(REAL, X[..., 0], np.nan)
    data = NpzSource(
        save(tmp_path, y=y[..., None] if axis else y), lengths="n", standardize=True, split={"train": 1.0}
    ).load(seed=0)
    assert data.train.y.shape == (N, STEPS, 1)
    assert data.train.stepwise
    scale = data.preprocessing.targets
    np.testing.assert_allclose([scale.mean[0], scale.std[0]], [X[REAL][:, 0].mean(), X[REAL][:, 0].std()])
    np.testing.assert_allclose(scale.restore(data.train.y)[REAL][:, 0], X[REAL][:, 0], rtol=1e-5)
    assert baseline(data).value == pytest.approx(np.abs(X[REAL][:, 0] - X[REAL][:, 0].mean()).mean(), rel=1e-5)


def test_files_of_their_own(tmp_path):
    other = save(tmp_path, "valid.npz", x=X[:7] + 1, y=np.arange(7) % 2, n=np.arange(7) % STEPS + 1)
    data = NpzSource(train_path=save(tmp_path), valid_path=other, lengths="n").load(seed=0)
    assert data.valid.lengths.tolist() == [1, 2, 3, 4, 5, 1, 2]
    assert len(data.train.lengths) == N


def changed(row, value):
    lengths = LENGTHS.copy()
    lengths[row] = value
    return lengths


BAD = {
    "none": (changed(3, 0), r"column 'n': a length of 0, where a sequence has 1 to 5 steps \(at index 3\)"),
    "negative": (changed(2, -1), "a length of -1"),
    "too long": (changed(5, 6), r"a length of 6, .* \(at index 5\)"),
    "too few": (LENGTHS[1:], r"40 sequences have as many lengths, not \(39,\)"),
    "of every step": (EACH, r"as many lengths, not \(40, 5\)"),
    "floats": (LENGTHS * 1.0, "lengths are whole numbers, not values of type float64"),
    "text": (LENGTHS.astype(str), "lengths are whole numbers"),
}


@pytest.mark.parametrize("what", BAD)
def test_lengths_that_cannot_be(tmp_path, what):
    lengths, message = BAD[what]
    path = save(tmp_path, n=lengths)
    for ask in (NpzSource(path, lengths="n").load, NpzSource(path, lengths="n").peek):
        with pytest.raises(DataError, match=message) as caught:
            ask(seed=0)
        assert caught.value.file == str(path)


def test_an_array_that_is_not_there(tmp_path):
    with pytest.raises(ColumnError, match="no array 'm'") as caught:
        NpzSource(save(tmp_path), lengths="m").load(seed=0)
    assert caught.value.key == "lengths"


@pytest.mark.parametrize("x", [X[:, 0], X[:, 0, 0]])
def test_what_is_no_sequence_has_no_lengths(tmp_path, x):
    with pytest.raises(DataError, match=r"\(rows, steps, numbers\)") as caught:
        NpzSource(save(tmp_path, x=x), lengths="n").load(seed=0)
    assert "x[..., None]" in caught.value.hint


def test_targets_of_another_number_of_rows(tmp_path):
    with pytest.raises(DataError, match="are not those of"):
        NpzSource(save(tmp_path, y=EACH[1:]), lengths="n").load(seed=0)


def test_examples_know_whether_steps_have_targets():
    x = X.astype(np.float32)
    for y, stepwise in ((EACH, True), (EACH[:, 0], False), (x, True), (x[:, 0], False)):
        assert Examples(x, y, lengths=LENGTHS).stepwise == stepwise
        assert not Examples(x, y).stepwise
