"""C = op(A) op(B) + beta C: by blocks of our own where B is narrow, else by the address of a BLAS' sgemm.

A BLAS packs both matrices before it multiplies. Of matrices as small as those of most layers that is a third of its
time; read where they lie they are quicker, as long as the rows of B fill vectors and do not lie so far apart that
they push each other out of the cache. What decides is the row length of B, which no cut changes. A B that many
products read, as in a loop, is packed once by `pack`, panel by panel:

    B  ┌────┬────┬──┐      ┌────┐┌────┐┌────┐
       │ 0  │ 1  │2 │  →   │ 0  ││ 1  ││ 2  │      each k rows of 32 floats, without gaps
       └────┴────┴──┘      └────┘└────┘└────┘

BLAS counts by columns: the row-major product C = A B is, to it, Cᵀ = Bᵀ Aᵀ, so the operands change places. Its
scalars are passed by address, which is why they are boxed on the stack.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from flux_core.engine.kernels.blocks import product
from flux_core.engine.kernels.panels import NARROW, PANEL
from flux_core.engine.kernels.pointers import at, floats

types: Any = import_module("numba.types")


def _sgemm(
    typing: Any,
    address: Any,
    ta: Any,
    tb: Any,
    n: Any,
    m: Any,
    k: Any,
    alpha: Any,
    a: Any,
    lda: Any,
    b: Any,
    ldb: Any,
    beta: Any,
    c: Any,
    ldc: Any,
) -> Any:
    char, whole, real = types.uint8, types.int32, types.float32

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # the boxes belong to the function, not to the place of the call: a loop must not grow the stack
        with builder.goto_entry_block():
            boxes = [None if isinstance(v.type, ir.PointerType) else builder.alloca(v.type) for v in arguments[1:]]
        operands = []
        for box, value in zip(boxes, arguments[1:], strict=True):
            if box is not None:
                builder.store(value, box)
            operands.append(value if box is None else box)
        function = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands]).as_pointer()
        builder.call(builder.inttoptr(arguments[0], function), operands)
        return context.get_dummy_value()

    scalars = (types.int64, char, char, whole, whole, whole, real, floats, whole, floats, whole, real, floats, whole)
    return types.void(*scalars), generate


sgemm: Any = intrinsic(_sgemm)


def gemm(arena: Any, operands: Any) -> None:
    """operands: sgemm, transpose A, transpose B (or 2: B is packed), m, n, k, A, its row length, B, its row length,
    beta, C, its row length; C (m, n) and k are those of the product, row-major."""
    m, n, k, lda, ldb, packed = operands[3], operands[4], operands[5], operands[7], operands[9], operands[2] == 2
    if operands[2] != 1 and (packed or PANEL <= ldb <= NARROW) and k > 0:
        down, along = (1, lda) if operands[1] else (lda, 1)
        width, j = PANEL if packed else n, 0
        while j < n:
            a, b, c = at(arena, operands[6]), at(arena, operands[8] + j * k), at(arena, operands[11] + j)
            product(a, down, along, b, ldb, c, operands[12], m, min(width, n - j), k, operands[10])
            j += width
        return
    sgemm(
        operands[0],
        np.uint8(84) if operands[2] else np.uint8(78),  # T and N
        np.uint8(84) if operands[1] else np.uint8(78),
        np.int32(n),
        np.int32(m),
        np.int32(k),
        np.float32(1),
        at(arena, operands[8]),
        np.int32(ldb),
        at(arena, operands[6]),
        np.int32(lda),
        np.float32(operands[10]),
        at(arena, operands[11]),
        np.int32(operands[12]),
    )


def pack(arena: Any, operands: Any) -> None:
    """operands: B, its row length, transposed, k, n, target: the columns of B (k, n) in panels."""
    ldb, k, n = operands[1], operands[3], operands[4]
    for j in range(n):
        column = operands[5] + j // PANEL * PANEL * k + j % PANEL
        if operands[2]:
            b = at(arena, operands[0] + j * ldb)
            for i in range(k):
                arena[column + i * PANEL] = b[i]
        else:
            for i in range(k):
                arena[column + i * PANEL] = arena[operands[0] + i * ldb + j]
