"""Elementwise ops on parts: the same values, and nothing written down that only parts are read of."""

import numpy as np
import pytest

from flux_core import ops
from flux_core.interpreter import interpret
from flux_core.ir import Graph, input_node, pack, topological
from flux_core.passes import Type
from flux_core.passes.infer import all_types
from flux_core.passes.split import split


def check(graph, *shapes):
    xs = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate(shapes)]
    types = all_types(graph, [Type(shape) for shape in shapes])
    found, known = split(graph, types)
    for a, b in zip(interpret(found, xs), interpret(graph, xs), strict=True):
        np.testing.assert_array_equal(a, b)
    again = all_types(found, [Type(shape) for shape in shapes])
    assert all(known[node] == kind for node, kind in again.items())
    return [node.op for node in topological(found.output)]


def test_gates():
    u, v, b = (input_node(i) for i in range(3))
    z = ops.sigmoid(u + v + b)
    done = check(Graph(pack(z[:, :2] * z[..., 2:4], ops.tanh((u + v)[:, 4:])), 3), (3, 6), (3, 6), (6,))
    assert done.count("add") == 5  # of parts: two for each half of z, and one of u + v


def test_one_column_and_numbers_are_read_whole():
    u, c, s = (input_node(i) for i in range(3))
    check(Graph(pack((u * c + s)[:, 1:3], (u * c + s)[..., 3:]), 3), (3, 6), (3, 1), ())


def test_what_is_read_whole_stays():
    u, v = input_node(0), input_node(1)
    z = u + v
    assert check(Graph(pack(z[:, :2], z), 2), (3, 6), (3, 6)).count("add") == 1


def test_overlapping_parts_stay():
    u, v = input_node(0), input_node(1)
    z = u * v
    assert check(Graph(pack(z[:, :4], z[:, 2:]), 2), (3, 6), (3, 6)).count("multiply") == 1


def test_rows_and_steps_of_columns_stay():
    u, v = input_node(0), input_node(1)
    z = u * v
    assert check(Graph(pack(z[1:]), 2), (3, 6), (3, 6)).count("multiply") == 1
    assert check(Graph(pack((u - v)[:, 0]), 2), (3, 6), (3, 6)).count("subtract") == 1
    check(Graph(pack((u * v)[:, ::2]), 2), (3, 6), (3, 6))
    check(Graph(pack(ops.exp(u)[:, 1:5][:, 1:3]), 1), (3, 6))


@pytest.mark.parametrize(
    "index",
    [
        np.s_[:, ::-1],  # its end, put into a slice, would be the last column
        np.s_[..., 2::-1],
        np.s_[::-1, 0:3],  # columns, but of rows in another order
        np.s_[::-1],
    ],
)
def test_what_is_read_backwards_stays(index):
    u, v = input_node(0), input_node(1)
    assert check(Graph(pack((u + v)[index]), 2), (3, 6), (3, 6)).count("slice") == 1
