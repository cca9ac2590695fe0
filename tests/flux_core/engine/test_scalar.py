"""Elementary functions of float32: accurate everywhere, the same bits at every place, vectors in the loop."""

import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from scipy import special

from flux_core.engine import Kernel
from flux_core.engine.compiler import compile_function
from flux_core.engine.kernel import KERNELS

LOOP = """
from numba import carray
from flux_core.engine.kernels.pointers import at
from flux_core.engine.kernels.scalar import {name}

def apply_{name}(arena, operands):
    size = operands[0]
    {views}
    y = carray(at(arena, operands[1]), size)
    for i in range(size):
        y[i] = {call}
"""

# In float64; each is written so that the reference itself loses nothing.
UNARY = {
    "absolute": np.abs,
    "erf": special.erf,
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "sign": np.sign,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
    "sqrt": np.sqrt,
    "tanh": np.tanh,
}
BINARY = {"maximum": np.maximum, "minimum": np.minimum, "power": np.power}
EXACT = {"absolute", "sign", "maximum", "minimum"}
ULPS = 4

SPECIAL = np.array(
    [0, 1, 2, 3, 0.5, 1.5, 2**-149, 2**-126, 1 + 2**-23, 1 - 2**-24, 2**23 + 1, 2**24, 3.4028235e38, np.inf, np.nan],
    np.float32,
)
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])
# Where ranges, formulas or results change.
TURNS = """0.34657 0.6931472 0.7071068 1.4142135 0.4142136 0.8813736 1e-10 3.92 4 9.01 10 16.6 17.3 20 87.3 88.7228 89
    103.28 103.97 104 104.5 6e-8 3e-8 8e-31 8.5e37 1.7e38"""
CORNERS = np.concatenate([SPECIAL, np.array(TURNS.split(), np.float32)])


def loop_over(name, text=LOOP):
    arguments = "xz" if name in BINARY else "x"
    views = [f"{a} = carray(at(arena, operands[{i + 2}]), size)" for i, a in enumerate(arguments)]
    call = f"{name}({', '.join(f'{a}[i]' for a in arguments)})"
    return Kernel(f"apply_{name}", text.format(name=name, views="\n    ".join(views), call=call))


def apply(store, kernel, *xs, out=None):
    y = np.empty_like(xs[0]) if out is None else out
    base = y.ctypes.data
    places = [(x.ctypes.data - base) // 4 for x in xs]
    operands = np.array([y.size, 0, *places])
    store.function(kernel)(base, operands.ctypes.data)
    return y


def ulps(y, reference):
    """Distances of float32 from float64, in units of the last place; inf counts as 2^128, what follows the largest.

    A NaN that is none in the other, or a zero of the other sign, is infinitely far.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        limit = 2.0**128
        right = np.clip(reference, -limit, limit)
        got = np.clip(y.astype(np.float64), -limit, limit)
        _, exponents = np.frexp(np.abs(right))
        distance = np.ldexp(np.abs(got - right), 24 - np.maximum(exponents, -125))
    wrong = (np.isnan(y) != np.isnan(reference)) | ((y == 0) & (np.signbit(y) != np.signbit(reference)))
    wrong &= ~(np.isnan(y) & np.isnan(reference))
    return np.where(wrong, np.inf, np.where(np.isnan(y), 0, distance))


def reference(name, *xs):
    with np.errstate(all="ignore"):
        return {**UNARY, **BINARY}[name](*(x.astype(np.float64) for x in xs))


def worst(store, kernel, name, *xs):
    """The largest distance and where it is."""
    found = ulps(apply(store, kernel, *xs), reference(name, *xs))
    i = found.argmax()
    return found[i], [x[i] for x in xs]


def neighbourhood(x, width=2000):
    """The floats on both sides of each number, up to `width` steps away, and those of the other sign."""
    patterns = x[:, None].view(np.int32) + np.arange(-width, width + 1, dtype=np.int32)
    floats = patterns.ravel().view(np.float32)
    return np.concatenate([floats, -floats])


@pytest.fixture(scope="module")
def sample():
    strided = np.arange(0, 2**32, 2**12 - 1, dtype=np.uint32).view(np.float32)
    return np.concatenate([strided, neighbourhood(CORNERS)])


@pytest.fixture(scope="module")
def pairs():
    """Bases and exponents: any; of results within float32; near 1 and large; with whole exponents; special ones."""
    rng, n = np.random.default_rng(0), 2**18
    patterns = rng.integers(0, 2**32, (2, n), dtype=np.uint32).view(np.float32)
    logs = rng.normal(0, 20, n)
    moderate = np.exp(logs), rng.uniform(-104, 89, n) / logs
    near_1 = 1 + rng.normal(0, 1e-3, n), rng.normal(0, 3e4, n)
    whole = rng.normal(0, 3, n), rng.integers(-40, 41, n)
    exotic = (x.ravel() for x in np.meshgrid(SPECIAL, SPECIAL))
    parts = [patterns, moderate, near_1, whole, exotic]
    with np.errstate(all="ignore"):
        return tuple(np.concatenate([x.astype(np.float32) for x in part]) for part in zip(*parts, strict=True))


@pytest.mark.parametrize("name", UNARY)
def test_within_4_ulp_all_over_float32(store, sample, name):
    error, where = worst(store, loop_over(name), name, sample)
    assert error <= (0 if name in EXACT else ULPS), where


@pytest.mark.parametrize("name", BINARY)
def test_within_4_ulp_for_pairs(store, pairs, name):
    error, where = worst(store, loop_over(name), name, *pairs)
    assert error <= (0 if name in EXACT else ULPS), where


@pytest.mark.slow
@pytest.mark.parametrize("name", UNARY)
def test_within_4_ulp_for_every_float32(store, name):
    kernel, chunk = loop_over(name), 2**16
    for begin in range(0, 2**32, chunk):
        x = np.arange(begin, begin + chunk, dtype=np.int64).astype(np.uint32).view(np.float32)
        error, where = worst(store, kernel, name, x)
        assert error <= (0 if name in EXACT else ULPS), where


@pytest.mark.parametrize("name", UNARY)
def test_special_values_are_those_of_numpy(store, name):
    y, expected = apply(store, loop_over(name), SPECIAL), reference(name, SPECIAL).astype(np.float32)
    same_kind(y, expected, SPECIAL)


@pytest.mark.parametrize("name", BINARY)
def test_special_pairs_are_those_of_numpy(store, name):
    x, z = (np.ascontiguousarray(part).ravel() for part in np.meshgrid(SPECIAL, SPECIAL))
    if name != "power":  # which of two zeros is the larger one is nobody's promise
        x, z = x[(x != 0) | (z != 0)], z[(x != 0) | (z != 0)]
    y = apply(store, loop_over(name), x, z)
    with np.errstate(all="ignore"):
        same_kind(y, BINARY[name](x, z), (x, z))


def same_kind(y, expected, where):
    """NaN, zeros, infinities and ones are where they should be, signs included."""
    exact = ~np.isfinite(expected) | np.isin(expected, [0, 1, -1])
    np.testing.assert_array_equal(y[exact], expected[exact], str(where))
    number = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(y)[number], np.signbit(expected)[number], str(where))


# A coefficient off by a few percent, or a constant by a unit in its last digits.
FAULTS = {
    "exp": ("0.00019629751", "0.00021"),
    "sigmoid": ("0.0014104778", "0.00142"),
    "expm1": ("0.008366112", "0.00838"),
    "tanh": ("0.16666548", "0.16669"),
    "erf": ("-0.6366153", "-0.6366"),
    "log": ("0.12762262", "0.129"),
    "log1p": ("-0.07636431", "-0.079"),
    "softplus": ("0.14201577", "0.1423"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_coefficient_that_is_off_is_noticed(store, sample, name):
    error, _ = worst(store, faulty(name, *FAULTS[name]), name, sample)
    assert error > ULPS


@pytest.mark.parametrize(("right", "wrong"), [("0.20000486", "0.2001"), ("1.42860682030941723e-6", "1.45e-6")])
def test_a_coefficient_of_power_that_is_off_is_noticed(store, pairs, right, wrong):
    error, _ = worst(store, faulty("power", right, wrong), "power", *pairs)
    assert error > ULPS


def faulty(name, right, wrong):
    """The loop over a function in whose text one number is replaced."""
    loop = loop_over(name)
    files = [(KERNELS / f"{file}.py").read_text() for file in ("exponential", "power", "scalar")]
    text = re.sub(
        r"from (__future__|flux_core\.engine\.kernels\.(exponential|power|scalar)) import (\([^)]*\)|.*)\n",
        "",
        "\n".join([*files, loop.source]),
    )
    assert text.count(right) == 1
    return Kernel(loop.name, text.replace(right, wrong))


PLACED = LOOP.replace("y[i] = {call}", "y[i] = {call} * np.float32(1 + 1e-6 * (i >= size - size % 4))")


@pytest.fixture(scope="module")
def mixed():
    """All kinds of numbers, so that each place sees each kind."""
    rng = np.random.default_rng(1)
    x = rng.normal(0, 3, 512).astype(np.float32)
    x[::7] = rng.integers(0, 2**32, x[::7].size, dtype=np.uint32).view(np.float32)
    x[::11] = rng.choice(CORNERS, x[::11].size)
    return x


def differ(store, kernel, *xs):
    """Places (offset, length) at which a loop over a part gives other bits than the loop over all."""
    whole, out = apply(store, kernel, *xs).view(np.int32), np.empty(256, np.float32)
    found = []
    for length in range(1, 68):
        for offset in (0, 1, 3, 5, 8, 13, 16, 31, 200):
            part = slice(offset, offset + length)
            y = apply(store, kernel, *(x[part] for x in xs), out=out[offset % 7 :][:length])
            if not np.array_equal(y.view(np.int32), whole[part]):
                found.append((offset, length))
    return found


@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_the_bits_do_not_depend_on_the_place(store, mixed, name):
    xs = (mixed, np.roll(mixed, 5)) if name in BINARY else (mixed,)
    assert differ(store, loop_over(name), *xs) == []


def test_bits_that_depend_on_the_place_are_noticed(store, mixed):
    loop = loop_over("exp", PLACED.replace("from numba", "import numpy as np\nfrom numba"))
    assert differ(store, loop, mixed)


@pytest.mark.skipif(
    not {"avx2", "fma"} <= {name for name, present in llvm.get_host_cpu_features().items() if present},
    reason="looks for the instructions of AVX2 and later",
)
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_a_loop_becomes_vector_instructions(name):
    loops = inner_loops(assembly(loop_over(name)))
    vectors = [loop for loop in loops if re.search("%[yz]mm", loop)]
    assert vectors
    assert not any(re.search(r"\bcall|%xmm.*sd\b|pd\b", loop) for loop in loops)
    if name not in EXACT:
        assert re.search(r"\tv(f|sqrt|mul)\w*ps\t.*%[yz]mm", vectors[0])


def test_a_loop_that_calls_is_no_vector_loop():
    source = loop_over("exp").source.replace("from flux_core.engine.kernels.scalar import exp", "from math import erf")
    loops = inner_loops(assembly(Kernel("apply_exp", source.replace("exp(x[i])", "erf(x[i])"))))
    assert all("call" in loop for loop in loops)


def assembly(kernel):
    """The instructions that this machine gets."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3)
    return machine.emit_assembly(llvm.parse_assembly(compile_function(kernel).inspect_llvm()))


def inner_loops(text):
    """Blocks that end in a jump to their own beginning."""
    blocks = re.findall(r"^(\.LBB\d+_\d+):(.*?)(?=^\.LBB|^\.Lfunc_end|\Z)", text, re.MULTILINE | re.DOTALL)
    return [body for label, body in blocks if re.search(rf"\tj\w+\t{re.escape(label)}\n", body)]
