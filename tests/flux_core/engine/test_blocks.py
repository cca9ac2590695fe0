"""Products by blocks in registers: against float64, for every kind of edge, with vectors of both lengths."""

import subprocess
import sys

import numpy as np
import pytest

from flux_core.engine import tiles
from flux_core.engine.blas import sgemm_address
from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import Instruction
from flux_core.engine.store import default_store

GEMM = Kernel.written("gemm", "gemm")
SIZES = [1, 2, 3, 5, 6, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 64, 65]


def call(memory, operands):
    default_store().function(GEMM)(memory.ctypes.data, np.array(operands, np.int64).ctypes.data)


def check(m, n, k, ta, beta, gap=0):
    """One product in memory of which not a number more may be written; rows lie `gap` apart."""
    lda, ldb, ldc = (m if ta else k) + gap, max(n + gap, 32), n + gap  # narrower ones go to the BLAS
    rows = k if ta else m
    b, c = rows * lda, rows * lda + k * ldb
    memory = np.random.default_rng([m, n, k, ta, beta]).standard_normal(c + m * ldc + 64).astype(np.float32)
    before = memory.copy()
    a = memory[:b].reshape(rows, lda)[:, : m if ta else k].astype(np.float64)
    whole = memory[c : c + m * ldc].reshape(m, ldc)
    wanted = (a.T if ta else a) @ memory[b:c].reshape(k, ldb)[:, :n] + beta * whole[:, :n]
    call(memory, (sgemm_address(), ta, 0, m, n, k, 0, lda, b, ldb, beta, c, ldc))
    np.testing.assert_allclose(whole[:, :n], wanted, rtol=0, atol=2e-6 * np.abs(wanted).max() * max(4, k**0.5))
    whole[:, :n] = before[c : c + m * ldc].reshape(m, ldc)[:, :n]
    np.testing.assert_array_equal(memory, before)


@pytest.mark.parametrize("beta", [0, 1])
@pytest.mark.parametrize("ta", [0, 1])
def test_every_edge(ta, beta):
    for m in SIZES:
        for n in SIZES:
            check(m, n, 7, ta, beta)
    for k in (1, 2, 255, 256, 257, 513):
        check(9, 33, k, ta, beta)
        check(17, 20, k, ta, beta, gap=5)


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize(("m", "n", "k"), [(1, 1, 1), (7, 33, 5), (9, 64, 300), (32, 70, 17)])
def test_packed(m, n, k, transposed):
    """B in panels gives what B where it lies does, to the bit."""
    rng = np.random.default_rng([m, n, k])
    a, b = rng.standard_normal((m, k)).astype(np.float32), rng.standard_normal((k, n)).astype(np.float32)
    panels = -(-n // 32) * 32 * k
    lies = b.T if transposed else b
    sizes = np.cumsum([0, m * k, k * n, panels, m * n])
    memory = np.concatenate([a.ravel(), lies.ravel(), np.full(panels + 2 * m * n, np.nan, np.float32)])
    pack = default_store().function(Kernel.written("pack", "gemm"))
    words = np.array([sizes[1], k if transposed else n, transposed, k, n, sizes[2]], np.int64)
    pack(memory.ctypes.data, words.ctypes.data)
    call(memory, (sgemm_address(), 0, 2, m, n, k, 0, k, sizes[2], 32, 0, sizes[3], n))
    memory[sizes[1] : sizes[2]] = b.ravel()
    if n >= 32:
        call(memory, (sgemm_address(), 0, 0, m, n, k, 0, k, sizes[1], n, 0, sizes[4], n))
    else:
        memory[sizes[4] :] = memory[sizes[3] : sizes[4]]
        np.testing.assert_allclose(memory[sizes[4] :].reshape(m, n), a @ b, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(memory[sizes[3] : sizes[4]], memory[sizes[4] :])


def test_nothing_to_sum_is_zero():
    memory = np.ones(16, np.float32)
    call(memory, (sgemm_address(), 0, 0, 2, 3, 0, 0, 1, 0, 3, 0, 4, 3))
    np.testing.assert_array_equal(memory[4:10], 0)


def test_a_nan_spreads_to_its_row_and_column_only():
    memory = np.ones(4 * 5 + 5 * 6 + 4 * 6, np.float32)
    memory[5 + 2] = np.nan  # A[1, 2]
    call(memory, (sgemm_address(), 0, 0, 4, 6, 5, 0, 5, 20, 6, 0, 50, 6))
    found = np.isnan(memory[50:].reshape(4, 6))
    assert found[1].all()
    assert not found[[0, 2, 3]].any()


@pytest.mark.parametrize(("m", "n"), [(64, 48), (40, 96)])
def test_cuts_change_no_bit(m, n, monkeypatch):
    k = 300
    memory = np.random.default_rng(0).standard_normal(m * k + k * n + m * n).astype(np.float32)
    whole = Instruction(GEMM, (sgemm_address(), 0, 0, m, n, k, 0, k, m * k, n, 0, m * k + k * n, n), "matmul")
    ends = []
    for parts in (1, 2, 3):
        monkeypatch.setattr(tiles, "LEAST", 0)
        monkeypatch.setattr(tiles, "PRODUCT", ((1.0, parts),))
        cut = tiles.tiled([whole])[0]
        assert len(cut) == parts
        for tile in cut:
            call(memory, tile.operands)
        ends.append(memory[m * k + k * n :].copy())
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])


SHORT = """
import llvmlite.binding as llvm
features = llvm.get_host_cpu_features()
features["avx512f"] = False
llvm.get_host_cpu_features = lambda: features
import sys
sys.path.insert(0, {here!r})
import test_blocks
from flux_core.engine.kernels import blocks
assert blocks.LANES == 8
for ta in (0, 1):
    for m, n, k in ((1, 1, 1), (7, 17, 5), (13, 33, 257), (6, 16, 3), (12, 40, 300)):
        test_blocks.check(m, n, k, ta, 0)
        test_blocks.check(m, n, k, ta, 1)
"""


def test_short_vectors(tmp_path, request):
    """The blocks of a machine with vectors of half the length."""
    code = SHORT.format(here=str(request.path.parent))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"FLUXRUN_CACHE": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
