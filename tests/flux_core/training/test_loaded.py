"""A model taken out of a checkpoint gives what the trained one gives, from rows as a file has them."""

from pathlib import Path

import numpy as np
import pytest

import flux_core
from flux_core import Affine, Chain, Plan, adam, initialise, ops, relu
from flux_core.data import CsvSource, NpzSource, SyntheticSource
from flux_core.data.preprocessing import Preprocessing
from flux_core.errors import CheckpointError, ColumnError, DataError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, as_node, input_node, param
from flux_core.passes.known_ids import known_rows
from flux_core.training import Fit, checkpoint, loaded
from flux_core.training.description import Description, described, description_of
from flux_core.training.loaded import Trained

ROWS = 60
COLOURS = ("red", "blue", "green")


def write(path, state):
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write(path, state.tensors, state.meta)


def trained(tmp_path, source, loss, out, monitor="valid.loss", epochs=3):
    data = source.load(seed=1)
    model = initialise(Chain(Affine(8), relu, Affine(out)), (1, *data.train.x.shape[1:]), seed=1)
    fit = Fit(model, data, Plan(loss, adam(learning_rate=0.05), epochs=epochs, batch_size=8, monitor=monitor))
    for _ in fit:
        pass
    write(tmp_path / "run" / "checkpoints" / "last.safetensors", fit.state())
    return data, model, flux_core.load(tmp_path / "run")


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal():.4f},{COLOURS[i % 3]},{rng.integers(9)},{'ab'[i % 2]}" for i in range(ROWS)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["size,colour,count,kind", *rows]) + "\n")
    cells = [row.split(",") for row in rows]
    return path, {name: [row[i] for row in cells] for i, name in enumerate(("size", "colour", "count", "kind"))}


def test_rows_in_every_form_give_the_same(tmp_path, table):
    path, columns = table
    data, model, found = trained(tmp_path, CsvSource(path), "cross_entropy", 2)
    x, _ = data.preprocessing.encode(columns)
    expected = interpret(found.model.graph, (x,))
    direct = np.asarray(model(x))
    np.testing.assert_allclose(expected, direct, atol=1e-6)
    dicts = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    lists = [[row[name] for name in found.columns] for row in dicts]
    for rows in (columns, dicts, lists, np.array(lists)):
        np.testing.assert_allclose(found.outputs(rows), direct, atol=1e-5)
    assert found.columns == ("size", "colour", "count")
    assert found(columns).tolist() == [("a", "b")[i] for i in direct.argmax(axis=1)]
    shares = found.probabilities(columns)
    np.testing.assert_allclose(shares, np.exp(direct) / np.exp(direct).sum(axis=1, keepdims=True), atol=1e-5)


def test_it_is_compiled(tmp_path, table, monkeypatch):
    _, _, found = trained(tmp_path, CsvSource(table[0]), "cross_entropy", 2)
    monkeypatch.setattr(loaded, "interpret", lambda *_: pytest.fail("the interpreter ran"))
    assert len(found(table[1])) == ROWS


def test_another_model_is_told_apart(tmp_path, table):
    path, columns = table
    _, model, found = trained(tmp_path, CsvSource(path), "cross_entropy", 2)
    x = found.encoded(columns)
    model[0].W.x += 1.0
    assert np.abs(np.asarray(model(x)) - found.outputs(columns)).max() > 1e-3


def test_any_number_of_rows(tmp_path, table, monkeypatch):
    _, _, found = trained(tmp_path, CsvSource(table[0]), "cross_entropy", 2)
    whole = found.outputs(table[1])
    monkeypatch.setattr(loaded, "ROWS", 16)
    for count in (1, 2, 3, 5, 16, 17, 60):
        some = {name: cells[:count] for name, cells in table[1].items()}
        np.testing.assert_allclose(found.outputs(some), whole[:count], atol=1e-6)


def test_the_best_weights_are_taken(tmp_path, table):
    data = CsvSource(table[0]).load(seed=1)
    model = initialise(Chain(Affine(4), Affine(2)), (1, 5), seed=1)
    fit = Fit(model, data, Plan("cross_entropy", adam(learning_rate=0.5), epochs=6, batch_size=8, monitor="valid.loss"))
    for _ in fit:
        pass
    state = fit.state()
    best = {name.removeprefix("best/"): a for name, a in state.tensors.items() if name.startswith("best/")}
    last = {name.removeprefix("params/"): a for name, a in state.tensors.items() if name.startswith("params/")}
    assert any(not np.array_equal(best[name], last[name]) for name in best), "else this shows nothing"
    write(tmp_path / "last.safetensors", state)
    np.testing.assert_allclose(
        flux_core.load(tmp_path / "last.safetensors").outputs(table[1]),
        np.asarray(model(data.preprocessing.encode(table[1])[0])),
        atol=1e-5,
    )


def test_numbers_come_back_in_the_units_of_the_data(tmp_path):
    x = np.linspace(-3, 3, 400)
    path = tmp_path / "line.csv"
    path.write_text("x,y\n" + "".join(f"{v},{1000 + 50 * v}\n" for v in x))
    _, _, found = trained(tmp_path, CsvSource(path, target="y"), "mse", 1, epochs=60)
    y = found({"x": [0.0, 1.0]})
    assert y.shape == (2,)
    np.testing.assert_allclose(y, [1000, 1050], atol=15)
    with pytest.raises(DataError, match="no probabilities"):
        found.probabilities({"x": [0.0]})


def test_several_targets(tmp_path):
    x = np.random.default_rng(0).normal(size=(80, 3))
    np.savez(tmp_path / "a.npz", x=x, y=x[:, :2] * 10 + 5)
    _, model, found = trained(tmp_path, NpzSource(tmp_path / "a.npz"), "mse", 2)
    assert found(x).shape == (80, 2)
    direct = np.asarray(model(found.encoded(x)))
    np.testing.assert_allclose(found(x), found.preprocessing.targets.restore(direct), atol=1e-4)


def test_one_score_for_two_classes(tmp_path):
    _, model, found = trained(tmp_path, SyntheticSource("xor", examples=80), "binary_cross_entropy", 1)
    x = np.random.default_rng(0).normal(size=(7, 2))
    score = np.asarray(model(found.encoded(x))).reshape(-1)
    np.testing.assert_allclose(found.probabilities(x)[:, 1], 1 / (1 + np.exp(-score)), atol=1e-6)
    assert found(x).tolist() == [str(int(s > 0)) for s in score]


def test_a_category_that_training_never_saw_is_a_warning(tmp_path, table):
    _, _, found = trained(tmp_path, CsvSource(table[0]), "cross_entropy", 2)
    with pytest.warns(UserWarning, match="'violet'"):
        found({"size": [1.0], "colour": ["violet"], "count": [2]})


@pytest.mark.parametrize(
    ("rows", "error", "text"),
    [
        ({"size": [1], "colour": ["red"]}, ColumnError, "'count'"),
        ([{"size": 1, "colour": "red"}], ColumnError, "'count'"),
        ({"size": ["x"], "colour": ["red"], "count": [1]}, DataError, "'x' is not a number"),
        ({"size": [None], "colour": ["red"], "count": [1]}, DataError, "missing"),
        ({"size": [1, 2], "colour": ["red"], "count": [1]}, DataError, "differ in length"),
        ([[1, "red"]], DataError, "3 values"),
        ([], DataError, "3 values"),
        ({"size": [], "colour": [], "count": []}, DataError, "no rows"),
    ],
)
def test_rows_that_do_not_fit(tmp_path, table, rows, error, text):
    _, _, found = trained(tmp_path, CsvSource(table[0]), "cross_entropy", 2)
    with pytest.raises(error, match=text):
        found(rows)


def test_arrays_that_do_not_fit(tmp_path):
    _, _, found = trained(tmp_path, SyntheticSource("xor", examples=80), "binary_cross_entropy", 1)
    for rows, text in (([[1.0]], "shape"), ([["a", "b"]], "numbers"), ([[np.nan, 1.0]], "finite"), (3.0, "numbers")):
        with pytest.raises(DataError, match=text):
            found(rows)


def test_a_damaged_best_checkpoint_is_a_warning(tmp_path, table):
    _, _, found = trained(tmp_path, CsvSource(table[0]), "cross_entropy", 2)
    folder = tmp_path / "run" / "checkpoints"
    (folder / "best.safetensors").write_bytes((folder / "last.safetensors").read_bytes()[:-1] + b"\xff")
    with pytest.warns(UserWarning, match=r"best.safetensors: the checkpoint is damaged.*; last.safetensors is used"):
        again = flux_core.load(tmp_path / "run")
    assert np.array_equal(again.outputs(table[1]), found.outputs(table[1]))
    (folder / "last.safetensors").rename(folder / "step-100000007.safetensors")
    (folder / "step-00000900.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match=r"best.safetensors: .*; step-100000007.safetensors is used instead"):
        again = flux_core.load(tmp_path / "run")
    assert np.array_equal(again.outputs(table[1]), found.outputs(table[1]))
    for path in folder.glob("step-*"):
        path.unlink()
    with pytest.raises(CheckpointError, match="damaged"):
        flux_core.load(tmp_path / "run")


def test_no_run(tmp_path):
    with pytest.raises(CheckpointError, match="no checkpoint of a run"):
        flux_core.load(tmp_path)


def test_a_model_that_runs_code_is_not_described(tmp_path):
    data = SyntheticSource("xor", examples=16).load(seed=0)
    model = Chain(Affine(2, 1), lambda x: x)
    assert described(model, {}, data.train.x, "mse") is None
    write(
        tmp_path / "a.safetensors",
        flux_core.training.TrainState(
            {}, {"task": "regression", "classes": [], "preprocessing": data.preprocessing.to_json(), "model": None}
        ),
    )
    with pytest.raises(CheckpointError, match="code of its own"):
        flux_core.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("model", [{}, {"graph": {}, "inputs": {"shape": [2], "dtype": "float32"}, "loss": "mse"}])
def test_a_checkpoint_with_a_model_that_is_none(tmp_path, model):
    trained(tmp_path, SyntheticSource("xor", examples=80), "binary_cross_entropy", 1)
    tensors, meta = checkpoint.read(tmp_path / "run" / "checkpoints" / "last.safetensors")
    checkpoint.write(tmp_path / "run" / "checkpoints" / "last.safetensors", tensors, {**meta, "model": model})
    with pytest.raises(CheckpointError, match="model in the checkpoint is damaged"):
        flux_core.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("op", "attr", "value"),
    [
        ("scan", "states", 99),
        ("scan", "sequences", None),
        ("slice", "index", {"tuple": [{"slice": [0, None, 0]}]}),
        ("transpose", "axes", {"tuple": ["x"]}),
        ("constant", "value", "x"),
        ("get", "index", "x"),
    ],
)
def test_a_node_whose_attributes_do_not_fit(op, attr, value):
    model = initialise(Chain(flux_core.lstm(3), flux_core.Last(), Affine(1)), (1, 4, 2))
    params = flux_core.model.parameters(model)
    meta = described(model, params, np.zeros((1, 4, 2), np.float32), "mse")
    assert description_of({"model": meta}, params).shape == (4, 2)
    next(node for node in meta["graph"]["nodes"] if node[0] == op)[2][attr] = value
    with pytest.raises(CheckpointError, match="model in the checkpoint is damaged"):
        description_of({"model": meta}, params)


def test_the_cell_of_an_unknown_id_is_named():
    """Column 0 is looked up in 5 rows, column 1 in 50: 30 is no id of the one, and is one of the other."""
    x = input_node(0)
    tables = [as_node(param(np.ones((rows, 2), np.float32))) for rows in (5, 50)]
    graph = Graph(ops.gather(tables[0], x[:, 0]) + ops.gather(tables[1], x[:, 1]), 1)
    model = Description(graph, (2,), "int64", "scores")
    found = Trained(Path("run"), model, Preprocessing(dtype="int64"), "classification", ("a", "b"))
    with pytest.raises(DataError, match=r"the model knows the ids of 0 to 4, there is 30 at \[2, 0\]"):
        found(np.array([[1, 30], [4, 49], [30, 5]]))
    with pytest.raises(DataError, match=r"the model knows the ids of 0 to 49, there is 50 at \[0, 1\]"):
        found(np.array([[1, 50], [5, 49]]))
    assert found(np.array([[1, 30], [4, 49]])).tolist() == ["a", "a"]


def test_the_ids_that_a_model_knows_are_found_once(monkeypatch):
    graph = Graph(ops.one_hot(input_node(0)[:, 0], n=2), 1)
    model = Description(graph, (1,), "int64", "scores")
    found = Trained(Path("run"), model, Preprocessing(dtype="int64"), "classification", ("a", "b"))
    asked = []
    monkeypatch.setattr(loaded, "known_rows", lambda *of: asked.append(of) or known_rows(*of))
    for _ in range(3):
        assert found(np.array([[1], [0]])).tolist() == ["b", "a"]
    assert len(asked) == 1
