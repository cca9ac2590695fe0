"""Passes: plain functions from graph to graph, or from graph to facts.

atomise    sub-models are entered, until only ops and opaque calls are left
step       a graph with delayed values as one of a step: hidden values in, hidden values out
verify     the graph means something
infer      the shape and kind of every node
grad       the graph of the gradients
lift       out of a loop what it need not do step by step
merge      loops over the same steps
simplify   constants folded, equal nodes merged, identities removed
"""

from flux_core.passes.atomise import atomise, laid_out
from flux_core.passes.grad import GradGraph, grad, gradients
from flux_core.passes.infer import Kind, Type, TypeTree, infer_types, shape_tree, type_tree
from flux_core.passes.lift import lift
from flux_core.passes.merge import merged
from flux_core.passes.simplify import simplify
from flux_core.passes.step import StepForm, step_form, step_types
from flux_core.passes.verify import verify

__all__ = [
    "GradGraph",
    "Kind",
    "StepForm",
    "Type",
    "TypeTree",
    "atomise",
    "grad",
    "gradients",
    "infer_types",
    "laid_out",
    "lift",
    "merged",
    "shape_tree",
    "simplify",
    "step_form",
    "step_types",
    "type_tree",
    "verify",
]
