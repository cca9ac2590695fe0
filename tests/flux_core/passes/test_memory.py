"""Scheduling and memory: every node behind what it reads, no two live buffers in one place, activations die early."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_core.engine.tape import lay_out
from flux_core.ir import Graph, input_node, pack
from flux_core.layers import Affine, Chain, Input, mse
from flux_core.ops import TABLE, relu
from flux_core.passes import Type
from flux_core.passes.memory import LINE, memory, overlapping
from flux_core.passes.schedule import Buffer, reads, units
from flux_core.training.graph import training_graph

BUFFERS = st.dictionaries(
    st.integers(0, 40),
    st.tuples(st.integers(0, 200), st.integers(-1, 30), st.integers(0, 10)).map(
        lambda t: Buffer(t[0], t[1], t[1] + t[2])
    ),
)


@settings(max_examples=200, deadline=None)
@given(BUFFERS)
def test_no_two_live_buffers_overlap(buffers):
    offsets, size = memory(buffers)
    assert overlapping(buffers, offsets) == []
    assert all(offset % LINE == 0 for offset in offsets.values())
    assert all(offsets[key] + buffer.size <= size for key, buffer in buffers.items())


def test_a_planted_overlap_is_found():
    buffers = {"a": Buffer(16, 0, 2), "b": Buffer(16, 2, 3), "c": Buffer(16, 3, 4)}
    assert overlapping(buffers, {"a": 0, "b": 0, "c": 32}) == [("a", "b")]
    assert overlapping(buffers, {"a": 0, "b": 15, "c": 15}) == [("a", "b"), ("b", "c")]


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_are_scheduled_soundly(seed):
    rng = np.random.default_rng(seed)
    nodes = [input_node(0), input_node(1)]
    for _ in range(30):
        a, b = (nodes[i] for i in rng.integers(0, len(nodes), 2))
        made = [
            lambda a=a, b=b: a + b,
            lambda a=a: TABLE["transpose"](a, axes=(1, 0)) @ a,
            lambda a=a, b=b: a @ TABLE["flatten"](b),
            lambda a=a: TABLE["softmax"](a),
            lambda a=a: relu(a),
        ]
        nodes.append(made[rng.integers(len(made))]())
    layout = lay_out(Graph(pack(*nodes[-3:]), 2), [Type((8, 8)), Type((8, 8))])
    schedule = layout.schedule
    position = {node: i for i, node in enumerate(schedule.order)}
    for node in schedule.order:
        assert all(position[x] < position[node] for x in reads(node))
        owner = schedule.owner[node]
        if owner in schedule.buffers:
            buffer = schedule.buffers[owner]
            assert buffer.first <= position[node] <= buffer.last
            assert buffer.size >= units(layout.types[node])
            assert all(position[r] <= buffer.last for r in schedule.order if node in reads(r))
    assert overlapping(schedule.buffers, layout.offsets) == []


def test_a_deep_network_needs_less_than_its_buffers():
    model = Chain(Input(256), *[layer for _ in range(9) for layer in (Affine(256), relu)], Affine(256))
    layout = lay_out(training_graph(model, mse).step, [Type((64, 256)), Type((64, 256))])
    produced = [n for n in layout.schedule.order if n.op not in ("param", "constant", "reshape", "expect")]
    alone = sum(-(-units(layout.types[n]) // LINE) * LINE for n in produced)
    assert overlapping(layout.schedule.buffers, layout.offsets) == []
    assert layout.size <= 0.6 * alone
