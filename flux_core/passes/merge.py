"""Merging: scans that do the same steps become one, which gives the values of all of them.

scan(body → h, y)                        model and loss
scan(body → h, y, kept gates)     →      scan(body → h, y, kept gates)
                                         its gradient reads what is kept
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from types import MappingProxyType

from flux_core.ir import Graph, Node, get, pack, rewrite, topological
from flux_core.ir.walk import with_inputs


def merged(outputs: Sequence[Node]) -> list[Node]:
    """The same values with as few loops as can be."""
    while True:
        groups: dict[Hashable, list[Node]] = {}
        for node in topological(*outputs):
            if node.op == "scan":
                groups.setdefault(_steps(node), []).append(node)
        again = [group for group in groups.values() if len(group) > 1]
        if not again:
            return list(outputs)
        outputs = _together(outputs, again)


def _steps(scan: Node) -> Hashable:
    """What makes two scans the same but for what they give at each step."""
    states = scan.attrs["states"]
    after = scan.attrs["body"].output.inputs[:states]
    others = tuple((key, value) for key, value in scan.attrs.items() if key != "body")
    return (scan.inputs, after, others)


def _together(outputs: Sequence[Node], groups: Sequence[Sequence[Node]]) -> list[Node]:
    places: dict[Node, tuple[Graph, list[int]]] = {}  # a scan -> the body of all, and where its own values are
    for group in groups:
        states = group[0].attrs["states"]
        all_of_them: dict[Node, None] = {}
        for scan in group:
            all_of_them.update(dict.fromkeys(scan.attrs["body"].output.inputs[states:]))
        values = list(all_of_them)
        after = group[0].attrs["body"].output.inputs[:states]
        body = Graph(pack(*after, *values), group[0].attrs["body"].arity)
        for scan in group:
            own = scan.attrs["body"].output.inputs[states:]
            places[scan] = body, [*range(states), *(states + values.index(value) for value in own)]
    made: dict[Graph, Node] = {}

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op == "get":
            return get(inputs[0], node.attrs["index"])
        if node not in places:
            return with_inputs(node, inputs)
        body, own = places[node]
        if body not in made:
            made[body] = Node("scan", inputs, MappingProxyType({**node.attrs, "body": body}), node.origin)
        return pack(*(get(made[body], i) for i in own))

    return rewrite(outputs, rule)
