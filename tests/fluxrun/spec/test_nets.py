"""Nets of a spec: the examples against their equations in NumPy; uses, overrides and inheritance; bad ones."""

import json
import time
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flux_core import DataError, back, parameters
from flux_core.layers import Recurrence
from flux_core.layers.cells import GatedRecurrent
from flux_core.layers.init import draws
from flux_core.passes import Type
from fluxrun import exits
from fluxrun.spec.build import build, peek
from fluxrun.spec.load import load, to_yaml
from fluxrun.spec.net_check import definition
from fluxrun.spec.problems import SpecError, as_text
from fluxrun.store.fingerprint import fingerprint

BATCH, STEPS, FEATURES, UNITS = 3, 6, 4, 5

SPEC = """\
data: {source: windows, path: series.csv, target: y, steps: 4, batch_size: 4}
nets:
  Cell:
    arguments: {out: 8, slope: 0.5}
    params: {W: [in, out], U: [out, out]}
    state: {h: [out]}
    forward: |
      h = tanh(x @ W + h[-1] @ U)
      return elu(h, alpha=slope)
model: [Cell, last, {affine: 1}]
train: {epochs: 2}
"""


@pytest.fixture
def series(folder):
    rows = [f"{np.sin(i):.4f}" for i in range(90)]
    (folder / "series.csv").write_text("\n".join(["y", *rows]) + "\n")
    (folder / "cell.yaml").write_text(SPEC)
    return folder


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell(configs, name, change=("", "")):
    """A net of configs/own_cells.yaml or minimal_gated_unit.yaml in float64, along sequences, and its weights."""
    file = configs / ("minimal_gated_unit.yaml" if name == "MinimalGatedUnit" else "own_cells.yaml")
    net = load(str(file)).spec.nets[name]
    assert change[0] in net.forward
    net = net.model_copy(update={"forward": net.forward.replace(*change)})
    layer = Recurrence(definition(name, net, {}, {})(out=UNITS))
    layer.build(Type((1, STEPS, FEATURES)), draws(0))
    rng = np.random.default_rng(1)
    for p in parameters(layer).values():
        p.x = rng.standard_normal(p.shape)
        p.dx = np.zeros_like(p.x)
    return layer, {path.rpartition(".")[2]: p.x for path, p in parameters(layer).items()}


def minimal_gated_unit(w, x, h, c):
    f = sigmoid(x @ w["Wf"] + h @ w["Uf"] + w["bf"])
    candidate = np.tanh(x @ w["Wh"] + (f * h) @ w["Uh"] + w["bh"])
    return (1 - f) * h + f * candidate, c


def gated_unit(w, x, h, c):
    wr, wz, wc = np.split(w["W"], 3, axis=1)
    ur, uz = np.split(w["U"], 2, axis=1)
    br, bz, bc = np.split(w["b"], 3)
    r, z = sigmoid(x @ wr + h @ ur + br), sigmoid(x @ wz + h @ uz + bz)
    return (1 - z) * np.tanh(x @ wc + (r * h) @ w["V"] + bc) + z * h, c


def peephole_lstm(w, x, h, c):
    wi, wf, wg, wo = np.split(w["W"], 4, axis=1)
    ui, uf, ug, uo = np.split(w["U"], 4, axis=1)
    bi, bf, bg, bo = np.split(w["b"], 4)
    i = sigmoid(x @ wi + h @ ui + bi + w["Pi"] * c)
    f = sigmoid(x @ wf + h @ uf + bf + w["Pf"] * c + 1.0)
    c = f * c + i * np.tanh(x @ wg + h @ ug + bg)
    o = sigmoid(x @ wo + h @ uo + bo + w["Po"] * c)
    return o * np.tanh(c), c


CELLS = {"MinimalGatedUnit": minimal_gated_unit, "GatedUnit": gated_unit, "PeepholeLSTM": peephole_lstm}


def difference(configs, name, change=("", "")):
    layer, w = cell(configs, name, change)
    x = np.random.default_rng(2).standard_normal((BATCH, STEPS, FEATURES))
    h = c = np.zeros((BATCH, UNITS))
    wanted = []
    for t in range(STEPS):
        h, c = CELLS[name](w, x[:, t], h, c)
        wanted.append(h)
    return np.abs(layer(x) - np.stack(wanted, 1)).max()


@pytest.mark.parametrize("name", CELLS)
def test_the_examples_are_their_equations(configs, name):
    assert difference(configs, name) < 1e-9


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("MinimalGatedUnit", "h[-1] @ Uf", "h[-2] @ Uf"),
        ("GatedUnit", "gates[..., 0:out]", "gates[..., 1:out + 1]"),
        ("PeepholeLSTM", "Po * c", "Po * c[-1]"),
    ],
)
def test_a_planted_fault_is_seen(configs, name, right, wrong):
    assert difference(configs, name, (right, wrong)) > 1e-3


def test_the_gradients_of_an_example_are_differences(configs):
    layer, w = cell(configs, "PeepholeLSTM")
    rng = np.random.default_rng(4)
    x, dy = rng.standard_normal((BATCH, STEPS, FEATURES)), rng.standard_normal((BATCH, STEPS, UNITS))
    dx = back(layer, dy, x)
    gradients = {path.rpartition(".")[2]: p.dx for path, p in parameters(layer).items()} | {"x": dx}
    for name, value in {**w, "x": x}.items():
        index, found = tuple(n // 2 for n in value.shape), []
        kept = value[index]
        for step in (1e-6, -1e-6):
            value[index] = kept + step
            found.append(np.sum(layer(x) * dy))
        value[index] = kept
        assert gradients[name][index] == pytest.approx((found[0] - found[1]) / 2e-6, abs=1e-6), name


def test_a_gated_unit_is_the_cell_of_the_library(configs):
    ours, w = cell(configs, "GatedUnit")
    theirs = GatedRecurrent(FEATURES, UNITS)
    for path, p in parameters(theirs).items():
        p.x = w[path.rpartition(".")[2]]
    x = np.random.default_rng(2).standard_normal((BATCH, STEPS, FEATURES))
    np.testing.assert_allclose(ours(x), Recurrence(theirs)(x), rtol=0, atol=1e-12)


def test_uses(series):
    def sizes(*overrides):
        _, _, _, model = peek(load("cell.yaml", overrides))
        return {path: p.shape for path, p in parameters(model).items()}

    assert sizes() == {"0.W": (1, 8), "0.U": (8, 8), "2.W": (8, 1), "2.b": (1,)}
    assert sizes("model.0={Cell: 3}")["0.W"] == (1, 3)
    assert sizes("model.0={Cell: {slope: 0.1}}")["0.W"] == (1, 8)
    assert sizes("model.0.Cell.out=5")["0.U"] == (5, 5)
    assert sizes("nets.Cell.arguments.out=6")["0.U"] == (6, 6)
    assert sizes("nets.Cell.params.W=[in, out]", "nets.Cell.params.W.init=ones")["0.W"] == (1, 8)


def test_an_argument_of_the_formula_counts(series):
    def output(*overrides):
        model = build(load("cell.yaml", overrides)).model
        return model[0](np.full((1, 2, 1), -1.0, np.float32))

    half, quarter = output(), output("model.0.Cell.slope=0.25")
    assert (half < 0).any()
    np.testing.assert_allclose(quarter, np.where(half < 0, half / 2, half), rtol=1e-6)


def test_a_net_of_the_spec_that_is_extended(series):
    (series / "top.yaml").write_text("extends: cell.yaml\nmodel: [{Cell: 3}, {Cell: {out: 2}}, last, {affine: 1}]\n")
    spec = load("top.yaml").spec
    assert [part.arguments.model_dump() for part in spec.model[:2]] == [
        {"out": 3, "slope": 0.5},
        {"out": 2, "slope": 0.5},
    ]
    (series / "top.yaml").write_text(
        "extends: cell.yaml\nnets: {Cell: {state: {h: {init: ones}}, arguments: {slope: ~}}}\n"
    )
    with pytest.raises(SpecError, match="unknown name 'slope'"):
        load("top.yaml")
    (series / "top.yaml").write_text("extends: cell.yaml\nnets: ~\n")
    with pytest.raises(SpecError, match="unknown layer 'Cell'"):
        load("top.yaml")


def test_resolved_is_the_same_training(series):
    first = load("cell.yaml")
    (series / "resolved.yaml").write_text(to_yaml(first.spec))
    assert "forward: |" in to_yaml(first.spec)
    second = load("resolved.yaml", ("name=cell",))
    assert (second.spec.nets, second.spec.model) == (first.spec.nets, first.spec.model)
    assert to_yaml(second.spec) == to_yaml(first.spec)
    assert fingerprint(second.spec, []) == fingerprint(first.spec, [])
    other = load("cell.yaml", ("nets.Cell.forward=h = x @ W + h[-1] @ U; return elu(h, alpha=slope)",))
    assert fingerprint(other.spec, []) != fingerprint(first.spec, [])


def test_nothing_changes_for_specs_without_nets(folder):
    assert "nets" not in to_yaml(load("small.yaml").spec)


def test_sub_models_take_sizes(series):
    spec = """
data: {source: windows, path: series.csv, target: y, steps: 4, batch_size: 4}
nets:
  Gate:
    arguments: {out: ~}
    params: {W: [in, out]}
    state: {h: [out]}
    forward: "h = x @ W + h[-1]\\nreturn sigmoid(h)"
  Cell:
    arguments: {out: 8, rate: 0.25}
    state: {h: [out]}
    models:
      gate: {Gate: out}
      wide: {affine: {out: 2 * out, n_in: in, init: {normal: rate / 10}}}
      thin: {affine: out}
      drop: {dropout: rate}
    forward: |
      h = gate(x) * thin(drop(relu(wide(x)))) + h[-1]
      return h
  Both:
    models: {first: {Cell: in}, second: Cell}
    forward: return concat(first(x), second(x))
model: [{affine: 6}, Both, last, {affine: 1}]
"""
    (series / "sub.yaml").write_text(spec)
    built = build(load("sub.yaml"))
    shapes = {path: p.shape for path, p in parameters(built.model).items()}
    assert shapes["1.first.gate.W"] == (6, 6)
    assert shapes["1.second.wide.W"] == (6, 16)
    assert shapes["1.second.thin.W"] == (16, 8)
    assert shapes["3.W"] == (14, 1)
    assert np.std(parameters(built.model)["1.second.wide.W"].x) == pytest.approx(0.025, rel=0.3)
    w = {path: p.x.astype(np.float64) for path, p in parameters(built.model).items()}
    x = np.random.default_rng(0).standard_normal((2, 4, 1))
    y, wanted = x @ w["0.W"] + w["0.b"], []
    for part in ("1.first", "1.second"):
        gate = sigmoid(np.cumsum(y @ w[f"{part}.gate.W"], 1))
        wide = np.maximum(y @ w[f"{part}.wide.W"] + w[f"{part}.wide.b"], 0)
        wanted.append(np.cumsum(gate * (wide @ w[f"{part}.thin.W"] + w[f"{part}.thin.b"]), 1))
    np.testing.assert_allclose(built.model[1](built.model[0](x)), np.concatenate(wanted, -1), rtol=1e-4, atol=1e-5)


def test_the_engine_computes_what_the_interpreter_does(series, cli):
    finals = []
    for engine in ("tape", "reference"):
        done = cli("train", "cell.yaml", "--set", f"train.engine={engine}", "--json", "--quiet")
        assert done.exit_code == 0, done.stderr
        finals.append(json.loads(done.stdout)["final"]["valid.loss"])
    assert finals[0] == pytest.approx(finals[1], rel=1e-4)


def test_a_forbidden_expression_ends_a_training_before_it_begins(series, cli):
    (series / "cell.yaml").write_text(SPEC.replace("tanh(x @ W", "__import__('os').system('touch made') + tanh(x @ W"))
    done = cli("train", "cell.yaml")
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert "cell.yaml:8:11: error: only functions and sub-models are called, by name" in done.stderr
    assert not (series / "made").exists()
    assert not (series / "runs").exists()


def test_the_error_that_the_readme_shows(series, configs):
    (series / "cell.yaml").write_text(SPEC.replace("tanh", "tahn"))
    with pytest.raises(SpecError) as error:
        load("cell.yaml")
    assert f"```text\n{as_text(error.value.problems)}\n```" in (configs.parent / "README.md").read_text()


def test_a_formula_of_a_mebibyte(series):
    start = time.perf_counter()
    for body in ("y = x + x", "y = " + "-" * 1000 + "x", "y = x.a + import"):
        lines = "\n".join(f"      {body}" for _ in range(2**20 // (len(body) + 10)))
        (series / "large.yaml").write_text(SPEC.replace("      h = tanh", f"{lines}\n      h = tanh"))
        with pytest.raises(SpecError, match="20,000 characters at most"):
            load("large.yaml")
    assert time.perf_counter() - start < 10


def test_many_faults_take_no_time(series):
    start = time.perf_counter()
    lines = "\n".join(f"      a{i} = b{i} + c{i}.d + f{i}(x)" for i in range(250))
    (series / "large.yaml").write_text(SPEC.replace("      h = tanh", f"{lines}\n      h = tanh"))
    with pytest.raises(SpecError) as error:
        load("large.yaml")
    assert len(error.value.problems) == 750
    assert time.perf_counter() - start < 10


PIECES = [
    "x", "h[-1]", "W", "(", ")", "[", "]", "{", "}", ":", ",", "=", "@", "|", ">", "'", '"', "\n", "\n      ", "\n  ",
    " ", "in", "out", "Cell", "Cel", "~", "0", "-1", "1e9", "true", "params", "state", "models", "forward", "arguments",
    "inputs", "tanh", "return ", "lambda: ", "import os", ".a", "\\n", "\\x41", "#", "# c", "${env:NONE:x}", "数", "\t",
    "&a", "- ", "a: {affine: out}", "b: {Cell: out}", "4 * out", "out // 0", "in.x", "shape", "init", "classes",
    "trainable: true",
]  # fmt: skip


@settings(
    max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=st.integers(0, len(SPEC)), cut=st.integers(0, 15), piece=st.sampled_from(PIECES), again=st.integers(0, 2))
def test_a_sound_net_with_a_change(series, at, cut, piece, again):
    text = SPEC[:at] + piece * (1 + again) + SPEC[at + cut :]
    (series / "fuzz.yaml").write_text(text, encoding="utf-8")
    problems = ()
    with suppress(DataError):  # the keys of the data change too
        try:
            loaded = load("fuzz.yaml")
            to_yaml(loaded.spec)
            peek(loaded)
        except SpecError as error:
            problems = error.problems
    as_text(problems).encode()
    assert all(0 <= p.place.column <= len(p.place.source.line(p.place.row)) for p in problems)
