"""Blocks of a product, kept in registers while they grow: C[:rows, :columns] += a[:, k] b[k, :] for every k in turn.

           b[k]  ████████ ████████          two vectors of B, read once
    a[0,k] ░     ▒▒▒▒▒▒▒▒ ▒▒▒▒▒▒▒▒          and one number of A for each row
    a[1,k] ░     ▒▒▒▒▒▒▒▒ ▒▒▒▒▒▒▒▒          make as many steps of C as fit into the registers

Every element of C is the sum over k in order, in fused steps, wherever its block begins: how a product is cut
changes no bit of it. After Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

from flux_core.engine.kernels.pointers import at, floats

types: Any = import_module("numba.types")

WIDE = bool(llvm.get_host_cpu_features().get("avx512f"))
LANES = 16 if WIDE else 8  # of a vector
TALL = 8 if WIDE else 6  # rows of a block; with two vectors each they leave room for B and one number of A
DEEP = 256  # steps of k after which C is put down: so much of B stays in the nearest cache

REAL, WHOLE, INDEX = ir.FloatType(), ir.IntType(64), ir.IntType(32)
VECTOR, MASK = ir.VectorType(REAL, LANES), ir.VectorType(ir.IntType(1), LANES)


def _block(rows: int, vectors: int, masked: bool) -> Any:
    """block(a, row step, k step, b, its row length, c, its row length, k, columns, add): one block of C.

    `columns` counts those of a masked block, which has one vector; `add` says whether to add to what C holds.
    """

    def typed(
        typing: Any, a: Any, down: Any, along: Any, b: Any, ldb: Any, c: Any, ldc: Any, k: Any, columns: Any, add: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _Writer(builder, rows, vectors, masked).write(*arguments)
            return context.get_dummy_value()

        whole = types.int64
        return types.void(floats, whole, whole, floats, whole, floats, whole, whole, whole, whole), generate

    return intrinsic(typed)


class _Writer:
    """Writes the instructions of one block."""

    def __init__(self, builder: Any, rows: int, vectors: int, masked: bool) -> None:
        self.builder, self.rows, self.vectors, self.masked = builder, rows, vectors, masked
        self.mask: Any = None

    def write(
        self, a: Any, down: Any, along: Any, b: Any, ldb: Any, c: Any, ldc: Any, k: Any, columns: Any, add: Any
    ) -> None:
        """The loop over k, and around it what C held and what it holds then."""
        build = self.builder
        if self.masked:
            numbers = ir.Constant(ir.VectorType(WHOLE, LANES), list(range(LANES)))
            self.mask = build.icmp_signed("<", numbers, self._everywhere(columns, WHOLE))
        starts = [build.gep(a, [build.mul(down, ir.Constant(WHOLE, r))]) for r in range(self.rows)]
        targets = [
            [build.gep(c, [build.add(build.mul(ldc, ir.Constant(WHOLE, r)), ir.Constant(WHOLE, v * LANES))])]
            for r in range(self.rows)
            for v in range(self.vectors)
        ]
        entry, held = build.block, build.append_basic_block("held")
        loop, done = build.append_basic_block("loop"), build.append_basic_block("done")
        build.cbranch(build.icmp_signed("!=", add, ir.Constant(WHOLE, 0)), held, loop)
        build.position_at_end(held)
        before = [self._load(place) for (place,) in targets]
        build.branch(loop)
        build.position_at_end(loop)
        step = build.phi(WHOLE)
        sums = [build.phi(VECTOR) for _ in targets]
        for block in (entry, held):
            step.add_incoming(ir.Constant(WHOLE, 0), block)
        for total, value in zip(sums, before, strict=True):
            total.add_incoming(ir.Constant(VECTOR, [0.0] * LANES), entry)
            total.add_incoming(value, held)
        row = build.gep(b, [build.mul(step, ldb)])
        vectors = [self._load(build.gep(row, [ir.Constant(WHOLE, v * LANES)])) for v in range(self.vectors)]
        forward = build.mul(step, along)
        after = []
        for r, start in enumerate(starts):
            number = build.load(build.gep(start, [forward]))
            number.align = 4
            everywhere = self._everywhere(number, REAL)
            for v, vector in enumerate(vectors):
                after.append(build.call(self._fused(), [everywhere, vector, sums[r * self.vectors + v]]))
        following = build.add(step, ir.Constant(WHOLE, 1))
        step.add_incoming(following, build.block)
        for total, value in zip(sums, after, strict=True):
            total.add_incoming(value, build.block)
        build.cbranch(build.icmp_signed("<", following, k), loop, done)
        build.position_at_end(done)
        for value, (place,) in zip(after, targets, strict=True):
            self._store(value, place)

    def _everywhere(self, number: Any, kind: Any) -> Any:
        """A vector of the same number."""
        nothing = ir.Constant(ir.VectorType(kind, LANES), ir.Undefined)
        first = self.builder.insert_element(nothing, number, ir.Constant(INDEX, 0))
        return self.builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(INDEX, LANES), [0] * LANES))

    def _load(self, place: Any) -> Any:
        pointer = self.builder.bitcast(place, VECTOR.as_pointer())
        if self.masked:
            kinds = [VECTOR.as_pointer(), INDEX, MASK, VECTOR]
            function = self._function(f"llvm.masked.load.v{LANES}f32.p0", ir.FunctionType(VECTOR, kinds))
            zeros = ir.Constant(VECTOR, [0.0] * LANES)
            return self.builder.call(function, [pointer, ir.Constant(INDEX, 4), self.mask, zeros])
        value = self.builder.load(pointer)
        value.align = 4
        return value

    def _store(self, value: Any, place: Any) -> None:
        pointer = self.builder.bitcast(place, VECTOR.as_pointer())
        if self.masked:
            kinds = [VECTOR, VECTOR.as_pointer(), INDEX, MASK]
            function = self._function(f"llvm.masked.store.v{LANES}f32.p0", ir.FunctionType(ir.VoidType(), kinds))
            self.builder.call(function, [value, pointer, ir.Constant(INDEX, 4), self.mask])
        else:
            self.builder.store(value, pointer).align = 4

    def _fused(self) -> Any:
        """a b + c, rounded once where the machine can."""
        return self._function(f"llvm.fmuladd.v{LANES}f32", ir.FunctionType(VECTOR, [VECTOR] * 3))

    def _function(self, name: str, kind: Any) -> Any:
        module = self.builder.module
        return module.globals.get(name) or ir.Function(module, kind, name)


tall, four, two, one = (_block(rows, 2, False) for rows in (TALL, 4, 2, 1))
tall_masked, one_masked = (_block(rows, 1, True) for rows in (TALL, 1))  # seldom used, and each takes long to compile


@njit(error_model="numpy", forceinline=True)
def full_columns(a: Any, down: Any, along: Any, b: Any, ldb: Any, c: Any, ldc: Any, m: Any, k: Any, add: Any) -> None:
    """C (m, two vectors)."""
    i = 0
    while i + TALL <= m:
        tall(at(a, i * down), down, along, b, ldb, at(c, i * ldc), ldc, k, 0, add)
        i += TALL
    if i + 4 <= m:
        four(at(a, i * down), down, along, b, ldb, at(c, i * ldc), ldc, k, 0, add)
        i += 4
    if i + 2 <= m:
        two(at(a, i * down), down, along, b, ldb, at(c, i * ldc), ldc, k, 0, add)
        i += 2
    if i < m:
        one(at(a, i * down), down, along, b, ldb, at(c, i * ldc), ldc, k, 0, add)


@njit(error_model="numpy", forceinline=True)
def some_columns(
    a: Any, down: Any, along: Any, b: Any, ldb: Any, c: Any, ldc: Any, m: Any, k: Any, columns: Any, add: Any
) -> None:
    """C (m, columns), at most one vector."""
    i = 0
    while i + TALL <= m:
        tall_masked(at(a, i * down), down, along, b, ldb, at(c, i * ldc), ldc, k, columns, add)
        i += TALL
    while i < m:
        one_masked(at(a, i * down), down, along, b, ldb, at(c, i * ldc), ldc, k, columns, add)
        i += 1


@njit(error_model="numpy", forceinline=True)
def product(
    a: Any, down: Any, along: Any, b: Any, ldb: Any, c: Any, ldc: Any, m: Any, n: Any, k: Any, add: Any
) -> None:
    """C (m, n) = A B, or with `add` C + A B; A's element (i, k) lies at i · down + k · along, k is 1 or more."""
    for begin in range(0, k, DEEP):
        deep, more = min(DEEP, k - begin), add or begin > 0
        j = 0
        while j + 2 * LANES <= n:
            part = at(b, begin * ldb + j)
            full_columns(at(a, begin * along), down, along, part, ldb, at(c, j), ldc, m, deep, more)
            j += 2 * LANES
        while j < n:
            part = at(b, begin * ldb + j)
            some_columns(at(a, begin * along), down, along, part, ldb, at(c, j), ldc, m, deep, min(LANES, n - j), more)
            j += LANES
