"""The graph: what a model computes, as a value that can be read, printed, differentiated and compiled.

    Node   an op name, its inputs, its attributes and where it came from; immutable, shared by identity
    Param  an array under training and its gradient; a leaf
    Graph  one output (possibly a nest of tuples) over numbered inputs

Nothing here knows what an op means: that is `flux_core.ops`.
"""

from flux_core.ir.node import (
    NOWHERE,
    Graph,
    Node,
    Origin,
    Step,
    as_node,
    call,
    constant,
    get,
    input_node,
    named,
    pack,
)
from flux_core.ir.param import Param, accumulate, copyto, param, state
from flux_core.ir.printing import to_dot, to_mermaid, to_text
from flux_core.ir.protocol import graph, has_own
from flux_core.ir.recurrence import after_steps, before_steps, final_state, offset, parts_of, scan, values_of
from flux_core.ir.walk import is_leaf, params_of, rewrite, topological

__all__ = [
    "NOWHERE",
    "Graph",
    "Node",
    "Origin",
    "Param",
    "Step",
    "accumulate",
    "after_steps",
    "as_node",
    "before_steps",
    "call",
    "constant",
    "copyto",
    "final_state",
    "get",
    "graph",
    "has_own",
    "input_node",
    "is_leaf",
    "named",
    "offset",
    "pack",
    "param",
    "params_of",
    "parts_of",
    "rewrite",
    "scan",
    "state",
    "to_dot",
    "to_mermaid",
    "to_text",
    "topological",
    "values_of",
]
