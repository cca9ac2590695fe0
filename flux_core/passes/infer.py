"""Shapes. Every node's shape and kind, from those of the inputs, without running anything.

The kind says whether a value is of the model's float dtype or holds ids; the shape of a tuple is a tuple of shapes.
Where sizes do not fit, the error names the layer path, both shapes and the way out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from flux_core.errors import FluxError, GraphError, ShapeError
from flux_core.ir import Graph, Node, has_own, topological
from flux_core.ops import IDS, MOVES, TABLE
from flux_core.passes.verify import cyclic

Kind = Literal["float", "int"]


class Type(NamedTuple):
    """The shape of an array and whether it holds floats or ids."""

    shape: tuple[int, ...]
    kind: Kind = "float"


TypeTree: TypeAlias = "Type | tuple[TypeTree, ...]"


def type_tree(shape: Any, kind: Any = "float") -> TypeTree:
    """A type from a shape, a Type, or a tuple of these."""
    if isinstance(shape, Type):
        return shape
    if isinstance(shape, int):
        return Type((shape,), kind)
    if any(isinstance(part, tuple) for part in shape):
        return tuple(type_tree(part, kind) for part in shape)
    return Type(tuple(int(n) for n in shape), kind)


def shape_tree(tree: TypeTree) -> Any:
    """The shapes alone."""
    return tree.shape if isinstance(tree, Type) else tuple(shape_tree(part) for part in tree)


def infer_types(graph: Graph, inputs: Sequence[TypeTree]) -> dict[Node, TypeTree]:
    """The type of every node that the output needs.

    Raises ShapeError where sizes do not fit, GraphError where inputs are missing.
    """
    if len(inputs) != graph.arity:
        raise GraphError(f"the model takes {graph.arity} inputs, not {len(inputs)}")
    types: dict[Node, TypeTree] = {}
    for node in topological(graph.output):
        types[node] = type_of(node, [types[parent] for parent in node.inputs], inputs)
    return types


def all_types(graph: Graph, inputs: Sequence[TypeTree]) -> dict[Node, TypeTree]:
    """The types of the nodes of a graph and of those inside of its scans."""
    types = infer_types(graph, inputs)
    for node in list(types):
        if node.op == "scan":
            types |= all_types(node.attrs["body"], body_inputs(node, [types[x] for x in node.inputs]))
    return types


def type_of(node: Node, operands: Sequence[TypeTree], inputs: Sequence[TypeTree]) -> TypeTree:
    """The type of one node from the types of its operands (and of the graph's inputs)."""
    match node.op:
        case "input":
            index: int = node.attrs["index"]
            return inputs[index]
        case "constant":
            value = node.attrs["value"]
            return Type(value.shape, "float" if value.dtype.kind == "f" else "int")
        case "param":
            return Type(node.attrs["param"].shape)
        case "tuple":
            return tuple(operands)
        case "get":
            return _element(node, operands[0])
        case "tuple_sum":
            return _floats(operands[0])
        case "scan":
            return _scan(node, operands)
        case "offset":
            raise cyclic(node)
        case "call":
            return _opaque(node, operands)
        case "call_back":
            return _floats(operands[1] if len(operands) == 2 else tuple(operands[1:]))
    op = TABLE[node.op]
    arrays = [operand for operand in operands if isinstance(operand, Type)]
    if len(arrays) != len(operands):
        raise ShapeError(
            f"{op.name} takes arrays, not a tuple",
            path=str(node.origin),
            place=node.origin.place,
            shapes=[shape_tree(operand) for operand in operands],
        )
    try:
        shape = op.shape(*(operand.shape for operand in arrays), **node.attrs)
    except ShapeError as problem:
        raise ShapeError(
            problem.reason, path=str(node.origin), place=node.origin.place, shapes=problem.shapes
        ) from None
    for position in IDS.get(op.name, ()):
        if arrays[position].kind != "int":
            raise ShapeError(
                f"{op.name} takes ids, integers, as operand {position + 1}, not floats",
                path=str(node.origin),
                place=node.origin.place,
                shapes=[operand.shape for operand in arrays],
            )
    moved_ids = op.name in MOVES and all(operand.kind == "int" for operand in arrays)
    return Type(shape, "int" if moved_ids else "float")


def body_inputs(node: Node, operands: Sequence[TypeTree]) -> list[TypeTree]:
    """The types of the inputs of a scan's body: one step of each sequence. Raises ShapeError."""
    states, end = node.attrs["states"], node.attrs["states"] + node.attrs["sequences"]
    steps: list[TypeTree] = []
    for sequence in operands[states:end]:
        if not isinstance(sequence, Type) or not sequence.shape:
            raise _misfit(node, f"a scan runs along arrays (steps, ...), not {shape_tree(sequence)}", operands)
        steps.append(Type(sequence.shape[1:], sequence.kind))
    return [*operands[:states], *steps, *operands[end:]]


def _scan(node: Node, operands: Sequence[TypeTree]) -> TypeTree:
    body, states = node.attrs["body"], node.attrs["states"]
    inside = body_inputs(node, operands)
    lengths = {x.shape[0] for x in operands[states : states + node.attrs["sequences"]] if isinstance(x, Type)}
    if len(lengths) > 1 or 0 in lengths:
        raise _misfit(node, f"a scan along sequences of {' and '.join(map(str, sorted(lengths)))} steps", operands)
    found = infer_types(body, inside)  # its nodes know their whole path
    (steps,) = lengths
    given: list[Type] = []
    for i, value in enumerate(body.output.inputs):
        after = found[value]
        if not isinstance(after, Type):
            raise _misfit(node, "a scan gives arrays at each step, not tuples", operands)
        if i < states and after != inside[i]:
            raise _misfit(
                node,
                f"a state of shape {shape_tree(inside[i])} becomes {after.shape} in one step: "
                f"what is assigned to a state must have the state's shape",
                (inside[i], after),
            )
        given.append(Type((steps + (i < states), *after.shape), after.kind))
    return tuple(given)


def _misfit(node: Node, reason: str, operands: Sequence[TypeTree]) -> ShapeError:
    shapes = [shape_tree(operand) for operand in operands]
    return ShapeError(reason, path=str(node.origin), place=node.origin.place, shapes=shapes)


def _floats(tree: TypeTree) -> TypeTree:
    """Gradients are floats, also those of ids, which are zeros."""
    return Type(tree.shape) if isinstance(tree, Type) else tuple(_floats(part) for part in tree)


def _element(node: Node, whole: TypeTree) -> TypeTree:
    index: int = node.attrs["index"]
    if isinstance(whole, Type):
        raise ShapeError(
            f"element {index} of an array of shape {whole.shape}: x[{index}] takes an element of a tuple; "
            f"slice an array along its axes, as in x[:, {index}]",
            path=str(node.origin),
            place=node.origin.place,
            shapes=(whole.shape,),
        )
    if not -len(whole) <= index < len(whole):
        raise ShapeError(
            f"element {index} of a tuple of {len(whole)}",
            path=str(node.origin),
            place=node.origin.place,
            shapes=(shape_tree(whole),),
        )
    return whole[index]


def _opaque(node: Node, operands: Sequence[TypeTree]) -> TypeTree:
    """The type of an opaque call: the model's own answer; a plain function is tried on zeros."""
    model = node.attrs["model"]
    try:
        if has_own(model, "infer_types"):
            known: TypeTree = model.infer_types(*operands)
            return known
        if has_own(model, "infer"):
            return type_tree(model.infer(*(shape_tree(operand) for operand in operands)))
    except GraphError as problem:
        raise problem.within(str(node.origin), node.origin.place) from None
    if has_own(model, "back") or has_own(model, "update"):
        raise GraphError(
            f"the output shape of {type(model).__name__} is not known: give it a method infer(*shapes)",
            path=str(node.origin),
            place=node.origin.place,
        )
    try:
        return type_of_value(model(*(_zeros(operand) for operand in operands)))
    except FluxError:
        raise
    except Exception as problem:  # whatever a user's function raises on zeros is a misfit of shapes to us
        raise ShapeError(
            f"{getattr(model, '__name__', type(model).__name__)} fails on "
            f"{', '.join(str(shape_tree(operand)) for operand in operands)}: {problem}",
            path=str(node.origin),
            place=node.origin.place,
        ) from problem


def _zeros(tree: TypeTree) -> Any:
    if isinstance(tree, Type):
        return np.zeros(tree.shape, np.float32 if tree.kind == "float" else np.int64)
    return tuple(_zeros(part) for part in tree)


def type_of_value(value: Any) -> TypeTree:
    """The type of an array, or of a tuple of arrays."""
    if isinstance(value, tuple):
        return tuple(type_of_value(part) for part in value)
    array = np.asarray(value)
    return Type(array.shape, "float" if array.dtype.kind == "f" else "int")
