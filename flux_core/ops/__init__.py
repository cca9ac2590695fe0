"""The table of ops, and facts about ops as sets of names.

from flux_core.ops import TABLE
TABLE["sigmoid"].forward, .shape, .back, .kernel, .examples
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from flux_core.ops.activation import (
    elu,
    erf,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_back,
    softplus,
    tanh,
)
from flux_core.ops.arithmetic import (
    absolute,
    add,
    divide,
    equal,
    exp,
    greater,
    greater_equal,
    less,
    less_equal,
    log,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    power,
    sign,
    sqrt,
    subtract,
    where,
)
from flux_core.ops.index import gather, one_hot, pick, scatter, unpick
from flux_core.ops.matmul import matmul, matmul_t, matmul_w
from flux_core.ops.op import NO_GRADIENT, TABLE, Case, Draw, Kernel, Op
from flux_core.ops.random import EVALUATION, Run, dropout, dropout_mask
from flux_core.ops.reduce import broadcast_like, count, expand_like, max_, mean, per_row, sum_, sum_like, zeros_like
from flux_core.ops.shape import (
    concat,
    concat_part,
    expect,
    expect_like,
    flatten,
    reshape,
    reshape_like,
    slice_,
    transpose,
    unslice,
)

# operands that are ids: int64, never cast to the dtype of the model
IDS: dict[str, frozenset[int]] = {
    "gather": frozenset({1}),
    "scatter": frozenset({1}),
    "pick": frozenset({1}),
    "unpick": frozenset({1}),
    "one_hot": frozenset({0}),
    "softmax_cross_entropy": frozenset({1}),
    "softmax_cross_entropy_back": frozenset({2}),
}

# operands of which only the shape is read
SHAPE_ONLY: dict[str, frozenset[int]] = {
    "expand_like": frozenset({1}),
    "sum_like": frozenset({1}),
    "broadcast_like": frozenset({1}),
    "reshape_like": frozenset({1}),
    "expect_like": frozenset({1}),
    "unslice": frozenset({1}),
    "matmul_w": frozenset({2}),
    "scatter": frozenset({2}),
    "unpick": frozenset({2}),
    "count": frozenset({0}),
    "per_row": frozenset({1}),
    "zeros_like": frozenset({0}),
    "dropout_mask": frozenset({0}),
}

# ops that only move values: ids stay ids through them
MOVES = frozenset({"reshape", "flatten", "expect", "transpose", "slice", "concat"})

# ops whose operands are broadcast against each other
BROADCASTS = frozenset(name for name, op in TABLE.items() if op.kernel.kind == "elementwise" and (op.operands or 0) > 1)


def operands_of(op: Op, values: Sequence[Any], dtype: Any) -> list[Any]:
    """The operands as an op takes them: floats of one dtype; ids, and what is only moved, as they are."""
    kept = range(len(values)) if op.name in MOVES else IDS.get(op.name, ())
    return [value if i in kept else np.asarray(value, dtype) for i, value in enumerate(values)]


# ops that draw random numbers: `path` names their stream, `run` comes from whoever runs the graph
RANDOM = frozenset({"dropout_mask"})

__all__ = [
    "BROADCASTS",
    "EVALUATION",
    "IDS",
    "MOVES",
    "NO_GRADIENT",
    "RANDOM",
    "SHAPE_ONLY",
    "TABLE",
    "Case",
    "Draw",
    "Kernel",
    "Op",
    "Run",
    "absolute",
    "add",
    "broadcast_like",
    "concat",
    "concat_part",
    "count",
    "divide",
    "dropout",
    "dropout_mask",
    "elu",
    "equal",
    "erf",
    "exp",
    "expand_like",
    "expect",
    "expect_like",
    "flatten",
    "gather",
    "gelu",
    "greater",
    "greater_equal",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log_softmax",
    "matmul",
    "matmul_t",
    "matmul_w",
    "max_",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "one_hot",
    "operands_of",
    "per_row",
    "pick",
    "power",
    "relu",
    "reshape",
    "reshape_like",
    "scatter",
    "sigmoid",
    "sign",
    "silu",
    "slice_",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_back",
    "softplus",
    "sqrt",
    "subtract",
    "sum_",
    "sum_like",
    "tanh",
    "transpose",
    "unpick",
    "unslice",
    "where",
    "zeros_like",
]
