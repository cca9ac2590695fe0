"""The pipeline: from a graph of arrays to an order of its instructions and a place for every buffer.

    simplify ──▶ fuse ──▶ legalise ──▶ schedule ──▶ memory
    graph        graph    graph        order,       offsets
                                       lives

In front of it stand `atomise` and `grad`, which make the graph; behind it stands `lower`, which makes the tape.
What comes out of every stage can be looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from flux_core.ir import Graph, Node, as_node, constant, rewrite
from flux_core.ir.walk import with_inputs
from flux_core.ops import EVALUATION, RANDOM, Run, broadcast_like
from flux_core.passes.fuse import fuse
from flux_core.passes.infer import TypeTree, all_types
from flux_core.passes.legalise import legalise
from flux_core.passes.loops import Loop, loops_of
from flux_core.passes.memory import memory
from flux_core.passes.schedule import Schedule, schedule, units
from flux_core.passes.simplify import simplify


@dataclass(frozen=True)
class Work:
    """A graph and what is known about it so far; types from `simplify` on, the rest from the stage of that name.

    `placed` picks, of the owners of the results, those that are written to memory of the caller's; `kept` are the
    numbers of inputs that something behind the graph reads, `outside` of those that lie in memory of the caller's.
    """

    graph: Graph
    inputs: tuple[TypeTree, ...]
    run: Run = EVALUATION
    placed: Callable[[Sequence[Node]], Iterable[Node]] = lambda owners: ()
    kept: tuple[int, ...] = ()
    outside: tuple[int, ...] = ()
    types: Mapping[Node, TypeTree] = field(default_factory=dict)
    loops: Mapping[Node, Loop] = field(default_factory=dict)
    schedule: Schedule | None = None
    offsets: Mapping[Node, int] = field(default_factory=dict)
    size: int = 0  # of the workspace, in float32 numbers


def _simplify(work: Work) -> Work:
    graph = simplify(work.graph if work.run.training else undropped(work.graph), work.inputs)
    return replace(work, graph=graph, types=all_types(graph, work.inputs))


def _fuse(work: Work) -> Work:
    graph, types = fuse(work.graph, work.types)
    return replace(work, graph=graph, types=types)


def _legalise(work: Work) -> Work:
    graph, types = legalise(work.graph, work.types)
    return replace(work, graph=graph, types=types)


def _schedule(work: Work) -> Work:
    loops, types = loops_of(work.graph, work.types)
    inside = {scan: (loop.outputs, loop.size) for scan, loop in loops.items()}
    first = schedule(work.graph, types, loops=inside)
    # a result that is a part of something else lies where that lies
    whole = [n if units(types[first.owner[n]]) != units(types[n]) else first.owner[n] for n in first.results]
    placed = [node for node in work.placed(whole) if first.owner[node] is node]
    placed += [node for node in first.order if node.op == "input" and node.attrs["index"] in work.outside]
    return replace(work, types=types, loops=loops, schedule=schedule(work.graph, types, placed, work.kept, inside))


def _memory(work: Work) -> Work:
    assert work.schedule is not None, "the stage before this one makes it"
    offsets, size = memory(work.schedule.buffers)
    return replace(work, offsets=offsets, size=size)


PIPELINE: tuple[tuple[str, Callable[[Work], Work]], ...] = (
    ("simplify", _simplify),
    ("fuse", _fuse),
    ("legalise", _legalise),
    ("schedule", _schedule),
    ("memory", _memory),
)


def stages(work: Work) -> Iterator[tuple[str, Work]]:
    """The name of every stage and the work behind it.

    >>> from flux_core.ir import input_node
    >>> from flux_core.passes.infer import Type
    >>> x = input_node(0)
    >>> for name, done in stages(Work(Graph((x + x) * 1.0, 1), (Type((3,)),))):
    ...     print(name, done.graph.output.op)
    simplify add
    fuse fused
    legalise fused
    schedule fused
    memory fused
    """
    for name, change in PIPELINE:
        work = change(work)
        yield name, work


def undropped(graph: Graph) -> Graph:
    """The graph with every dropout mask replaced by ones: outside training nothing is dropped."""

    def rule(node: Node, inputs: tuple[Node, ...]) -> Node:
        return as_node(broadcast_like(constant(1.0), inputs[0])) if node.op in RANDOM else with_inputs(node, inputs)

    return Graph(rewrite([graph.output], rule)[0], graph.arity)
