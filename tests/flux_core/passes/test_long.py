"""A chain of 10,000 nodes goes through every pass: no walk uses Python's recursion."""

import copy

import numpy as np
import pytest

from flux_core.interpreter import interpret
from flux_core.ir import Graph, call, input_node, param, params_of, to_dot, to_text, topological
from flux_core.model import Capacitor, back, infer, parameters, update
from flux_core.passes import Type, atomise, grad, infer_types, laid_out, simplify, verify

N = 10_000


@pytest.fixture(scope="module")
def chain():
    x, p = input_node(0), param(np.array([0.5]))
    y = x
    for i in range(N // 2 + 2):
        y = y + p if i % 2 else -y
        y = y * 1.0
    return Graph(y, 1)


def test_every_pass(chain):
    assert len(topological(chain.output)) > N
    assert verify(chain) is chain
    assert atomise(chain).arity == 1
    assert infer_types(chain, [Type((2, 1))])[chain.output] == Type((2, 1))
    short = simplify(chain, [Type((2, 1))])
    assert len(topological(short.output)) == N // 2 + 4
    assert len(params_of(chain.output)) == 1
    x = np.array([[1.0], [2.0]])
    np.testing.assert_array_equal(interpret(short, [x]), interpret(chain, [x]))
    assert len(topological(grad(laid_out(chain)).graph.output)) > N
    assert len(to_text(chain).splitlines()) > N
    assert len(to_dot(chain).splitlines()) > N


def test_models_of_it(chain):
    model = Capacitor(Graph(call(Capacitor(chain), input_node(0)), 1))
    x = np.array([[1.0], [2.0]])
    assert infer(model, (2, 1)) == (2, 1)
    np.testing.assert_array_equal(back(model, np.ones((2, 1)), x), -np.ones((2, 1)))
    (p,) = parameters(model).values()
    np.testing.assert_array_equal(p.dx, [2.0])  # signs alternate, over an odd number of uses and two rows
    assert update(model, 0.1) is model
    assert repr(copy.copy(model)) == "Capacitor(Graph(1 inputs -> call))"
