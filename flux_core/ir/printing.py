"""Graphs as text, as dot and as Mermaid: one line a node, inputs first.

%0 = input 0
%1 = param (784, 128)
%2 = matmul %0 %1           ; 0: Affine
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from flux_core.ir.node import Graph, Node
from flux_core.ir.walk import topological

Notes = Mapping[Node, str]


def to_text(graph: Graph, notes: Notes = MappingProxyType({})) -> str:
    """The graph as readable lines, in the order in which it can be run; `notes` stand behind their nodes.

    The steps of a scan follow, indented.

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
        line = " ".join([f"%{name} =", label(node), *(f"%{names[parent]}" for parent in node.inputs)])
        if node in notes:
            line = f"{line:<56} {notes[node]:<15}".rstrip()
        lines.append(f"{line:<{72 if notes else 48}}; {node.origin}" if node.origin.steps else line)
    lines.append(f"return %{names[graph.output]}")
    for node, name in names.items():
        if node.op == "scan":
            lines += ["", f"a step of %{name}:", *("  " + line for line in to_text(_body(node), notes).splitlines())]
    return "\n".join(lines)


def to_dot(graph: Graph, notes: Notes = MappingProxyType({})) -> str:
    """The graph in Graphviz' language; the steps of scans are clusters."""
    lines = ["digraph {", "  rankdir=TB; node [shape=box, fontname=monospace];"]
    for prefix, title, part in _parts(graph):
        names = _names(part)
        indent = "  " * (2 if title else 1)
        lines += [f"  subgraph cluster_{prefix} {{", f'    label="{title}";'] if title else []
        for node, name in names.items():
            text = "\\n".join(_escaped(line) for line in _lines(node, notes))
            lines.append(f'{indent}{prefix}{name} [label="{text}"];')
            lines.extend(f"{indent}{prefix}{names[parent]} -> {prefix}{name};" for parent in node.inputs)
        lines += ["  }"] if title else []
    return "\n".join([*lines, "}"])


def to_mermaid(graph: Graph, notes: Notes = MappingProxyType({})) -> str:
    """The graph as a Mermaid flowchart, which Markdown viewers draw; the steps of scans are subgraphs.

    >>> from flux_core.ir import input_node
    >>> print(to_mermaid(Graph(input_node(0) * 2.0, 1)))
    flowchart TB
      n0["input 0"]
      n1["constant 2"]
      n2["multiply"]
      n0 --> n2
      n1 --> n2
    """
    lines = ["flowchart TB"]
    for prefix, title, part in _parts(graph):
        names = _names(part)
        lines += [f'  subgraph {prefix}["{title}"]'] if title else []
        for node, name in names.items():
            text = "<br>".join(_entities(line) for line in _lines(node, notes))
            lines.append(f'  {prefix}{name}["{text}"]')
            lines.extend(f"  {prefix}{names[parent]} --> {prefix}{name}" for parent in node.inputs)
        lines += ["  end"] if title else []
    return "\n".join(lines)


def _parts(graph: Graph, prefix: str = "n") -> Iterator[tuple[str, str, Graph]]:
    """The graph and the bodies of its scans, each with a prefix for the names of its nodes and a title."""
    yield prefix, "", graph
    for node, name in _names(graph).items():
        if node.op == "scan":
            first, *rest = _parts(_body(node), f"{prefix}{name}_")
            yield first[0], f"a step of scan {name}", first[2]
            yield from rest


def _body(scan: Node) -> Graph:
    body: Graph = scan.attrs["body"]
    return body


def label(node: Node) -> str:
    """What a node does, without its operands."""
    if node.op == "param":
        return f"param {node.attrs['param'].shape}"
    if node.op == "call":
        model = node.attrs["model"]
        return f"call {getattr(model, '__name__', type(model).__name__)}"
    if node.op in ("input", "get"):
        return f"{node.op} {node.attrs['index']}"
    if node.op == "constant":
        return f"constant {_value(node.attrs['value'])}"
    if node.op == "fused":
        return f"fused[{node.attrs['formula']}]"
    if node.op == "scan":
        return f"scan[{node.attrs['states']} states, {node.attrs['sequences']} sequences{_way(node)}]"
    attrs = ", ".join(f"{name}={value!r}" for name, value in node.attrs.items() if name != "run")
    return f"{node.op}[{attrs}]" if attrs else node.op


def _way(scan: Node) -> str:
    return ", in reverse" if scan.attrs["reverse"] else ""


def _lines(node: Node, notes: Notes) -> list[str]:
    return [label(node), *([notes[node]] if node in notes else [])]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _entities(text: str) -> str:
    """Mermaid ends a label at a quote, reads # as the start of an entity, and < as that of a tag."""
    for character, entity in (
        ("#", "#35;"),
        ("&", "#amp;"),
        ('"', "#quot;"),
        ("<", "#lt;"),
        (">", "#gt;"),
        ("`", "#96;"),
    ):
        text = text.replace(character, entity)
    return text


def _names(graph: Graph) -> dict[Node, int]:
    return {node: number for number, node in enumerate(topological(graph.output))}


def _value(value: Any) -> str:
    array = np.asarray(value)
    return f"{array.item():g}" if array.ndim == 0 else f"{array.shape}"
