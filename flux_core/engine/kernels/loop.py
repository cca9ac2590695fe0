"""The loop over minibatches: gather the rows, walk the tape, look at the loss, walk the rest of the tape.

    for each step:
        inputs  <- rows of the data, by the order          (as they lie, without an order)
        numbers <- what the optimiser needs for this step
        tape[:checked]                                     forward, backward
        stop if the loss or the gradient is not finite     nothing is updated then
        tape[checked:]                                     optimiser, sums of metrics

Every thread runs the loop. A row of the tape ends with its tile and a flag: thread t of T runs the tiles t, t + T,
..., and where the flag stands all threads meet first. Which thread runs a tile changes no bit of it. The row of a
loop has no tile: all threads enter it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, njit

from flux_core.engine.kernels.pointers import as_float64, as_int64, at, call
from flux_core.engine.kernels.threads import meet


@njit(error_model="numpy", forceinline=True)
def repeat(arena: Any, header: Any, width: Any, thread: Any, threads: Any, gate: Any, met: Any) -> Any:
    """Run this thread's tiles of a loop, step after step; returns how often the threads have met.

    header: 0, table, rows of a step, steps, room for a row of each thread. Behind the rows of the first step the
    table has what is added to them at every further step.
    """
    length, words = header[2], width - 2
    code = as_int64(at(arena, header[1]))
    own = at(as_int64(at(arena, header[4])), thread * width)
    for t in range(header[3]):
        for q in range(length):
            row, stride = at(code, q * width), at(code, (length + q) * width)
            if threads > 1 and row[width - 1]:
                met += 1
                meet(gate, threads, met)
            if row[width - 2] % threads == thread:
                for j in range(words):
                    own[j] = row[j] + t * stride[j]
                call(own[0], arena, at(own, 1))
    return met


@njit(error_model="numpy", forceinline=True)
def part(
    arena: Any, code: Any, width: Any, begin: Any, end: Any, thread: Any, threads: Any, gate: Any, met: Any
) -> Any:
    """Run this thread's tiles of rows `begin` to `end`; returns how often the threads have met."""
    for q in range(begin, end):
        row = at(code, q * width)
        if threads > 1 and row[width - 1]:
            met += 1
            meet(gate, threads, met)
        if row[width - 2] < 0:
            met = repeat(arena, row, width, thread, threads, gate, met)
        elif row[width - 2] % threads == thread:
            call(row[0], arena, at(row, 1))
    return met


def steps(arena: Any, operands: Any) -> None:
    """operands, places in float32 units: tape, its length, width, `checked`, steps, rows of a minibatch, order (or
    -1) of int64, first row of the order, number of inputs, place of their descriptions (source, target, row length,
    each int64), loss, norm (or -1), table of numbers, its width, target of numbers, int64 step counter, int64
    result (steps done, fault), gate of the threads, thread, threads."""
    code, length, width, checked = as_int64(at(arena, operands[0])), operands[1], operands[2], operands[3]
    rows, order = operands[5], as_int64(at(arena, operands[6]))
    inputs = as_int64(at(arena, operands[9]))
    counter, result = as_int64(at(arena, operands[15])), as_int64(at(arena, operands[16]))
    gate, thread, threads = as_int64(at(arena, operands[17])), operands[18], operands[19]
    mine, next_one = rows * thread // threads, rows * (thread + 1) // threads
    met = 0
    for step in range(operands[4]):
        first = operands[7] + step * rows
        for k in range(operands[8]):
            source, target, size = inputs[3 * k], inputs[3 * k + 1], inputs[3 * k + 2]
            for i in range(mine, next_one):
                row = order[first + i] if operands[6] != -1 else first + i
                x, y = carray(at(arena, source + row * size), size), carray(at(arena, target + i * size), size)
                for j in range(size):
                    y[j] = x[j]
        if thread == 0:
            for j in range(operands[13]):
                arena[operands[14] + j] = arena[operands[12] + step * operands[13] + j]
        if threads > 1:
            met += 1
            meet(gate, threads, met)
        for behind in range(2):  # the look at the loss; written once, the tape's walk is compiled once
            begin, end = checked * behind, length if behind else checked
            met = part(arena, code, width, begin, end, thread, threads, gate, met)
            if thread == 0 and behind:
                counter[0] += 1
                result[0] += 1
            if threads > 1:
                met += 1
                meet(gate, threads, met)
            if not behind and not np.isfinite(arena[operands[10]]):
                result[1] = 1
                return
            if not behind and operands[11] != -1 and not np.isfinite(as_float64(at(arena, operands[11]))[0]):
                result[1] = 2
                return


def walk(arena: Any, operands: Any) -> None:
    """operands: place of the tape, its length, its width: every instruction once."""
    code = as_int64(at(arena, operands[0]))
    part(arena, code, operands[2], 0, operands[1], 0, 1, code, 0)
