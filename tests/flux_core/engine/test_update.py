"""The fused update against its meaning in NumPy, to the bit, and the norm against a long sum."""

import dataclasses
import re
from math import inf, nan

import numpy as np
import pytest

from flux_core.engine import fused_update, gradient_norm
from flux_core.engine.compiler import compile_function
from flux_core.engine.kernel import Kernel
from flux_core.engine.update import update_kernel
from flux_core.optim import OPTIMIZERS, adam, sgd
from flux_core.optim import rules as rule_table

SIZES = [0, 1, 7, 64, 1003]
OPTIONS = {
    "plain": {},
    "scaled": {"scale": 0.37},
    "clipped": {"clip_value": 0.5},
    "scaled and clipped": {"scale": 3.1, "clip_value": 1.25},
}


def both(optimizer, update, n, decayed, steps=5, **options):
    """Run the meaning and the loop side by side; returns their arrays."""
    rng = np.random.default_rng(n)
    x = rng.standard_normal(n, dtype=np.float32)
    ours, theirs = (x.copy(), optimizer.init(n)), (x.copy(), optimizer.init(n))
    for step in range(steps):
        g = rng.standard_normal(n, dtype=np.float32)
        rate = 0.1 / (step + 1)
        h = g.copy()
        arguments = {"learning_rate": rate, "decayed": decayed, **options}
        ours = (ours[0], update(ours[1], ours[0], g, **arguments))
        theirs = (theirs[0], optimizer.update(theirs[1], theirs[0], h, **arguments))
        np.testing.assert_array_equal(g, 0)
    assert ours[1].step == theirs[1].step == steps
    return [[x, *state.slots.values()] for x, state in (ours, theirs)]


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("weight_decay", [0.0, 0.03])
@pytest.mark.parametrize("options", OPTIONS)
def test_fused_is_the_meaning_to_the_bit(store, name, weight_decay, options):
    optimizer = OPTIMIZERS[name](weight_decay=weight_decay)
    update = fused_update(optimizer, store)
    for n in SIZES:
        for decayed in {0, n // 3, n}:
            ours, theirs = both(optimizer, update, n, decayed, **OPTIONS[options])
            for mine, its in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(mine.view(np.int32), its.view(np.int32))


FAULTS = {  # each a small slip in the text of a rule or of the loop
    "beta1 * mean + rest1 * g": "beta1 * mean + rest1 * g * beta2",
    "scale * g[i]": "g[i]",
    "dx + decay * x[i]": "dx",
    "operands[0] + decayed": "operands[0]",
    "np.minimum(np.maximum(g, -limit), limit)": "np.minimum(g, limit)",
}


@pytest.mark.parametrize("right", FAULTS)
def test_a_planted_fault_is_caught(store, monkeypatch, right):
    source = update_kernel(adam()).source
    assert right in source
    wrong = Kernel("update_adam", source.replace(right, FAULTS[right]))
    monkeypatch.setattr("flux_core.engine.update.update_kernel", lambda optimizer: wrong)
    optimizer = adam(weight_decay=0.1)
    ours, theirs = both(optimizer, fused_update(optimizer, store), 64, 20, scale=0.5, clip_value=0.3)
    assert not np.array_equal(ours[0], theirs[0])


def test_a_nan_and_an_infinity_pass_as_they_do_in_the_meaning(store):
    optimizer = sgd(weight_decay=0.1)
    x, g = np.float32([1, 1, inf, inf]), np.float32([nan, inf, 1, 1])
    y, h = x.copy(), g.copy()
    state = optimizer.init(4)
    fused_update(optimizer, store)(state, x, g, learning_rate=0.1, clip_value=0.5, decayed=3)
    optimizer.update(state, y, h, learning_rate=0.1, clip_value=0.5, decayed=3)
    np.testing.assert_array_equal(x, y)
    np.testing.assert_array_equal(x[[0, 3]], [nan, inf])


def test_the_loop_works_on_views_of_one_arena(store):
    """As in training: parameters, gradients and slots are pieces of one array, and what lies between is untouched."""
    arena = np.full(400, 9, np.float32)
    x, g, mean, square = (arena[begin : begin + 50] for begin in (300, 100, 200, 10))
    x[:], g[:], mean[:], square[:] = 1, 2, 0, 0
    optimizer = adam()
    state = dataclasses.replace(optimizer.init(0), slots={"mean": mean, "square": square})
    fused_update(optimizer, store)(state, x, g, learning_rate=0.5, decayed=50)
    np.testing.assert_allclose(x, 0.5, rtol=1e-6)
    np.testing.assert_array_equal(g, 0)
    assert np.count_nonzero(arena == 9) == 200


@pytest.mark.parametrize(
    ("x", "g", "decayed"),
    [
        (np.zeros(4), np.zeros(4), 4),
        (np.zeros(4, np.float32), np.zeros(5, np.float32), 4),
        (np.zeros(8, np.float32)[::2], np.zeros(4, np.float32), 4),
        (np.zeros((2, 2), np.float32), np.zeros(4, np.float32), 4),
        (np.zeros(4, np.float32), np.zeros(4, np.float32), 5),
        (np.zeros(4, np.float32), np.zeros(4, np.float32), -1),
    ],
)
def test_what_machine_code_would_spoil_is_refused(store, x, g, decayed):
    optimizer = sgd()
    with pytest.raises(ValueError, match=r"float32|decayed"):
        fused_update(optimizer, store)(optimizer.init(4), x, g, learning_rate=0.1, decayed=decayed)


@pytest.mark.parametrize("n", [0, 1, 17, 4096, 4097, 100_000])
def test_norm_equals_a_float64_sum(store, n):
    g = np.random.default_rng(0).standard_normal(n, dtype=np.float32)
    assert gradient_norm(g, store) == pytest.approx(np.sqrt(np.sum(g.astype(np.float64) ** 2)), rel=1e-13)


def test_norm_has_no_overflow_keeps_nan_and_repeats_its_bits(store):
    assert gradient_norm(np.full(10, 1e38, np.float32), store) == pytest.approx(np.sqrt(10) * 1e38, rel=1e-7)
    g = np.random.default_rng(0).standard_normal(10_000, dtype=np.float32)
    shifted = np.empty(10_001, np.float32)[1:]  # another alignment
    shifted[:] = g
    assert gradient_norm(g, store) == gradient_norm(shifted, store)
    for place in (0, 5000, 9999):
        h = g.copy()
        h[place] = nan
        assert np.isnan(gradient_norm(h, store))


def test_norm_of_another_dtype_is_refused(store):
    with pytest.raises(ValueError, match="float64"):
        gradient_norm(np.zeros(3), store)


def has_avx2():
    import llvmlite.binding as llvm

    return llvm.get_host_cpu_features().get("avx2", False)


needs_avx2 = pytest.mark.skipif(not has_avx2(), reason="reads the assembly of x86 CPUs with AVX2")


@needs_avx2
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_loop_is_vectorised(name):
    """Both loops work on whole vectors (ymm or zmm), roots and quotients included."""
    optimizer = OPTIMIZERS[name]()
    assembly = compile_function(update_kernel(optimizer))._library.get_asm_str()
    wide = re.findall(r"^\s+(v\w+)\s.*%[yz]mm\d+\b", assembly, re.MULTILINE)
    adaptive = optimizer.rule.step in (rule_table.rmsprop_step, rule_table.adam_step)
    for operation in ("vmulps", "vsubps", *(("vdivps", "vsqrtps") if adaptive else ())):
        assert wide.count(operation) >= 2, operation


@needs_avx2
def test_the_sum_of_squares_is_vectorised():
    assembly = compile_function(Kernel.written("squares_of_chunks", "norm"))._library.get_asm_str()
    assert re.search(r"v(fmadd\w+|mul)pd\s.*%[yz]mm", assembly)
