"""Scans on the tape: the loop of rows and strides against the interpreter, for any sizes and any number of threads."""

from dataclasses import replace

import numpy as np
import pytest

from flux_core import ops
from flux_core.engine import repeat
from flux_core.engine import tiles as tiles_module
from flux_core.engine.compiled import Compiled
from flux_core.engine.lower import CannotLowerError
from flux_core.engine.repeat import Repeated
from flux_core.engine.store import default_store
from flux_core.interpreter import interpret
from flux_core.ir import Graph, as_node, final_state, get, input_node, pack, param, scan, values_of
from flux_core.layers import initialise
from flux_core.passes import Type, lift
from flux_core.passes.grad import grad

F, H = 4, 6


def numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def close(ours, theirs):
    """Equal to 1e-5: the greatest difference against the greatest value, tensor by tensor."""
    if isinstance(theirs, tuple):
        for a, b in zip(ours, theirs, strict=True):
            close(a, b)
        return
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= 1e-5 * max(np.abs(theirs).max(), 1e-6)


def cell(kind, reverse=False):
    """(x, h0...) -> (values, trajectories), with its gradient."""
    h, c, x, W, U, b = (input_node(i) for i in range(6))
    if kind == "lstm":
        z = x @ W + h @ U + b
        s = ops.sigmoid(z[..., : 3 * H])
        i, f, o = (s[..., k * H : (k + 1) * H] for k in range(3))
        after = f * c + i * ops.tanh(z[..., 3 * H :])
        out = o * ops.tanh(after)
        body = Graph(pack(out, after, out * 2.0), 6)
    elif kind == "gru":
        a, z = x @ W + b, h @ U
        r, q = (ops.sigmoid(a[..., k * H : (k + 1) * H] + z[..., k * H : (k + 1) * H]) for k in range(2))
        n = ops.tanh(a[..., 2 * H :] + r * z[..., 2 * H :])
        body = Graph(pack((1.0 - q) * n + q * h, c * 0.5 + n, n), 6)
        U = None
    else:  # what is copied: an input, a state, the same value twice, a part
        wide = ops.tanh(x @ W + h @ U + b)
        body = Graph(pack(wide[..., :H], h, x, wide[..., :H], wide[..., H : 2 * H], c), 6)
    gates = {"lstm": 4, "gru": 3, "copies": 2}[kind]
    ps = [param(numbers(F, gates * H, seed=1)), param(numbers(H, gates * H, seed=2)), param(numbers(gates * H, seed=3))]
    run = scan(body, [input_node(1), input_node(2)], [input_node(0)], [as_node(p) for p in ps], reverse=reverse)
    values = [values_of(run, i) for i in range(len(body.output.inputs) - 2)]
    return lift(Graph(pack(*values, get(run, 0), get(run, 1)), 3))


def inputs_of(batch, steps):
    return [numbers(steps, batch, F, seed=4), numbers(batch, H, seed=5), numbers(batch, H, seed=6)]


def with_gradient(graph, xs):
    """The graph of the gradients, and inputs for it."""
    dy = tuple(numbers(*y.shape, seed=7) for y in interpret(graph, xs))
    return grad(graph).graph, [*xs, *dy], dy


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (3, 2), (2, 7), (33, 5)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru", "copies"])
def test_values(kind, reverse, batch, steps):
    graph, xs = cell(kind, reverse), inputs_of(batch, steps)
    kept = [x.copy() for x in xs]
    compiled = Compiled(graph, [Type(x.shape) for x in xs])
    assert sum(isinstance(one, Repeated) for one in compiled.tape.instructions) == 1
    for _ in range(2):  # a second run finds what the first left
        close(compiled(*xs), interpret(graph, xs))
    for x, before in zip(xs, kept, strict=True):
        np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (3, 2), (2, 7), (33, 5)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru", "copies"])
def test_gradients(kind, reverse, batch, steps):
    from flux_core.ir import rewrite
    from flux_core.ir.walk import with_inputs

    forward, xs = cell(kind, reverse), inputs_of(batch, steps)
    graph, flat, dy = with_gradient(forward, xs)

    def opened(node, inputs):  # the tape takes arrays: dy, a tuple, becomes an input for each
        if node.op == "input" and node.attrs["index"] == 3:
            return pack(*(input_node(3 + i) for i in range(len(dy))))
        if node.op == "get" and inputs[0].op == "tuple":
            return inputs[0].inputs[node.attrs["index"]]
        return with_inputs(node, inputs)

    (output,) = rewrite([graph.output], opened)
    found = Compiled(Graph(output, len(flat)), [Type(x.shape) for x in flat])(*flat)
    close(found, interpret(graph, [*xs, dy]))


def test_a_stride_that_is_off_by_one_is_caught(monkeypatch):
    graph, xs = cell("lstm"), inputs_of(3, 5)
    right = repeat.lower_scan

    def wrong(scan_, loop, context):
        found = right(scan_, loop, context)
        first, second = found[-1].first, found[-1].second
        moved = zip(second[0].operands, first[0].operands, strict=True)
        late = replace(second[0], operands=tuple(o + (o != p) for o, p in moved))
        return [*found[:-1], replace(found[-1], second=(late, *second[1:]))]

    monkeypatch.setattr("flux_core.engine.tape.lower_scan", wrong)
    with pytest.raises(AssertionError):
        close(Compiled(graph, [Type(x.shape) for x in xs])(*xs), interpret(graph, xs))


def test_other_sizes_compile_nothing():
    graph = cell("lstm")
    for batch, steps in ((3, 5), (7, 64), (1, 3)):
        xs = inputs_of(batch, steps)
        compiled = Compiled(graph, [Type(x.shape) for x in xs])
        compiled(*xs)
        if (batch, steps) == (3, 5):
            before = default_store().compiled
    assert default_store().compiled == before


def test_the_tape_of_a_longer_loop_is_no_longer():
    graph = cell("lstm")
    words = []
    for steps in (2, 200):
        compiled = Compiled(graph, [Type(x.shape) for x in inputs_of(3, steps)])
        words.append([len(part) for part in (compiled.code.rows, *compiled.code.tables)])
    assert words[0] == words[1]


def test_memory_of_a_step_is_constant():
    graph = cell("lstm")
    sizes = [Compiled(graph, [Type(x.shape) for x in inputs_of(16, steps)]).layout.size for steps in (32, 128, 512)]
    assert (sizes[2] - sizes[1]) / (512 - 128) == pytest.approx((sizes[1] - sizes[0]) / (128 - 32), rel=0.01)


def test_a_scan_in_a_scan_is_for_the_interpreter():
    h, x = input_node(0), input_node(1)
    inner = scan(Graph(pack(input_node(0) + input_node(1)), 2), [h], [x])
    outer = scan(Graph(pack(final_state(inner, 0)), 2), [input_node(0)], [input_node(1)])
    graph = Graph(final_state(outer, 0), 2)
    xs = [numbers(2, 3), numbers(4, 5, 2, 3)]
    np.testing.assert_allclose(interpret(graph, xs), xs[0] + xs[1].sum(axis=(0, 1)), rtol=1e-5)
    with pytest.raises(CannotLowerError, match="a scan inside of a scan"):
        Compiled(graph, [Type(x.shape) for x in xs])


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_threads_change_no_bit(threads, monkeypatch):
    """A training of a recurrent model whose loops are cut."""
    from flux_core.data import Examples
    from flux_core.layers import Affine, Chain, OneHot, Recurrence
    from flux_core.model import State, net
    from flux_core.optim import adam
    from flux_core.training.metrics import Meter
    from flux_core.training.on_tape import TapeEngine
    from flux_core.training.plan import Plan
    from flux_core.training.stepper import Stepper

    @net
    class Cell:
        W: np.ndarray
        U: np.ndarray
        h: State

        def forward(self, x):
            self.h = ops.tanh(x @ self.W + self.h[-1] @ self.U)
            return self.h

    monkeypatch.setattr(tiles_module, "LEAST", 0)
    monkeypatch.setattr(tiles_module, "PRODUCT", ((1.0, 4),))
    monkeypatch.setattr(tiles_module, "ELEMENTS", ((1.0, 4),))
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, (2, 64, 12))
    ends = []
    for n in (1, threads):
        model = Chain(OneHot(9), Recurrence(Cell(numbers(9, 64) * 0.1, numbers(64, 64) * 0.1, 64)), Affine(9))
        initialise(model, (16, 12), kind="int")
        plan = Plan(loss="cross_entropy", optimizer=adam(0.01), batch_size=16, threads=n)
        stepper = Stepper(model, plan.loss_function(), plan.optimizer, carry=True)
        engine, meter = TapeEngine(stepper, plan, (), Examples(x, y)), Meter(())
        engine.train(Examples(x, y), None, 0, [0.01] * 4, 0, meter)
        assert n == 1 or max(program.crew.most for program in engine._programs.values()) == n
        ends.append((meter.mean_loss, engine.arena.x.copy(), [state.copy() for state in engine.carried]))
    assert ends[0][0] == ends[1][0]
    np.testing.assert_array_equal(ends[0][1], ends[1][1])
    np.testing.assert_array_equal(ends[0][2], ends[1][2])


def test_columns_are_read_and_written_where_they_lie():
    """No copies for the gates of an LSTM, forward or backward."""
    graph, xs = cell("lstm"), inputs_of(3, 5)
    compiled = Compiled(graph, [Type(x.shape) for x in xs])
    (loop,) = (one for one in compiled.tape.instructions if isinstance(one, Repeated))
    assert [i.kernel.name for i in loop.first] == ["gemm", *["elementwise"] * (len(loop.first) - 1)]
