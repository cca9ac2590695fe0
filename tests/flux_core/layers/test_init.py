"""Initial weights: their moments, their structure, and that they depend on seed and path alone."""

import numpy as np
import pytest
from scipy import stats

from flux_core.layers import INITIALISERS, Affine, Chain, initial, initialise
from flux_core.layers.init import draws
from flux_core.philox import Stream

STREAM = Stream.of(0, "init", "W")


@pytest.mark.parametrize(
    ("init", "shape", "deviation", "shaped"),
    [
        ("glorot", (300, 200), (6 / 500) ** 0.5 / 3**0.5, "uniform"),
        ({"glorot": {"gain": 2.0}}, (300, 200), 2 * (6 / 500) ** 0.5 / 3**0.5, "uniform"),
        ("he", (300, 200), (2 / 300) ** 0.5, "norm"),
        ("he", (3, 3, 40, 100), (2 / 360) ** 0.5, "norm"),
        ("normal", (300, 200), 0.05, "norm"),
        ({"normal": {"std": 0.02}}, (300, 200), 0.02, "norm"),
        ({"uniform": {"limit": 0.3}}, (300, 200), 0.3 / 3**0.5, "uniform"),
    ],
)
def test_moments_and_distributions(init, shape, deviation, shaped):
    values = initial(init, shape, STREAM)
    assert values.shape == shape
    assert values.dtype == np.float32
    flat = values.ravel().astype(np.float64)
    assert abs(flat.mean()) < 4 * deviation / flat.size**0.5
    assert abs(flat.std() / deviation - 1) < 0.02
    spread = {"uniform": (-deviation * 3**0.5, 2 * deviation * 3**0.5), "norm": (0, deviation)}[shaped]
    assert stats.kstest(flat[:5000], shaped, spread).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(20, 20), (30, 10), (10, 30), (3, 3, 5, 8), (7,)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal_rows_or_columns(shape, gain):
    w = initial({"orthogonal": {"gain": gain}}, shape, STREAM).astype(np.float64).reshape(-1, shape[-1])
    gram = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(gram, gain**2 * np.eye(len(gram)), atol=1e-5 * gain**2)


def test_constants():
    np.testing.assert_array_equal(initial("zeros", (2, 3), STREAM), np.zeros((2, 3)))
    np.testing.assert_array_equal(initial("ones", (2, 3), STREAM), np.ones((2, 3)))
    layer = Affine(3, 2, init="ones", bias_init={"normal": {"std": 1.0}})
    assert (layer.W.x == 1).all()
    assert layer.b.x.any()
    assert not Affine(3, 2).b.x.any()


@pytest.mark.parametrize("name", INITIALISERS)
def test_weights_are_a_function_of_seed_path_and_name(name):
    def drawn(seed=0, path="1", what="W"):
        return draws(seed, path)(what, (6, 5), name)

    np.testing.assert_array_equal(drawn(), drawn())
    if name not in ("zeros", "ones"):
        for other in (drawn(seed=1), drawn(path="2"), drawn(what="b")):
            assert (drawn() != other).mean() > 0.9


def test_a_nested_layer_has_a_path_of_its_own():
    flat = initialise(Chain(Affine(3), Affine(3)), (1, 3), seed=5)
    nested = initialise(Chain(Chain(Affine(3)), Affine(3)), (1, 3), seed=5)
    np.testing.assert_array_equal(nested[1].W.x, flat[1].W.x)
    assert (nested[0][0].W.x != flat[0].W.x).any()
    assert (flat[0].W.x != flat[1].W.x).any()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="no initialiser 'xavier'; there are glorot, he, normal"):
        initial("xavier", (2, 2), STREAM)
    with pytest.raises(TypeError, match="limit"):
        initial({"normal": {"limit": 1.0}}, (2, 2), STREAM)
