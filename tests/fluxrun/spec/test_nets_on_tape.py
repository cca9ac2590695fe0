"""What a net computes inside a loop: the tape's training is the interpreter's, whatever the formula calls."""

import subprocess
import sys

import pytest

from flux_core.training import Fit
from fluxrun.spec.build import build
from fluxrun.spec.load import load

SPEC = """
data: {{source: text, path: text.txt, steps: 5, batch_size: 4, split: {{train: 0.8, test: 0.2}}}}
nets:
  Norm:
    params: {{w: {{shape: [in], init: ones}}}}
    forward: |
      d = x - mean(x, axis=-1, keepdims=True)
      return d / sqrt(mean(d * d, axis=-1, keepdims=True) + 1e-5) * w
  Step:
    arguments: {{out: 6}}
    params: {{E: {{shape: [vocab, out], init: {{normal: 0.3}}}}, U: [out, out], A: [out, 4], B: [4, out], s: []}}
    state: {{h: {{shape: [out], init: normal, trainable: true}}, g: {{shape: [3, out], init: ones}}}}
    models: {{norm: Norm, drop: {{dropout: 0.2}}}}
    forward: |
      e = gather(E, x) * s + drop(gather(E, x))
      weights = softmax(h[-1] @ U @ A)
      g = {g}
      h = {h} + 0 * sum(g[-1], axis=1) + weights @ B + norm(h[-1])
      return h
model: [Step, {{affine: vocab}}]
train: {{epochs: 1, optimizer: {{sgd: 0.1}}}}
"""
KEPT = "g[-1]"
CASES = {
    "delays": (KEPT, "tanh(e + h[-1] - 0.5 * h[-3])"),
    "queue": ("concat(g[-1][:, 1:], reshape(h[-1], shape=(1, out)), axis=1)", "tanh(e + max(g, axis=1))"),
    "parts": (KEPT, "tanh(concat(e[:, 0:2], h[-1][:, 2:], axis=1))"),
    "choice": (KEPT, "where(h[-1] > 0.1, e, -h[-1] * 0.5)"),
    "ids": (KEPT, "tanh(e + one_hot(x, n=vocab)[:, 0:out] + h[-1] * 0.5)"),
    "powers": (KEPT, "0.1 * abs(e) ** 1.5 + sqrt(exp(-(h[-1] ** 2)))"),
    "activations": (
        KEPT,
        "tanh(gelu(e) + silu(h[-1]) + elu(-e, alpha=0.5) + leaky_relu(h[-1], slope=0.2) - softplus(e))",
    ),
    "means": (
        "g[-1] * 0.5 + reshape(tanh(e), shape=(1, out))",
        "mean(g, axis=1) + transpose(h[-1], axes=(0, 1)) * 0.1",
    ),
}


def trained(engine):
    built = build(load("nets.yaml", (f"train.engine={engine}",)), threads=1)
    fit = Fit(built.model, built.dataset, built.plan)
    assert fit.engine.name == engine
    return [*fit][-1].final


@pytest.mark.parametrize("case", CASES)
def test_the_tape_trains_as_the_interpreter_does(folder, case):
    g, h = CASES[case]
    (folder / "text.txt").write_text("".join(chr(97 + (i * i + i // 7) % 9) for i in range(300)))
    (folder / "nets.yaml").write_text(SPEC.format(g=g, h=h))
    tape, reference = trained("tape"), trained("reference")
    assert tape["train.loss"] == pytest.approx(reference["train.loss"], rel=1e-5)
    assert tape["test.loss"] == pytest.approx(reference["test.loss"], rel=1e-5)


def test_a_hundredth_is_seen(folder):
    g, h = CASES["queue"]
    (folder / "text.txt").write_text("".join(chr(97 + (i * i + i // 7) % 9) for i in range(300)))
    (folder / "nets.yaml").write_text(SPEC.format(g=g, h=h))
    right = trained("tape")
    (folder / "nets.yaml").write_text(SPEC.format(g=g, h=f"1.01 * {h}"))
    assert trained("tape")["test.loss"] != pytest.approx(right["test.loss"], rel=1e-5)


def test_the_graph_of_a_net_names_its_lines(folder, cli):
    (folder / "text.txt").write_text("abcdefghi" * 40)
    (folder / "nets.yaml").write_text(SPEC.format(g=CASES["queue"][0], h=CASES["queue"][1]))
    done = cli("graph", "nets.yaml", "--after", "atomise")
    assert done.exit_code == 0, done.stderr
    assert "Recurrence -> Step -> line 1" in done.stdout


def test_a_check_of_nets_imports_no_engine(configs, folder):
    code = (
        "import sys\nfrom fluxrun.jobs.check import check_spec\n"
        f"assert not check_spec({str(configs / 'minimal_gated_unit.yaml')!r}).problems\n"
        "heavy = ('numba', 'llvmlite', 'scipy', 'rich')\n"
        "print([m for m in sys.modules if m in heavy or m.startswith('flux_core.engine')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
