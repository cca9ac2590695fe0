"""predict and evaluate for models of windows over a series: each prediction stands at the last row of its window."""

import csv
import io
import json

import numpy as np
import pytest

import flux_core
from flux_core.interpreter import interpret

SPEC = """\
name: wave
data:
  source: windows
  path: wave.csv
  target: height
  columns: [height, wind]
  steps: {steps}
  horizon: {horizon}
  batch_size: 16
model: [{layers}, {{affine: {horizon}}}]
train: {{loss: mse, optimizer: {{adam: 0.01}}, epochs: 15, metrics: [mae]}}
"""
STEPS = 6
LAYERS = {
    "recurrent": "{recurrent: 8}, last",
    "both ways": "{gru: {out: 6, bidirectional: true}}, time_mean",
    "no recurrence": "flatten, {affine: 8}, tanh",
}


def series(rows, start=0):
    t = np.arange(start, start + rows)
    return {"day": [f"d{i}" for i in t], "height": 50 + 20 * np.sin(t / 4), "wind": 5 + np.cos(t / 3)}


def written(path, columns):
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("name", LAYERS)
def test_windows(cli, folder, name, horizon):
    written(folder / "wave.csv", series(300))
    (folder / "wave.yaml").write_text(SPEC.format(steps=STEPS, horizon=horizon, layers=LAYERS[name]))
    assert cli("train", "wave.yaml", "--quiet").exit_code == 0
    new = series(20, start=1000)
    written(folder / "new.csv", new)
    rows = list(csv.DictReader(io.StringIO(cli("predict", "last", "new.csv").stdout)))
    names = ["prediction"] if horizon == 1 else [f"prediction_{i}" for i in range(horizon)]
    assert list(rows[0]) == ["day", "height", "wind", *names]
    assert [row["day"] for row in rows] == new["day"]
    assert {row[n] for row in rows[: STEPS - 1] for n in names} == {""}

    model = flux_core.load(next((folder / "runs").iterdir()))
    scales = [column.scale for column in model.preprocessing.columns]
    scaled = [(new[n] - s.mean) / s.std for n, s in zip(("height", "wind"), scales, strict=True)]
    windows = np.array([np.stack([c[i : i + STEPS] for c in scaled], axis=1) for i in range(20 - STEPS + 1)])
    outputs = interpret(model.model.graph, (windows.astype(np.float32),)).astype(np.float64)
    wanted = outputs * model.preprocessing.targets.std + model.preprocessing.targets.mean
    found = np.array([[float(row[n]) for n in names] for row in rows[STEPS - 1 :]])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert np.ptp(found) > 10, "it has learnt something"

    cli("predict", "last", "new.csv", "-o", "new.npz")
    with np.load(folder / "new.npz") as arrays:
        np.testing.assert_allclose(arrays["prediction"].reshape(-1, horizon), wanted, rtol=1e-5)
        assert arrays["day"].tolist() == new["day"][STEPS - 1 :]
    answer = json.loads(cli("predict", "last", "new.csv", "--json").stdout)
    np.testing.assert_allclose(np.reshape(answer["prediction"], (-1, horizon)), wanted, rtol=1e-5)
    assert answer["columns"]["day"] == new["day"][STEPS - 1 :]
    assert (answer["task"], answer["classes"], answer["probability"]) == ("regression", [], None)
    truth = np.array([new["height"][i + STEPS : i + STEPS + horizon] for i in range(20 - STEPS - horizon + 1)])
    measured = json.loads(cli("evaluate", "last", "new.csv", "--json").stdout)["metrics"]["data.mae"]
    assert measured == pytest.approx(np.abs(wanted[: len(truth)] - truth).mean(), rel=1e-5)


def test_fewer_rows_than_a_window(cli, folder):
    written(folder / "wave.csv", series(100))
    (folder / "wave.yaml").write_text(SPEC.format(steps=STEPS, horizon=1, layers=LAYERS["recurrent"]))
    assert cli("train", "wave.yaml", "--quiet").exit_code == 0
    written(folder / "new.csv", series(STEPS - 1))
    done = cli("predict", "last", "new.csv")
    assert (done.exit_code, done.stdout) == (65, "")
    assert "5 rows are too few, the model reads 6 at once" in done.stderr
    written(folder / "new.csv", series(STEPS))
    assert cli("predict", "last", "new.csv").exit_code == 0
    done = cli("evaluate", "last", "new.csv")
    assert (done.exit_code, done.stdout) == (65, "")
    assert "6 rows are too few, the model reads 6 and is measured by the next 1" in done.stderr
