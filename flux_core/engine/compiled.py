"""A graph as a compiled function of arrays: what `interpret` is, by kernels.

f = Compiled(graph, types)          f(x, y) == interpret(graph, (x, y))
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.engine.arena import LINE, aligned
from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import CannotLowerError
from flux_core.engine.store import Store, default_store
from flux_core.engine.tape import WIDTH, Tape, encode, lay_out, offset
from flux_core.ir import Graph, Node, Param
from flux_core.ops import EVALUATION, Run
from flux_core.passes import Type, TypeTree


class Compiled:
    """A graph of arrays as machine code, for inputs of fixed types; Params are read where they are.

    Raises CannotLowerError for a graph with something that only the interpreter runs.
    """

    def __init__(
        self, graph: Graph, inputs: Sequence[TypeTree], *, run: Run = EVALUATION, store: Store | None = None
    ) -> None:
        self.graph, self.store = graph, store or default_store()
        self.base = aligned(LINE, np.float32)
        self.step = aligned(LINE, np.int64)
        self.step[0] = run.step
        self.layout = lay_out(graph, inputs, run)
        self.tape = Tape(
            self.layout,
            self.base,
            param_place=self._param_place,
            result_place=lambda node: None,
            seed=run.seed,
            step_place=offset(self.step, self.base),
        )
        self.code = encode(self.tape.instructions, self.store, self.base)
        self._walk = self.store.function(Kernel.written("walk", "loop"))
        self._busy = Lock()  # its memory is one, and the walk lets other threads run

    def __call__(self, *xs: Any) -> Any:
        """The output at `xs`, in new arrays, nested as the graph's output is; threads wait for each other."""
        with self._busy:
            for node, x in zip(self.layout.inputs, xs, strict=True):
                if node is not None:
                    view = self._view(node)
                    view[...] = np.asarray(x, view.dtype)
            operands = np.array([offset(self.code.rows, self.base), len(self.code.rows), WIDTH], np.int64)
            self._walk(self.base.ctypes.data, operands.ctypes.data)
            results = iter([self._view(node).copy() for node in self.layout.schedule.results])
        return _nested(self.graph.output, results)

    def _param_place(self, param: Param) -> int:
        """Where the kernels find a Param; they read float32 numbers that lie one behind the other."""
        if param.x.dtype != np.float32 or not param.x.flags.c_contiguous:
            layout = "" if param.x.flags.c_contiguous else " that do not lie in their order"
            raise CannotLowerError(f"a Param of {param.x.dtype} numbers{layout}, the kernels read float32")
        return offset(param.x, self.base)

    def _view(self, node: Node) -> NDArray[Any]:
        """The memory of a node's value as an array."""
        kind = self.layout.types[node]
        assert isinstance(kind, Type)
        if self.layout.schedule.owner[node].op == "param":
            return np.asarray(self.layout.schedule.owner[node].attrs["param"].x.reshape(kind.shape))
        memory = self.tape.memory_of(node)
        flat = memory if kind.kind == "float" else memory.view(np.int64)
        return flat.reshape(kind.shape)


def _nested(output: Node, results: Any) -> Any:
    return tuple(_nested(x, results) for x in output.inputs) if output.op == "tuple" else next(results)
