"""check --data: what is suspicious about the data, in three forms, and as errors with --strict."""

import json
import time

import numpy as np
import pytest

from fluxrun import exits

SPEC = """\
data:
  source: csv
  path: table.csv
  target: kind
model: [{affine: 6}, tanh, {affine: classes}]
"""


@pytest.fixture
def doubtful(folder):
    """A table with a number for each row, and rows that are there twice."""
    rows = [f"{(i * 7919) % 1000 / 7:.3f},{(i * 31) % 97},{'ab'[(i * 7) % 5 > 2]}" for i in range(200)]
    (folder / "table.csv").write_text("\n".join(["x,y,kind", *rows, *rows[:100]]) + "\n")
    (folder / "doubt.yaml").write_text(SPEC)
    return folder


def test_findings_stand_at_their_places(cli, doubtful):
    done = cli("check", "doubt.yaml", "--data")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr.startswith("doubt.yaml:1:1: warning: ")
    assert "rows of the test split are also in the train split, answer and all" in done.stderr
    assert "baseline to beat: test.accuracy 0." in done.stderr


def test_without_a_finding(cli, folder):
    rows = [f"{i * 7919 % 10007 / 7:.3f},{i * 31 % 1009},{'ab'[i * 7 % 5 > 2]}" for i in range(200)]
    (folder / "table.csv").write_text("\n".join(["x,y,kind", *rows]) + "\n")
    done = cli("check", "small.yaml", "--data", "--strict")
    assert done.exit_code == 0
    assert done.stderr == "small.yaml: ok\nbaseline to beat: test.accuracy 0.6000 (always 'a')\n"


def test_strict(cli, doubtful):
    done = cli("check", "doubt.yaml", "--strict")
    assert done.exit_code == exits.USAGE
    assert done.stderr.startswith("doubt.yaml:1:1: error: ")
    found = json.loads(cli("check", "doubt.yaml", "--strict", "--format", "json").stdout)
    assert (found["ok"], {problem["severity"] for problem in found["problems"]}) == (False, {"error"})
    assert cli("check", "doubt.yaml", "--strict", "--format", "github").stdout.startswith("::error file=doubt.yaml,")
    assert json.loads(cli("check", "doubt.yaml", "--data", "--format", "json").stdout)["ok"]


def test_for_programs(cli, doubtful):
    found = json.loads(cli("check", "doubt.yaml", "--data", "--format", "json").stdout)
    assert {p["severity"] for p in found["problems"]} == {"warning"}
    assert found["problems"][0]["line"] == 1
    assert found["baseline"]["metric"] == "test.accuracy"
    assert 0.4 < found["baseline"]["value"] < 0.8
    github = cli("check", "doubt.yaml", "--data", "--format", "github").stdout.splitlines()
    assert len(github) == len(found["problems"])
    assert all(line.startswith("::warning file=doubt.yaml,line=1,col=1") for line in github)
    plain = json.loads(cli("check", "doubt.yaml", "--format", "json").stdout)
    assert (plain["problems"], plain["baseline"]) == ([], None)


def test_what_does_not_fit_the_data_is_still_an_error(cli, doubtful):
    done = cli("check", "doubt.yaml", "--data", "--set", "model.2.affine=7")
    assert done.exit_code == exits.USAGE
    assert "the model gives 7 values" in done.stderr
    assert "baseline" not in done.stderr


@pytest.mark.parametrize("options", [[], ["--data"]])
def test_a_fault_inside_of_the_data_in_three_forms(cli, doubtful, options):
    (doubtful / "table.csv").write_text("x,y,kind\n1,2,a\n2,oops,b\n3,4,a\n4,5,b\n")
    text = cli("check", "doubt.yaml", *options)
    assert text.exit_code == exits.BAD_DATA
    assert text.stderr.startswith("error: table.csv:3: column 'y': 'oops' is not a number")
    done = cli("check", "doubt.yaml", *options, "--format", "json")
    assert done.exit_code == exits.BAD_DATA
    found = json.loads(done.stdout)
    assert not found["ok"]
    (problem,) = found["problems"]
    assert (problem["file"], problem["line"], problem["severity"]) == ("table.csv", 3, "error")
    assert problem["message"].startswith("column 'y': 'oops' is not a number")
    done = cli("check", "doubt.yaml", *options, "--format", "github")
    assert done.exit_code == exits.BAD_DATA
    assert done.stdout.startswith("::error file=table.csv,line=3,col=1")


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "1e999"])
def test_numbers_that_are_none(cli, doubtful, cell):
    (doubtful / "table.csv").write_text(f"x,y,kind\n1,2,a\n2,{cell},b\n3,4,a\n4,5,b\n")
    done = cli("check", "doubt.yaml", "--data")
    assert done.exit_code == exits.BAD_DATA
    assert f"table.csv:3: column 'y': '{cell}' is not a finite number" in done.stderr


def test_data_that_are_not_there(cli, doubtful):
    (doubtful / "table.csv").unlink()
    assert cli("check", "doubt.yaml").exit_code == 0
    assert cli("check", "doubt.yaml", "--data").exit_code == exits.NO_INPUT


def test_fifty_thousand_rows_take_a_few_seconds(cli, doubtful):
    rng = np.random.default_rng(0)
    columns = [rng.normal(size=50_000).round(6) for _ in range(8)] + [rng.integers(40, size=50_000) for _ in range(6)]
    rows = zip(*columns, rng.choice(["a", "b"], 50_000), strict=True)
    names = [f"c{i}" for i in range(14)]
    (doubtful / "table.csv").write_text("\n".join([",".join([*names, "kind"]), *(",".join(map(str, r)) for r in rows)]))
    began = time.perf_counter()
    assert cli("check", "doubt.yaml", "--data").exit_code == 0
    assert time.perf_counter() - began < 30, "about two seconds on an idle machine"


HALVES = "data: {source: csv, path: half.csv, target: "
CLASSES = "\nmodel: [affine: classes]"
CROSS = f"{CLASSES}\ntrain: {{loss: cross_entropy}}"
MISFITS = [  # the spec, the value that is marked in it, what is said
    (
        f"{HALVES}x}}{CROSS}",
        "cross_entropy",
        "column 'x': 0.5 is no label of a class: labels are whole numbers or text (half.csv:2)",
    ),
    (f"{HALVES}x, task: classification}}{CLASSES}", "classification", "column 'x': 0.5 is no label of a class"),
    (
        f"{HALVES}kind, task: regression}}{CLASSES}",
        "regression",
        "column 'kind': the target holds text, a regression needs numbers (half.csv)",
    ),
    (f"{HALVES}kind, ignore: [x, y]}}{CLASSES}", "ignore", "no column is left besides the target 'kind' (half.csv)"),
    (
        f"{HALVES}kind, batch_size: 500, drop_last: true}}{CLASSES}",
        "500",
        "the training split has 160 examples, which make no batch of 500",
    ),
    (f"data: {{source: synthetic, name: sine}}{CROSS}", "cross_entropy", "column 'y': -0."),
    (
        f"data: {{source: npz, path: two.npz}}{CROSS}",
        "cross_entropy",
        "column 'y': the labels have shape (200, 2), a classification needs one",
    ),
]


@pytest.mark.parametrize(
    ("spec", "marked", "said"), MISFITS, ids=[f"{marked}-{i}" for i, (_, marked, _) in enumerate(MISFITS)]
)
def test_what_the_spec_makes_of_the_data_is_a_fault_of_the_spec(cli, folder, spec, marked, said):
    rows = "".join(f"{i / 2 + 0.5},{i % 3},{'ab'[i % 2]}\n" for i in range(200))
    (folder / "half.csv").write_text(f"x,y,kind\n{rows}")
    np.savez(folder / "two.npz", x=np.zeros((200, 3)), y=np.full((200, 2), 0.5))
    (folder / "misfit.yaml").write_text(spec)
    before = spec[: spec.index(marked)].split("\n")
    done = cli("train", "misfit.yaml")
    assert (done.exit_code, done.stdout) == (exits.USAGE, "")
    assert done.stderr.startswith(f"misfit.yaml:{len(before)}:{len(before[-1]) + 1}: error: {said}")
    checked = cli("check", "misfit.yaml", "--data")
    assert (checked.exit_code, checked.stderr.splitlines()[0]) == (exits.USAGE, done.stderr.splitlines()[0])
    assert not (folder / "runs").exists()
