"""What a spec or a run amounts to: every default, and the table of its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from flux_core.errors import MissingFile
from fluxrun.jobs.either import load_either
from fluxrun.spec.build import peek
from fluxrun.spec.load import to_data, to_yaml
from fluxrun.spec.schema.root import Spec
from fluxrun.store.listing import Run


@dataclass(frozen=True)
class Layer:
    """A row of the table; `output` is the shape of one example, `memory` what its parameters and its outputs for one
    minibatch take as float32, in bytes."""

    path: str
    name: str
    output: tuple[int, ...]
    parameters: int
    memory: int


@dataclass(frozen=True)
class View:
    """A spec with its layers; without the data at hand `layers` is None and `reason` says why."""

    spec: Spec
    layers: tuple[Layer, ...] | None
    reason: str | None
    run: Run | None

    @property
    def yaml(self) -> str:
        return to_yaml(self.spec)

    def to_json(self) -> dict[str, Any]:
        """What `show --json` prints."""
        rows = None if self.layers is None else [vars(layer) for layer in self.layers]
        run = str(self.run.folder) if self.run else None
        return {"run": run, "spec": to_data(self.spec), "layers": rows, "reason": self.reason}


def show(which: str, overrides: Sequence[str], runs: Path) -> View:
    """The view of a config or a run. Raises SpecError, NoSuchRun, DataError."""
    loaded, run = load_either(which, overrides, runs)
    try:
        spec, _, seen, model = peek(loaded)
    except MissingFile as error:
        return View(loaded.spec, None, str(error), run)
    from flux_core.layers import layer_table

    kind = "int" if seen.input_dtype == "int64" else "float"
    rows = layer_table(model, (to_data(spec)["data"]["batch_size"], *seen.input_shape), kind=kind)
    layers = [
        Layer(r.path, r.name, tuple(r.output[1:]), r.parameters, 4 * (r.parameters + prod(r.output))) for r in rows
    ]
    return View(spec, tuple(layers), None, run)
