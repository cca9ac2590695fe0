"""Recurrent layers against PyTorch's with the same weights, in float64: values, and gradients of inputs and weights."""

import numpy as np
import pytest

from flux_core.layers import gru, initialise, lstm, recurrent
from flux_core.model import back, parameters

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install '.[bench]'")

N_IN, N, STEPS, BATCH = 3, 4, 6, 2
RNG = np.random.default_rng(4)
# torch's order of the gates, as numbers of ours
ORDER = {"recurrent": [0], "gru": [0, 1, 2], "lstm": [0, 1, 3, 2]}
MAKERS = {
    "recurrent": (recurrent, torch.nn.RNN),
    "gru": (gru, torch.nn.GRU),
    "lstm": (lstm, torch.nn.LSTM),
}


def gates(array, name):
    """Our fused weights as torch's: (gates · n, ...), gate by gate."""
    parts = np.split(array, len(ORDER[name]), -1)
    return np.concatenate([parts[i] for i in ORDER[name]], -1).T


def torch_weights(cell, name, field):
    """Torch's four weights of a cell, from the values (`x`) or the gradients (`dx`) of ours."""
    w, u, b = (gates(getattr(getattr(cell, part), field), name) for part in ("W", "U", "b"))
    inside = np.zeros_like(b)
    if name == "gru":  # the candidate's own bias stands inside of the reset
        inside[2 * N :] = getattr(cell.d, field)
    return {"weight_ih": w, "weight_hh": u, "bias_ih": b, "bias_hh": inside}


def pair(name, **arguments):
    ours, theirs = MAKERS[name]
    layer = initialise(ours(N, **arguments), (BATCH, STEPS, N_IN))
    for p in parameters(layer).values():
        p.x = p.x + 0.3 * RNG.standard_normal(p.shape)
        p.dx = np.zeros_like(p.x)
    options = {"num_layers": arguments.get("layers", 1), "bidirectional": arguments.get("bidirectional", False)}
    if "activation" in arguments:
        options["nonlinearity"] = arguments["activation"]
    other = theirs(N_IN, N, batch_first=True, **options).double()
    for i, runs in enumerate(layer.runs):
        for run in runs:
            for key, value in torch_weights(run.model, name, "x").items():
                getattr(other, suffixed(key, i, run)).data = torch.tensor(np.ascontiguousarray(value))
    return layer, other


def suffixed(key, i, run):
    return f"{key}_l{i}{'_reverse' if run.reverse else ''}"


def close(got, want):
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 1e-9 * max(1, np.abs(want).max())


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "arguments", [{}, {"layers": 2}, {"bidirectional": True}, {"layers": 3, "bidirectional": True}]
)
def test_values_and_gradients_are_those_of_torch(name, arguments):
    layer, other = pair(name, **arguments)
    x = RNG.standard_normal((BATCH, STEPS, N_IN))
    leaf = torch.tensor(x, requires_grad=True)
    want, _ = other(leaf)
    got = layer(x)
    close(got, want.detach().numpy())
    dy = RNG.standard_normal(got.shape)
    want.backward(torch.tensor(dy))
    close(back(layer, dy, x), leaf.grad.numpy())
    for i, runs in enumerate(layer.runs):
        for run in runs:
            for key, value in torch_weights(run.model, name, "dx").items():
                slopes = getattr(other, suffixed(key, i, run)).grad.numpy()
                if (name, key) == ("gru", "bias_hh"):  # of the gates, torch keeps the sum of two biases
                    value, slopes = value[2 * N :], slopes[2 * N :]
                elif key == "bias_hh":
                    continue
                close(value, slopes)


def test_relu_is_that_of_torch():
    layer, other = pair("recurrent", activation="relu")
    x = RNG.standard_normal((BATCH, STEPS, N_IN))
    close(layer(x), other(torch.tensor(x))[0].detach().numpy())
    layer, other = pair("lstm", bidirectional=True)
    ahead, behind = layer.runs[0]
    behind.reverse = False  # a planted reversal
    with pytest.raises(AssertionError):
        close(layer(x), other(torch.tensor(x))[0].detach().numpy())
    assert not ahead.reverse
