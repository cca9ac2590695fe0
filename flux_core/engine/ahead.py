"""The kernels that are written, as against generated: every function of (arena, operands) in `kernels/`."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from flux_core.engine.kernel import KERNELS, Kernel


def written() -> Iterator[Kernel]:
    """Every written kernel.

    >>> sorted(kernel.name for kernel in written())[:3]
    ['absolute_error', 'accuracy', 'binary_accuracy']
    """
    for file in sorted(KERNELS.glob("*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and [a.arg for a in node.args.args] == ["arena", "operands"]:
                yield Kernel.written(node.name, file.stem)
