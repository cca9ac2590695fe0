"""Checkpoints: the same content comes back and gives the same bytes; every way to damage a file is seen."""

import hashlib
import json
import math
import os
import sys

import numpy as np
import pytest

from flux_core.errors import CheckpointError
from flux_core.training import checkpoint

TENSORS = {
    "0.W": np.arange(12, dtype=np.float32).reshape(3, 4),
    "0.b": np.array([-0.0, np.nan, np.inf], np.float32),
    "preprocessing/mean": np.array([0.1, 0.2]),
    "order": np.array([2**62, -1]),
    "empty": np.zeros((0, 5), np.float32),
    "scalar": np.array(2.5, np.float32),
}
META = {"step": 7, "best": None, "loss": 0.1 + 0.2, "name": "σ", "list": [1, [2]], "plan": {"b": 1, "a": True}}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "last.safetensors"
    checkpoint.write(path, TENSORS, META)
    return path


def test_what_is_read_is_what_was_written(path):
    tensors, meta = checkpoint.read(path)
    assert meta == META
    assert set(tensors) == set(TENSORS)
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(tensor, TENSORS[name], strict=True)
        assert np.signbit(tensor).tolist() == np.signbit(TENSORS[name]).tolist()
        assert tensor.flags.writeable
        assert tensor.flags.aligned


def test_equal_content_gives_equal_bytes(path, tmp_path):
    other = tmp_path / "other"
    tensors = {name: np.array(TENSORS[name], order="F") for name in reversed(TENSORS)}
    checkpoint.write(other, tensors, dict(reversed(META.items())))
    assert other.read_bytes() == path.read_bytes()


def test_nothing_at_all_can_be_kept(tmp_path):
    checkpoint.write(tmp_path / "file", {}, {})
    assert checkpoint.read(tmp_path / "file") == ({}, {})


def test_tensors_of_the_other_byte_order(tmp_path):
    checkpoint.write(tmp_path / "file", {"x": np.array([1, 2], ">f4")}, {})
    np.testing.assert_array_equal(checkpoint.read(tmp_path / "file")[0]["x"], np.float32([1, 2]), strict=True)


def test_the_safetensors_library_reads_it(path):
    from safetensors.numpy import load_file

    for name, tensor in load_file(path).items():
        np.testing.assert_array_equal(tensor, TENSORS[name], strict=True)


def test_a_file_of_the_safetensors_library_is_not_taken_for_a_checkpoint(tmp_path):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3)}, tmp_path / "file")
    with pytest.raises(CheckpointError, match="no checkpoint of fluxrun"):
        checkpoint.read(tmp_path / "file")


def test_every_flipped_byte_is_seen(path):
    content = path.read_bytes()
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"last\.safetensors: "):
            checkpoint.read(path)


def test_the_fuzzer_bites(path, monkeypatch):
    """The planted fault: without the checksum a flipped byte of data passes."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    length = int.from_bytes(content[:8], "little")
    monkeypatch.setattr(checkpoint, "_header", lambda shapes, text, checksum: bytes(content[8 : 8 + length]))
    assert checkpoint.read(path)[1] == META


def test_every_truncation_is_seen(path):
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            checkpoint.read(path)


def test_extra_bytes_are_seen(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(CheckpointError, match="96 bytes of data, the file holds 97"):
        checkpoint.read(path)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone: cannot read the checkpoint: No such file"):
        checkpoint.read(tmp_path / "gone")
    with pytest.raises(CheckpointError, match="Is a directory"):
        checkpoint.read(tmp_path)


def craft(path, entries, data=b"", *, meta='{"format": 1, "meta": {}}', header=None):
    """A file with a checksum that matches, made by somebody who knows the format."""
    entries = {"__metadata__": {"fluxrun": meta, "sha256": ""}, **entries}

    def text(checksum):
        entries["__metadata__"]["sha256"] = checksum
        return json.dumps(entries, sort_keys=True, separators=(",", ":")).encode()

    text_ = header or text(hashlib.sha256(pad(text("")) + data).hexdigest())
    path.write_bytes(len(pad(text_)).to_bytes(8, "little") + pad(text_) + data)


def pad(text):
    return text + b" " * (-len(text) % 8)


def entry(shape, begin, end, dtype="F32", **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def test_a_crafted_file_can_be_whole(tmp_path):
    craft(tmp_path / "file", {"x": entry([2], 0, 8)}, np.float32([1, 2]).tobytes())
    np.testing.assert_array_equal(checkpoint.read(tmp_path / "file")[0]["x"], np.float32([1, 2]), strict=True)


ATTACKS = {
    "overlap": ({"a": entry([1], 0, 4), "b": entry([1], 0, 4)}, b"\0" * 8),
    "hole": ({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, b"\0" * 12),
    "data not in order": ({"a": entry([1], 4, 8), "b": entry([1], 0, 4)}, b"\0" * 8),
    "shape above the data": ({"a": entry([2], 0, 4)}, b"\0" * 4),
    "shape that overflows": ({"a": entry([2**32, 2**32, 1], 0, 0)}, b""),
    "shape that overflows through zero": ({"a": entry([0, 2**40, 2**40], 0, 0)}, b""),
    "too many axes": ({"a": entry([1] * 65, 0, 4)}, b"\0" * 4),
    "negative size": ({"a": entry([-1, -1], 0, 4)}, b"\0" * 4),
    "size that is a truth value": ({"a": entry([True], 0, 4)}, b"\0" * 4),
    "size that is a fraction": ({"a": entry([1.0], 0, 4)}, b"\0" * 4),
    "offsets the wrong way": ({"a": entry([1], 4, 0)}, b"\0" * 4),
    "three offsets": ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 4]}}, b"\0" * 4),
    "unknown dtype": ({"a": entry([1], 0, 2, "BF16")}, b"\0" * 2),
    "dtype that is a list": ({"a": entry([1], 0, 4, ["F32"])}, b"\0" * 4),
    "unknown key": ({"a": entry([1], 0, 4, code="os.system")}, b"\0" * 4),
    "missing key": ({"a": {"dtype": "F32", "shape": [1]}}, b"\0" * 4),
    "description that is a list": ({"a": [1, 2]}, b"\0" * 4),
    "name that leads out": ({"../../x": entry([1], 0, 4)}, b"\0" * 4),
    "absolute name": ({"/x": entry([1], 0, 4)}, b"\0" * 4),
    "name with an escape": ({"a\x1b]0;x": entry([1], 0, 4)}, b"\0" * 4),
    "empty name": ({"": entry([1], 0, 4)}, b"\0" * 4),
    "long name": ({"a" * 2001: entry([1], 0, 4)}, b"\0" * 4),
    "trailing data": ({"a": entry([1], 0, 4)}, b"\0" * 5),
    "huge tensor in a small file": ({"a": entry([2**50], 0, 2**52)}, b"\0" * 4),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_crafted_header_is_refused(tmp_path, attack):
    entries, data = ATTACKS[attack]
    craft(tmp_path / "file", entries, data)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.read(tmp_path / "file")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b'{"__metadata__":{"fluxrun":"{}"},"a":{},"a":{}}', "a key stands twice"),
        (b'{"__metadata__":{"fluxrun":"{}"},"a":NaN}', "NaN is no JSON"),
        (b"[" * 200_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b"9" * 10_000, "no JSON"),
        (b"\xff\xfe{}", "no JSON"),
        (b'{"__metadata__":{"fluxrun":7}}', "no text"),
        (b'{"__metadata__":[]}', "no checkpoint of fluxrun"),
    ],
)
def test_a_header_that_is_no_header_is_refused(tmp_path, header, reason):
    craft(tmp_path / "file", {}, header=header)
    with pytest.raises(CheckpointError, match=reason):
        checkpoint.read(tmp_path / "file")


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        ('{"format": 2, "meta": {}}', "another format"),
        ('{"format": 1, "meta": 3}', "no meta data"),
        ('{"format": 1, "meta": {"a": 1, "a": 2}}', "twice"),
        ('{"format": 1, "meta": {"a": Infinity}}', "Infinity"),
        ("[" * 100_000, "no JSON"),
        ("7", "no JSON object"),
    ],
)
def test_meta_data_that_is_none_is_refused(tmp_path, meta, reason):
    craft(tmp_path / "file", {}, meta=meta)
    with pytest.raises(CheckpointError, match=reason):
        checkpoint.read(tmp_path / "file")


def test_blanks_or_other_text_for_the_same_header_are_refused(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    loose = pad(json.dumps(json.loads(content[8 : 8 + length])).encode())
    path.write_bytes(len(loose).to_bytes(8, "little") + loose + content[8 + length :])
    with pytest.raises(CheckpointError, match="checksum"):
        checkpoint.read(path)


def test_a_header_above_the_limit_is_refused_without_reading_it(tmp_path):
    with open(tmp_path / "file", "wb") as file:
        file.write((1 << 40).to_bytes(8, "little"))
        os.truncate(tmp_path / "file", 1 << 41)
    with pytest.raises(CheckpointError, match="header above"):
        checkpoint.read(tmp_path / "file")


@pytest.mark.parametrize(
    ("tensors", "meta", "reason"),
    [
        ({"x": np.zeros(1, np.float16)}, {}, "float16"),
        ({"x": np.array([object()])}, {}, "object"),
        ({"../x": np.zeros(1)}, {}, "name"),
        ({}, {"loss": math.nan}, "JSON"),
        ({}, {"long": "a" * (1 << 24)}, "room"),
    ],
)
def test_what_the_format_cannot_hold_is_refused_before_anything_is_written(tmp_path, tensors, meta, reason):
    with pytest.raises(ValueError, match=reason):
        checkpoint.write(tmp_path / "file", tensors, meta)
    assert os.listdir(tmp_path) == []


def test_reading_never_unpickles(path):
    """An audit hook cannot be removed, so it is asked to listen only here."""
    listening, seen = [True], []
    sys.addaudithook(lambda event, _: seen.append(event) if listening and event.startswith("pickle") else None)
    checkpoint.read(path)
    listening.clear()
    assert seen == []
