"""Passes: plain functions from graph to graph, or from graph to facts.

atomise    sub-models are entered, until only ops and opaque calls are left
verify     the graph means something
infer      the shape and kind of every node
grad       the graph of the gradients
simplify   constants folded, equal nodes merged, identities removed
"""

from flux_core.passes.atomise import atomise, laid_out
from flux_core.passes.grad import GradGraph, grad, gradients
from flux_core.passes.infer import Kind, Type, TypeTree, infer_types, shape_tree, type_tree
from flux_core.passes.simplify import simplify
from flux_core.passes.verify import verify

__all__ = [
    "GradGraph",
    "Kind",
    "Type",
    "TypeTree",
    "atomise",
    "grad",
    "gradients",
    "infer_types",
    "laid_out",
    "shape_tree",
    "simplify",
    "type_tree",
    "verify",
]
