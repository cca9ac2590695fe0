"""Text as ids: y is one symbol ahead of x, each stream goes on from minibatch to minibatch, splits keep their order."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_core.data import Examples, Preprocessing, TextSource, Vocabulary
from flux_core.data.split import contiguous
from flux_core.errors import CheckpointError, DataError, MissingFile, SettingError

ALL = {"train": 1.0}
TEXT = "".join(chr(97 + (i * i + i // 7) % 23) for i in range(1000))


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "a.txt", TEXT)


def streams_of(examples: Examples, size: int, vocabulary: Vocabulary) -> list[str]:
    """What each stream reads, minibatch after minibatch, with the last target behind it."""
    x, y = examples.part(slice(None))
    assert len(x) % size == 0
    return [vocabulary.decode([*x[b::size].reshape(-1), y[b::size][-1, -1]]) for b in range(size)]


def require_streams(examples: Examples, text: str, size: int, steps: int, vocabulary: Vocabulary) -> None:
    """The windows are those of `text` cut into `size` streams, and y is one ahead of x."""
    length = (len(text) - 1) // (size * steps) * steps
    wanted = [text[b * length : (b + 1) * length + 1] for b in range(size)]
    assert streams_of(examples, size, vocabulary) == wanted
    for x, y in zip(*examples.part(slice(None)), strict=True):
        assert vocabulary.decode(x) + vocabulary.decode(y[-1:]) in text
        np.testing.assert_array_equal(x[1:], y[:-1])


@pytest.mark.parametrize(("size", "steps"), [(1, 1), (1, 999), (3, 7), (8, 20), (27, 37)])
def test_streams_go_on_from_minibatch_to_minibatch(file: Path, size: int, steps: int) -> None:
    data = TextSource(file, steps=steps, batch_size=size, split=ALL).load(seed=0)
    assert data.streams
    assert (data.train.x.dtype, data.train.y.dtype) == (np.int64, np.int64)
    require_streams(data.train, TEXT, size, steps, data.preprocessing.vocabulary)


@pytest.mark.parametrize("fault", ["order", "delay", "overlap"])
def test_a_planted_fault_is_caught(file: Path, fault: str) -> None:
    data = TextSource(file, steps=7, batch_size=3, split=ALL).load(seed=0)
    examples, vocabulary = data.train, data.preprocessing.vocabulary
    require_streams(examples, TEXT, 3, 7, vocabulary)
    wrong = {
        "order": Examples(examples.x, examples.y),
        "delay": Examples(examples.x, examples.x.copy(), examples.rows),
        "overlap": Examples(np.roll(examples.x, 1, axis=0), np.roll(examples.y, 1, axis=0), examples.rows),
    }
    with pytest.raises(AssertionError):
        require_streams(wrong[fault], TEXT, 3, 7, vocabulary)


def test_windows_without_streams_are_the_text_in_order(file: Path) -> None:
    data = TextSource(file, steps=9, carry_state=False, batch_size=77, split=ALL).load(seed=0)
    assert not data.streams
    assert data.preprocessing.vocabulary.decode(data.train.x.reshape(-1)) == TEXT[: 1000 // 9 * 9]
    assert data.preprocessing.vocabulary.decode(data.train.y.reshape(-1)) == TEXT[1 : 1000 // 9 * 9 + 1]


def test_x_and_y_are_views_of_one_array(file: Path) -> None:
    train = TextSource(file, steps=2).load(seed=0).train
    assert np.shares_memory(train.x, train.y)
    assert train.x.flags.c_contiguous
    assert train.y.flags.c_contiguous


def test_splits_are_contiguous_and_share_no_symbol(file: Path) -> None:
    shares = {"train": 0.7, "valid": 0.2, "test": 0.1}
    data = TextSource(file, steps=5, batch_size=2, split=shares).load(seed=0)
    counts = contiguous(1000, shares)
    assert counts == {"train": 700, "valid": 200, "test": 100}
    start = 0
    for part, count in counts.items():
        require_streams(getattr(data, part), TEXT[start : start + count], 2, 5, data.preprocessing.vocabulary)
        start += count
    again = TextSource(file, steps=5, batch_size=2, split=shares).load(seed=1)
    np.testing.assert_array_equal(again.valid.x, data.valid.x)


@given(st.integers(0, 2000), st.lists(st.integers(0, 33), min_size=3, max_size=3).filter(lambda s: s[0]))
def test_contiguous_parts_cover_what_they_should(size: int, shares: list[int]) -> None:
    fractions = dict(zip(("train", "valid", "test"), (share / 100 for share in shares), strict=True))
    counts = contiguous(size, fractions)
    for name, fraction in fractions.items():
        assert abs(counts[name] - size * fraction) <= 1


def test_what_the_fractions_leave_is_told(file: Path) -> None:
    data = TextSource(file, steps=5, batch_size=2, split={"train": 0.5, "valid": 0.25}).load(seed=0)
    assert data.notes == ("250 of 1,000 symbols are in no split: the fractions sum to less than 1",)
    assert data.test is None


def test_files_of_their_own(tmp_path: Path) -> None:
    for name, text in (("train", "abcabcabcabc"), ("valid", "aXaXaaY"), ("test", "bcbcbc")):
        write(tmp_path / f"{name}.txt", text)
    paths = {f"{name}_path": tmp_path / f"{name}.txt" for name in ("train", "valid", "test")}
    source = TextSource(**paths, steps=2, batch_size=1)
    data = source.load(seed=0)
    vocabulary = data.preprocessing.vocabulary
    assert vocabulary.characters == "XYabc"
    assert streams_of(data.train, 1, vocabulary) == ["abcabcabcab"]
    assert streams_of(data.valid, 1, vocabulary) == ["aXaXaaY"]
    assert data.notes == ("the valid split has 2 symbols that training never sees ('X', 'Y'), 3 of its 7",)
    assert source.files() == tuple(paths.values())


def test_several_files_and_patterns_in_order(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c.md", "[d].txt"):
        write(tmp_path / name, name)
    (tmp_path / "e.txt").mkdir()

    def text(*which: str) -> str:
        found = TextSource([tmp_path / one for one in which], steps=1, batch_size=1, split=ALL).load(seed=0)
        return streams_of(found.train, 1, found.preprocessing.vocabulary)[0]

    assert text("c.md", "a.txt") == "c.mda.txt"
    assert text("*.txt") == "[d].txta.txtb.txt"
    assert text("c.md", "?.txt") == "c.mda.txtb.txt"
    assert text("[d].txt") == "[d].txt", "a name that there is stands for itself"
    assert text("[a-b].txt") == "a.txtb.txt"
    assert [path.name for path in TextSource(tmp_path / "*.txt").files()] == ["[d].txt", "a.txt", "b.txt"]
    assert text("**.md") == "c.md", "two stars are two stars"
    write(tmp_path / ".hidden.md", "hidden")
    assert text("*.md") == "hiddenc.md"
    for none in ("*.rst", "there/is/none/*", "zero\0/*", "*" + "long" * 100, "long" * 100 + "/*"):
        with pytest.raises(MissingFile, match="no file has a name of this pattern"):
            text(none)
    with pytest.raises(MissingFile, match="no such file"):
        text("a.txt", "missing.txt")


def test_the_limit_cuts_and_spares_the_files_behind_it(tmp_path: Path) -> None:
    for name, text in (("a", "äbc"), ("b", "defg"), ("c", "\udcff")):
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    source = TextSource(tmp_path / "?", steps=1, batch_size=1, limit=5, split=ALL)
    data = source.load(seed=0)
    assert streams_of(data.train, 1, data.preprocessing.vocabulary) == ["äbcde"]
    assert source.files() == (tmp_path / "a", tmp_path / "b")
    assert dataclasses.replace(source, limit=7).files() == (tmp_path / "a", tmp_path / "b")
    with pytest.raises(DataError, match=r"c:1: column 1: byte 0xff is not UTF-8 text"):
        dataclasses.replace(source, limit=8).load(seed=0)


def test_bytes_take_everything(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)) * 2)
    data = TextSource(tmp_path / "a", unit="byte", steps=4, batch_size=2, split=ALL).load(seed=0)
    np.testing.assert_array_equal(data.train.x.reshape(-1), (np.arange(504) % 256))
    assert (len(data.classes), data.classes[65]) == (256, "0x41")


def test_peek_is_what_load_gives(file: Path) -> None:
    for source in (TextSource(file, steps=7, batch_size=3), TextSource(file, unit="byte", steps=7, carry_state=False)):
        data, seen = source.load(seed=0), source.peek()
        assert (seen.input_shape, seen.target_shape) == (data.train.x.shape[1:], data.train.y.shape[1:])
        assert (seen.input_dtype, seen.task) == (data.train.x.dtype.name, data.task)
        assert seen.classes == seen.vocabulary == len(data.preprocessing.vocabulary) == len(data.classes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 50}, "the train split has 800 symbols, too few for 32 streams of 50 steps: 1,601 are"),
        (
            {"steps": 33, "batch_size": 3, "split": {"train": 0.1, "test": 0.09}},
            "the test split has 90 .* 100 are needed$",
        ),
        (
            {"steps": 100, "carry_state": False},
            "the valid split has 100 symbols, too few for a window of 100 steps: 101 are",
        ),
        ({"steps": 1000, "split": ALL, "batch_size": 1}, "the train split has 1,000 .* 1,001 are needed"),
    ],
)
def test_a_text_that_is_too_short(file: Path, options: dict[str, object], message: str) -> None:
    source = TextSource(file, **options)
    for ask in (source.load, source.peek):
        with pytest.raises(SettingError, match=message) as caught:
            ask(seed=0)
        assert (caught.value.key, caught.value.file) == ("steps", str(file))


def test_the_shortest_text_that_is_enough(file: Path) -> None:
    assert len(TextSource(file, steps=333, batch_size=3, split=ALL).load(seed=0).train) == 3
    with pytest.raises(SettingError, match="1,000 symbols, too few for 3 streams of 334 steps: 1,003"):
        TextSource(file, steps=334, batch_size=3, split=ALL).load(seed=0)


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\xff")
    with pytest.raises(DataError, match="byte 0xff is not UTF-8 text") as caught:
        TextSource(path).load(seed=0)
    assert (caught.value.file, caught.value.row, caught.value.column) == (str(path), 2, 4)
    assert "data.unit" in caught.value.hint
    path.write_bytes(b"")
    for unit in ("char", "byte"):
        with pytest.raises(DataError, match="there is no text in it"):
            TextSource(path, unit=unit).load(seed=0)
    path.write_bytes(b"x" * 100)
    with pytest.raises(DataError, match="200 bytes, more than the limit of 150"):
        TextSource([path, path], max_bytes=150).load(seed=0)
    with pytest.raises(MissingFile, match="folder"):
        TextSource(tmp_path).load(seed=0)


def test_a_byte_order_mark_is_no_symbol_and_line_ends_stay(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "\ufeffa\r\nb")
    data = TextSource(path, steps=1, batch_size=1, split=ALL).load(seed=0)
    assert streams_of(data.train, 1, data.preprocessing.vocabulary) == ["a\r\nb"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give path, or train_path"),
        ({"path": "a", "valid_path": "b"}, "go with train_path"),
        ({"path": "a", "steps": 0}, "steps is 0"),
        ({"path": "a", "batch_size": 0}, "batch_size is 0"),
        ({"path": "a", "limit": 0}, "limit is 0"),
        ({"path": "a", "unit": "word"}, "a unit is char or byte, not 'word'"),
        ({"path": "a", "split": {"valid": 1.0}}, "train fraction"),
    ],
)
def test_arguments_without_a_meaning(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextSource(**arguments)


@given(st.text(min_size=1))
def test_ids_are_a_text_in_other_words(text: str) -> None:
    for vocabulary in (Vocabulary("char", "".join(sorted(set(text)))), Vocabulary("byte")):
        ids = vocabulary.encode(text)
        assert vocabulary.decode(ids) == text
        assert ids.max() < len(vocabulary) == len(vocabulary.names)
        preprocessing = Preprocessing(dtype="int64", vocabulary=vocabulary)
        assert Preprocessing.from_json(json.loads(json.dumps(preprocessing.to_json()))) == preprocessing


def test_a_character_that_training_never_had() -> None:
    with pytest.raises(DataError, match="never seen the character 'é'") as caught:
        Vocabulary("char", "\nab").encode("a\nb\naéb")
    assert caught.value.row == 3


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert Vocabulary("byte").decode([0x61, 0xFF, 0x62]) == "a\ufffdb"


def test_a_vocabulary_fits_into_a_checkpoint(tmp_path: Path) -> None:
    from flux_core.training import checkpoint

    points = [chr(0x10000 + i) for i in range(20_000)]
    data = TextSource(write(tmp_path / "a.txt", "".join(points)), steps=1, batch_size=1, split=ALL).load(seed=0)
    meta = {"classes": list(data.classes), "preprocessing": data.preprocessing.to_json()}
    checkpoint.write(tmp_path / "a.safetensors", {}, meta)
    kept = Preprocessing.from_json(checkpoint.read(tmp_path / "a.safetensors")[1]["preprocessing"])
    assert kept == data.preprocessing
    write(tmp_path / "a.txt", "".join([*points, "a"]))
    with pytest.raises(DataError, match="20,001 different characters, a vocabulary has room for 20,000"):
        TextSource(tmp_path / "a.txt").load(seed=0)


@pytest.mark.parametrize(
    "value",
    [
        3,
        {},
        {"unit": "char"},
        {"unit": "word", "characters": "ab"},
        {"unit": "char", "characters": ["a"]},
        {"unit": "char", "characters": "ba"},
        {"unit": "char", "characters": "aa"},
        {"unit": "char", "characters": ""},
        {"unit": "char", "characters": "\ud800"},
        {"unit": "byte", "characters": "a"},
    ],
)
def test_a_damaged_vocabulary_is_refused(value: object) -> None:
    data = {**Preprocessing(dtype="int64").to_json(), "vocabulary": value}
    with pytest.raises(CheckpointError, match="damaged"):
        Preprocessing.from_json(data)
