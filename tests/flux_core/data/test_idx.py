"""idx: the bytes of the format, written by hand here, and every way to be cut."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from flux_core.data import IdxSource, chunks, idx
from flux_core.data.idx import TYPES, read_idx
from flux_core.errors import DataError, MissingFile

LIMIT = 10**6


def idx_bytes(array: np.ndarray, code: int) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(TYPES[code]).tobytes()


IMAGES = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3) * 8
LABELS = np.array([3, 1, 3, 1, 7], np.uint8)


@pytest.fixture(params=["plain", "gzip"])
def files(tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Path]:
    pack = gzip.compress if request.param == "gzip" else bytes
    files = {"images": tmp_path / "images", "labels": tmp_path / "labels"}
    files["images"].write_bytes(pack(idx_bytes(IMAGES, 0x08)))
    files["labels"].write_bytes(pack(idx_bytes(LABELS, 0x08)))
    return files


def test_pixels_become_fractions(files: dict[str, Path]) -> None:
    source = IdxSource(**files, split={"train": 1.0})
    data = source.load(seed=0)
    np.testing.assert_allclose(data.train.x, IMAGES / 255.0, rtol=1e-6)
    assert data.train.x.dtype == np.float32
    assert data.classes == ("1", "3", "7")
    assert data.train.y.tolist() == [1, 0, 1, 0, 2]
    assert source.files() == (files["images"], files["labels"])
    peek = source.peek()
    assert (peek.input_shape, peek.input_dtype, peek.classes) == ((2, 3), "float32", 3)


def test_new_pixels_are_scaled_alike(files: dict[str, Path]) -> None:
    data = IdxSource(**files, split={"train": 1.0}).load(seed=0)
    np.testing.assert_array_equal(data.preprocessing.encode(IMAGES)[0], data.train.x)


def test_standardize_uses_one_mean_for_all_pixels(files: dict[str, Path]) -> None:
    x = IdxSource(**files, split={"train": 1.0}, standardize=True).load(seed=0).train.x
    np.testing.assert_allclose(x, (IMAGES - IMAGES.mean()) / IMAGES.std(), rtol=1e-5)


def test_test_files(files: dict[str, Path]) -> None:
    pair = {"test_images": files["images"], "test_labels": files["labels"]}
    whole = IdxSource(**files, **pair).load(seed=0)
    assert (len(whole.train), whole.valid, len(whole.test)) == (5, None, 5)
    cut = IdxSource(**files, **pair, split={"train": 0.8, "valid": 0.2}).load(seed=0)
    assert (len(cut.train), len(cut.valid), len(cut.test)) == (4, 1, 5)
    assert len(IdxSource(**files, **pair).files()) == 4
    with pytest.raises(ValueError, match="go together"):
        IdxSource(**files, test_images=files["images"])
    with pytest.raises(ValueError, match="not from both"):
        IdxSource(**files, **pair, split={"train": 0.8, "test": 0.2})


@pytest.mark.parametrize("code", TYPES)
def test_every_type_keeps_its_values(tmp_path: Path, code: int) -> None:
    values = np.array([[1, 2], [3, 100]])
    path = tmp_path / "a"
    path.write_bytes(idx_bytes(values, code))
    got = read_idx(path, LIMIT)
    np.testing.assert_array_equal(got, values)
    assert got.dtype.isnative


def test_every_cut_is_an_error(files: dict[str, Path]) -> None:
    whole = files["images"].read_bytes()
    for end in range(len(whole)):
        files["images"].write_bytes(whole[:end])
        with pytest.raises(DataError) as caught:
            IdxSource(**files).load(seed=0)
        assert caught.value.file == str(files["images"])


def test_damaged_gzip_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    whole = gzip.compress(idx_bytes(IMAGES, 0x08))
    path.write_bytes(whole[:-6] + b"\x00\x01" + whole[-4:])
    with pytest.raises(DataError, match="CRC"):
        read_idx(path, LIMIT)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "starts with nothing"),
        (b"PK\x03\x04", "no idx file: it starts with 50 4b 03 04"),
        (b"\0\0\x07\x01\0\0\0\x01a", "no idx file"),
        (b"\0\0\x08\x00", "no idx file"),
        (b"\0\0\x08\x01\0\0", "inside its header"),
        (b"\0\0\x08\x01\0\0\0\0", "no values"),
        (b"\0\0\x08\x01\0\0\0\x02a", "ends before"),
        (b"\0\0\x08\x01\0\0\0\x02abc", "more than the 2 bytes"),
        (b"\0\0\x0e\x02\x00\x00\x01\x00\x00\x00\x00\x10", "ends before"),
        (b"\0\0\x0e\x03" + b"\xff" * 12, "more than the limit of 1,000,000"),
    ],
)
def test_headers_that_lie(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a"
    for content in (data, gzip.compress(data)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_idx(path, LIMIT)


def test_images_and_labels_must_be_as_many(files: dict[str, Path]) -> None:
    files["labels"].write_bytes(idx_bytes(LABELS[:4], 0x08))
    with pytest.raises(DataError, match="5 rows and the target has 4"):
        IdxSource(**files).load(seed=0)
    files["labels"].unlink()
    with pytest.raises(MissingFile):
        IdxSource(**files).peek()


@pytest.mark.parametrize("standardize", [False, True])
def test_large_images_are_decoded_once(
    files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, standardize: bool
) -> None:
    source = IdxSource(**files, split={"train": 0.6, "test": 0.4}, standardize=standardize)
    wanted = source.load(seed=0)
    monkeypatch.setenv("FLUXRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(chunks, "LARGE", 0)
    for file in files.values():
        os.utime(file, (1_600_000_000, 1_600_000_000))  # settled
    real = idx.read_idx
    for _ in range(2):
        found = source.load(seed=0)
        for name in ("train", "test"):
            (x, y), its = getattr(found, name).part(slice(None)), getattr(wanted, name)
            np.testing.assert_allclose(x, its.x, rtol=1e-6 if standardize else 0)
            np.testing.assert_array_equal(y, its.y)
        monkeypatch.setattr(idx, "read_idx", lambda path, limit: {files["labels"]: real}[path](path, limit))
