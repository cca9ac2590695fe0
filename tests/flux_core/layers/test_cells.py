"""Cells and the layers made of them against their equations: written in NumPy, and as nets."""

import numpy as np
import pytest

from flux_core.errors import ShapeError
from flux_core.interpreter import interpret
from flux_core.layers import (
    GRU,
    LSTM,
    Affine,
    Chain,
    GatedRecurrent,
    Recurrence,
    Recurrent,
    gru,
    initialise,
    lstm,
    recurrent,
)
from flux_core.layers.chain import layer_table
from flux_core.layers.init import draws
from flux_core.model import Array, Model, State, back, infer, net, parameters, unroll, update
from flux_core.ops import Run, concat, relu, sigmoid, tanh
from flux_core.passes import laid_out

N_IN, N, STEPS = 3, 4, 5
RNG = np.random.default_rng(8)
X, DY = RNG.standard_normal((2, STEPS, N_IN)), RNG.standard_normal((2, STEPS, N))


def wide(model):
    """The same model in float64, with numbers in its biases and initial states too."""
    for p in parameters(model).values():
        p.x = p.x + 0.3 * RNG.standard_normal(p.shape)
        p.dx = np.zeros_like(p.x)
    return model


def close(got, want):
    assert np.shape(got) == np.shape(want)
    assert np.abs(got - want).max() <= 1e-9 * max(1, np.abs(want).max())


@net
class RecurrentNet(Model):
    Wx: Array
    Wh: Array
    b: Array
    h: State = N

    def forward(self, x):
        self.h = tanh(x @ self.Wx + self.h[-1] @ self.Wh + self.b)
        return self.h


@net
class GatedRecurrentNet(Model):
    Wxr: Array
    Whr: Array
    br: Array
    Wxu: Array
    Whu: Array
    bu: Array
    Wxh: Array
    Whh: Array
    bh: Array
    y: State = N

    def forward(self, x):
        reset = sigmoid(x @ self.Wxr + self.y[-1] @ self.Whr + self.br)
        keep = sigmoid(x @ self.Wxu + self.y[-1] @ self.Whu + self.bu)
        new = tanh(x @ self.Wxh + (reset * self.y[-1]) @ self.Whh + self.bh)
        self.y = (1.0 - keep) * new + keep * self.y[-1]
        return self.y


@net
class GruNet(GatedRecurrentNet):
    inside: Array = np.zeros(N)

    def forward(self, x):
        reset = sigmoid(x @ self.Wxr + self.y[-1] @ self.Whr + self.br)
        keep = sigmoid(x @ self.Wxu + self.y[-1] @ self.Whu + self.bu)
        new = tanh(x @ self.Wxh + self.bh + reset * (self.y[-1] @ self.Whh + self.inside))
        self.y = (1.0 - keep) * new + keep * self.y[-1]
        return self.y


@net
class LstmNet(Model):
    Wxi: Array
    Whi: Array
    bi: Array
    Wxf: Array
    Whf: Array
    bf: Array
    Wxo: Array
    Who: Array
    bo: Array
    Wxg: Array
    Whg: Array
    bg: Array
    y: State = N
    state: State = N

    def forward(self, x):
        forget = sigmoid(x @ self.Wxf + self.y[-1] @ self.Whf + self.bf)
        enter = sigmoid(x @ self.Wxi + self.y[-1] @ self.Whi + self.bi)
        output = sigmoid(x @ self.Wxo + self.y[-1] @ self.Who + self.bo)
        self.state = forget * self.state[-1] + enter * tanh(x @ self.Wxg + self.y[-1] @ self.Whg + self.bg)
        self.y = output * tanh(self.state)
        return self.y


def columns(cell, names, gates):
    """The parts of fused weights, gate by gate."""
    return [part for i in range(gates) for part in (getattr(cell, n).x[..., i * N : (i + 1) * N] for n in names)]


def as_net(cell):
    kind = type(cell)
    if kind is GatedRecurrent:
        u = np.concatenate([cell.U.x, cell.V.x], 1)
        parts = [(cell.W.x, u, cell.b.x)[k][..., i * N : (i + 1) * N] for i in range(3) for k in range(3)]
        return GatedRecurrentNet(*parts)
    parts = columns(cell, ("W", "U", "b"), kind.gates)
    if kind is GRU:
        return GruNet(*parts, N, cell.d.x)
    return {Recurrent: RecurrentNet, LSTM: LstmNet}[kind](*parts)


def fused_gradients(cell, model):
    """The gradients of the net's separate weights, side by side as in the cell."""
    kind, by_name = type(cell), {name: p.dx for name, p in parameters(model).items()}
    prefixes = {
        Recurrent: [("Wx", "Wh", "b")],
        LSTM: [(f"Wx{g}", f"Wh{g}", f"b{g}") for g in "ifog"],
        GRU: [(f"Wx{g}", f"Wh{g}", f"b{g}") for g in "ruh"],
        GatedRecurrent: [(f"Wx{g}", f"Wh{g}", f"b{g}") for g in "ruh"],
    }[kind]
    w, u, b = (np.concatenate([by_name[names[k]] for names in prefixes], -1) for k in range(3))
    if kind is GatedRecurrent:
        return {"W": w, "U": u[:, : 2 * N], "V": u[:, 2 * N :], "b": b}
    return {"W": w, "U": u, "b": b} | ({"d": by_name["inside"]} if kind is GRU else {})


CELLS = [Recurrent, GatedRecurrent, GRU, LSTM]


@pytest.mark.parametrize("kind", CELLS)
def test_fused_weights_mean_the_equations(kind):
    cell = wide(kind(N_IN, N))
    ways = {"fused": Recurrence(cell), "net": Recurrence(as_net(cell)), "unrolled": unroll(as_net(cell), STEPS)}
    values = {way: model(X) for way, model in ways.items()}
    close(values["fused"], values["net"])
    close(values["fused"], values["unrolled"])
    dxs = {way: back(model, DY, X) for way, model in ways.items()}
    close(dxs["fused"], dxs["net"])
    close(dxs["fused"], dxs["unrolled"])
    want = fused_gradients(cell, ways["net"].model)
    assert want.keys() == parameters(cell).keys()
    for name, slopes in want.items():
        close(parameters(cell)[name].dx, slopes)


def gated_by_hand(cell, x, swapped=False):
    """GatedRecurrent in NumPy; `swapped` plants the other meaning of the update gate."""
    h, out = np.zeros((2, N)), []
    for t in range(STEPS):
        u = x[:, t] @ cell.W.x + cell.b.x
        r, z = np.split(1 / (1 + np.exp(-(u[:, : 2 * N] + h @ cell.U.x))), 2, -1)
        c = np.tanh(u[:, 2 * N :] + (r * h) @ cell.V.x)
        h = z * c + (1 - z) * h if swapped else (1 - z) * c + z * h
        out.append(h)
    return np.stack(out, 1)


def test_gated_recurrent_is_its_equations():
    cell = wide(GatedRecurrent(N_IN, N))
    close(Recurrence(cell)(X), gated_by_hand(cell, X))
    with pytest.raises(AssertionError):
        close(Recurrence(cell)(X), gated_by_hand(cell, X, swapped=True))


def test_relu_instead_of_tanh():
    cell = wide(Recurrent(N_IN, N, activation="relu"))
    h, want = np.zeros((2, N)), []
    for t in range(STEPS):
        h = np.maximum(X[:, t] @ cell.W.x + h @ cell.U.x + cell.b.x, 0)
        want.append(h)
    close(Recurrence(cell)(X), np.stack(want, 1))
    with pytest.raises(ValueError, match="an activation is one of tanh, relu, not 'sin'"):
        Recurrent(2, activation="sin")


@pytest.mark.parametrize(
    ("make", "kind"),
    [(recurrent, Recurrent), (gru, GRU), (lambda *a, **k: gru(*a, reset="before", **k), GatedRecurrent), (lstm, LSTM)],
)
def test_stacked_and_bidirectional_layers_are_made_of_cells(make, kind):
    layer = wide(initialise(make(N, layers=2, bidirectional=True, dropout=0.5, trainable_state=True), X.shape))
    assert all(type(run.model) is kind for runs in layer.runs for run in runs)
    want = X
    for ahead, behind in layer.runs:
        a = Recurrence(ahead.model)(want)
        b = Recurrence(behind.model)(want[:, ::-1])[:, ::-1]
        want = np.concatenate([a, b], -1)
    close(layer(X), want)
    planted = Recurrence(layer.runs[1][1].model)(X @ np.ones((N_IN, 2 * N)))  # not turned round
    with pytest.raises(AssertionError):
        close(layer(X)[..., N:], planted)
    dy = np.concatenate([DY, DY[::-1]], -1)
    dx = back(layer, dy, X)
    named = parameters(layer)
    states = 2 if kind is LSTM else 1
    assert len(named) == 4 * (len(parameters(layer.runs[0][0].model)))
    assert sum(p.shape == (N,) and name[-1] in "hc" for name, p in named.items()) == 4 * states
    for array, slopes in [(X, dx), *((p.x, p.dx) for p in named.values())]:
        for place in {(0,) * array.ndim, tuple(n - 1 for n in array.shape)}:
            kept = array[place]
            array[place] = kept + 1e-5
            above = (dy * layer(X)).sum()
            array[place] = kept - 1e-5
            slope = (above - (dy * layer(X)).sum()) / 2e-5
            array[place] = kept
            assert slopes[place] == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_a_planted_reversal_is_caught(monkeypatch):
    """The check of the test before, on a layer that runs the wrong way."""
    layer = wide(initialise(lstm(N, bidirectional=True), X.shape))
    ahead, behind = layer.runs[0]
    behind.reverse = False
    want = Recurrence(behind.model)(X[:, ::-1])[:, ::-1]
    with pytest.raises(AssertionError):
        close(layer(X)[..., N:], want)
    behind.reverse = True
    close(layer(X)[..., N:], want)
    close(layer(X)[..., :N], Recurrence(ahead.model)(X))


def test_dropout_is_between_layers_only():
    ones = np.ones((4, STEPS, N_IN), np.float32)
    run = Run(training=True, seed=3, step=1)
    for layers, dropped in ((1, False), (2, True)):
        layer = initialise(gru(N, layers=layers, dropout=0.5), ones.shape)
        whole = laid_out(Chain(layer))
        training, evaluation = interpret(whole, [ones], run=run), interpret(whole, [ones])
        assert np.array_equal(training, evaluation) != dropped
        assert np.array_equal(training[0], training[1]) != dropped  # equal rows, masks of their own
        np.testing.assert_array_equal(training, interpret(whole, [ones], run=run))


def test_initial_weights():
    layer = initialise(lstm(8, layers=2, bidirectional=True), (1, STEPS, 4), seed=3)
    shapes = {name: p.shape for name, p in parameters(layer).items()}
    assert shapes["0.W"] == (4, 32)
    assert shapes["1.W"] == shapes["1_reverse.W"] == (16, 32)
    assert shapes["0_reverse.U"] == (8, 32)
    found = parameters(layer)
    for name, p in found.items():
        want = np.zeros(32, np.float32)
        want[8:16] = 1.0  # the forget gate
        if name.endswith("b"):
            np.testing.assert_array_equal(p.x, want)
        if name.endswith("U"):
            np.testing.assert_allclose(p.x @ p.x.T, np.eye(8), atol=1e-5)
    assert len({p.x[0, 0] for p in found.values() if p.x.ndim == 2}) == 8
    again = initialise(Chain(lstm(8, layers=2, bidirectional=True)), (1, STEPS, 4), seed=3)
    np.testing.assert_array_equal(parameters(again)["0.0.W"].x, draws(3)("0.0.W", (4, 32), "glorot"))
    np.testing.assert_array_equal(parameters(layer)["0.W"].x, draws(3)("0.W", (4, 32), "glorot"))
    plain = initialise(lstm(8, forget_bias=0.0, bias_init="ones", init="ones", recurrent_init="zeros"), (1, 2, 4))
    values = {name: set(p.x.ravel().tolist()) for name, p in parameters(plain).items()}
    assert values == {"0.W": {1.0}, "0.U": {0.0}, "0.b": {1.0}}


def test_sizes_shapes_and_text():
    model = Chain(gru(6, layers=2), recurrent(5, bidirectional=True), Affine(2))
    initialise(model, (1, 7, 3))
    assert infer(model, (4, 9, 3)) == (4, 9, 2)  # any number of steps
    rows = layer_table(model, (1, 7, 3))
    assert [(row.name, row.output) for row in rows] == [
        ("gru(6, layers=2)", (1, 7, 6)),
        ("recurrent(5, bidirectional=True)", (1, 7, 10)),
        ("Affine(10, 2)", (1, 7, 2)),
    ]
    assert rows[0].parameters == (3 + 6) * 18 + 18 + 6 + (6 + 6) * 18 + 18 + 6
    assert repr([LSTM(3, 4), LSTM(4), lstm(3, dropout=0.5)]) == "[LSTM(3, 4), LSTM(4), lstm(3, dropout=0.5)]"


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: lstm(4, layers=0), ValueError, "lstm has 1 layer or more, not 0"),
        (lambda: gru(4, dropout=1.0), ValueError, r"a dropout rate lies in \[0, 1\), not at 1.0"),
        (lambda: gru(4, reset="never"), ValueError, "reset is after or before the product, not 'never'"),
        (lambda: LSTM(0), ValueError, r"sizes are 1 or more, not \[0\]"),
        (lambda: LSTM(1, 2, 3), TypeError, r"LSTM takes \(n_out\), \(n_in, n_out\), out="),
        (lambda: initialise(lstm(4), (1, 3)), ShapeError, r"lstm takes sequences of vectors .* not \(1, 3\); rows"),
        (
            lambda: initialise(Chain(gru(4)), (1, 3), kind="int"),
            ShapeError,
            r"0: gru: gru takes sequences of vectors .* not \(1, 3\); ids become vectors in an embedding",
        ),
        (
            lambda: infer(initialise(lstm(4), (1, 2, 3)), (1, 2, 5)),
            ShapeError,
            r"^in lstm -> 0: Recurrence -> LSTM: x \(.*5\) does not fit W \(3, 16\)",
        ),
        (lambda: lstm(4)(X), Exception, r"lstm\(4\) does not know its input size yet"),
    ],
)
def test_what_is_said_about_mistakes(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_cells_are_models_like_any_other():
    cell = LSTM(N_IN, N)
    with pytest.raises(AttributeError, match="LSTM has no 'Q', or is not built yet"):
        _ = cell.Q
    layer = Recurrence(cell)
    before = layer(X)
    cell.W = type(cell.W)(np.zeros_like(cell.W.x), np.zeros_like(cell.W.x))
    assert np.abs(layer(X) - before).max() > 1e-3  # a weight that is replaced is seen
    assert parameters(layer)["W"] is cell.W
    cell.h = np.full(N, 0.5)
    assert isinstance(cell.h, State)
    back(layer, DY, X)
    assert cell.U.dx.any()
    update(layer, 0.1)
    assert not cell.U.dx.any()
    chained = Chain(LSTM(N_IN, 6), Affine(4), GRU(2))  # steps in a chain, the last two wait
    layer = initialise(Recurrence(chained), X.shape)
    assert infer(layer, X.shape) == (2, STEPS, 2)
    assert {name: p.shape for name, p in parameters(layer).items()}["2.W"] == (4, 6)
    assert Recurrence(Chain(cell, relu)).built
    assert (
        repr(Recurrence(cell, reverse=True, time_major=True)) == "Recurrence(LSTM(3, 4), reverse=True, time_major=True)"
    )
    close(Recurrence(cell, time_major=True)(X.swapaxes(0, 1)).swapaxes(0, 1), Recurrence(cell)(X))
    both = net(lambda x: concat(cell(x), cell(x)))
    close(Recurrence(both)(X)[..., :N], Recurrence(both)(X)[..., N:])


def test_a_layer_waits_inside_of_a_recurrence():
    inner = Affine(6)
    layer = Recurrence(net(lambda x: tanh(inner(x))))
    assert not layer.built
    assert repr(layer) == "Recurrence(Capacitor(Graph(1 inputs -> tanh)))"
    initialise(layer, (1, 2, 3))
    assert inner.W.shape == (3, 6)
    with pytest.raises(ShapeError, match=r"a recurrent layer takes sequences \(batch, steps, ...\), not \(3,\)"):
        initialise(Recurrence(net(lambda x: Affine(6)(x))), (3,))
    wrong = Recurrence(Chain(Affine(3, 2)))
    with pytest.raises(ShapeError, match=r"^in Recurrence -> Chain -> 0: Affine: x \(.*4\) does not fit W \(3, 2\)"):
        infer(wrong, (2, 5, 4))
    with pytest.raises(ShapeError, match=r"^in Recurrence -> Chain -> 0: Affine: x \(.*4\) does not fit W \(3, 2\)"):
        wrong(np.ones((2, 5, 4)))
