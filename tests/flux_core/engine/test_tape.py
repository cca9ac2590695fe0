"""The tape against the interpreter: every op row, gradients of every row, random graphs, and nothing recompiled."""

from threading import Thread

import numpy as np
import pytest

from flux_core.engine import default_store
from flux_core.engine.compiled import Compiled
from flux_core.engine.lower import RULES, CannotLowerError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, as_node, constant, input_node, pack, param, topological
from flux_core.ops import IDS, TABLE, Run, gather, one_hot, pick, relu, scatter, unpick
from flux_core.passes import Type, gradients

CASES = [pytest.param(op, case, id=f"{name}-{i}") for name, op in TABLE.items() for i, case in enumerate(op.examples)]


def close(a, b):
    """max|a - b| <= 1e-5 max|b|, where b is finite; elsewhere both are the same infinity or NaN."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    finite = np.isfinite(b)
    np.testing.assert_array_equal(a[~finite], b[~finite])
    assert np.isfinite(a[finite]).all()
    assert np.abs(a[finite] - b[finite]).max(initial=0) <= 1e-5 * np.abs(b[finite]).max(initial=0)


def types_of(xs):
    return [Type(x.shape, "int" if x.dtype.kind == "i" else "float") for x in xs]


def drawn(case):
    rng = np.random.default_rng(0)
    attrs = dict(case.attrs)
    return [draw.array(rng, np.float32) for draw in case.operands], attrs.pop("run", Run()), attrs


def test_a_param_that_kernels_would_misread_is_refused():
    good = param(np.arange(6, dtype=np.float32).reshape(2, 3))
    x = np.ones((4, 2), np.float32)
    close(Compiled(Graph(input_node(0) @ as_node(good), 1), types_of([x]))(x), x @ good.x)
    for wrong, words in [(good.x.astype(np.float64), "float64"), (good.x.reshape(3, 2).T, "not lie in their order")]:
        good.x = wrong
        with pytest.raises(CannotLowerError, match=words):
            Compiled(Graph(input_node(0) @ as_node(good), 1), types_of([x]))


@pytest.mark.parametrize(("op", "case"), CASES)
def test_value_of_every_row(op, case):
    xs, run, attrs = drawn(case)
    graph = Graph(op(*(input_node(i) for i in range(len(xs))), **attrs), len(xs))
    kept = [x.copy() for x in xs]
    compiled = Compiled(graph, types_of(xs), run=run)
    close(compiled(*xs), np.asarray(interpret(graph, xs, run=run), np.float32))
    for x, before in zip(xs, kept, strict=True):
        np.testing.assert_array_equal(x, before)
    before = default_store().compiled
    Compiled(graph, types_of(xs), run=run)
    assert default_store().compiled == before


@pytest.mark.parametrize(("op", "case"), CASES)
def test_gradient_of_every_row(op, case):
    if any(draw.kind == "extreme" for draw in case.operands):
        case = type(case)(tuple(type(d)("normal", d.shape) for d in case.operands), case.attrs)
    xs, run, attrs = drawn(case)
    inputs = [input_node(i) for i in range(len(xs))]
    y = op(*inputs, **attrs)
    shape = interpret(Graph(y, len(xs)), xs, run=run).shape
    dy = constant(np.random.default_rng(1).standard_normal(shape).astype(np.float32))
    floats = [x for i, x in enumerate(inputs) if i not in IDS.get(op.name, ())]
    graph = Graph(pack(*gradients(y, dy, floats)), len(xs))
    for a, b in zip(Compiled(graph, types_of(xs), run=run)(*xs), interpret(graph, xs, run=run), strict=True):
        close(a, b)


@pytest.mark.parametrize("seed", range(20))
def test_random_graphs_with_shared_nodes(seed):
    rng = np.random.default_rng(seed)
    xs = [rng.standard_normal(shape).astype(np.float32) for shape in ((4, 3), (3,), (4, 1), ())]
    nodes = [input_node(i) for i in range(len(xs))]
    unary = [TABLE[name] for name in ("tanh", "sigmoid", "relu", "negative", "softplus")]
    for _ in range(25):
        a, b = (nodes[i] for i in rng.integers(0, len(nodes), 2))
        nodes.append(
            [lambda a=a, b=b: a + b, lambda a=a, b=b: a * b, lambda a=a: unary[rng.integers(5)](a)][rng.integers(3)]()
        )
    graph = Graph(pack(*(nodes[i] for i in rng.integers(4, len(nodes), 4)), nodes[-1]), len(xs))
    for a, b in zip(Compiled(graph, types_of(xs))(*xs), interpret(graph, xs), strict=True):
        close(a, b)


def test_results_survive_in_place_ops():
    x = input_node(0)
    y = relu(x) + 1.0
    graph = Graph(pack(y, y * 2.0, TABLE["tanh"](y * 2.0), x), 1)
    value = np.linspace(-1, 1, 40, dtype=np.float32).reshape(4, 10)
    for a, b in zip(Compiled(graph, [Type((4, 10))])(value), interpret(graph, [value]), strict=True):
        close(a, b)


def test_a_long_chain_is_compiled_with_few_buffers():
    x = input_node(0)
    y = x
    for _ in range(2000):
        y = TABLE["tanh"](y) * 0.999
    compiled = Compiled(Graph(y, 1), [Type((1000,))])
    assert compiled.layout.size <= 3 * 1008
    close(compiled(np.ones(1000)), interpret(Graph(y, 1), [np.ones(1000, np.float32)]))


def test_an_opaque_call_has_no_tape():
    from flux_core.ir import call

    graph = Graph(call(lambda x: x, input_node(0)), 1)
    with pytest.raises(CannotLowerError, match="call"):
        Compiled(graph, [Type((2,))])


def test_every_op_has_a_way_to_the_tape():
    """What has no rule of its own is elementwise, a view, or rewritten before."""
    from flux_core.passes.legalise import _Legaliser
    from flux_core.passes.parts import VIEWS

    for name, op in TABLE.items():
        rewritten = hasattr(_Legaliser, f"legal_{name}")
        assert op.kernel.kind == "elementwise" or name in RULES or name in VIEWS or rewritten, name


def test_a_planted_fault_in_a_formula_is_caught():
    graph = Graph(input_node(0) * input_node(1), 2)
    xs = [np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)]
    wrong = Graph(input_node(0) + input_node(1), 2)
    with pytest.raises(AssertionError):
        close(Compiled(wrong, types_of(xs))(*xs), interpret(graph, xs))


def test_fusion_leaves_one_kernel_for_a_tree():
    x, b, d = (input_node(i) for i in range(3))
    compiled = Compiled(Graph(TABLE["tanh"](x + b) * d, 3), [Type((4, 3)), Type((3,)), Type((4, 3))])
    assert [i.kernel.name for i in compiled.tape.instructions] == ["elementwise"]
    assert len(topological(compiled.graph.output)) == 6


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2, 2), (3, 2)])
def test_ids_are_moved_whole(shape):
    """Both halves of an id, also where two of them lie side by side."""
    from flux_core.ops import transpose

    graph = Graph(transpose(input_node(0), axes=(1, 0)), 1)
    value = np.random.default_rng(0).integers(-(2**60), 2**60, shape)
    compiled = Compiled(graph, [Type(shape, "int")])
    compiled.tape.workspace[...] = np.float32(1.5)  # what lay there before
    np.testing.assert_array_equal(compiled(value), value.T)


@pytest.mark.parametrize("wrong", [-1, 5, -6])
def test_an_id_without_a_row_is_nan_and_no_other_row(wrong):
    table, ids = np.arange(1, 11, dtype=np.float32).reshape(5, 2), np.array([4, wrong, 0])
    x, y = input_node(0), input_node(1)
    for graph, inputs in ((Graph(gather(x, y), 2), (table, ids)), (Graph(one_hot(y, n=5), 2), (table, ids))):
        found = Compiled(graph, types_of(inputs))(*inputs)
        assert np.isnan(found[1]).all()
        assert np.isfinite(found[[0, 2]]).all()
    rows = np.ones((3, 5), np.float32)
    assert np.isnan(Compiled(Graph(pick(x, y), 2), types_of((rows, ids)))(rows, ids)).tolist() == [False, True, False]
    given = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    added = Compiled(Graph(scatter(x, y, constant(table)), 2), types_of((given, ids)))(given, ids)
    assert added.tolist() == [[5, 6], [0, 0], [0, 0], [0, 0], [1, 2]]
    one = Compiled(Graph(unpick(x, y, constant(rows)), 2), types_of((given[:, 0], ids)))(given[:, 0], ids)
    assert one.tolist() == [[0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [5, 0, 0, 0, 0]]


def test_threads_wait_for_each_other():
    """While one is computing, another has the same memory: it must not write its inputs there."""
    compiled = Compiled(Graph(input_node(0) * 2.0, 1), [Type((2,))])
    walk, others = compiled._walk, []

    def interrupted(base, operands):
        if not others:  # machine code lets other threads run
            others.append(Thread(target=compiled, args=(np.full(2, 7.0),)))
            others[0].start()
            others[0].join(0.2)
        walk(base, operands)

    compiled._walk = interrupted
    assert compiled(np.ones(2)).tolist() == [2.0, 2.0]
    others[0].join()
    assert compiled(np.full(2, 3.0)).tolist() == [6.0, 6.0]
