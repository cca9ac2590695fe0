"""Ids that a model has no row for are found from the largest at each place, wherever they are looked up."""

import numpy as np
import pytest

from flux_core import ops
from flux_core.errors import ShapeError
from flux_core.interpreter import interpret
from flux_core.ir import Graph, as_node, constant, final_state, input_node, pack, param, scan
from flux_core.passes import known_ids
from flux_core.passes.known_ids import ANY, known_rows, unknown_id

TABLE = param(np.arange(20).reshape(10, 2))
X = input_node(0)


def over_steps():
    """Ids (batch, steps) of the first 10, looked up step after step in the body of a scan."""
    h, x, table = (input_node(i) for i in range(3))
    body = Graph(pack(ops.tanh(h + ops.gather(table, x))), 3)
    run = scan(body, [constant(np.zeros((1, 2)))], [ops.transpose(X)], [as_node(TABLE)])
    return final_state(run, 0)


def two_tables():
    """The ids (batch, steps) of the first 10 step after step, and in each step the first of all, of the first 4."""
    h, x, whole, table = (input_node(i) for i in range(4))
    read = ops.gather(table, x) + ops.gather(table[:4], whole[:, 0])
    body = Graph(pack(ops.tanh(h + read)), 4)
    run = scan(body, [constant(np.zeros((1, 2)))], [ops.transpose(X)], [X, as_node(TABLE)])
    return final_state(run, 0)


GRAPHS = {
    "gather": lambda: ops.gather(as_node(TABLE), X),
    "one-hot": lambda: ops.one_hot(X, n=10),
    "a table that is turned": lambda: ops.gather(ops.transpose(as_node(param(TABLE.x.T))), ops.reshape(X, (-1,))),
    "tables for places": lambda: ops.gather(as_node(TABLE), X[:, 0]) + ops.gather(as_node(TABLE)[:4], X[:, 2]),
    "pick": lambda: ops.pick(constant(np.ones((1, 3, 10))), X),
    "steps": over_steps,
    "two tables in the steps": two_tables,
}


def wrong(trial, name):
    """Whether the pass and the interpreter, which looks at every row, disagree about some rows of ids."""
    rng = np.random.default_rng(trial)
    ids = rng.integers(0, rng.choice([4, 10, 11, 20]), (3, 3))
    graph = Graph(GRAPHS[name](), 1)
    found, known = unknown_id(graph, ids.max(axis=0)), known_rows(graph, (3,))
    for row in ids:
        try:
            interpret(graph, [row[None]])
        except ShapeError:
            if (row < known).all():
                return True
        else:
            if (row >= known).any():
                return True
    if found is None:
        return bool((ids >= known).any())
    return found.id not in ids or found.id < found.rows or found.rows not in known


@pytest.mark.parametrize("name", GRAPHS)
def test_it_is_what_the_interpreter_says(name):
    assert not any(wrong(trial, name) for trial in range(20))


@pytest.mark.parametrize("name", ["steps", "two tables in the steps"])
def test_a_pass_that_looks_at_one_step_only_would_be_seen(monkeypatch, name):
    real = known_ids._read_in_steps

    def first(node, operands, types):
        return real(node, [None, operands[1][:1], *operands[2:]], types)

    monkeypatch.setattr(known_ids, "_read_in_steps", first)
    assert any(wrong(trial, name) for trial in range(20))


def test_what_it_says():
    graph = Graph(GRAPHS["tables for places"](), 1)
    found = unknown_id(graph, np.array([9, 99, 7]))
    assert (found.id, found.rows, found.node.op) == (7, 4, "gather")
    assert known_rows(graph, (3,)).tolist() == [10, ANY, 4]


def test_ids_of_the_model_itself_are_no_places():
    ids = ops.concat(X, constant(np.array([[7, 7]])), axis=1)
    graph = Graph(ops.gather(as_node(TABLE), ids), 1)
    assert known_rows(graph, (2,)).tolist() == [10, 10]
    assert unknown_id(graph, np.array([3, 10])).id == 10


def test_a_whole_id_of_every_step():
    """A body that reads its step's ids by a table of 10, those of the whole example by one of 4."""
    graph = Graph(GRAPHS["two tables in the steps"](), 1)
    assert known_rows(graph, (3,)).tolist() == [4, 10, 10]
