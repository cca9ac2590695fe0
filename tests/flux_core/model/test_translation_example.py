"""configs/translation.py: it learns, and the tape computes what the interpreter does."""

import runpy
from pathlib import Path

import numpy as np

from flux_core.engine.compiled import Compiled
from flux_core.interpreter import interpret
from flux_core.layers import cross_entropy
from flux_core.ops import Run
from flux_core.passes import Type
from flux_core.training.graph import training_graph

EXAMPLE = runpy.run_path(str(Path(__file__).parents[3] / "configs/translation.py"))


def test_it_learns():
    _, right = EXAMPLE["learn"](steps=200)
    assert right > 0.4  # guessing is right in 1 of 8


def test_tape_and_interpreter_agree():
    x, y = EXAMPLE["words"](4, seed=1)
    graph = training_graph(EXAMPLE["translator"](), cross_entropy).step
    run = Run(training=True)
    ours = Compiled(graph, [Type(x.shape), Type(y.shape, "int")], run=run)(x, y)
    theirs = interpret(graph, [x, y], run=run)
    for a, b in zip([*ours[:2], *ours[2]], [*theirs[:2], *theirs[2]], strict=True):
        # the bias of the alignment cancels out: its gradient is zero but for rounding
        assert np.abs(a - b).max() <= 1e-5 * max(np.abs(b).max(), 1e-3)
