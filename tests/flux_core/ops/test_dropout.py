"""The dropout mask is a function of its place: seed, layer path, step, row, element."""

import numpy as np
import pytest

from flux_core.interpreter import interpret
from flux_core.ir import Graph, constant, input_node
from flux_core.layers import Chain, Dropout
from flux_core.model import back, runmodel
from flux_core.ops import EVALUATION, Run, dropout, dropout_mask
from flux_core.passes import gradients, laid_out

TRAINING = Run(training=True, seed=1, step=4)
ONES = np.ones((400, 50), np.float32)


def mask(rate: float = 0.3, path: str = "2", run: Run = TRAINING, rows: int = 400) -> np.ndarray:
    return dropout_mask(ONES[:rows], rate=rate, path=path, run=run)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_rate_is_met_and_the_mean_kept(rate: float) -> None:
    drawn = mask(rate)
    sigma = (rate * (1 - rate) / drawn.size) ** 0.5
    assert abs((drawn == 0).mean() - rate) < 4 * sigma
    assert set(np.unique(drawn)) == {np.float32(0), np.float32(1 / (1 - rate))}
    assert abs(drawn.mean() - 1) < 4 * sigma / (1 - rate)


def test_the_mask_belongs_to_its_place() -> None:
    drawn = mask()
    np.testing.assert_array_equal(drawn, mask())
    np.testing.assert_array_equal(drawn[:7], mask(rows=7))  # a row does not depend on the size of the batch
    others = [mask(path="3"), mask(run=Run(True, 1, 5)), mask(run=Run(True, 2, 4))]
    for other in others:
        assert abs((other == drawn).mean() - (0.3**2 + 0.7**2)) < 0.03  # as often equal as independent masks are
    assert len(np.unique(drawn, axis=0)) == len(drawn)


@pytest.mark.parametrize(("rate", "run"), [(0.5, EVALUATION), (0.5, Run(False, 1, 4)), (0.0, TRAINING)])
def test_the_mask_is_one_outside_training(rate: float, run: Run) -> None:
    np.testing.assert_array_equal(mask(rate, run=run), ONES)


def test_outside_training_the_layer_is_the_identity() -> None:
    model = Chain(Dropout(0.5))
    np.testing.assert_array_equal(runmodel(model, ONES), ONES)
    np.testing.assert_array_equal(back(model, 2 * ONES, ONES), 2 * ONES)
    np.testing.assert_array_equal(dropout(ONES, 0.5), ONES)
    with pytest.raises(ValueError, match=r"a dropout rate lies in \[0, 1\), not at 1"):
        Dropout(1)


def test_the_gradient_passes_through_the_same_mask() -> None:
    whole = laid_out(Chain(Dropout(0.3), Dropout(0.3)))
    assert whole is not None
    leaf = next(node for node in _nodes(whole) if node.op == "input")
    (dx,) = gradients(whole.output, input_node(1), [leaf])
    y = interpret(whole, [ONES], run=TRAINING)
    np.testing.assert_array_equal(interpret(Graph(dx, 2), [ONES, ONES], run=TRAINING), y)
    assert abs((y == 0).mean() - (1 - 0.7**2)) < 0.02  # the two layers have masks of their own


def test_a_layer_used_twice_draws_twice() -> None:
    layer = Dropout(0.5)
    paths = [node.attrs["path"] for node in _nodes(laid_out(Chain(layer, layer))) if node.op == "dropout_mask"]
    assert paths == ["0", "1"]
    x = input_node(0)
    inside = Graph(dropout(dropout(x, 0.5), 0.5) + constant(0.0), 1)
    paths = [node.attrs["path"] for node in _nodes(laid_out(inside)) if node.op == "dropout_mask"]
    assert len(set(paths)) == 2


def test_other_ranks_and_dtypes() -> None:
    run = Run(training=True)
    for shape in [(), (5,), (2, 3, 4), (0, 3), (3, 0)]:
        assert dropout_mask(np.ones(shape, np.float64), rate=0.5, run=run).shape == shape
    assert dropout_mask(np.ones(3, np.float64), rate=0.5, run=run).dtype == np.float64
    assert dropout_mask(np.ones(3, np.int64), rate=0.5, run=run).dtype == np.float32


def _nodes(graph):
    from flux_core.ir import topological

    return topological(graph.output)
