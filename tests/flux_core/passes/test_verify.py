"""Graphs that cannot mean anything, and what is said about them."""

from types import MappingProxyType

import numpy as np
import pytest

from flux_core.errors import GraphError
from flux_core.ir import Graph, Node, Origin, Step, input_node, pack, param
from flux_core.passes import verify
from flux_core.passes.verify import dtype_of

X = input_node(0)
HERE = Origin((Step("", "TLP"), Step("second", "Affine")))


def node(op, *inputs, **attrs):
    return Node(op, inputs, MappingProxyType(attrs), HERE)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (node("sinh", X), "there is no op named 'sinh'"),
        (node("add", X), "add takes 2 operands, not 1"),
        (node("relu", X, X), "relu takes 1 operands, not 2"),
        (node("relu", X, slope=1), r"relu has the attributes \[\], not \['slope'\]"),
        (node("sum", X, axis=0), r"sum has the attributes \['axis', 'keepdims'\], not \['axis'\]"),
        (node("add", X, node("input", index=3)), "input 3 of a graph of 1 inputs"),
        (node("add", X, node("input", index=-1)), "input -1 of a graph of 1 inputs"),
    ],
)
def test_nonsense_is_named_with_its_place(output, text):
    for whole in (output, pack(X, output)):
        with pytest.raises(GraphError, match=f"^in TLP -> second: Affine: {text}$") as found:
            verify(Graph(whole, 1))
        assert found.value.path == "TLP -> second: Affine"


def test_a_model_has_one_dtype():
    narrow, wide = param(np.ones(2, np.float32)), param(np.ones(3, np.float64))
    with pytest.raises(GraphError, match=r"one dtype, but Param\(2\) is float32 and Param\(3\) is float64"):
        verify(Graph(X * narrow + wide, 1))
    assert dtype_of(Graph(X * wide, 1)) == np.float64
    assert dtype_of(Graph(X * narrow, 1)) == np.float32
    assert dtype_of(Graph(X, 1)) is None


def test_what_can_be_run_is_returned():
    whole = Graph(pack(X + 1.0, X[0]), 1)
    assert verify(whole) is whole
