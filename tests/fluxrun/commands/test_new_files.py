"""New files for evaluate and predict: what does not fit the model is said of the file, and nothing half-made stays."""

import csv
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest

import flux_core
from flux_core import fsio
from flux_core.data import CsvSource, NpzSource, TextSource, WindowsSource
from flux_core.data.new import Gives
from flux_core.data.preprocessing import Preprocessing
from flux_core.errors import DataError
from fluxrun import exits
from fluxrun.jobs import predict as job

IDS = """\
data: {source: npz, path: ids.npz, ids: true}
model: [{embedding: {out: 4, n: 10}}, flatten, {affine: classes}]
"""
TEXT = """\
data: {source: text, path: 't*.txt', steps: 5, batch_size: 4}
model: [{embedding: 3}, {gru: 4}, {affine: vocab}]
"""
ONE_EPOCH = "train: {epochs: 1}\n"


@pytest.fixture
def ids(cli, folder):
    """A trained model of ids 0 to 9, and files with others."""
    x = np.random.default_rng(0).integers(0, 10, (40, 3))
    files = {"ids": x, "unknown": [[1, 2, 3], [4, 10, 12]], "negative": [[0, -1, 1]], "halves": [[0, 1.7, 1]]}
    files["huge"] = np.array([[0, 2**63 + 5, 1]], np.uint64)
    for name, array in files.items():
        np.savez(folder / f"{name}.npz", x=array, y=np.arange(len(array)) % 2)
    (folder / "ids.yaml").write_text(IDS + ONE_EPOCH)
    assert cli("train", "ids.yaml").exit_code == 0


@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_ids_that_the_model_has_no_row_for(cli, ids, command):
    said = {
        "unknown": "unknown.npz: the model knows the ids of 0 to 9, there is 10 at [1, 1]",
        "negative": "whole numbers from 0; there is -1 at [0, 1]",
        "halves": "array 'x' does not hold ids",
        "huge": "there is 9223372036854775813 at [0, 1]",
    }
    for name, message in said.items():
        done = cli(command, "last", f"{name}.npz")
        assert (done.exit_code, done.stdout) == (exits.BAD_DATA, "")
        assert message in done.stderr


def test_ids_in_python(cli, folder, ids):
    model = flux_core.load(next((folder / "runs").iterdir()))
    assert len(model([[1, 2, 9]])) == 1
    for rows in ([[1, 2, 10]], [[1, 2, -1]], [[1, 2, 1.5]]):
        with pytest.raises(DataError, match="ids"):
            model(rows)


@pytest.mark.parametrize("layer", ["embedding: {out: 4, n: 10}", "onehot: 10"])
@pytest.mark.parametrize("command", [("check", "--data"), ("train", "--set", "train.engine=reference"), ("train",)])
def test_data_with_ids_that_no_layer_looks_up(cli, folder, layer, command):
    np.savez(folder / "ids.npz", x=np.full((40, 3), 4) + 95 * (np.arange(120) == 7).reshape(40, 3), y=np.arange(40) % 2)
    (folder / "ids.yaml").write_text(IDS.replace("embedding: {out: 4, n: 10}", layer))
    done = cli(command[0], "ids.yaml", *command[1:])
    assert (done.exit_code, (folder / "runs").exists()) == (exits.USAGE, False)
    said = done.stdout + done.stderr
    assert "ids.yaml:2:" in said
    assert "the data have ids up to 99, this looks up those of 0 to 9" in said
    assert "n: 100" in said


def test_symbols_that_no_layer_looks_up(cli, folder):
    (folder / "t.txt").write_text("abcdefgh" * 80)
    (folder / "text.yaml").write_text(TEXT.replace("embedding: 3", "embedding: {out: 3, n: 5}"))
    done = cli("check", "text.yaml")
    assert done.exit_code == exits.USAGE
    assert "ids up to 7, this looks up those of 0 to 4" in done.stdout + done.stderr
    assert "n: vocab" in done.stdout + done.stderr


def test_labels_that_fit_no_whole_number(cli, folder):
    np.savez(folder / "ids.npz", x=np.zeros((4, 3), int), y=np.array([1, 2, 2**63 + 5, 2], np.uint64))
    (folder / "ids.yaml").write_text(IDS + ONE_EPOCH)
    done = cli("train", "ids.yaml")
    assert done.exit_code == exits.BAD_DATA
    assert "9223372036854775813 is too large for the label of a class" in done.stderr


def test_another_set_of_files(cli, folder):
    for name in "ab":
        (folder / f"t{name}.txt").write_text(f"hello {name} " * 100)
    (folder / "text.yaml").write_text(TEXT + ONE_EPOCH)
    assert cli("train", "text.yaml").exit_code == 0
    assert cli("evaluate", "last").exit_code == 0
    (folder / "tc.txt").write_text("hello a " * 100)
    for command in ("evaluate", "resume"):
        done = cli(command, "last", *(["--set", "train.epochs=2"] if command == "resume" else []))
        assert (done.exit_code, "the data are 3 files, the run began with 2" in done.stderr) == (exits.BAD_DATA, True)
    for name in "bc":
        (folder / f"t{name}.txt").unlink()
    done = cli("evaluate", "last")
    assert (done.exit_code, "the data are 1 file, the run began with 2" in done.stderr) == (exits.BAD_DATA, True)


def test_texts(cli, folder):
    (folder / "t.txt").write_text("hello world\n" * 60)
    (folder / "text.yaml").write_text(TEXT + ONE_EPOCH)
    assert cli("train", "text.yaml").exit_code == 0
    said = {
        "x" * 100: "new.txt:1: column 1: the model has never seen the character 'x'",
        "hello": "new.txt: the text has 5 symbols, too few for 4 streams of 5 steps: 21 are needed",
        "": "there is no text in it",
    }
    for text, message in said.items():
        (folder / "new.txt").write_text(text)
        done = cli("evaluate", "last", "new.txt")
        assert (done.exit_code, message in done.stderr, "data.steps" in done.stderr) == (exits.BAD_DATA, True, False)
    (folder / "new.txt").write_bytes("hello\nwörld\n".encode("latin-1"))
    for command in ("evaluate", "predict"):
        done = cli(command, "last", "new.txt")
        assert (done.exit_code, done.stdout) == (exits.BAD_DATA, "")
        assert done.stderr.startswith(
            "error: new.txt:2: column 2: byte 0xf6 is not UTF-8 text\n  save the file as UTF-8"
        )
        assert "data.unit" not in done.stderr
    (folder / "new.txt").write_text("hello world\n" * 30)  # longer than what is read at once
    rows = list(csv.DictReader(io.StringIO(cli("predict", "last", "new.txt").stdout)))
    assert [row["symbol"] for row in rows] == list("hello world\n" * 30)
    answer = json.loads(cli("predict", "last", "new.txt", "--json").stdout)
    assert answer["prediction"] == [row["prediction"] for row in rows]
    np.testing.assert_allclose(
        answer["probability"], [[float(v) for v in list(row.values())[2:]] for row in rows], 1e-5
    )
    assert cli("predict", "last", "new.txt", "-o", "new.npz").exit_code == 0
    with np.load(folder / "new.npz") as arrays:
        assert arrays["symbol"].tolist() == answer["columns"]["symbol"]
        assert arrays["probability"].tolist() == answer["probability"]
        assert arrays["prediction"].tolist() == answer["prediction"]


@pytest.mark.parametrize("standardize", [True, False])
def test_another_number_of_targets(cli, folder, standardize):
    x = np.random.default_rng(0).random((40, 3))
    np.savez(folder / "one.npz", x=x, y=x[:, 0])
    np.savez(folder / "two.npz", x=x, y=x[:, :2])
    spec = f"data: {{source: npz, path: one.npz, standardize: {str(standardize).lower()}}}\nmodel: [affine: 1]\n"
    (folder / "one.yaml").write_text(spec + "train: {epochs: 1, loss: mse}\n")
    assert cli("train", "one.yaml").exit_code == 0
    assert cli("evaluate", "last", "one.npz").exit_code == 0
    done = cli("evaluate", "last", "two.npz")
    assert (done.exit_code, done.stdout) == (exits.BAD_DATA, "")
    assert "two.npz: column 'y': there are 2 targets, the model gives 1" in done.stderr
    np.savez(folder / "wide.npz", x=x[:, :2], y=x[:, 0])
    for command in ("evaluate", "predict"):
        assert cli(command, "last", "wide.npz").exit_code == exits.BAD_DATA
    np.savez(folder / "UPPER", x=x)
    (folder / "UPPER.npz").rename(folder / "UPPER.NPZ")
    said = cli("predict", "last", "one.npz").stdout
    assert cli("predict", "last", "UPPER.NPZ", "-o", "OUT.NPZ").exit_code == 0
    with np.load(folder / "OUT.NPZ") as arrays:
        assert [f"{value:.9g}" for value in arrays["prediction"]] == said.split()[1:]


def test_columns_of_any_name_in_an_archive(cli, folder):
    table = (folder / "table.csv").read_text().replace("x,y,kind", "file,allow_pickle,kind")
    (folder / "table.csv").write_text(table)
    assert cli("train", "small.yaml").exit_code == 0
    assert cli("predict", "last", "table.csv", "-o", "out.npz").exit_code == 0
    first = (folder / "out.npz").read_bytes()
    with np.load(folder / "out.npz") as arrays:
        rows = [row.split(",") for row in table.splitlines()[1:]]
        assert [arrays[name].tolist() for name in ("file", "allow_pickle", "kind")] == [
            list(c) for c in zip(*rows, strict=True)
        ]
    assert cli("predict", "last", "table.csv", "-o", "out.npz").exit_code == 0
    assert (folder / "out.npz").read_bytes() == first, "the same arrays are the same bytes"


@pytest.mark.parametrize("name", ["out.csv", "out.npz"])
def test_a_disk_that_is_full_in_the_middle(cli, folder, name, monkeypatch):
    assert cli("train", "small.yaml").exit_code == 0
    monkeypatch.setattr("flux_core.training.loaded.ROWS", 16)
    assert cli("predict", "last", "table.csv", "-o", name).exit_code == 0
    whole, before, write = (folder / name).read_bytes(), sorted(folder.iterdir()), fsio.disk.write
    seen = []

    def full(file, data):
        seen.append(len(data))
        if sum(seen) > len(whole) // 2:
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(fsio.disk, "write", full)
    done = cli("predict", "last", "table.csv", "-o", name)
    assert (done.exit_code, done.stderr) == (exits.IO_ERROR, f"error: {name}: No space left on device\n")
    assert sorted(folder.iterdir()) == before
    assert (folder / name).read_bytes() == whole


def test_rows_are_written_while_others_are_still_to_be_computed(cli, folder, monkeypatch):
    assert cli("train", "small.yaml").exit_code == 0
    monkeypatch.setattr("flux_core.training.loaded.ROWS", 16)
    for form in ("table", "archive"):
        found = job.predict("last", "table.csv", folder / "runs")
        computed = []
        found = job.Predictions(found.run, found.data, found.new, found.trained, map(kept_in(computed), found.outputs))
        at = [len(computed) for _ in getattr(found, form)()]
        assert at[0] < at[-1] == 4


def kept_in(computed):
    def keep(outputs):
        computed.append(outputs)
        return outputs

    return keep


WINDOWS = """\
data: {source: windows, path: table.csv, target: -1, steps: 4, columns: [x], batch_size: 8}
model: [flatten, {affine: 1}]
"""


@pytest.mark.parametrize("source", ["csv", "windows"])
def test_a_target_that_was_given_by_its_index(cli, folder, source):
    table = [row.split(",")[:2] for row in (folder / "table.csv").read_text().splitlines()]
    rows = [[*row, str(int(row[0]) * 2 % 7)] for row in table[1:]]
    text = {
        "table": [["x", "y", "t"], *rows],
        "more": [["x", "y", "t", "checked"], *([*row, str(i % 5)] for i, row in enumerate(rows))],
        "order": [["t", "z", "y", "x"], *([t, "no", y, x] for x, y, t in rows)],
        "lacks": [["x", "y", "s"], *rows],
    }
    for name, lines in text.items():
        (folder / f"{name}.csv").write_text("\n".join(map(",".join, lines)) + "\n")
    spec = {"csv": "data: {source: csv, path: table.csv, task: regression}\nmodel: [affine: 1]\n", "windows": WINDOWS}
    (folder / "index.yaml").write_text(spec[source] + ONE_EPOCH)
    assert cli("train", "index.yaml").exit_code == 0
    wanted = json.loads(cli("evaluate", "last", "table.csv", "--json").stdout)["metrics"]
    for name in ("more", "order"):
        done = cli("evaluate", "last", f"{name}.csv", "--json")
        assert (done.exit_code, done.stderr) == (0, "")
        assert json.loads(done.stdout)["metrics"] == wanted
    done = cli("evaluate", "last", "lacks.csv")
    assert (done.exit_code, done.stdout) == (exits.BAD_DATA, "")
    assert "lacks.csv: there is no column 't', the columns are: 'x', 'y', 's'" in done.stderr


@pytest.mark.parametrize("source", [CsvSource("table.csv"), WindowsSource(4, "table.csv", columns=["x"], target=1)])
def test_a_checkpoint_that_did_not_keep_the_answers(folder, source):
    """The index that the spec has is all that there is then."""
    fitted = source.load(seed=0).preprocessing
    known = fitted.to_json()
    assert known.pop("answers") == (["kind"] if isinstance(source, CsvSource) else ["y"])
    older, gives = Preprocessing.from_json(known), Gives(2 if fitted.classes else 1)
    assert older == dataclasses.replace(fitted, answers=())
    found, wanted = (source.read_answered(Path("table.csv"), one, gives).train.y for one in (older, fitted))
    np.testing.assert_array_equal(found, wanted)


def test_what_is_read_is_not_overwritten(cli, folder):
    assert cli("train", "small.yaml").exit_code == 0
    table = (folder / "table.csv").read_text()
    (folder / "new.csv").write_text(table)
    (folder / "link.csv").symlink_to("new.csv")
    (folder / "hard.csv").hardlink_to(folder / "new.csv")
    (folder / "learnt.csv").symlink_to("table.csv")
    for place in ("new.csv", "./new.csv", "link.csv", "hard.csv"):
        done = cli("predict", "last", "new.csv", "-o", place)
        said = f"error: {place}: this is what is read, and it is not overwritten: name another file\n"
        assert (done.exit_code, done.stdout, done.stderr) == (exits.CANNOT_CREATE, "", said)
    for place in ("table.csv", "learnt.csv"):
        done = cli("predict", "last", "new.csv", "-o", place)
        assert (done.exit_code, f"{place}: this belongs to the data of small-" in done.stderr) == (73, True)
    assert (folder / "new.csv").read_text() == (folder / "table.csv").read_text() == table
    for _ in "12":  # predictions of an earlier time are replaced
        assert cli("predict", "last", "new.csv", "-o", "out.csv").exit_code == 0
    assert (folder / "out.csv").read_text() == cli("predict", "last", "new.csv").stdout


NPZ = "data: {source: npz, path: small.npz}\nmodel: [affine: classes]\n"


@pytest.mark.parametrize(
    ("source", "spec", "name"), [(NpzSource, NPZ, "small.npz"), (TextSource, TEXT, "t1.txt")], ids=["npz", "text"]
)
def test_data_that_are_replaced_while_they_are_read(cli, folder, source, spec, name, monkeypatch):
    """The record would have the digest of data that nothing was learnt from."""
    np.savez(folder / "small.npz", x=np.zeros((40, 2)), y=np.arange(40) % 2)
    (folder / "t1.txt").write_text("hello world\n" * 60)
    (folder / "new.yaml").write_text(spec + ONE_EPOCH)
    load = source.load

    def meanwhile(self, **more):
        found = load(self, **more)
        (folder / "other").write_bytes((folder / name).read_bytes())
        (folder / "other").replace(folder / name)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(source, "load", meanwhile)
        done = cli("train", "new.yaml")
    assert (done.exit_code, done.stdout) == (exits.BAD_DATA, "")
    assert f"{name}: the file has changed while it was read" in done.stderr
    assert not (folder / "runs").exists()
    assert cli("train", "new.yaml").exit_code == 0
