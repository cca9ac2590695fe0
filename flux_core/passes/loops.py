"""Loops: the inside of a scan laid out as a graph of its own, in a workspace that all steps share.

scan ── body ── schedule ──▶ order of one step ── memory ──▶ workspace of one step
                                                states, sequences and values lie outside, a stride a step
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from flux_core.ir import Graph, Node, topological
from flux_core.passes.infer import Type, TypeTree
from flux_core.passes.memory import memory
from flux_core.passes.parts import is_view
from flux_core.passes.schedule import Schedule, schedule, units


class Target(NamedTuple):
    """Where a value of the body goes: the output of the loop with this number, and the room of one step in it."""

    output: int
    unit: int


@dataclass(frozen=True)
class Loop:
    """A scan as it will run.

    `outputs` are the trajectories and the stacked values, as nodes of the graph around it; `homes` are the values
    of the body that are computed where the loop gives them, `copies` those that must be copied there.
    """

    steps: int
    outputs: tuple[Node, ...]
    schedule: Schedule
    offsets: Mapping[Node, int]
    size: int
    homes: Mapping[Node, Target]
    copies: tuple[tuple[Node, Target], ...]


def loops_of(graph: Graph, types: Mapping[Node, TypeTree]) -> tuple[dict[Node, Loop], dict[Node, TypeTree]]:
    """Every scan of a graph laid out, and the types, those of outputs that nothing reads included."""
    order = topological(graph.output)
    gets = {(node.inputs[0], node.attrs["index"]): node for node in order if node.op == "get"}
    loops: dict[Node, Loop] = {}
    known = dict(types)
    for node in order:
        if node.op == "scan":
            whole = types[node]
            assert isinstance(whole, tuple)
            assert not isinstance(whole, Type)
            outputs = []
            for i, kind in enumerate(whole):
                found = gets.get((node, i))
                if found is None:
                    found = Node("get", (node,), MappingProxyType({"index": i}), node.origin)
                known[found] = kind
                outputs.append(found)
            loops[node] = _laid_out(node, tuple(outputs), known)
    return loops, known


def _laid_out(scan: Node, outputs: tuple[Node, ...], types: Mapping[Node, TypeTree]) -> Loop:
    body: Graph = scan.attrs["body"]
    homes: dict[Node, Target] = {}
    copies: list[tuple[Node, Target]] = []
    for i, value in enumerate(body.output.inputs):
        target, owner = Target(i, units(types[value])), value
        while is_view(owner, types):
            owner = owner.inputs[0]
        whole = units(types[owner]) == units(types[value])
        if owner.op in ("input", "constant", "param") or owner in homes or not whole:
            copies.append((value, target))
        else:
            homes[owner] = target
    inputs = [node for node in topological(body.output) if node.op == "input"]
    plan = schedule(body, types, [*homes, *inputs])
    offsets, size = memory(plan.buffers)
    sequence = types[scan.inputs[scan.attrs["states"]]]
    assert isinstance(sequence, Type)
    return Loop(sequence.shape[0], outputs, plan, offsets, size, homes, tuple(copies))
