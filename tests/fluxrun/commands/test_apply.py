"""evaluate and predict: a trained model on its own data and on files that it has never seen."""

import csv
import errno
import io
import json
import os

import numpy as np
import pytest

import flux_core
from flux_core import fsio
from fluxrun import exits

REGRESSION = """\
name: line
data: {source: csv, path: line.csv, target: y, batch_size: 16}
model: [{affine: 8}, tanh, {affine: 1}]
train: {epochs: 5, optimizer: {adam: 0.02}}
"""


@pytest.fixture
def run(cli, folder):
    """A finished training of small.yaml."""
    done = cli("train", "small.yaml")
    assert done.exit_code == 0, done.stderr
    return json.loads((folder / done.stdout.strip() / "run.json").read_text())


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_the_test_split_gives_what_the_record_says(cli, run):
    done = cli("evaluate", "last", "--json")
    found = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (found["version"], found["split"], found["data"], found["examples"]) == (1, "test", None, 6)
    recorded = {name: value for name, value in run["best"].items() if name.startswith("test.")}
    assert len(recorded) == 2
    assert found["metrics"] == recorded
    valid = json.loads(cli("evaluate", "last", "--split", "valid", "--json").stdout)["metrics"]
    assert valid == {name: value for name, value in run["best"].items() if name.startswith("valid.")}


def test_for_people(cli, run):
    done = cli("evaluate", "last")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["test.loss", "test.accuracy"]
    assert "6 examples of the test split" in done.stderr


@pytest.mark.parametrize("engine", ["tape", "reference"])
def test_a_new_file_with_columns_in_another_order(cli, folder, run, engine):
    rows = [(i % 7, (i * 5) % 11, "ab"[i % 7 > 3]) for i in range(40)]
    (folder / "new.csv").write_text("kind,id,y,x\n" + "".join(f"{k},{i},{y},{x}\n" for i, (x, y, k) in enumerate(rows)))
    cli("train", "small.yaml", "--set", f"train.engine={engine}")
    found = json.loads(cli("evaluate", "last", "new.csv", "--json").stdout)
    model = flux_core.load(next((folder / "runs").iterdir()))
    said = model({"x": [str(x) for x, _, _ in rows], "y": [str(y) for _, y, _ in rows]})
    accuracy = np.mean(said == np.array([k for _, _, k in rows]))
    assert found["metrics"]["data.accuracy"] == pytest.approx(accuracy)
    predicted = rows_of(cli("predict", "last", "new.csv").stdout)
    assert list(predicted[0]) == ["kind", "id", "y", "x", "prediction", "probability_a", "probability_b"]
    assert [row["prediction"] for row in predicted] == said.tolist()
    assert [row["id"] for row in predicted] == [str(i) for i in range(40)], "extra columns are kept"
    for row in predicted:
        assert float(row["probability_a"]) + float(row["probability_b"]) == pytest.approx(1, abs=1e-5)
        assert (float(row["probability_b"]) > 0.5) == (row["prediction"] == "b")


def test_machine_code_and_interpreter_say_the_same(cli, folder, run, monkeypatch):
    from flux_core.engine import compiled
    from flux_core.engine.lower import CannotLowerError

    fast = cli("predict", "last", "table.csv").stdout

    def refuse(*_):
        raise CannotLowerError("no")

    monkeypatch.setattr(compiled, "Compiled", refuse)
    slow = cli("predict", "last", "table.csv").stdout
    for a, b in zip(rows_of(fast), rows_of(slow), strict=True):
        assert float(a["probability_a"]) == pytest.approx(float(b["probability_a"]), abs=1e-5)


def test_an_archive_has_the_same(cli, folder, run):
    table = rows_of(cli("predict", "last", "table.csv").stdout)
    done = cli("predict", "last", "table.csv", "-o", "out.npz")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "out.npz: 60 predictions\n"
    with np.load(folder / "out.npz") as arrays:
        assert sorted(arrays) == ["classes", "kind", "prediction", "probability", "x", "y"]
        assert arrays["classes"].tolist() == ["a", "b"]
        assert arrays["prediction"].tolist() == [row["prediction"] for row in table]
        assert arrays["x"].tolist() == [row["x"] for row in table]
        shares = [[float(row["probability_a"]), float(row["probability_b"])] for row in table]
        np.testing.assert_allclose(arrays["probability"], shares, rtol=1e-5)


def test_numbers_are_in_the_units_of_the_data(cli, folder):
    x = np.linspace(-1, 1, 200)
    (folder / "line.csv").write_text("x,y\n" + "".join(f"{v:.5f},{500 + 100 * v:.5f}\n" for v in x))
    (folder / "line.yaml").write_text(REGRESSION)
    assert cli("train", "line.yaml", "--set", "train.epochs=40").exit_code == 0
    (folder / "new.csv").write_text("x\n0\n0.5\n")
    predicted = [float(row["prediction"]) for row in rows_of(cli("predict", "last", "new.csv").stdout)]
    np.testing.assert_allclose(predicted, [500, 550], atol=10)
    assert cli("predict", "last", "new.csv", "-o", "out.csv").exit_code == 0
    assert [float(row["prediction"]) for row in rows_of((folder / "out.csv").read_text())] == predicted
    found = json.loads(cli("evaluate", "last", "line.csv", "--json").stdout)["metrics"]
    assert found["data.mae"] < 10
    assert found["data.r2"] > 0.98


def test_arrays(cli, folder):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int) + 5
    np.savez(folder / "a.npz", features=x, label=y)
    np.savez(folder / "b.npz", features=x[:9])
    np.save(folder / "c.npy", x[:9])
    spec = "data: {source: npz, path: a.npz, features: features, target: label}\nmodel: [affine: classes]\n"
    (folder / "a.yaml").write_text(spec + "train: {epochs: 30, optimizer: {adam: 0.05}}\n")
    assert cli("train", "a.yaml").exit_code == 0
    assert json.loads(cli("evaluate", "last", "a.npz", "--json").stdout)["metrics"]["data.accuracy"] > 0.9
    first = cli("predict", "last", "b.npz")
    assert first.exit_code == 0
    assert first.stdout == cli("predict", "last", "c.npy").stdout
    assert {row["prediction"] for row in rows_of(first.stdout)} <= {"5", "6"}
    done = cli("evaluate", "last", "b.npz")
    assert (done.exit_code, "no answers" in done.stderr) == (exits.BAD_DATA, True)
    np.savez(folder / "d.npz", features=x[:, :3])
    assert cli("predict", "last", "d.npz").exit_code == exits.BAD_DATA
    assert cli("predict", "last", "table.csv").exit_code == exits.USAGE


def test_arrays_through_standard_input(cli, folder):
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 3)), np.arange(40) % 2
    np.savez(folder / "data.npz", x=x, y=y)
    np.save(folder / "x.npy", x)
    spec = "data: {source: npz, path: data.npz}\nmodel: [{affine: classes}]\ntrain: {epochs: 1}\n"
    (folder / "arrays.yaml").write_text(spec)
    assert cli("train", "arrays.yaml", "--quiet").exit_code == 0
    expected = cli("predict", "last", "data.npz").stdout
    assert len(expected.splitlines()) == 41
    for name in ("data.npz", "x.npy"):
        assert cli("predict", "last", "-", input=(folder / name).read_bytes()).stdout == expected


def test_a_table_without_a_header(cli, folder):
    rows = [f"{i % 7},{'ab'[i % 7 > 3]},{i % 5}" for i in range(60)]
    (folder / "bare.csv").write_text("\n".join(rows) + "\n")
    (folder / "bare.yaml").write_text(
        "data: {source: csv, path: bare.csv, header: false, target: 1}\nmodel: [affine: classes]\ntrain: {epochs: 2}\n"
    )
    assert cli("train", "bare.yaml").exit_code == 0
    said = cli("predict", "last", "bare.csv").stdout
    assert [line.split(",")[:3] for line in said.splitlines()] == [row.split(",") for row in rows], "and no header"
    (folder / "again.csv").write_text(said)
    again = cli("predict", "last", "again.csv").stdout
    assert [line.split(",")[3:6] for line in again.splitlines()] == [line.split(",")[3:] for line in said.splitlines()]
    assert [line.split(",")[6:] for line in again.splitlines()] == [line.split(",")[3:] for line in said.splitlines()]
    assert json.loads(cli("evaluate", "last", "bare.csv", "--json").stdout)["examples"] == 60


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("x,z\n1,2\n", exits.BAD_DATA, "columns that are not here: 'y'"),
        (
            "x,y\n1,two\n3,4\n5,6\n",
            exits.BAD_DATA,
            "'two' is not a number, and the model has learnt numbers from this column\n  correct the cell\n",
        ),
        ("x,y\n1,\n", exits.BAD_DATA, "new.csv:2: column 'y': the value is missing"),
        ("x,y\n1\n", exits.BAD_DATA, "new.csv:2: the row has 1 values"),
        ("", exits.BAD_DATA, "the file is empty"),
        (None, exits.NO_INPUT, "new.csv: no such file"),
    ],
)
def test_files_that_cannot_be_used(cli, folder, run, text, code, said):
    if text is not None:
        (folder / "new.csv").write_text(text)
    done = cli("predict", "last", "new.csv", "-o", "out.csv")
    assert (done.exit_code, done.stdout) == (code, "")
    assert said in done.stderr
    assert not (folder / "out.csv").exists()


def test_answers_that_cannot_be_used(cli, folder, run):
    (folder / "new.csv").write_text("x,y,kind\n1,2,a\n1,2,c\n")
    done = cli("evaluate", "last", "new.csv")
    assert done.exit_code == exits.BAD_DATA
    assert "new.csv:3: column 'kind': 'c' is no class of the model: it knows 'a', 'b'" in done.stderr
    (folder / "new.csv").write_text("x,y\n1,2\n")
    done = cli("evaluate", "last", "new.csv")
    assert done.exit_code == exits.BAD_DATA
    assert "there is no column 'kind'" in done.stderr
    (folder / "new.csv").write_text("x,y,kind\n1,2,a\n1,2,\n")
    done = cli("evaluate", "last", "new.csv", "--json")
    assert json.loads(done.stdout)["notes"] == ["new.csv: 1 of 2 rows have no target, left out"]


def test_a_category_that_training_never_saw_is_said(cli, folder):
    (folder / "table.csv").write_text(
        "x,c,kind\n" + "".join(f"{i % 7},{'uv'[i % 2]},{'ab'[i % 7 > 3]}\n" for i in range(60))
    )
    cli("train", "small.yaml")
    (folder / "new.csv").write_text("x,c\n1,w\n")
    done = cli("predict", "last", "new.csv")
    assert done.exit_code == 0
    assert "note: column 'c': 1 row of this data has a category that training never saw ('w')" in done.stderr


def test_data_that_have_changed_since(cli, folder, run):
    with (folder / "table.csv").open("a") as file:
        file.write("3,4,a\n")
    done = cli("evaluate", "last")
    assert done.exit_code == exits.BAD_DATA
    assert "table.csv: the file is not the one that the run began with" in done.stderr
    assert cli("evaluate", "last", "table.csv").exit_code == 0


def test_other_mistakes(cli, folder, run):
    assert cli("evaluate", "nothing").exit_code == exits.NO_INPUT
    assert cli("predict", "nothing", "table.csv").exit_code == exits.NO_INPUT
    for place in ("out.parquet", "", "/dev/stdout"):
        done = cli("predict", "last", "table.csv", "-o", place)
        assert (done.exit_code, f"-o {place!r}: the name of a file that ends in .csv" in done.stderr) == (2, True)
    assert cli("predict", "last", "table.csv", "-o", "-").stdout == cli("predict", "last", "table.csv").stdout
    (folder / "full.csv").mkdir()
    for place, said in [
        ("no/out.csv", "no/out.csv: there is no folder 'no'"),
        ("full.csv", "full.csv: there is a folder"),
    ]:
        done = cli("predict", "last", "table.csv", "-o", place)
        assert (done.exit_code, done.stderr.startswith(f"error: {said}")) == (exits.CANNOT_CREATE, True)
    cli("train", "small.yaml", "--set", "data.split={train: 1}")
    done = cli("evaluate", "last")
    assert (done.exit_code, "have no test split; --split takes: train" in done.stderr) == (exits.USAGE, True)


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.EACCES, exits.CANNOT_CREATE, "error: out.csv: cannot be written: Permission denied\n"),
        (errno.ENOSPC, exits.IO_ERROR, "error: out.csv: No space left on device\n"),
    ],
)
def test_a_disk_that_takes_no_predictions(cli, folder, run, monkeypatch, number, code, said):
    def refuse(path, flags):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(fsio.disk, "open", refuse)
    done = cli("predict", "last", "table.csv", "-o", "out.csv")
    assert (done.exit_code, done.stderr) == (code, said)


def test_names_that_are_taken(cli, folder):
    (folder / "table.csv").write_text(
        "prediction,y,kind\n" + "".join(f"{i % 7},{i % 3},{'ab'[i % 7 > 3]}\n" for i in range(60))
    )
    cli("train", "small.yaml")
    found = rows_of(cli("predict", "last", "table.csv").stdout)
    assert list(found[0]) == ["prediction", "y", "kind", "prediction_", "probability_a", "probability_b"]
    assert [row["prediction"] for row in found] == [str(i % 7) for i in range(60)]


def test_checkpoints_that_are_damaged(cli, process, folder, run):
    (place,) = folder.glob("runs/*/checkpoints")
    before = cli("predict", "last", "table.csv").stdout
    best, last = place / "best.safetensors", place / "last.safetensors"
    best.write_bytes(best.read_bytes()[:-3])
    done = process("predict", "last", "table.csv")  # here the tests would make an error of the warning
    assert (done.returncode, done.stdout) == (0, before), done.stderr
    assert "warning: " in done.stderr
    assert "last.safetensors is used instead" in done.stderr
    last.write_bytes(b"")
    for arguments in (["predict", "last", "table.csv", "-o", "out.csv"], ["evaluate", "last"]):
        done = process(*arguments)
        assert (done.returncode, done.stdout) == (exits.BAD_DATA, "")
        assert "the checkpoint is damaged" in done.stderr
    assert not (folder / "out.csv").exists()
    best.unlink()
    last.unlink()
    done = cli("evaluate", "last")
    assert (done.exit_code, "there is no checkpoint of a run here" in done.stderr) == (exits.BAD_DATA, True)


def test_data_through_standard_input(cli, folder, run):
    table, before = (folder / "table.csv").read_bytes(), os.fstat(0)
    expected = cli("predict", "last", "table.csv").stdout
    measured = json.loads(cli("evaluate", "last", "table.csv", "--json").stdout)
    for name in ("-", "/dev/stdin"):
        assert cli("predict", "last", name, input=table).stdout == expected
        assert json.loads(cli("evaluate", "last", name, "--json", input=table).stdout) == {**measured, "data": name}
    assert cli("evaluate", "last", "-", input=table).stderr.endswith(" examples of <stdin>\n")
    done = cli("predict", "last", "-", input=table + b"1,2\n")
    assert (done.exit_code, "/dev/stdin:62: the row has 2 values" in done.stderr) == (exits.BAD_DATA, True)
    done = cli("predict", "last", "-", input=b"PK\3\4...")
    assert (done.exit_code, "give it a text table" in done.stderr) == (exits.USAGE, True)
    assert cli("train", "small.yaml", "--set", "data.max_bytes=1000").exit_code == 0
    assert cli("predict", "last", "-", input=table).stdout == expected
    done = cli("predict", "last", "-", input=table + b"\n" * 1000)
    assert (done.exit_code, "more than the limit of 1,000" in done.stderr) == (exits.BAD_DATA, True)
    assert os.path.samestat(os.fstat(0), before)
