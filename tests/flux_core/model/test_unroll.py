"""Unrolled models against recurrences written out in NumPy, in float64: values, gradients, states between calls."""

import numpy as np
import pytest

from flux_core.errors import GraphError, ShapeError
from flux_core.ir import Graph, as_node, constant, graph, input_node, offset, pack, param
from flux_core.layers import Affine, Chain, Dropout, Recurrence
from flux_core.model import (
    Array,
    Capacitor,
    Model,
    SeqModel,
    State,
    Stateful,
    back,
    flip,
    infer,
    interpmodel,
    net,
    parameters,
    reset,
    stateless,
    unroll,
    unroll1,
    update,
)
from flux_core.ops import concat, tanh
from flux_core.passes import laid_out, step_form

STEPS = 4
RNG = np.random.default_rng(2)
X, DY = RNG.standard_normal((3, STEPS, 2)), RNG.standard_normal((3, STEPS, 2))
Wx, Wh, Wg = (RNG.standard_normal((2, 2)) for _ in range(3))


@net
class Recurrent(Model):
    Wxy: Array
    Wyy: Array
    y: State

    def forward(self, x):
        self.y = tanh(x @ self.Wxy + self.y[-1] @ self.Wyy)
        return self.y


@net
class Old(Model):
    """Reads what was two and three steps ago, and another state of one step ago."""

    W: Array
    G: Array
    y: State
    z: State = 2

    def forward(self, x):
        self.z = x @ self.G + self.y[-2]
        self.y = tanh(x + self.y[-3] @ self.W + 0.5 * self.z[-1])
        return self.y + self.z


def recurrent(start=2):
    return Recurrent(Wx, Wh, start)


def by_hand(x, h=None):
    h = np.zeros((len(x), 2)) if h is None else h
    out = []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ Wx + h @ Wh)
        out.append(h)
    return np.stack(out, 1)


def old_by_hand(x, start=0.0, shift=0):
    """`shift` plants an off-by-one in the delay."""
    ys, zs, out = [np.zeros((3, 2)) + start] * 4, [np.zeros((3, 2))], []
    for t in range(x.shape[1]):
        z = x[:, t] @ Wg + ys[-2 - shift]
        y = np.tanh(x[:, t] + ys[-3] @ Wh + 0.5 * zs[-1])
        ys.append(y), zs.append(z), out.append(y + z)
    return np.stack(out, 1)


def gradients(f, *arrays):
    """Central differences of sum(DY · f()) with respect to arrays that `f` reads."""
    found = []
    for array in arrays:
        slopes = np.zeros_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + 1e-6
            above = (DY * f()).sum()
            array[place] = kept - 1e-6
            slopes[place] = (above - (DY * f()).sum()) / 2e-6
            array[place] = kept
        found.append(slopes)
    return found


def close(got, want, limit=1e-9):
    assert np.shape(got) == np.shape(want)
    assert np.abs(got - want).max() <= limit * max(1, np.abs(want).max())


@pytest.mark.parametrize("way", ["unrolled", "scan", "steps"])
def test_values_are_those_of_the_loop(way):
    model = {
        "unrolled": lambda m: unroll(m, STEPS),
        "scan": Recurrence,
        "steps": lambda m: one_by_one(unroll1(m)),
    }[way]
    close(model(recurrent())(X), by_hand(X))
    close(model(Old(Wh, Wg, 2))(X), old_by_hand(X))
    start = np.array([0.5, -2.0])
    close(model(recurrent(start))(X), by_hand(X, start))
    close(model(recurrent(param(start)))(X), by_hand(X, start))
    close(model(Old(Wh, Wg, start))(X), old_by_hand(X, start))


def one_by_one(step):
    return lambda x: np.stack([step(x[:, t]) for t in range(x.shape[1])], 1)


def test_a_planted_off_by_one_is_caught(monkeypatch):
    with pytest.raises(AssertionError):
        close(unroll(Old(Wh, Wg, 2), STEPS)(X), old_by_hand(X, shift=1))
    monkeypatch.setattr("flux_core.model.scope.offset", lambda name, n, default: offset(name, n - 1, default))
    for model in (unroll(recurrent(), STEPS), Recurrence(recurrent())):
        with pytest.raises(AssertionError):
            close(model(X), by_hand(X))


@pytest.mark.parametrize("make", [lambda m: unroll(m, STEPS), Recurrence], ids=["unrolled", "scan"])
def test_gradients_are_those_of_the_loop(make):
    start = param(np.array([0.5, -2.0]))
    m = Recurrent(Wx, Wh, start)
    model, x = make(m), X.copy()
    model(x)
    dx = back(model, DY, x)
    want = gradients(lambda: by_hand(x, start.x), x, Wx, Wh, start.x)
    for got, slopes in zip((dx, m.Wxy.dx, m.Wyy.dx, start.dx), want, strict=True):
        close(got, slopes, 1e-7)
    old = Old(Wh, Wg, start)
    start.dx[...] = 0
    model = make(old)
    model(x)
    dx = back(model, DY, x)
    want = gradients(lambda: old_by_hand(x, start.x), x, Wh, Wg, start.x)
    for got, slopes in zip((dx, old.W.dx, old.G.dx, start.dx), want, strict=True):
        close(got, slopes, 1e-7)


def test_unrolled_and_scanned_gradients_are_the_same_to_the_last_digits():
    start = param(np.array([0.5, -2.0]))
    found = []
    for make in (lambda m: unroll(m, STEPS), Recurrence):
        m = Chain(Affine.of(Wg), Old(Wh, Wg, start), recurrent())
        start.dx[...] = 0
        model = make(m)
        model(X)
        found.append([back(model, DY, X), *(p.dx.copy() for p in parameters(m).values())])
    assert len(found[0]) == 7
    for a, b in zip(*found, strict=True):
        close(a, b)


def test_the_parts_of_an_unrolled_model():
    model = unroll(recurrent(np.array([1.0, 2.0])), STEPS)
    assert (type(model), type(model.model), type(model.model.model)) == (SeqModel, Stateful, Capacitor)
    assert model.steps == STEPS
    np.testing.assert_array_equal(model.model.istate, [[1.0, 2.0]])
    assert repr(model) == "SeqModel(Stateful(Capacitor(Graph(2 inputs -> tuple)), 1 states), 4)"
    assert [len(unroll(Old(Wh, Wg, 2), n).model.istate) for n in (1, 5)] == [4, 4]  # y of three steps, z of one
    # ((h...), (x1..xn)) -> ((h...), (y1..yn))
    (h,), ys = interpmodel(model.model.model, (np.zeros((3, 2)),), tuple(X.swapaxes(0, 1)))
    close(np.stack(ys, 1), by_hand(X))
    close(h, by_hand(X)[:, -1])
    (h,), y = interpmodel(unroll1(recurrent()).model, (np.zeros((3, 2)),), X[:, 0])
    close(y, by_hand(X)[:, 0])
    assert h is y


def test_copies_share_what_does_not_move():
    nodes = [node.op for node in _nodes(unroll(recurrent(), 3).model.model)]
    assert nodes.count("param") == 2
    assert nodes.count("tanh") == 3
    weights = param(Wx)
    scaled = net(lambda x: x @ tanh(as_node(weights)))
    assert [node.op for node in _nodes(unroll(scaled, 3).model.model)].count("tanh") == 1


def _nodes(model):
    from flux_core.ir import topological

    return topological(laid_out(model).output)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_states_go_on_between_calls_at_any_length(n):
    for m, want in ((recurrent(), by_hand(X)), (Old(Wh, Wg, 2), old_by_hand(X))):
        model = unroll(m, n)
        for first in range(0, STEPS, n):
            close(model(X[:, first : first + n]), want[:, first : first + n])
        reset(model)
        close(model(X[:, :n]), want[:, :n])
        forgetful = stateless(model)
        for _ in range(2):
            close(forgetful(X[:, :n]), want[:, :n])


def test_a_trained_initial_state_is_stepped():
    start = param(np.array([0.5, -2.0]))
    model = unroll(recurrent(start), STEPS)
    assert start in parameters(model).values()
    model(X)
    back(model, DY, X)
    slope = start.dx.copy()
    assert np.abs(slope).min() > 1e-3
    model(X)
    back(model, DY, X)
    np.testing.assert_array_equal(start.dx, slope)  # the second call did not begin from it
    update(model, 0.1)
    np.testing.assert_allclose(start.x, [0.5, -2.0] - 0.1 * slope)


def test_flipped_models_run_from_the_end():
    turned = by_hand(X[:, ::-1])[:, ::-1]
    close(unroll(flip(recurrent()), STEPS)(X), turned)
    close(Recurrence(flip(recurrent()))(X), turned)
    close(unroll(flip(flip(recurrent())), STEPS)(X), by_hand(X))
    close(unroll(flip(Old(Wh, Wg, 2)), STEPS)(X), old_by_hand(X[:, ::-1])[:, ::-1])
    with pytest.raises(AssertionError):  # a model that is not turned round is told
        close(unroll(recurrent(), STEPS)(X), turned)
    ahead, behind = recurrent(), flip(recurrent())
    both = net(lambda x: concat(ahead(x), behind(x)))
    model = unroll(Chain(both, Affine.of(np.eye(4)), Recurrent(np.ones((4, 2)) / 9, Wh, 2)), STEPS)
    inner = np.concatenate([by_hand(X), turned], -1) @ np.ones((4, 2)) / 9
    want, h = [], np.zeros((3, 2))
    for t in range(STEPS):
        h = np.tanh(inner[:, t] + h @ Wh)
        want.append(h)
    close(model(X), np.stack(want, 1))
    with pytest.raises(GraphError, match="read steps on both sides: run each direction along the sequence by itself"):
        Recurrence(both)(X)


def test_a_flipped_model_begins_the_next_call_where_it_ended():
    model = unroll(flip(recurrent()), 2)
    first = model(X[:, 2:])
    close(np.concatenate([model(X[:, :2]), first], 1), by_hand(X[:, ::-1])[:, ::-1])


def test_steps_that_wait_for_each_other_are_refused():
    x = input_node(0)
    a = offset("b", -1, constant(np.zeros(2))) + x
    b = offset("a", 1, constant(np.zeros(2))) * x
    with pytest.raises(GraphError, match="the steps of this model wait for each other"):
        unroll(Graph(a, 1, {"a": a, "b": b}), 3)


def test_models_inside_of_models():
    one, two = recurrent(), Recurrent(Wg, Wh, 2)

    @net
    class Outer(Model):
        inner: Model
        s: State

        def forward(self, x):
            self.s = self.inner(self.inner(x)) + 0.5 * self.s[-1]
            return self.s

    model = Chain(Outer(one, 2), Chain(two))
    assert sorted(laid_out(model).states) == ["0.inner.y", "0.inner.y#1", "0.s", "1.0.y"]
    want, a, b, s, h = [], *(np.zeros((3, 2)),) * 4
    for t in range(STEPS):  # one model in two places: the same weights, a state in each
        a = np.tanh(X[:, t] @ Wx + a @ Wh)
        b = np.tanh(a @ Wx + b @ Wh)
        s = b + 0.5 * s
        h = np.tanh(s @ Wg + h @ Wh)
        want.append(h)
    close(unroll(model, STEPS)(X), np.stack(want, 1))
    close(Recurrence(model)(X), np.stack(want, 1))
    assert len(parameters(unroll(model, STEPS))) == 4


def test_several_inputs_outputs_and_none():
    @net
    class Two(Model):
        s: State

        def forward(self, x, y):
            self.s = self.s[-1] + x * y
            return self.s, (x, self.s[-1])

    total = np.cumsum(X * DY, 1)
    for model in (unroll(Two(2), STEPS), Recurrence(Two(2))):
        s, (x, before) = model(X, DY)
        close(s, total)
        close(x, X)
        close(before, np.concatenate([np.zeros((3, 1, 2)), total[:, :-1]], 1))

    @net
    class Clock(Model):
        s: State

        def forward(self):
            self.s = self.s[-1] + 1.0
            return self.s

    clock = unroll1(Clock(()))
    assert [float(clock()) for _ in range(3)] == [1.0, 2.0, 3.0]
    assert Clock(()).s.initial.shape == ()


def test_a_number_for_each_row():
    @net
    class Count(Model):
        n: State

        def forward(self, x):
            self.n = self.n[-1] + x
            return self.n

    x = np.arange(6.0).reshape(2, 3)
    for model in (unroll(Count(()), 3), Recurrence(Count(()))):
        close(model(x), np.cumsum(x, 1))


def test_models_without_states_and_without_a_graph():
    close(unroll(Affine.of(Wx), STEPS)(X), X @ Wx)
    close(unroll(Chain(tanh, np.negative), STEPS)(X), -np.tanh(X))
    for run in (lambda: unroll(lambda x: x, 2), lambda: unroll1(np.sin), lambda: flip(lambda x: x)):
        with pytest.raises(GraphError, match="has no graph that could be unrolled: write it as a net"):
            run()
    with pytest.raises(ValueError, match="a sequence has 1 step or more, not 0"):
        unroll(recurrent(), 0)


def test_a_cycle_is_told_with_its_path():
    model = Chain(Affine.of(Wx), recurrent())
    for run in (
        lambda: model(X[:, 0]),
        lambda: recurrent()(X[:, 0]),
        lambda: infer(model, (3, 2)),
        lambda: back(model, DY[:, 0], X[:, 0]),
    ):
        with pytest.raises(GraphError, match=r"Recurrent: this model has a cycle: it reads (1\.)?y\[-1\]") as caught:
            run()
        assert "unroll(model, steps)" in str(caught.value)
    unread = Capacitor(Graph(input_node(0), 1, {"y": recurrent().graph().output}))
    with pytest.raises(GraphError, match="this model has a cycle"):
        unread(X)


def test_types_and_misfits():
    model = unroll(Chain(recurrent(), Affine.of(np.ones((2, 5)))), STEPS)
    assert infer(model, (3, STEPS, 2)) == (3, STEPS, 5)
    with pytest.raises(ShapeError, match=r"x \(3, 3\) does not fit W \(2, 2\)"):
        infer(model, (3, STEPS, 3))
    x = input_node(0)
    with pytest.raises(GraphError, match=r"y\[-1\] is read, but no state 'y' is assigned"):
        unroll(Graph(offset("y", -1, constant(0.0)) + x, 1), 2)
    first, other = offset("y", -1, constant(0.0)), offset("y", -2, constant(1.0))
    with pytest.raises(GraphError, match="the state 'y' begins with two different values"):
        unroll(Graph(x, 1, {"y": first + other}), 2)
    with pytest.raises(GraphError, match=r"y\[0\] would be the value that is being computed"):
        offset("y", 0, constant(0.0))


def test_long_sequences_cost_no_recursion():
    x = np.full((1, 3000, 2), 0.01)
    close(unroll(recurrent(), 3000)(x), by_hand(x))


def test_dropout_differs_from_step_to_step():
    from flux_core.interpreter import interpret
    from flux_core.ops import Run

    model = laid_out(unroll(Chain(Dropout(0.5), recurrent()), 2).model.model)
    ones = np.ones((50, 2), np.float64)
    run = Run(training=True, seed=1, step=2)
    streams = {node.attrs["path"] for node in _nodes(model) if node.op == "dropout_mask"}
    assert streams == {"0", "0#1"}
    (h,), _ = interpret(model, [(np.zeros((50, 2)),), (ones, ones)], run=run)
    (again,), _ = interpret(model, [(np.zeros((50, 2)),), (ones, ones)], run=run)
    np.testing.assert_array_equal(h, again)
    assert len(np.unique(h[:, 0].round(9))) > 4  # two steps of two kinds each give more than two values


def test_the_step_form_counts_delays():
    form = step_form(laid_out(Old(Wh, Wg, 2)))
    assert [(h.name, h.n) for h in form.hidden] == [("y", -1), ("y", -2), ("y", -3), ("z", -1)]
    assert [state.op for state in form.states] == ["tanh", "input", "input", "add"]
    assert [state.attrs["index"] for state in form.states[1:3]] == [0, 1]
    assert (form.arity, form.backwards) == (5, False)
    assert form.graph(form.output).arity == 5
    assert graph(pack_of(form)).output.op == "tuple"
    assert step_form(laid_out(flip(recurrent()))).backwards


def pack_of(form):
    return Graph(pack(*form.states, form.output), form.arity)
