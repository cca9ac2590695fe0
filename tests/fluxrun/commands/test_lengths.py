"""Padded sequences from the spec to predictions: each is treated as if it were alone."""

import csv
import io
import json

import numpy as np
import pytest

import flux_core

N, STEPS = 60, 6
SPEC = """\
name: sequences
data: {{source: npz, path: seq.npz, target: {target}, lengths: n, batch_size: 16}}
model:
  - lstm: {{out: 6, bidirectional: true}}
{end}
train: {{epochs: 3, loss: {loss}, optimizer: {{adam: 0.03}}}}
"""
KINDS = {
    "sequence": ("y", "  - last\n  - affine: classes", "cross_entropy"),
    "step": ("each", "  - affine: classes", "cross_entropy"),
    "score": ("each", "  - affine: 1", "binary_cross_entropy"),
    "numbers": ("totals", "  - affine: 1", "mse"),
    "vectors": ("pairs", "  - affine: 2", "mse"),
}


@pytest.fixture
def arrays(folder):
    rng = np.random.default_rng(0)
    n = rng.integers(1, STEPS + 1, N)
    real = np.arange(STEPS) < n[:, None]
    x = rng.standard_normal((N, STEPS, 2))
    totals = np.cumsum(x, axis=1)
    held = {
        "x": np.where(real[..., None], x, np.nan),
        "n": n,
        "y": (totals[np.arange(N), n - 1, 0] > 0).astype(int),
        "each": np.where(real, totals[..., 0] > 0, -1),
        "totals": np.where(real, totals[..., 0], np.nan),
        "pairs": np.where(real[..., None], totals, np.nan),
    }
    np.savez(folder / "seq.npz", **held)
    return held


def trained(cli, folder, kind, *more):
    target, end, loss = KINDS[kind]
    (folder / "seq.yaml").write_text(SPEC.format(target=target, end=end, loss=loss))
    done = cli("train", "seq.yaml", *more)
    assert done.exit_code == 0, done.stderr
    return folder / done.stdout.strip()


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_those_of_sequences_alone(cli, folder, arrays, kind):
    run = trained(cli, folder, kind)
    rows = list(csv.DictReader(io.StringIO(cli("predict", "last", "seq.npz").stdout)))
    model, stepwise = flux_core.load(run), kind != "sequence"
    said = model(arrays["x"], arrays["n"])
    if stepwise:
        wanted = [(i, t) for i, n in enumerate(arrays["n"]) for t in range(n)]
        assert [(int(row["row"]), int(row["step"])) for row in rows] == wanted
        said = np.array([said[i, t] for i, t in wanted])
    name = "prediction_0" if kind == "vectors" else "prediction"
    found, first = [row[name] for row in rows], said[:, 0] if kind == "vectors" else said
    assert found == (first.tolist() if model.classes else [f"{value:.9g}" for value in first])
    answer = json.loads(cli("predict", "last", "seq.npz", "--json").stdout)
    assert answer["prediction"] == said.tolist()
    assert answer["columns"] == ({"row": [i for i, _ in wanted], "step": [t for _, t in wanted]} if stepwise else {})
    assert (answer["rows"], answer["probability"] is None) == (len(said), not model.classes)
    cut = [model(arrays["x"][i : i + 1], [n]) for i, n in enumerate(arrays["n"])]
    alone = [value for one, n in zip(cut, arrays["n"], strict=True) for value in (one[0][:n] if stepwise else one)]
    if model.classes:
        assert np.array(alone).tolist() == said.tolist()
    else:
        np.testing.assert_allclose(alone, said, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_measured_as_the_training_measures(cli, folder, arrays, kind):
    trained(cli, folder, kind, "--set", "data.split={train: 1}")
    found = json.loads(cli("evaluate", "last", "seq.npz", "--json").stdout)["metrics"]
    own = json.loads(cli("evaluate", "last", "--split", "train", "--json").stdout)["metrics"]
    assert {name.removeprefix("data."): value for name, value in found.items()} == pytest.approx(
        {name.removeprefix("train."): value for name, value in own.items()}, rel=1e-5
    )


def test_an_archive_of_predictions(cli, folder, arrays):
    trained(cli, folder, "step")
    assert cli("predict", "last", "seq.npz", "-o", "said.npz").exit_code == 0
    with np.load(folder / "said.npz") as said:
        size = arrays["n"].sum()
        assert said["prediction"].shape == said["row"].shape == said["step"].shape == (size,)
        assert said["probability"].shape == (size, 2)


def test_resume_gives_what_was_not_stopped(cli, folder, arrays):
    whole = trained(cli, folder, "step")
    first = trained(cli, folder, "step", "--name", "half", "--max-steps", "5")
    done = cli("resume", str(first))
    assert done.exit_code == 0, done.stderr
    kept = [json.loads((run / "run.json").read_text())["final"] for run in (whole, first)]
    assert kept[0] == kept[1]


def test_every_stage_is_shown(cli, folder, arrays):
    for target, end, loss in KINDS.values():
        (folder / "seq.yaml").write_text(SPEC.format(target=target, end=end, loss=loss))
        done = cli("graph", "seq.yaml", "--after", "tape")
        assert done.exit_code == 0, done.stderr
        assert "lengths: 16 rows of 2 to work" in done.stdout


BAD = {
    "a name that is not there": (["data.lengths=m"], 2, "no array 'm'"),
    "no name": (["data.lengths=3"], 2, "expected text"),
    "no lengths": (["data.lengths=x"], 65, "lengths are whole numbers"),
    "lengths of 0": (["data.lengths=y"], 65, "a length of 0"),
    "steps without lengths": (["data.lengths=null", "data.target=each"], 65, "needs one label a row"),
    "too many values": (["data.target=each"], 2, "at each of the 6 steps"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_said_before_anything_is_made(cli, folder, arrays, what):
    changes, code, message = BAD[what]
    target, end, loss = KINDS["sequence"]
    (folder / "seq.yaml").write_text(SPEC.format(target=target, end=end, loss=loss))
    done = cli("train", "seq.yaml", *(part for change in changes for part in ("--set", change)))
    assert (done.exit_code, done.stdout) == (code, "")
    assert message in done.stderr
    assert not (folder / "runs").exists()


def test_what_mixes_steps_is_marked_in_the_spec(cli, folder, arrays):
    (folder / "seq.yaml").write_text(SPEC.format(target="y", end="  - flatten\n  - affine: classes", loss="mse"))
    done = cli("check", "seq.yaml", "--set", "train.loss=cross_entropy")
    assert done.exit_code == 2
    assert "seq.yaml:5:5: error: layer 1 (flatten) does not fit: flatten mixes the steps" in done.stderr


def test_new_data_that_do_not_fit(cli, folder, arrays):
    trained(cli, folder, "step")
    np.savez(folder / "without.npz", x=arrays["x"])
    done = cli("predict", "last", "without.npz")
    assert (done.exit_code, "no array 'n'" in done.stderr) == (65, True)
    np.savez(folder / "other.npz", x=arrays["x"], n=arrays["n"], each=arrays["y"])
    done = cli("evaluate", "last", "other.npz")
    assert done.exit_code == 65
    assert "the model answers for each step, there are answers of (60,)" in done.stderr
