"""Where threads meet: enough that no order of the tiles between two meetings changes a bit, and nowhere else."""

import ast
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from flux_core.engine import meetings as module
from flux_core.engine import tiles
from flux_core.engine.arena import aligned
from flux_core.engine.compiled import Compiled
from flux_core.engine.elementwise import FUNCTIONS, elementwise_kernel
from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import Instruction
from flux_core.engine.meetings import clash, meetings
from flux_core.engine.ranges import overlap, touched
from flux_core.engine.store import default_store
from flux_core.engine.tape import WIDTH, encode
from flux_core.engine.tiles import tiled
from flux_core.engine.update import norm, update_kernel
from flux_core.ir import Graph, constant, input_node, pack
from flux_core.ops import IDS, TABLE, Run, mean, relu, softmax_cross_entropy
from flux_core.optim import adam
from flux_core.passes import Type, gradients

CASES = [pytest.param(op, case, id=f"{name}-{i}") for name, op in TABLE.items() for i, case in enumerate(op.examples)]
SIZES = ((64, 784), (784, 128), (128,), (128, 64), (64,), (64, 10), (10,))


@pytest.fixture
def everything_is_cut(monkeypatch):
    """Each instruction that can be cut is cut, into three where its size allows it."""
    for name, value in {"LEAST": 0, "ROWS": 1, "LINE": 1}.items():
        monkeypatch.setattr(tiles, name, value)
    for name in ("PRODUCT", "ELEMENTS", "UPDATE"):
        monkeypatch.setattr(tiles, name, ((0, 3),))


def step(sizes=SIZES):
    """The training step of a net with two hidden layers: its loss and all gradients."""
    x, *params = (input_node(i) for i in range(len(sizes)))
    ids = input_node(len(sizes))
    z = x
    for w, b in zip(params[::2], params[1::2], strict=True):
        z = z @ w + b
        z = relu(z) if w is not params[-2] else z
    loss = mean(softmax_cross_entropy(z, ids))
    graph = Graph(pack(loss, *gradients(loss, constant(np.float32(1)), params)), len(sizes) + 1)
    types = [*map(Type, sizes), Type(sizes[0][:1], "int")]
    rng = np.random.default_rng(0)
    xs = [rng.standard_normal(shape).astype(np.float32) for shape in sizes]
    return graph, types, [*xs, rng.integers(0, sizes[-1][0], sizes[0][0])]


def stretches(rows):
    """The rows of a tape between two meetings."""
    starts = [0, *np.flatnonzero(rows[:, -1]), len(rows)]
    return [rows[a:b] for a, b in pairwise(starts) if a < b]


def shuffled(rows, rng):
    """A tape as threads might run it: the order of tiles of one number stays, that of different ones may be any."""
    found = []
    for stretch in stretches(rows):
        queues = [list(stretch[stretch[:, -2] == number]) for number in np.unique(stretch[:, -2])]
        if rng is None:  # every thread is behind those of higher numbers
            found += [row for queue in queues[::-1] for row in queue]
        while rng is not None and (left := [queue for queue in queues if queue]):
            found.append(left[rng.integers(len(left))].pop(0))
    return np.array(found, np.int64).reshape(-1, WIDTH)


def flat(results):
    return [np.asarray(y).view(np.int32) for y in (results if isinstance(results, tuple) else (results,))]


def check(compiled, xs, orders=3):
    """Every order that threads may take gives the same bits."""
    code, wanted = compiled.code, flat(compiled(*xs))
    rows = code.rows
    for seed in [None, *range(orders)]:
        compiled.code = replace(code, rows=shuffled(rows, None if seed is None else np.random.default_rng(seed)))
        assert len(compiled.code.rows) == len(rows)
        for a, b in zip(flat(compiled(*xs)), wanted, strict=True):
            np.testing.assert_array_equal(a, b)
    compiled.code = code


def places(tile, written):
    """Every place that a tile touches or, of those, may write."""
    return {
        box.base + i * box.stride + j
        for box in touched(tile)
        if box.written or not written
        for i in range(box.rows)
        for j in range(box.columns)
    }


def unsafe(stages, flags):
    """The stages before which a meeting is missing, found place by place."""
    found, since = set(), []
    for number, (stage, flag) in enumerate(zip(stages, flags, strict=True)):
        since = [] if flag else since
        now = [(i, places(tile, False), places(tile, True)) for i, tile in enumerate(stage)]
        for i, touches, writes in now:
            if any(i != j and (touches & theirs or writes & all_of) for j, all_of, theirs in (*since, *now)):
                found.add(number)
        since += now
    return found


@pytest.mark.parametrize(("op", "case"), CASES)
def test_no_order_of_the_tiles_of_a_row_changes_a_bit(everything_is_cut, monkeypatch, op, case):
    rng = np.random.default_rng(0)
    attrs = dict(case.attrs)
    run = attrs.pop("run", Run())
    xs = [draw.array(rng, np.float32) for draw in case.operands]
    types = [Type(x.shape, "int" if x.dtype.kind == "i" else "float") for x in xs]
    inputs = [input_node(i) for i in range(len(xs))]
    y = op(*inputs, **attrs)
    floats = [x for i, x in enumerate(inputs) if i not in IDS.get(op.name, ())]
    dy = constant(rng.standard_normal(Compiled(Graph(y, len(xs)), types, run=run)(*xs).shape).astype(np.float32))
    graph = Graph(pack(y, *gradients(y, dy, floats)), len(xs))
    compiled = Compiled(graph, types, run=run)
    stages = tiled(compiled.tape.instructions)
    assert not unsafe(stages, meetings(stages))
    check(compiled, xs)
    monkeypatch.setattr(tiles, "LEAST", np.inf)
    whole = Compiled(graph, types, run=run)
    assert len(whole.code.rows) == len(whole.tape.instructions)
    for a, b in zip(compiled(*xs), whole(*xs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * np.abs(b[np.isfinite(b)]).max(initial=0))


def test_a_training_step_meets_only_where_it_must():
    graph, types, xs = step()
    compiled = Compiled(graph, types)
    stages = tiled(compiled.tape.instructions)
    flags = meetings(stages)
    assert [i.kernel.name for i, flag in zip(compiled.tape.instructions, flags, strict=True) if flag] == [
        *("gemm", "reduce_sum", "gemm", "gemm", "gemm")  # the second product; the loss; the gradient of each weight
    ]
    assert all(len(s) == 2 for s in stages if s[0].kernel.name != "reduce_sum"), "all but sums are cut"
    assert compiled.code.rows[:, -1].sum() == sum(flags)
    check(compiled, xs)
    assert not unsafe(stages, flags)
    for number in np.flatnonzero(flags):  # planted: a flag is removed
        fewer = [flag and i != number for i, flag in enumerate(flags)]
        assert min(unsafe(stages, fewer)) == number


def test_a_removed_meeting_changes_bits():
    """What `check` looks for is there to be found: without any one of the flags some order gives other numbers."""
    graph, types, xs = step()
    compiled = Compiled(graph, types)
    for row in np.flatnonzero(compiled.code.rows[:, -1]):
        compiled.code.rows[row, -1] = 0
        with pytest.raises(AssertionError):
            check(compiled, xs, orders=20)
        compiled = Compiled(graph, types)


@pytest.mark.parametrize("forgotten", ["write, read", "read, write", "write, write"])
def test_a_forgotten_kind_of_clash_is_caught(monkeypatch, forgotten):
    """`unsafe` sees what each kind of clash is there for, in the order in which tiles touch the place."""
    kinds = {(True, False): "write, read", (False, True): "read, write", (True, True): "write, write"}

    def wrong(some, others):  # `others` came before
        return any(
            kinds.get((b.written, a.written), forgotten) != forgotten and overlap(a, b) for a in some for b in others
        )

    other = fill(40, 1), fill(44, 1)
    stages = {
        "write, read": [[fill(16, 4), fill(20, 4)], [fill(60, 1, 20), fill(61, 1, 16)]],
        "read, write": [[fill(60, 1, 20), fill(61, 1, 16)], [fill(16, 4), fill(20, 4)]],
        "write, write": [[fill(16, 4), fill(20, 4)], [fill(20, 4), fill(16, 4)]],
    }[forgotten]
    stages = [other, *stages]
    assert meetings(stages) == [False, False, True]
    assert not unsafe(stages, meetings(stages))
    monkeypatch.setattr(module, "clash", wrong)
    assert unsafe(stages, meetings(stages)) == {2}


def fill(place, size, number=0):
    return Instruction(Kernel.written("fill", "move"), (place, size, number), "fill")


def test_tiles_of_one_number_never_wait_for_each_other():
    stages = [[fill(16, 4), fill(20, 4)], [fill(16, 4), fill(20, 4)], [fill(18, 2), fill(22, 2)]]
    assert meetings(stages) == [False, False, False]
    assert meetings([*stages, [fill(20, 4), fill(16, 4)], [fill(22, 1)]]) == [*[False] * 3, True, False]
    assert clash(touched(fill(16, 4)), touched(fill(19, 1)))
    assert not clash(touched(fill(16, 4)), touched(fill(20, 1)))


def test_a_kernel_that_nobody_knows_is_waited_for():
    unknown = Instruction(Kernel("unheard_of", ""), (), "")
    assert meetings([[fill(16, 1), fill(17, 1)], [unknown], [fill(18, 1)], [fill(18, 1), fill(19, 1)]]) == [
        *(False, True, False, True)
    ]


def test_small_tapes_are_not_cut():
    graph, types, _ = step(((16, 4), (4, 16), (16,), (16, 3), (3,)))
    rows = Compiled(graph, types).code.rows
    assert not rows[:, -2:].any()


def test_sum_of_squares_and_update_are_cut_without_a_change_of_bits(monkeypatch):
    size = 100_000
    rng = np.random.default_rng(0)
    kernel = update_kernel(adam(0.1), clear=False)
    start = [np.abs(rng.standard_normal(size)).astype(np.float32) for _ in range(4)]
    line = np.array([1, np.inf, 0, *adam(0.1).numbers(1, 0.1)], np.float32)
    ends = []
    for least in (np.inf, 0):
        monkeypatch.setattr(tiles, "LEAST", least)
        memory = aligned(4 * size + 256, np.float32)
        for k, array in enumerate(start):
            memory[k * size : (k + 1) * size] = array
        memory[4 * size : 4 * size + line.size] = line
        instructions = [
            *norm(size, size, 4 * size + 64, 4 * size + 32),
            Instruction(kernel, (0, size, 2 * size, 3 * size, 4 * size, size, 70_000), "update"),
        ]
        rows = encode(instructions, default_store(), memory).rows
        assert (len(rows), rows[:, -1].tolist()) == (
            (3, [0, 0, 0]) if least else (5, [0, 0, 1, 0, 0])  # the chunks are added when all are there
        )
        words = np.array([(rows.ctypes.data - memory.ctypes.data) // 4, len(rows), WIDTH], np.int64)
        default_store().function(Kernel.written("walk", "loop"))(memory.ctypes.data, words.ctypes.data)
        ends.append(memory.copy())
    np.testing.assert_array_equal(*ends)
    assert ends[0][4 * size + 32 :][:2].view(np.float64)[0] == pytest.approx(
        np.sum(start[1].astype(np.float64) ** 2), rel=1e-12
    )


FORMULAS = [
    *sorted({op.kernel.formula for op in TABLE.values() if op.kernel.kind == "elementwise" and not op.attrs}),
    "a0 + a1 * a2 * (a3 - a4 * a4)",  # of recurrent layers
    "sigmoid(a0 + a1 + a2) * tanh(a3 + a4 + a0)",
    "a0 * a1 + a2 * a3",
    "a0 * a1 * (a2 - a1)",
    "maximum(a0, 0) + log1p(exp(-absolute(a0))) - a0 * a1",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_an_element_is_the_same_wherever_a_cut_falls(formula):
    """In the vectors of one long row, or in what is left behind them in a short one."""
    names = sorted({n.id for n in ast.walk(ast.parse(formula)) if isinstance(n, ast.Name)} - set(FUNCTIONS))
    for i, name in enumerate(names):
        formula = re.sub(rf"\b{name}\b", f"a{i}", formula)
    kernel = elementwise_kernel(formula, "f" * len(names))
    size = 1000
    memory = aligned((len(names) + 2) * size, np.float32)
    memory[: len(names) * size] = np.random.default_rng(0).uniform(0.1, 3, len(names) * size)
    run = default_store().function(kernel)

    def piece(out, begin, end):
        places = [i * size + begin for i in range(len(names))]
        words = [*places, out + begin, 1, end - begin, *[end - begin] * (len(names) + 1)]
        run(memory.ctypes.data, np.array(words, np.int64).ctypes.data)

    first, second = len(names) * size, (len(names) + 1) * size
    piece(first, 0, size)
    for begin, end in pairwise([0, 16, 32, 48, 112, 128, 400, 464, 480, 992, size]):
        piece(second, begin, end)
    np.testing.assert_array_equal(memory[first:second].view(np.int32), memory[second:].view(np.int32))
