"""Declared nets against the same equations in NumPy, and what is said about definitions that cannot be."""

import numpy as np
import pytest

from flux_core import Chain, FormulaError, GraphError, ShapeError, back, declare, infer, parameters, runmodel
from flux_core.layers import Affine, initialise
from flux_core.layers.init import draws
from flux_core.model.unroll import unroll
from flux_core.passes import Type, laid_out, step_types

GATED = """
    f = sigmoid(x @ Wf + h[-1] @ Uf + bf)
    c = tanh(x @ Wh + (f * h[-1]) @ Uh + bh)
    h = (1 - f) * h[-1] + f * c
    return h
"""
GATED_PARAMS = {
    "Wf": ["in", "out"],
    "Uf": ["out", "out"],
    "bf": {"shape": ["out"], "init": "ones"},
    "Wh": ["in", "out"],
    "Uh": ["out", "out"],
    "bh": ["out"],
}
STEPS, BATCH, FEATURES, UNITS = 5, 3, 4, 6


def in_float64(model):
    """The model with fresh float64 weights, and the weights by name."""
    rng = np.random.default_rng(3)
    weights = parameters(model)
    for p in weights.values():
        p.x = rng.standard_normal(p.shape)
        p.dx = np.zeros_like(p.x)
    return {name.rpartition(".")[2]: p.x for name, p in weights.items()}


def built(layer, *shape, kind="float"):
    layer.build(Type(shape, kind), draws(0))
    return layer


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run(cell, xs):
    """The outputs of all steps of an unrolled cell."""
    return np.stack(runmodel(unroll(cell, len(xs)), tuple(xs)))


def test_a_minimal_gated_unit_is_its_equations():
    cell = built(
        declare("Gated", arguments={"out": 64}, params=GATED_PARAMS, state={"h": ["out"]}, forward=GATED)(6), 1, 4
    )
    w = in_float64(cell)
    xs = np.random.default_rng(0).standard_normal((STEPS, BATCH, FEATURES))
    h, wanted = np.zeros((BATCH, UNITS)), []
    for x in xs:
        f = sigmoid(x @ w["Wf"] + h @ w["Uf"] + w["bf"])
        c = np.tanh(x @ w["Wh"] + (f * h) @ w["Uh"] + w["bh"])
        h = (1 - f) * h + f * c
        wanted.append(h)
    np.testing.assert_allclose(run(cell, xs), wanted, rtol=0, atol=1e-9)
