"""`back` against PyTorch's autograd on the same weights, in float32: max|a - b| <= 1e-5 max|b|."""

import numpy as np
import pytest

from flux_core.ir import param
from flux_core.layers import Affine, Chain
from flux_core.model import Array, Capacitor, Model, SeqModel, Stateful, back, net, parameters, runmodel
from flux_core.ops import gelu, leaky_relu, log_softmax, relu, sigmoid, softmax, tanh

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[bench]'")
F = torch.nn.functional

RNG = np.random.default_rng(3)


def draw(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@net
class TLP(Model):
    first: Model
    second: Model

    def forward(self, x):
        return softmax(self.second(sigmoid(self.first(x))))


@net
class Cell(Model):
    """A recurrent step ((h,), x) -> ((h',), h')."""

    Wxy: Array
    Wyy: Array
    by: Array

    def forward(self, states, x):
        h = tanh(x @ self.Wxy + states[0] @ self.Wyy + self.by)
        return (h,), h


def torch_cell(p, h, x):
    return torch.tanh(x @ p["Wxy"] + h @ p["Wyy"] + p["by"])


def affine(n, m):
    return Affine.of(draw(n, m), draw(m))


def cell():
    return Cell(draw(3, 4) / 2, draw(4, 4) / 2, draw(4))


def chain():
    model = Chain(affine(6, 5), tanh, affine(5, 5), gelu, affine(5, 3), log_softmax)

    def theirs(p, x):
        h = torch.tanh(x @ p["0.W"] + p["0.b"])
        h = F.gelu(h @ p["2.W"] + p["2.b"])
        return F.log_softmax(h @ p["4.W"] + p["4.b"], -1)

    return model, theirs, [draw(7, 6)]


def two_layers():
    model = TLP(affine(6, 5), affine(5, 4))

    def theirs(p, x):
        return F.softmax(torch.sigmoid(x @ p["first.W"] + p["first.b"]) @ p["second.W"] + p["second.b"], -1)

    return model, theirs, [draw(7, 6)]


def capacitor():
    w, b = param(draw(3, 4, 5)), param(draw(5))
    model = net(lambda x, y: (leaky_relu(x @ w + b) * y, relu(x)))
    names = {id(p): name for name, p in parameters(model).items()}
    w_name, b_name = names[id(w)], names[id(b)]

    def theirs(p, x, y):
        return F.leaky_relu(x @ p[w_name] + p[b_name], 0.01) * y, F.relu(x)

    assert isinstance(model, Capacitor)
    return model, theirs, [draw(2, 4), draw(3, 1, 5)]


def stateful():
    model = Stateful(cell(), [draw(2, 4)])
    start = torch.tensor(model.initial[0])
    return model, lambda p, x: torch_cell({k.split(".")[1]: v for k, v in p.items()}, start, x), [draw(2, 3)]


def sequence():
    step = cell()
    model = SeqModel(net(lambda xs: _steps(step, xs)), 4)

    def theirs(p, xs):
        p = {k.split(".")[-1]: v for k, v in p.items()}
        h, out = torch.zeros(4), []
        for i in range(4):
            h = torch_cell(p, h, xs[:, i])
            out.append(h)
        return torch.stack(out, 1)

    return model, theirs, [draw(2, 4, 3)]


def _steps(step, xs):
    h, out = np.zeros(4, np.float32), []
    for i in range(4):
        found = step((h,), xs[i])
        h = found[0][0]
        out.append(found[1])
    return tuple(out)


def stateful_in_a_chain():
    inner = Stateful(cell(), [draw(2, 4)])
    start = torch.tensor(inner.initial[0])
    model = Chain(affine(5, 3), relu, inner, affine(4, 2))

    def theirs(p, x):
        x = torch.relu(x @ p["0.W"] + p["0.b"])
        h = torch_cell({k.split(".")[-1]: v for k, v in p.items() if k.startswith("2.")}, start, x)
        return h @ p["3.W"] + p["3.b"]

    return model, theirs, [draw(2, 5)]


def shared():
    layer = affine(4, 4)
    model = Chain(layer, tanh, layer, sigmoid, layer)

    def theirs(p, x):
        for f in (torch.tanh, torch.sigmoid, lambda x: x):
            x = f(x @ p["0.W"] + p["0.b"])
        return x

    return model, theirs, [draw(3, 4)]


def close(got, want):
    want = want.numpy()
    assert got.shape == want.shape
    assert got.dtype == np.float32
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()


@pytest.mark.parametrize("make", [chain, two_layers, capacitor, stateful, sequence, stateful_in_a_chain, shared])
def test_gradients_are_those_of_torch(make):
    model, theirs, xs = make()
    ps = parameters(model)
    leaves = {name: torch.tensor(p.x, requires_grad=True) for name, p in ps.items()}
    inputs = [torch.tensor(x, requires_grad=True) for x in xs]
    want = theirs(leaves, *inputs)
    y = runmodel(model, *xs)
    many = isinstance(y, tuple)
    dys = [draw(*part.shape) for part in (y if many else (y,))]
    for ours, other in zip(y if many else (y,), want if many else (want,), strict=True):
        close(ours, other.detach())
    sum((part * torch.tensor(dy)).sum() for part, dy in zip(want if many else (want,), dys, strict=True)).backward()
    dxs = back(model, tuple(dys) if many else dys[0], *xs)
    for got, x in zip(dxs if len(xs) > 1 else (dxs,), inputs, strict=True):
        close(got, x.grad)
    assert ps
    for name, p in ps.items():
        close(p.dx, leaves[name].grad)
