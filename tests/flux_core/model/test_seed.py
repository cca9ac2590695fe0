"""Every definition of the text that this project starts from, in its order, by its public name."""

import numpy as np
import pytest

import flux_core as flux
from flux_core.dims import BatchSeq

X = np.array([[1.0, -1.0], [0.5, 2.0]], np.float32)


def test_logistic_regression_is_a_function_with_state():
    """x -> σ(x * W + b)"""
    W, b = flux.param(np.ones((2, 1), np.float32)), flux.param(np.zeros(1, np.float32))
    model = flux.net(lambda x: flux.sigmoid(x @ W + b))
    np.testing.assert_allclose(model(X), 1 / (1 + np.exp(-(X @ W.x))), rtol=1e-6)
    dx = flux.back(model, np.ones((2, 1), np.float32), X)  # back!(m, ΔY, X) => ΔX
    slope = 1 / (1 + np.exp(-(X @ W.x))) * (1 - 1 / (1 + np.exp(-(X @ W.x))))
    np.testing.assert_allclose(dx, slope @ W.x.T, rtol=1e-5)
    np.testing.assert_allclose(W.dx, X.T @ slope, rtol=1e-5)
    before = W.x.copy()
    step = W.dx.copy()
    assert flux.update(model, 0.5) is model  # update!(m, η) => m
    np.testing.assert_allclose(W.x, before - 0.5 * step, rtol=1e-6)


def test_defaults_of_the_protocol():
    def f(x):
        return x

    with pytest.raises(flux.BackpropError, match="Backprop not implemented for f"):
        flux.back(f, X, X)
    assert flux.update(f, 0.1) is f
    assert flux.graph(f) is None
    np.testing.assert_array_equal(flux.runmodel(f, X), X)


def test_params():
    p = flux.param(X)
    assert isinstance(p, flux.Param)
    np.testing.assert_array_equal(p.dx, np.zeros((2, 2)))
    assert flux.state(p) is p.x
    assert flux.state(X) is X
    assert flux.accumulate(p, X) is p
    np.testing.assert_array_equal(p.x, X)
    assert flux.accumulate(3, X) == 3
    assert flux.update(p, 1.0) is p
    np.testing.assert_array_equal(p.x, 0)
    np.testing.assert_array_equal(p.dx, 0)
    assert (p.shape, p.shape[0], repr(p)) == ((2, 2), 2, "Param(2, 2)")
    out = np.zeros((2, 2))
    flux.copyto(p, X)
    flux.copyto(out, p)
    np.testing.assert_array_equal(out, X)


def test_capacitor():
    whole = flux.graph(flux.Affine(2, 2))
    cap = flux.Capacitor(whole)
    assert isinstance(cap, flux.Model)
    assert flux.graph(cap) is whole
    np.testing.assert_array_equal(cap(X), flux.interpmodel(cap, X))


def test_stateful():
    step = flux.net(lambda h, x: ((h[0] + x,), 2 * h[0] * x))
    model = flux.Stateful(step, [np.ones((2, 2), np.float32)])
    assert model.istate == model.ostate
    model(X)
    model(X)
    np.testing.assert_array_equal(model.istate[0], 1 + X)
    np.testing.assert_array_equal(model.ostate[0], 1 + 2 * X)
    np.testing.assert_array_equal(flux.back(model, np.ones((2, 2)), X), 2 * (1 + X))
    assert flux.stateless(np.tanh) is np.tanh
    np.testing.assert_array_equal(flux.stateless(model)(X), 2 * X)
    assert model.model is step


def test_seqmodel():
    model = flux.SeqModel(lambda xs: tuple(2 * x for x in xs), 3)
    steps = (X, X + 1, X + 2)
    assert model.steps == 3
    assert isinstance(model(steps), tuple)
    together = flux.stack(steps, 1)
    np.testing.assert_array_equal(model(together), 2 * together)
    assert type(model(flux.rebatchseq(together))) is BatchSeq
    np.testing.assert_array_equal(flux.rawbatch(model(flux.rebatchseq(together))), 2 * together)
    with pytest.raises(flux.ShapeError, match="expected a sequence of 3 steps, got 2"):
        model(together[:, :2])
    np.testing.assert_array_equal(flux.runseq(lambda xs: xs, together), together)
    scale = flux.SeqModel(flux.net(lambda xs: (3 * xs[0], xs[1])), 2)
    got = flux.back(scale, np.ones((2, 2, 2)), together[:, :2])
    np.testing.assert_array_equal(got, np.stack([np.full((2, 2), 3.0), np.ones((2, 2))], 1))
