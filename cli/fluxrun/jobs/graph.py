"""A training as a graph, as it stands behind every stage on its way to machine code.

    atomise ─▶ grad ─▶ simplify ─▶ fuse ─▶ legalise ─▶ schedule ─▶ memory ─▶ tape
    of ops     whole   └────────────── passes.pipeline ──────────────┘      instructions

Only the shapes of the data are needed, and nothing is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_core.ir import Graph, Node, to_dot, to_mermaid, to_text
from flux_core.passes.pipeline import PIPELINE
from fluxrun.jobs.either import load_either
from fluxrun.jobs.expect import UsageError
from fluxrun.spec.build import build_plan, peek

if TYPE_CHECKING:
    from flux_core.data import Examples
    from flux_core.data.dataset import Peek
    from flux_core.training.plan import Plan

STAGES = ("atomise", "grad", *(name for name, _ in PIPELINE), "tape")
DRAW: Mapping[str, Callable[[Graph, Mapping[Node, str]], str]] = {"text": to_text, "dot": to_dot, "mermaid": to_mermaid}


@dataclass(frozen=True)
class Stage:
    """What stands behind one stage: a graph with notes, or a text."""

    name: str
    graph: Graph | None
    notes: Mapping[Node, str] = field(default_factory=dict)
    text: str | None = None

    def shown(self, form: str) -> str:
        """As text, dot or mermaid. Raises UsageError for a drawing of what is no graph."""
        if form == "text" and self.text is not None:
            return self.text
        if self.graph is None:
            raise UsageError(f"{self.name} is a list and no graph: --format {form} cannot draw it, text can")
        return DRAW[form](self.graph, self.notes)


def graph_stages(which: str, overrides: Sequence[str], runs: Path) -> Iterator[Stage]:
    """Every stage of the training of a config or a run, the last of which may be missing.

    Raises SpecError, NoSuchRun, DataError, MissingFile, and UsageError in the place of a tape that there is not.
    """
    from flux_core.engine.lower import CannotLowerError
    from flux_core.passes.drawing import memory_text, notes, schedule_text
    from flux_core.training.listing import tape_text
    from flux_core.training.loop import metrics_of
    from flux_core.training.on_tape import TapeEngine
    from flux_core.training.stepper import Stepper

    loaded, _ = load_either(which, overrides, runs)
    spec, _, seen, model = peek(loaded)
    plan = build_plan(spec)
    examples = _examples(seen, model, plan)
    stepper = Stepper(model, plan.loss_function(), plan.optimizer, padded=examples if seen.lengths else None)
    yield Stage("atomise", stepper.graph.forward)
    yield Stage("grad", stepper.graph.step)
    try:
        engine = TapeEngine(stepper, plan, metrics_of(plan), examples)
    except CannotLowerError as error:
        raise UsageError(f"there is no tape, the interpreter trains this model: {error}") from None
    texts = {"schedule": schedule_text, "memory": memory_text}
    for name, work in engine.assembly(examples, len(examples), True).tape.layout.stages.items():
        yield Stage(name, work.graph, notes(work), texts[name](work) if name in texts else None)
    yield Stage("tape", None, text=tape_text(engine, examples, len(examples)))


def _examples(seen: Peek, model: Any, plan: Plan) -> Examples:
    """One minibatch that has the right shapes and takes no memory."""
    import numpy as np

    from flux_core.data import Examples
    from flux_core.passes import Type, infer_types, laid_out

    rows, kind = plan.batch_size, np.dtype(seen.input_dtype)
    x = np.broadcast_to(kind.type(0), (rows, *seen.input_shape))
    lengths = np.ones(rows, np.int64) if seen.lengths else None
    if plan.labels:
        return Examples(x, np.broadcast_to(np.int64(0), (rows, *seen.target_shape)), lengths=lengths)
    graph = laid_out(model)
    assert graph is not None, "every layer of the catalog has a graph"
    output = infer_types(graph, [Type(x.shape, "int" if kind.kind == "i" else "float")])[graph.output]
    assert isinstance(output, Type), "no layer of the catalog gives a tuple"
    steps = output.shape[1:-1] if seen.lengths else ()  # of a model that answers at each
    size = int(np.prod(output.shape[1:], dtype=int)) // int(np.prod(steps, dtype=int))
    return Examples(x, np.broadcast_to(np.float32(0), (rows, *steps, size)), lengths=lengths)
