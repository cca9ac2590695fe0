"""Ids that a model has no row for are found from the largest at each place, wherever they are looked up."""

import numpy as np
import pytest

from flux_core import ops
from flux_core.errors import ShapeError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, as_node, constant, final_state, input_node, pack, param, scan
from flux_core.passes import known_ids
from flux_core.passes.known_ids import unknown_id

TABLE = param(np.arange(20).reshape(10, 2))
X = input_node(0)


def over_steps():
    """Ids (batch, steps) of the first 10, looked up step after step in the body of a scan."""
    h, x, table = (input_node(i) for i in range(3))
    body = Graph(pack(ops.tanh(h + ops.gather(table, x))), 3)
    run = scan(body, [constant(np.zeros((1, 2)))], [ops.transpose(X)], [as_node(TABLE)])
    return final_state(run, 0)


GRAPHS = {
    "gather": lambda: ops.gather(as_node(TABLE), X),
    "one-hot": lambda: ops.one_hot(X, n=10),
    "a table that is turned": lambda: ops.gather(ops.transpose(as_node(param(TABLE.x.T))), ops.reshape(X, (-1,))),
    "tables for places": lambda: ops.gather(as_node(TABLE), X[:, 0]) + ops.gather(as_node(TABLE)[:4], X[:, 2]),
    "pick": lambda: ops.pick(constant(np.ones((1, 3, 10))), X),
    "steps": over_steps,
}


def wrong(trial, name):
    """Whether the pass and the interpreter, which looks at every row, disagree about some rows of ids."""
    rng = np.random.default_rng(trial)
    ids = rng.integers(0, rng.choice([4, 10, 11, 20]), (3, 3))
    graph = Graph(GRAPHS[name](), 1)
    found = unknown_id(graph, ids.max(axis=0))
    try:
        for row in ids:
            interpret(graph, [row[None]])
    except ShapeError:
        return found is None or found.id not in ids or found.id < found.rows
    return found is not None


@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_what_the_interpreter_says(name):
    assert not any(wrong(trial, name) for trial in range(20))


def test_a_pass_that_looks_at_one_step_only_would_be_seen(monkeypatch):
    def first(node, operands):
        return [None, operands[1][0], *operands[2:]]

    monkeypatch.setattr(known_ids, "_of_a_step", first)
    assert any(wrong(trial, "steps") for trial in range(20))


def test_what_it_says():
    found = unknown_id(Graph(GRAPHS["tables for places"](), 1), np.array([9, 99, 7]))
    assert (found.id, found.rows, found.node.op) == (7, 4, "gather")
