"""Graphs as text and as dot, against written-out ones."""

import numpy as np

from flux_core.ir import Graph, call, input_node, pack, param, to_dot, to_mermaid, to_text
from flux_core.layers import Affine, Chain
from flux_core.ops import leaky_relu
from flux_core.passes import laid_out

MODEL = Chain(Affine.of(np.ones((4, 3))), lambda x: x, Affine.of(np.ones((3, 2)), np.ones(2)))

TEXT = """\
%0 = input 0
%1 = param (4, 3)                               ; Chain -> 0: Affine -> W: Param
%2 = matmul %0 %1                               ; Chain -> 0: Affine
%3 = call <lambda> %2                           ; Chain -> 1: <lambda>
%4 = param (3, 2)                               ; Chain -> 2: Affine -> W: Param
%5 = matmul %3 %4                               ; Chain -> 2: Affine
%6 = param (2,)                                 ; Chain -> 2: Affine -> b: Param
%7 = add %5 %6                                  ; Chain -> 2: Affine
return %7"""


def test_text_of_a_model():
    assert to_text(laid_out(MODEL)) == TEXT


def test_text_of_attributes_constants_and_tuples():
    x = input_node(1)
    whole = Graph(pack(leaky_relu(x, slope=0.2)[:, 0] * np.float32(2), x[1], call(Affine(1, 1), np.ones((2, 3)))), 2)
    assert to_text(whole).splitlines() == [
        "%0 = input 1",
        "%1 = leaky_relu[slope=0.2] %0",
        "%2 = slice[index=(slice(None, None, None), 0)] %1",
        "%3 = constant 2",
        "%4 = multiply %2 %3",
        "%5 = get 1 %0",
        "%6 = constant (2, 3)",
        "%7 = call Affine %6                             ; Affine",
        "%8 = tuple %4 %5 %7",
        "return %8",
    ]


def test_dot_names_every_node_and_edge_once():
    x = input_node(0)
    whole = Graph(x * x + param([1.0, 2.0]), 1)
    assert to_dot(whole).splitlines() == [
        "digraph {",
        "  rankdir=TB; node [shape=box, fontname=monospace];",
        '  n0 [label="input 0"];',
        '  n1 [label="multiply"];',
        "  n0 -> n1;",
        "  n0 -> n1;",
        '  n2 [label="param (2,)"];',
        '  n3 [label="add"];',
        "  n1 -> n3;",
        "  n2 -> n3;",
        "}",
    ]


def test_quotes_in_labels_are_escaped():
    def odd(x):
        return x

    odd.__name__ = 'a "quoted" \\ name'
    assert r'label="call a \"quoted\" \\ name"' in to_dot(Graph(call(odd, input_node(0)), 1))


def test_notes_stand_behind_their_nodes():
    x = input_node(0)
    y = x * x
    whole = Graph(y, 1)
    assert to_text(whole, {y: "3 x 4"}).splitlines()[1] == f"{'%1 = multiply %0 %0':<56} 3 x 4"
    assert '  n1 [label="multiply\\n3 x 4"];' in to_dot(whole, {y: "3 x 4"})
    assert '  n1["multiply<br>3 x 4"]' in to_mermaid(whole, {y: "3 x 4"})


def test_mermaid_names_every_node_and_edge_once():
    x = input_node(0)
    assert to_mermaid(Graph(x * x + param([1.0, 2.0]), 1)).splitlines() == [
        "flowchart TB",
        '  n0["input 0"]',
        '  n1["multiply"]',
        "  n0 --> n1",
        "  n0 --> n1",
        '  n2["param (2,)"]',
        '  n3["add"]',
        "  n1 --> n3",
        "  n2 --> n3",
    ]


def test_what_mermaid_would_read_as_its_own_is_an_entity():
    def odd(x):
        return x

    odd.__name__ = 'a "b" <c> & #1;'
    assert '["call a #quot;b#quot; #lt;c#gt; #amp; #35;1;"]' in to_mermaid(Graph(call(odd, input_node(0)), 1))
