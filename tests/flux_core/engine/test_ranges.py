"""What instructions are said to touch, against what their kernels do to memory."""

import numpy as np
import pytest

from flux_core.engine import ranges
from flux_core.engine.arena import aligned
from flux_core.engine.compiled import Compiled
from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import Instruction
from flux_core.engine.operands import OPERANDS
from flux_core.engine.ranges import EVERYTHING, NUMBERS, TOUCHES, Range, overlap, touched
from flux_core.engine.store import default_store
from flux_core.engine.tape import WIDTH, encode, offset
from flux_core.ir import Graph, constant, input_node, pack
from flux_core.ops import IDS, TABLE, Run
from flux_core.optim import OPTIMIZERS
from flux_core.passes import Type, gradients

CASES = [pytest.param(op, case, id=f"{name}-{i}") for name, op in TABLE.items() for i, case in enumerate(op.examples)]


def numbers(box):
    """The places of a rectangle, one by one."""
    return {box.base + i * box.stride + j for i in range(box.rows) for j in range(box.columns)}


def test_overlap_is_that_of_the_places():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(4000):
        stride = int(rng.integers(1, 7))
        a, b = (
            Range(int(rng.integers(0, 20)), int(rng.integers(1, 5)), s, int(rng.integers(1, 4)), False)
            for s in (stride, stride if rng.random() < 0.7 else int(rng.integers(1, 7)))
        )
        found.append(overlap(a, b))
        assert found[-1] == overlap(b, a) == bool(numbers(a) & numbers(b)), (a, b)
        assert overlap(a, EVERYTHING)
    assert 0.2 < np.mean(found) < 0.8


def test_every_kernel_of_a_tape_says_what_it_touches():
    assert set(TOUCHES) == set(OPERANDS)
    assert touched(Instruction(Kernel("unheard_of", ""), (1, 2), "")) == [EVERYTHING]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_reads_no_more_numbers_than_it_says(name):
    optimizer = OPTIMIZERS[name]()
    assert 3 + len(optimizer.numbers(1, 1.0)) <= NUMBERS


def check(compiled, xs):
    """Run a tape one instruction at a time; what is not touched neither changes nor matters."""
    memory, base = compiled.tape.workspace, compiled.base
    memory[...] = np.random.default_rng(0).standard_normal(memory.size)  # what is written shows
    for node, x in zip(compiled.layout.inputs, xs, strict=True):
        if node is not None:
            compiled._view(node)[...] = x
    begin = offset(memory, base)
    for instruction in compiled.tape.instructions:
        row = encode([instruction], default_store(), base).rows
        operands = np.array([offset(row, base), len(row), WIDTH], np.int64)
        may_read, may_write = np.zeros(memory.size, bool), np.zeros(memory.size, bool)
        for box in touched(instruction):
            at = [i - begin for i in numbers(box) if 0 <= i - begin < memory.size]
            may_read[at] = True
            may_write[at] |= box.written
        before = memory.copy()
        compiled._walk(base.ctypes.data, operands.ctypes.data)
        after = memory.copy()
        bits, now = before.view(np.int32), after.view(np.int32)
        assert not (bits != now)[~may_write].any(), f"{instruction.kernel.name} writes elsewhere"
        memory[...] = np.where(may_read, before, np.float32(np.nan))
        compiled._walk(base.ctypes.data, operands.ctypes.data)
        assert np.array_equal(memory.view(np.int32)[may_write], now[may_write]), f"{instruction.kernel.name} reads more"
        memory[...] = after


def graphs(op, case):
    """The graph of a row, that of its gradients, the types of its inputs, the inputs and the run."""
    rng = np.random.default_rng(0)
    attrs = dict(case.attrs)
    run = attrs.pop("run", Run())
    xs = [draw.array(rng, np.float32) for draw in case.operands]
    types = [Type(x.shape, "int" if x.dtype.kind == "i" else "float") for x in xs]
    inputs = [input_node(i) for i in range(len(xs))]
    y = op(*inputs, **attrs)
    floats = [x for i, x in enumerate(inputs) if i not in IDS.get(op.name, ())]
    shape = Compiled(Graph(y, len(xs)), types, run=run)(*xs).shape
    dy = constant(rng.standard_normal(shape).astype(np.float32))
    return [Graph(y, len(xs)), Graph(pack(*gradients(y, dy, floats)), len(xs))], types, xs, run


@pytest.mark.parametrize(("op", "case"), CASES)
def test_instructions_of_every_row_touch_what_they_say(op, case):
    both, types, xs, run = graphs(op, case)
    for graph in both:
        check(Compiled(graph, types, run=run), xs)


@pytest.mark.parametrize("fault", ["a write is forgotten", "a read is forgotten", "a row is forgotten"])
def test_planted_faults_are_caught(monkeypatch, fault):
    def wrong(tile):
        boxes = ranges.touched(tile)
        if fault == "a row is forgotten":
            return [box._replace(rows=box.rows - 1) if box.rows > 1 else box._replace(columns=1) for box in boxes]
        return [box for box in boxes if box.written == (fault == "a read is forgotten")]

    x, w = (np.random.default_rng(i).standard_normal((4, 4)).astype(np.float32) for i in range(2))
    compiled = Compiled(Graph(input_node(0) @ input_node(1), 2), [Type((4, 4))] * 2)
    check(compiled, [x, w])
    monkeypatch.setitem(globals(), "touched", wrong)
    with pytest.raises(AssertionError, match=r"writes elsewhere|reads more"):
        check(compiled, [x, w])


METRICS = {
    "absolute_error": ("metrics", (0, 16, 32, 2, 2, 48, 2, 40)),
    "accuracy": ("metrics", (0, 16, 32, 1, 3, 48, 1, 2)),
    "binary_accuracy": ("metrics", (0, 16, 32, 2, 2, 48, 2)),
    "clip_scale": ("norm", (0, 16, 32)),
    "loss_sum": ("metrics", (0, 16, 2, 48)),
    "squared_error": ("metrics", (0, 16, 32, 2, 2, 48, 2)),
    "squares_of_chunks": ("norm", (0, 13, 4, 32)),
    "sum_of_squares": ("norm", (0, 5, 32)),
    "top_k": ("metrics", (0, 16, 32, 1, 3, 48, 1, 2, 1)),
}


@pytest.mark.parametrize("name", METRICS)
def test_kernels_that_no_graph_has_touch_what_they_say(name):
    file, operands = METRICS[name]
    instruction = Instruction(Kernel.written(name, file), operands, name)
    run = default_store().function(instruction.kernel)
    memory, words = aligned(64, np.float32), np.array(operands, np.int64)
    may_read, may_write = np.zeros(64, bool), np.zeros(64, bool)
    for box in touched(instruction):
        may_read[list(numbers(box))] = True
        may_write[[i for i in numbers(box) if box.written]] = True
    ids = slice(16, 22)  # 0 or 1, where a kernel reads ids
    rng = np.random.default_rng(0)
    memory[...] = rng.standard_normal(64)
    if "@ids" in OPERANDS[name]:
        memory[ids] = np.array([1, 0, 1], np.int64).view(np.float32)
    if "@lengths" in OPERANDS[name]:
        memory[48:52] = np.array([2, 1], np.int64).view(np.float32)
    before = memory.copy()
    run(memory.ctypes.data, words.ctypes.data)
    after = memory.copy()
    assert not (before.view(np.int32) != after.view(np.int32))[~may_write].any()
    assert (before.view(np.int32) != after.view(np.int32)).any()
    memory[...] = np.where(may_read, before, np.float32(np.nan))
    run(memory.ctypes.data, words.ctypes.data)
    np.testing.assert_array_equal(memory[may_write].view(np.int32), after[may_write].view(np.int32))
