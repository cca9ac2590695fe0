"""npz: values, labels, and every way in which an archive can lie."""

import io
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from flux_core.data import NpySource, NpzSource, chunks, npz
from flux_core.errors import ColumnError, DataError, MissingFile

ALL = {"train": 1.0}


def save(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    x = np.arange(40, dtype=np.float64).reshape(20, 2)
    return save(tmp_path / "blobs.npz", x=x, y=np.arange(20) % 2)


def test_standardised_on_the_training_rows_only(blobs: Path) -> None:
    data = NpzSource(blobs).load(seed=0)
    assert [len(part) for part in (data.train, data.valid, data.test)] == [16, 2, 2]
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(data.train.x.std(axis=0), 1, atol=1e-6)
    scale = data.preprocessing.inputs
    raw = np.concatenate([scale.restore(part.x) for part in (data.train, data.valid, data.test)])
    np.testing.assert_allclose(sorted(raw[:, 0]), np.arange(0, 40, 2), atol=1e-5)
    assert data.train.x.dtype == np.float32
    assert data.train.y.dtype == np.int64


def test_labels_are_numbered_in_order_and_keep_their_names(tmp_path: Path) -> None:
    x = np.zeros((4, 2, 2), np.uint8)
    path = save(tmp_path / "a.npz", x=x, y=np.array([10, -1, 9, 10]))
    data = NpzSource(path, split=ALL).load(seed=0)
    assert data.classes == ("-1", "9", "10")
    assert data.train.y.tolist() == [2, 0, 1, 2]


def test_text_and_whole_float_labels(tmp_path: Path) -> None:
    x = np.zeros((3, 1))
    text = NpzSource(save(tmp_path / "a.npz", x=x, y=np.array(["b", "a", "b"])), split=ALL)
    assert text.load(seed=0).train.y.tolist() == [1, 0, 1]
    raw = NpzSource(save(tmp_path / "b.npz", x=x, y=np.array([b"b", b"a", b"b"])), split=ALL)
    assert raw.load(seed=0).classes == ("a", "b")
    whole = NpzSource(save(tmp_path / "c.npz", x=x, y=np.array([1.0, 0.0, 1.0])), split=ALL)
    assert whole.load(seed=0, task="classification").classes == ("0", "1")
    assert whole.load(seed=0).task == "regression"


def test_an_explicit_task_wins_over_the_loss(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.zeros((3, 1)), y=np.array([1, 2, 3]))
    data = NpzSource(path, split=ALL, task="regression").load(seed=0, task="classification")
    assert data.task == "regression"
    np.testing.assert_allclose(data.preprocessing.targets.restore(data.train.y), [[1], [2], [3]], atol=1e-6)


def test_regression_targets_in_original_units(tmp_path: Path) -> None:
    y = np.array([[100.0, 1.0], [200.0, 1.0], [300.0, 1.0]])
    data = NpzSource(save(tmp_path / "a.npz", x=np.eye(3), y=y), split=ALL).load(seed=0)
    assert data.train.y.dtype == np.float32
    assert data.train.y.shape == (3, 2)
    np.testing.assert_allclose(data.train.y[:, 0], [-1.2247449, 0, 1.2247449], rtol=1e-6)
    np.testing.assert_allclose(data.preprocessing.targets.restore(data.train.y), y, rtol=1e-6)


def test_standardize_false_keeps_the_values(blobs: Path) -> None:
    data = NpzSource(blobs, split=ALL, standardize=False).load(seed=0)
    np.testing.assert_array_equal(data.train.x, np.arange(40).reshape(20, 2))


def test_images_get_one_mean_when_asked_and_none_by_default(tmp_path: Path) -> None:
    x = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
    path = save(tmp_path / "a.npz", x=x, y=np.arange(6) % 2)
    np.testing.assert_array_equal(NpzSource(path, split=ALL).load(seed=0).train.x, x)
    scaled = NpzSource(path, split=ALL, standardize=True).load(seed=0).train.x
    np.testing.assert_allclose(scaled, (x - x.mean()) / x.std(), rtol=1e-5)


def test_ids_stay_whole_numbers(tmp_path: Path) -> None:
    big = 2**40 + 1
    path = save(tmp_path / "a.npz", x=np.array([0, big, 2]), y=np.array([0, 1, 0]))
    source = NpzSource(path, split=ALL, ids=True)
    assert source.load(seed=0).train.x.tolist() == [0, big, 2]
    assert (source.peek().input_shape, source.peek().input_dtype) == ((), "int64")
    negative = save(tmp_path / "b.npz", x=np.array([0, -1, 2]), y=np.array([0, 1, 0]))
    with pytest.raises(DataError, match="does not hold ids"):
        NpzSource(negative, split=ALL, ids=True).load(seed=0)


def test_a_single_number_a_row_is_one_feature(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.array([0.5, 1.5]), y=np.array([0, 1]))
    source = NpzSource(path, split=ALL)
    assert source.load(seed=0).train.x.tolist() == [[0.5], [1.5]]
    assert source.peek().input_shape == (1,)


def test_fortran_order_is_read_right(tmp_path: Path) -> None:
    x = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    path = save(tmp_path / "a.npz", x=x, y=np.array([0, 1]))
    np.testing.assert_array_equal(NpzSource(path, split=ALL, standardize=False).load(seed=0).train.x, x)


def test_separate_files_share_classes_and_scale(tmp_path: Path) -> None:
    a = save(tmp_path / "a.npz", x=np.array([[0.0], [2.0]]), y=np.array([0, 1]))
    b = save(tmp_path / "b.npz", x=np.array([[5.0]]), y=np.array([7]))
    source = NpzSource(train_path=a, test_path=b)
    data = source.load(seed=0)
    assert data.classes == ("0", "1", "7")
    assert data.valid is None
    assert data.test.x.tolist() == [[4.0]]
    assert data.test.y.tolist() == [2]
    assert data.notes == ("no row to train on for class '7'",)
    assert source.files() == (a, b)
    cut = NpzSource(train_path=a, test_path=b, split={"train": 0.5, "valid": 0.5}).load(seed=0)
    assert (len(cut.train), len(cut.valid), len(cut.test)) == (1, 1, 1)


def test_peek_agrees_with_load(blobs: Path) -> None:
    source = NpzSource(blobs)
    peek, data = source.peek(), source.load(seed=0)
    assert peek.input_shape == data.train.x.shape[1:]
    assert peek.input_dtype == data.train.x.dtype.name
    assert peek.classes == len(data.classes)
    assert peek.task == data.task


def test_the_same_seed_gives_the_same_rows(blobs: Path) -> None:
    first, second = NpzSource(blobs).load(seed=3), NpzSource(blobs).load(seed=3)
    np.testing.assert_array_equal(first.train.x, second.train.x)
    other = NpzSource(blobs).load(seed=4)
    assert not np.array_equal(first.valid.x, other.valid.x)


def test_encode_repeats_what_training_saw(blobs: Path) -> None:
    data = NpzSource(blobs, split=ALL).load(seed=0)
    x, notes = data.preprocessing.encode(np.arange(40).reshape(20, 2))
    np.testing.assert_array_equal(x, data.train.x)
    assert notes == ()
    with pytest.raises(DataError, match=r"shape \(3,\), the model was trained with \(2,\)"):
        data.preprocessing.encode(np.zeros((1, 3)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    x = np.zeros((4, 3))
    x[2, 1] = value
    path = save(tmp_path / "a.npz", x=x, y=np.arange(4))
    with pytest.raises(DataError, match=rf"array 'x' holds {value} at \[2, 1\]") as caught:
        NpzSource(path).load(seed=0)
    assert caught.value.file == str(path)


def test_a_value_too_large_for_float32_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.array([[1.0], [1e300]]), y=np.arange(2))
    with pytest.raises(DataError, match=r"'x' holds inf at \[1, 0\]"):
        NpzSource(path, split=ALL, standardize=False).load(seed=0)
    # standardised it is an ordinary number, and squaring it on the way must not overflow
    assert NpzSource(path, split=ALL).load(seed=0).train.x.tolist() == [[-1.0], [1.0]]


def test_a_target_that_is_not_finite_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.zeros((2, 1)), y=np.array([1.0, np.nan]))
    with pytest.raises(DataError, match=r"column 'y': nan is not a finite float32 \(at index 1\)"):
        NpzSource(path).load(seed=0)


def test_a_fraction_is_no_label(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.zeros((2, 1)), y=np.array([1.0, 0.5]))
    with pytest.raises(DataError, match="is no label of a class") as caught:
        NpzSource(path).load(seed=0, task="classification")
    assert "regression" in caught.value.hint


def test_one_hot_labels_are_explained(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.zeros((3, 1)), y=np.eye(3, dtype=int))
    with pytest.raises(DataError, match="one label a row") as caught:
        NpzSource(path).load(seed=0)
    assert "argmax" in caught.value.hint


def test_an_array_that_is_not_there(blobs: Path) -> None:
    with pytest.raises(ColumnError, match="no array 'Y'") as caught:
        NpzSource(blobs, target="Y").load(seed=0)
    assert caught.value.key == "target"
    with pytest.raises(ColumnError) as caught:
        NpzSource(blobs, features="xx").peek()
    assert (caught.value.key, caught.value.near) == ("features", ("x",))


def test_a_file_that_is_not_there_names_its_neighbour(blobs: Path) -> None:
    with pytest.raises(MissingFile, match="no such file") as caught:
        NpzSource(blobs.with_name("blob.npz")).load(seed=0)
    assert caught.value.hint == "did you mean 'blobs.npz'?"
    with pytest.raises(MissingFile, match="folder"):
        NpzSource(blobs.parent).load(seed=0)


def test_lengths_and_shapes_must_fit(tmp_path: Path, blobs: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.zeros(4, int))
    with pytest.raises(DataError, match="3 rows and the target has 4"):
        NpzSource(path).load(seed=0)
    path = save(tmp_path / "b.npz", x=np.zeros((3, 5)), y=np.zeros(3, int))
    with pytest.raises(DataError, match=r"shape \(5,\), in the training file it has \(2,\)"):
        NpzSource(train_path=blobs, test_path=path).load(seed=0)


def test_objects_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object), y=np.zeros(1, int))
    with pytest.raises(DataError, match="Python objects"):
        NpzSource(tmp_path / "a.npz").load(seed=0)


@pytest.mark.parametrize(
    "x", [np.zeros(2, "datetime64[s]"), np.zeros(2, complex), np.zeros(2, "i4,f4"), np.zeros((0, 2)), np.array(1.0)]
)
def test_arrays_that_are_no_features(tmp_path: Path, x: np.ndarray) -> None:
    path = save(tmp_path / "a.npz", x=x, y=np.zeros(2, int))
    with pytest.raises(DataError, match="array 'x' cannot be read"):
        NpzSource(path).load(seed=0)


def test_text_features_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.array(["a", "b"]), y=np.zeros(2, int))
    with pytest.raises(DataError, match="features are rows of numbers"):
        NpzSource(path).load(seed=0)


def npy_bytes(shape: tuple[int, ...], data: bytes) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return stream.getvalue() + data


def write_members(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def test_a_header_that_claims_terabytes(tmp_path: Path) -> None:
    path = write_members(tmp_path / "a.npz", x=npy_bytes((2**39,), b"\0" * 64))
    with pytest.raises(DataError, match=r"claims 4,398,046,511,104 bytes, 64 follow"):
        NpzSource(path).peek()


def test_a_zip_bomb_meets_the_limit(tmp_path: Path) -> None:
    rows = 2**21
    path = write_members(tmp_path / "a.npz", x=npy_bytes((rows,), bytes(8 * rows)))
    assert path.stat().st_size < 2**15
    with pytest.raises(DataError, match="more than the limit of 1,000,000") as caught:
        NpzSource(path, max_bytes=1_000_000).load(seed=0)
    assert "max_bytes" in caught.value.hint


def test_a_zip_directory_that_lies(tmp_path: Path) -> None:
    path = write_members(tmp_path / "a.npz", x=npy_bytes((8,), bytes(64)))
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 2**31)
    path.write_bytes(data)
    with pytest.raises(DataError, match="claims 2,147,483,648 bytes and stores"):
        NpzSource(path).load(seed=0)


def test_every_cut_and_flip_is_an_error_or_harmless(tmp_path: Path) -> None:
    path = save(tmp_path / "a.npz", x=np.arange(4.0).reshape(2, 2), y=np.array([0, 1]))
    whole = path.read_bytes()
    source = NpzSource(path, split=ALL, standardize=False)
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        with pytest.raises(DataError):
            source.load(seed=0)
    for position in range(0, len(whole), 5):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            data = source.load(seed=0)
        except DataError:
            continue
        np.testing.assert_array_equal(data.train.x, [[0, 1], [2, 3]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give path, or train_path"),
        ({"path": "a", "train_path": "b"}, "give path, or train_path"),
        ({"path": "a", "test_path": "b"}, "go with train_path"),
        ({"path": "a", "split": {"train": 0.9, "valid": 0.2}}, "sum to 1.1"),
        ({"path": "a", "split": {"valid": 0.2}}, "needs a train fraction"),
        ({"path": "a", "split": {"train": 0.5, "dev": 0.2}}, "no part 'dev'"),
        ({"path": "a", "split": {"train": 1.5}}, "between 0 and 1"),
        ({"train_path": "a", "test_path": "b", "split": {"train": 0.9, "test": 0.1}}, "not from both"),
    ],
)
def test_arguments_that_contradict(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NpzSource(**arguments)


@pytest.mark.parametrize("options", [{}, {"standardize": False}, {"ids": True}], ids=str)
def test_large_arrays_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options) -> None:
    x = np.arange(40, dtype=np.int64 if options.get("ids") else np.float64).reshape(20, 2)
    path = save(tmp_path / "large.npz", x=x, y=np.arange(20) % 2)
    os.utime(path, (1_600_000_000, 1_600_000_000))  # settled
    source = NpzSource(path, **options)
    wanted = source.load(seed=0)
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(chunks, "LARGE", 0)
    real = npz.read_array
    for _ in range(2):
        found = source.load(seed=0)
        for name in ("train", "valid", "test"):
            (x, y), its = getattr(found, name).part(slice(None)), getattr(wanted, name)
            assert x.dtype == its.x.dtype
            np.testing.assert_allclose(x, its.x, rtol=1e-6)
            np.testing.assert_array_equal(y, its.y)
        monkeypatch.setattr(npz, "read_array", lambda path, name, *rest: {"y": real}[name](path, name, *rest))


@pytest.mark.parametrize("known", [False, True], ids=["new", "facts known"])
@pytest.mark.parametrize("mapped", [False, True], ids=["npz", "npy"])
def test_large_arrays_that_are_replaced_while_they_are_read(tmp_path: Path, monkeypatch, mapped, known) -> None:
    """Facts and digests of the new file must not be said of the old one's values, nor the other way round."""
    y = np.arange(20) % 2
    old, new = np.arange(40.0).reshape(20, 2), 100 + 7 * np.arange(40.0).reshape(20, 2)
    np.save(tmp_path / "y.npy", y)
    path = tmp_path / ("x.npy" if mapped else "x.npz")
    source = NpySource(path, tmp_path / "y.npy", standardize=True) if mapped else NpzSource(path)

    def put(x: np.ndarray) -> None:
        with (tmp_path / "new").open("wb") as file:
            np.save(file, x) if mapped else np.savez(file, x=x, y=y)
        os.utime(tmp_path / "new", (1_600_000_000, 1_600_000_000))
        (tmp_path / "new").replace(path)

    def values() -> np.ndarray:
        return source.load(seed=0).train.part(slice(None))[0]

    put(new)
    wanted_new = values()
    put(old)
    wanted_old = values()
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(chunks, "LARGE", 0)
    if known:
        np.testing.assert_allclose(values(), wanted_old, rtol=1e-6)
    with monkeypatch.context() as patched:
        targets = type(source)._targets

        def meanwhile(self: object, *arguments: object) -> object:
            put(new)
            return targets(self, *arguments)

        patched.setattr(type(source), "_targets", meanwhile)  # behind the headers, before the values
        with pytest.raises(DataError, match=r"x\.np[yz]: the file has changed while it was read"):
            source.load(seed=0)
    np.testing.assert_allclose(values(), wanted_new, rtol=1e-6)
    put(old)
    np.testing.assert_allclose(values(), wanted_old, rtol=1e-6)


def test_every_wrong_name_at_once(tmp_path: Path) -> None:
    path, other = tmp_path / "a.npz", tmp_path / "b.npz"
    np.savez(path, xs=np.zeros((4, 2)), y=np.arange(4), steps=np.ones(4, np.int64))
    np.savez(other, xs=np.zeros((4, 2)))
    found = NpzSource(path, features="x", target="Y", lengths="lengths").misnamed()
    assert [(error.key, error.near) for error in found] == [("features", ("xs",)), ("target", ()), ("lengths", ())]
    found = NpzSource(train_path=path, test_path=other, features="x").misnamed()
    assert [(error.key, error.file) for error in found] == [("features", str(path)), ("target", str(other))]
    assert NpzSource(path, features="xs", lengths="steps").misnamed() == []
    other.write_bytes(b"no archive")
    found = NpzSource(train_path=path, test_path=other, features="x").misnamed()
    assert [error.key for error in found] == ["features"], "what cannot be read is told by itself"
