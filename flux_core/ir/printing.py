"""Graphs as text and as dot: one line a node, inputs first.

%0 = input 0
%1 = param (784, 128)
%2 = matmul %0 %1           ; 0: Affine
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flux_core.ir.node import Graph, Node
from flux_core.ir.walk import topological


def to_text(graph: Graph) -> str:
    """The graph as readable lines, in the order in which it can be run.

    >>> from flux_core.ir import input_node
    >>> print(to_text(Graph(input_node(0) * 2.0, 1)))
    %0 = input 0
    %1 = constant 2
    %2 = multiply %0 %1
    return %2
    """
    names = _names(graph)
    lines = []
    for node, name in names.items():
        line = " ".join([f"%{name} =", _label(node), *(f"%{names[parent]}" for parent in node.inputs)])
        lines.append(f"{line:<48}; {node.origin}" if node.origin.steps else line)
    return "\n".join([*lines, f"return %{names[graph.output]}"])


def to_dot(graph: Graph) -> str:
    """The graph in Graphviz' language."""
    names = _names(graph)
    lines = ["digraph {", "  rankdir=TB; node [shape=box, fontname=monospace];"]
    for node, name in names.items():
        label = _label(node).replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'  n{name} [label="{label}"];')
        lines.extend(f"  n{names[parent]} -> n{name};" for parent in node.inputs)
    return "\n".join([*lines, "}"])


def _names(graph: Graph) -> dict[Node, int]:
    return {node: number for number, node in enumerate(topological(graph.output))}


def _label(node: Node) -> str:
    if node.op == "param":
        return f"param {node.attrs['param'].shape}"
    if node.op == "call":
        model = node.attrs["model"]
        return f"call {getattr(model, '__name__', type(model).__name__)}"
    if node.op in ("input", "get"):
        return f"{node.op} {node.attrs['index']}"
    if node.op == "constant":
        return f"constant {_value(node.attrs['value'])}"
    attrs = ", ".join(f"{name}={value!r}" for name, value in node.attrs.items())
    return f"{node.op}[{attrs}]" if attrs else node.op


def _value(value: Any) -> str:
    array = np.asarray(value)
    return f"{array.item():g}" if array.ndim == 0 else f"{array.shape}"
