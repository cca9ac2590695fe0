"""fluxrun graph: every stage, in every form."""

import re
import subprocess
import sys

import pytest

from flux_core.engine import lower
from fluxrun import exits
from fluxrun.commands.graph import Pass
from fluxrun.jobs.graph import STAGES


def test_the_stages_of_the_option_are_those_of_the_job():
    assert tuple(Pass) == STAGES


def test_every_stage_by_default(cli, folder):
    done = cli("graph", "small.yaml")
    assert done.exit_code == 0, done.stderr
    assert re.findall(r"^=== (\w+)$", done.stdout, re.MULTILINE) == list(STAGES)
    for name in STAGES:
        alone = cli("graph", "small.yaml", "--after", name)
        assert alone.exit_code == 0
        assert f"=== {name}\n{alone.stdout}" in done.stdout


def test_what_each_stage_has_done(cli, folder):
    text = {name: cli("graph", "small.yaml", "--after", name).stdout for name in STAGES}
    assert "; Chain -> 0: Affine -> W: Param" in text["atomise"]
    assert "matmul_w" not in text["atomise"]
    assert "matmul_w" in text["grad"]
    assert "8 x 6" in text["simplify"]
    assert "fused[tanh(a0 + a1)]" in text["fuse"]
    assert "sum_like" in text["fuse"]
    assert "sum_like" not in text["legalise"]
    assert "takes over" in text["schedule"]
    assert "of its buffers" in text["memory"]


TAPE = """\
tape of one step on 8 examples: 18 instructions in 18 tiles
        gathered  x: 8 rows of 2 to IN
        gathered  y: 8 rows of 2 to IDS
  # tiles kernel operands
  0 1 gemm ta=0 tb=0 m=8 n=6 k=2 A=IN lda=2 B=x[0.W] ldb=6 beta=0 C=HIDDEN ldc=6
  1 1 elementwise a0=HIDDEN a1=x[0.b] out=HIDDEN rows=8 columns=6 strides=6,0,6 tanh(a0 + a1) (if)
  2 1 gemm ta=0 tb=0 m=8 n=2 k=6 A=HIDDEN lda=6 B=x[2.W] ldb=2 beta=0 C=OUT ldc=2
""".splitlines()


def test_the_tape(cli, folder):
    lines = cli("graph", "small.yaml", "--after", "tape").stdout.splitlines()
    words = [line.split() for line in lines]
    found = [word for line in words[: len(TAPE)] for word in line]
    places = {}
    for wanted, word in zip([word for line in TAPE for word in line.split()], found, strict=True):
        name = re.search("[A-Z]{2,}", wanted)
        if name:  # a place of the planner's choice, the same wherever it is named
            wanted = wanted.replace(name[0], places.setdefault(name[0], word.rpartition("=")[2]))
        assert word == wanted
    assert len(set(places.values())) == 4
    assert all(place.startswith("work+") for place in places.values())
    at = next(i for i, line in enumerate(lines) if "not finite" in line)
    assert words[at - 1][2] == "sum_of_squares"
    assert [w[2] for w in words[at + 1 : at + 4]] == ["update_adam", "loss_sum", "accuracy"]
    start = lines.index("memory, in float32 numbers")
    assert {word[0] for word in words[start:]} >= {"x", "dx", "mean", "square", "work", "constants", "sums"}
    assert ["0", "0.W", "2", "x", "6"] in words[start:]


def test_large_instructions_are_tiles(cli, folder):
    lines = cli("graph", "small.yaml", "--after", "tape", "--set", "model.0.affine.out=70000").stdout.splitlines()
    tiles = {int(line.split()[1]) for line in lines if re.match(r" *\d+ +\d+ (elementwise|update)", line)}
    assert max(tiles) > 1


@pytest.mark.parametrize("form", ["dot", "mermaid"])
def test_drawings(cli, folder, form):
    done = cli("graph", "small.yaml", "--format", form)
    assert done.exit_code == 0
    assert done.stdout.startswith({"dot": "digraph {", "mermaid": "flowchart TB"}[form])
    assert done.stdout == cli("graph", "small.yaml", "--format", form, "--after", "simplify").stdout
    assert "at " in cli("graph", "small.yaml", "--format", form, "--after", "memory").stdout
    wrong = cli("graph", "small.yaml", "--format", form, "--after", "tape")
    assert wrong.exit_code == exits.USAGE
    assert "text can" in wrong.stderr


def test_of_a_run(cli, folder):
    run = cli("train", "small.yaml", "--set", "train.epochs=1").stdout.strip()
    assert cli("graph", run, "--after", "tape").stdout == cli("graph", "small.yaml", "--after", "tape").stdout
    assert cli("graph", "last", "--after", "fuse").exit_code == 0
    assert cli("graph", "nothing").exit_code == exits.NO_INPUT
    assert cli("graph", "n" * 5000).exit_code == exits.NO_INPUT


def test_of_regressions(cli, folder):
    for change in ("model.2.affine=1", "train.loss=huber"):
        done = cli("graph", "small.yaml", "--set", "data.target=x", "--set", "model.2.affine=1", "--set", change)
        assert done.exit_code == 0, done.stderr
        assert "absolute_error" in done.stdout


def test_of_a_model_without_a_tape(cli, folder, monkeypatch):
    monkeypatch.delitem(lower.RULES, "matmul_w")
    done = cli("graph", "small.yaml")
    assert done.exit_code == exits.USAGE
    assert "=== grad" in done.stdout
    assert "there is no tape, the interpreter trains this model: no kernel runs matmul_w" in done.stderr


def test_nothing_is_compiled(folder):
    code = "import sys; sys.argv = ['fluxrun', 'graph', 'small.yaml']\nfrom fluxrun.main import run\n"
    code += "try:\n    run()\nfinally:\n    assert 'numba' not in sys.modules\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr


RECURRENT = """
data: {source: text, path: s.txt, steps: 7, batch_size: 4}
model: [{onehot: vocab}, {lstm: 6}, {affine: vocab}]
train: {loss: cross_entropy, optimizer: adam, epochs: 1}
"""


@pytest.mark.parametrize("stage", ["atomise", "grad", "simplify", "fuse", "legalise", "schedule", "memory", "tape"])
def test_loops_are_shown_with_their_steps(cli, folder, stage):
    (folder / "s.txt").write_text("to be or not to be " * 40)
    (folder / "s.yaml").write_text(RECURRENT)
    shown = cli("graph", "s.yaml", "--after", stage).stdout
    wanted = {"memory": "= scan[2 states,", "tape": "7 steps, of which this is the first:"}
    assert wanted.get(stage, "of the 7 steps of %" if stage == "schedule" else "a step of %") in shown
    if stage in ("atomise", "grad", "fuse"):
        for form, part in (("dot", "subgraph cluster_n"), ("mermaid", "subgraph n")):
            assert part in cli("graph", "s.yaml", "--after", stage, "--format", form).stdout
