"""The loop over minibatches: gather the rows, walk the tape, look at the loss, walk the rest of the tape.

for each step:
    inputs  <- rows of the data, by the order          (as they lie, without an order)
    numbers <- what the optimiser needs for this step
    tape[:checked]                                     forward, backward
    stop if the loss or the gradient is not finite     nothing is updated then
    tape[checked:]                                     optimiser, sums of metrics
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from flux_core.engine.kernels.pointers import as_float64, as_int64, at, call


def steps(arena: Any, operands: Any) -> None:
    """operands, places in float32 units: tape, its length, width, `checked`, steps, rows of a minibatch, order (or
    -1) of int64, first row of the order, number of inputs, place of their descriptions (source, target, row length,
    each int64), loss, norm (or -1), table of numbers, its width, target of numbers, int64 step counter, int64
    result (steps done, fault)."""
    tape, length, width, checked = at(arena, operands[0]), operands[1], operands[2], operands[3]
    rows, order = operands[5], as_int64(at(arena, operands[6]))
    inputs = as_int64(at(arena, operands[9]))
    counter, result = as_int64(at(arena, operands[15])), as_int64(at(arena, operands[16]))
    code = as_int64(tape)
    for step in range(operands[4]):
        first = operands[7] + step * rows
        for k in range(operands[8]):
            source, target, size = inputs[3 * k], inputs[3 * k + 1], inputs[3 * k + 2]
            for i in range(rows):
                row = order[first + i] if operands[6] != -1 else first + i
                x, y = carray(at(arena, source + row * size), size), carray(at(arena, target + i * size), size)
                for j in range(size):
                    y[j] = x[j]
        for j in range(operands[13]):
            arena[operands[14] + j] = arena[operands[12] + step * operands[13] + j]
        for q in range(checked):
            call(code[q * width], arena, at(code, q * width + 1))
        if not np.isfinite(arena[operands[10]]):
            result[1] = 1
            return
        if operands[11] != -1 and not np.isfinite(as_float64(at(arena, operands[11]))[0]):
            result[1] = 2
            return
        for q in range(checked, length):
            call(code[q * width], arena, at(code, q * width + 1))
        counter[0] += 1
        result[0] += 1


def walk(arena: Any, operands: Any) -> None:
    """operands: place of the tape, its length, its width: every instruction once."""
    code = as_int64(at(arena, operands[0]))
    for q in range(operands[1]):
        call(code[q * operands[2]], arena, at(code, q * operands[2] + 1))
