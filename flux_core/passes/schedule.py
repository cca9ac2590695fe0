"""Scheduling: a linear order of the nodes, and for each buffer the first and the last instruction that touches it.

    order     %3 = matmul      buffer of %3   ├────────┤          views share the buffer of what they view, or a part
              %5 = fused       buffer of %5        ├────────┤

Gradients are ordered from the last layer to the first, as they are found, so that activations die early.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType

from flux_core.ir import Graph, Node, is_leaf, topological
from flux_core.passes.infer import Type, TypeTree
from flux_core.passes.parts import VIEWS, begin_of, columns_of, is_view, reads

STRUCTURE = frozenset({"tuple", "get"})


@dataclass(frozen=True)
class Buffer:
    """Room for `size` float32 numbers from instruction `first` to instruction `last`, both included."""

    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Schedule:
    """The nodes in the order of their instructions, the node that owns each node's memory, and the buffers.

    `shift` says how far behind the beginning of its owner's memory a node's begins, `lead` how far its rows lie apart
    where it is some columns of it, in float32 numbers; a scan owns the workspace of its steps.
    """

    order: tuple[Node, ...]
    owner: Mapping[Node, Node]
    shift: Mapping[Node, int]
    lead: Mapping[Node, int]
    buffers: Mapping[Node, Buffer]
    results: tuple[Node, ...]

    def computed(self) -> Iterator[Node]:
        """The nodes that take instructions, in their order: no leaf, and nothing that only names a part of another."""
        for node in self.order:
            named = self.owner[node] is not node and (node.op == "slice" or node.op in VIEWS)
            if not is_leaf(node) and not named:
                yield node


def units(tree: TypeTree) -> int:
    """The room that a value takes, in float32 numbers; an id takes two."""
    assert isinstance(tree, Type)
    return prod(tree.shape) * (1 if tree.kind == "float" else 2)


def flat_results(graph: Graph) -> tuple[Node, ...]:
    """The arrays in the output, tuples opened."""
    found: list[Node] = []
    pending = [graph.output]
    while pending:
        node = pending.pop()
        if node.op == "tuple":
            pending.extend(reversed(node.inputs))
        else:
            found.append(node)
    return tuple(found)


def schedule(
    graph: Graph,
    types: Mapping[Node, TypeTree],
    placed: Sequence[Node] = (),
    kept: Sequence[int] = (),
    loops: Mapping[Node, tuple[Sequence[Node], int]] = MappingProxyType({}),
) -> Schedule:
    """Order the nodes of a graph of arrays and find the lives of their buffers.

    `placed` are nodes whose memory is elsewhere; inputs live from the beginning, results and the inputs numbered in
    `kept` to the end. `loops` tells of every scan its outputs and the size of its workspace.
    """
    results = flat_results(graph)
    wanted = _needed(results)
    order = tuple(n for n in _by_depth(results) if n in wanted and n.op not in STRUCTURE)
    position = {node: i for i, node in enumerate(order)}
    owner: dict[Node, Node] = {}
    shift: dict[Node, int] = {}
    columns = columns_of(order, types, {*results, *placed})
    for node in order:
        if node in columns:
            whole, begin, _ = columns[node]
            owner[node], shift[node] = owner.get(whole, whole), shift.get(whole, 0) + begin
        elif is_view(node, types):
            owner[node] = owner[node.inputs[0]]
            shift[node] = shift[node.inputs[0]] + begin_of(node, types)
        else:
            owner[node], shift[node] = node, 0
        for output in loops[node][0] if node.op == "scan" else ():
            owner[output], shift[output] = output, 0
    # an input of which only the shape is read has no place here
    elsewhere = {owner[node] for node in placed if node in owner} | {n for n in order if n.op in ("param", "constant")}
    first: dict[Node, int] = {}
    last: dict[Node, int] = {}
    for node in order:
        mine = owner[node]
        first.setdefault(mine, -1 if mine.op == "input" else position[node])
        last[mine] = max(last.get(mine, -1), position[node])
        for output in loops[node][0] if node.op == "scan" else ():
            first[output] = last[output] = position[node]
        for x in reads(node):
            last[owner[x]] = max(last[owner[x]], position[node])
    for node in (*results, *(n for n in order if n.op == "input" and n.attrs["index"] in kept)):
        last[owner[node]] = len(order)
    for node in order:
        heir = _inheritance(node, position[node], owner, last, types, elsewhere)
        if heir is not None:
            mine = owner[node]
            owner |= {other: heir for other in order if owner[other] is mine}
            last[heir] = last.pop(mine)
            first.pop(mine)
    buffers = {
        node: Buffer(loops[node][1] if node.op == "scan" else units(types[node]), first[node], last[node])
        for node in first
        if node not in elsewhere
    }
    lead = {node: part.lead for node, part in columns.items()}
    return Schedule(order, owner, shift, lead, buffers, results)


def _inheritance(
    node: Node,
    now: int,
    owner: Mapping[Node, Node],
    last: Mapping[Node, int],
    types: Mapping[Node, TypeTree],
    elsewhere: set[Node],
) -> Node | None:
    """The owner of an operand that dies in this elementwise op, whose memory the result can take over."""
    if node.op != "fused" or owner[node] is not node or node in elsewhere:
        return None
    for x in node.inputs:
        mine = owner[x]
        same = units(types[mine]) == units(types[x]) == units(types[node])
        # a part of it that is read elsewhere in the formula would change under the kernel
        same = same and all(owner[y] is not mine or units(types[y]) == units(types[x]) for y in node.inputs)
        if mine not in elsewhere and same and last[mine] == now and units(types[x]) > 1:
            return mine
    return None


def _needed(results: Sequence[Node]) -> set[Node]:
    """The nodes whose values are read; an operand that gives only its shape need not be computed."""
    needed: set[Node] = set()
    pending = list(results)
    while pending:
        node = pending.pop()
        if node not in needed:
            needed.add(node)
            pending.extend(reads(node))
    return needed


def _by_depth(results: Sequence[Node]) -> list[Node]:
    """A topological order in which the results that are found early come early.

    Walking back from the loss, the last layer's gradients are the first that are known; the order of the walk
    from each result is that of its operands, so sorting results by depth is all that is needed.
    """
    depth: dict[Node, int] = {}
    for node in topological(*results):
        depth[node] = 1 + max((depth[x] for x in node.inputs), default=0)
    return topological(*sorted(results, key=depth.__getitem__))
