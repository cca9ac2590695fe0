"""fluxrun show CONFIG|RUN: the resolved spec and the table of layers."""

from __future__ import annotations

from pathlib import Path

from fluxrun.commands.answer import Json, print_json
from fluxrun.commands.choosing import ConfigOrRun
from fluxrun.commands.guard import Debug, Runs, Set, guard

EXAMPLES = """Examples:\n
\b
  fluxrun show configs/digits.yaml
  fluxrun show configs/digits.yaml --set model.0.affine.out=64 --json
"""


def show(
    which: ConfigOrRun,
    overrides: Set = None,
    runs: Runs = "runs",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show a spec with every default, and its layers. Each with its shape, parameters and memory."""

    def work() -> int:
        from fluxrun.jobs.show import show as view
        from fluxrun.render.numbers import amount, count, grid, shape
        from fluxrun.spec.text import visible

        seen = view(which, overrides or (), Path(runs))
        if as_json:
            print_json(seen.to_json())
            return 0
        print("\n".join(visible(line) for line in seen.yaml.splitlines()))
        print()
        if seen.layers is None:
            print(f"shapes are not known: {visible(seen.reason or '')}")
            return 0
        rows = [
            [row.path, row.name, shape(row.output), count(row.parameters), amount(row.memory)] for row in seen.layers
        ]
        total = [sum(row.parameters for row in seen.layers), sum(row.memory for row in seen.layers)]
        rows.append(["", "in all", "", count(total[0]), amount(total[1])])
        print("\n".join(grid(["layer", "", "output", "parameters", "memory"], rows, left=2)))
        return 0

    guard(work, debug)
