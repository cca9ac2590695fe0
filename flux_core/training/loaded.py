"""A trained model, taken out of its run: rows of a file in, classes or numbers out.

    load("runs/iris-36dd1a2a54") ──▶ trained
    trained({"petal_length": [1.4, 4.7], ...})        ──preprocessing──▶ x ──tape──▶ outputs ──▶ ["setosa" "versicolor"]
    trained.probabilities(...)                                                          └─softmax─▶ (rows, classes)

Everything comes from the checkpoint: the graph, the best weights, the fitted preprocessing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import Place
from flux_core.data.lengths import checked_lengths, cleared
from flux_core.data.new import Gives
from flux_core.data.preprocessing import Preprocessing, place_of
from flux_core.errors import CheckpointError, DataError
from flux_core.interpreter import interpret
from flux_core.ir import Param
from flux_core.passes.known_ids import known_rows
from flux_core.training import checkpoint
from flux_core.training.description import Description, description_of

ROWS = 1024  # in one call of the machine code; its memory grows with them


@dataclass(frozen=True)
class Trained:
    """A model with its best weights and its preprocessing; `task` is classification or regression.

    Rows are what the training file had, columns by name: a dict of columns, a list of dicts, or a two-dimensional
    array in the order of `columns`; for models of arrays an array of examples. Extra columns are ignored. `lengths`,
    int64 (rows,), go with sequences that are padded behind; None: all steps are real. Where the model answers at each
    step, there is an axis of steps behind that of the rows.
    """

    path: Path
    model: Description = field(repr=False)
    preprocessing: Preprocessing = field(repr=False)
    task: str
    classes: tuple[str, ...]
    _compiled: dict[int, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that rows need, in the order of the training; () for models of arrays."""
        return tuple(column.name for column in self.preprocessing.columns)

    @property
    def gives(self) -> Gives:
        """What it answers, for those who know the answers."""
        shape, stepwise = self.model.output.shape[1:], self.model.stepwise
        return Gives(shape[-1] if stepwise else prod(shape), stepwise)

    def __call__(self, rows: Any, lengths: Any = None) -> NDArray[Any]:
        """trained(rows) => names of classes (rows,), or numbers in the units of the data, (rows,) or (rows, targets).

        Raises ColumnError for absent columns and DataError for cells that cannot be read.
        """
        return self.decided(self.outputs(rows, lengths))

    def probabilities(self, rows: Any, lengths: Any = None) -> NDArray[np.float64]:
        """The probability of every class, (rows, classes), in the order of `classes`; DataError for a regression."""
        return self.shares(self.outputs(rows, lengths))

    def outputs(self, rows: Any, lengths: Any = None) -> NDArray[np.float32]:
        """What the model gives before it is made a class or a number in the units of the data: (rows, ...)."""
        if lengths is None:
            return self.run(self.encoded(rows))
        array, ids = np.asarray(rows), self.model.dtype == "int64"
        known = checked_lengths(np.asarray(lengths), array.shape, ids, Place(column="lengths"))
        return self.run(self.encoded(cleared(array, known)), known)

    def encoded(self, rows: Any) -> NDArray[Any]:
        """Rows as the model's input, (rows, ...); a category that training never saw is a warning."""
        if self.preprocessing.vocabulary is not None:
            raise DataError("this model continues text, it has no rows", hint="flux_core.sample lets it write")
        x, notes = self.preprocessing.encode(self._table(rows) if self.columns else self._array(rows))
        for note in notes:
            warnings.warn(note, stacklevel=3)
        self.require(x)
        return x

    def require(self, x: NDArray[Any], file: str | Path | None = None) -> None:
        """Raise DataError where encoded examples have another shape than those of the training, or unknown ids."""
        if x.shape[1:] != self.model.shape:
            raise DataError(
                f"an example has shape {x.shape[1:]}, the model was trained with {self.model.shape}", file=file
            )
        if x.dtype.kind == "i" and len(x) and (x.max(axis=0) >= self._known).any():
            unknown = x >= self._known
            rows = np.broadcast_to(self._known, x.shape)[unknown][0]
            raise DataError(f"the model knows the ids of 0 to {rows - 1}, there is {place_of(unknown, x)}", file=file)

    @cached_property
    def _known(self) -> NDArray[np.int64]:
        """How many ids the model knows at each place of an example."""
        return known_rows(self.model.graph, self.model.shape)

    def decided(self, outputs: NDArray[np.float32]) -> NDArray[Any]:
        """Outputs as classes, or as numbers in the units of the data."""
        if self.task == "classification":
            most = outputs.argmax(axis=-1) if self.model.outputs == "scores" else _single(outputs) > 0
            names: NDArray[Any] = np.array(self.classes)
            return names[most.astype(np.int64)]
        scale = self.preprocessing.targets
        numbers = (outputs if self.model.stepwise else outputs.reshape(len(outputs), -1)).astype(np.float64)
        numbers = numbers if scale is None else scale.restore(numbers)
        return numbers[..., 0] if numbers.shape[-1] == 1 else numbers

    def shares(self, outputs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Outputs as probabilities."""
        if self.task != "classification":
            raise DataError("a regression has no classes, so it has no probabilities")
        scores = outputs.astype(np.float64)
        if self.model.outputs == "score":
            score = _single(scores)
            scores = np.stack([np.zeros(score.shape), score], axis=-1)  # sigmoid(z) = softmax(0, z)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))

    def run(self, x: NDArray[Any], lengths: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """The model at encoded examples, by machine code where there are kernels for it.

        Raises DataError for lengths where the model has learnt without.
        """
        return np.concatenate(list(self.pieces(x, lengths)))

    def pieces(self, x: NDArray[Any], lengths: NDArray[np.int64] | None = None) -> Iterator[NDArray[np.float32]]:
        """What `run` gives, computed some rows after the others as they are asked for; raises at once, as `run`."""
        if not len(x):
            raise DataError("there are no rows")
        if not self.model.lengths:
            if lengths is not None:
                raise DataError("the model was trained without lengths: all steps of its sequences are real")
            return self._parts(x)
        known = np.full(len(x), x.shape[1]) if lengths is None else lengths
        return self._parts(cleared(x, known), known)

    def _parts(self, *arrays: NDArray[Any]) -> Iterator[NDArray[np.float32]]:
        count = len(arrays[0])
        for start in range(0, count, ROWS):
            rows = min(ROWS, count - start)
            # a tape is made for a number of rows: powers of two keep these few
            size = min(ROWS, 1 << (rows - 1).bit_length())
            chosen = np.minimum(np.arange(start, start + size), start + rows - 1)
            yield self._function(size)(*(array[chosen] for array in arrays))[:rows]

    def _function(self, rows: int) -> Any:
        if rows not in self._compiled:
            self._compiled[rows] = self._made(rows)
        return self._compiled[rows]

    def _made(self, rows: int) -> Any:
        from flux_core.engine.compiled import Compiled
        from flux_core.engine.lower import CannotLowerError
        from flux_core.passes import Type
        from flux_core.passes.mask import masked

        graph, types = self.model.graph, [self.model.input_type(rows)]
        if self.model.lengths:
            graph, types = masked(graph, types), [*types, Type((rows,), "int")]
        try:
            return Compiled(graph, types)
        except CannotLowerError:
            return lambda *arrays: interpret(graph, arrays)

    def _array(self, rows: Any) -> NDArray[Any]:
        """Rows as an array of numbers."""
        array = np.asarray(rows)
        if array.dtype.kind not in "biuf" or not array.ndim:
            raise DataError(f"examples are an array of numbers, not of {array.dtype}")
        return array

    def _table(self, rows: Any) -> Mapping[str, Sequence[object]]:
        """Rows in any form as columns by name."""
        if hasattr(rows, "keys"):
            return {str(name): rows[name] for name in rows.keys()}  # noqa: SIM118  # a data frame iterates otherwise
        rows = list(rows)
        if rows and all(isinstance(row, Mapping) for row in rows):
            names = [name for name in self.columns if any(name in row for row in rows)]
            return {name: [row.get(name) for row in rows] for name in names}
        width = len(self.columns)
        if not rows or any(np.ndim(row) != 1 or len(row) != width for row in rows):
            raise DataError(
                f"rows are a dict of columns, a list of dicts, or a list of rows of {width} values",
                hint=f"the columns are: {', '.join(map(repr, self.columns))}",
            )
        return dict(zip(self.columns, zip(*rows, strict=True), strict=True))


def _single(scores: NDArray[Any]) -> NDArray[Any]:
    """One score for each answer, (rows,) or (rows, steps), without an axis for it."""
    return scores if scores.ndim == 1 else scores[..., 0]


def load(run: str | Path) -> Trained:
    """load(run) => Trained: the model of a run's folder, or of one checkpoint, with its best weights.

    Raises CheckpointError where there is no checkpoint, or none that is whole.
    """
    path = Path(run)
    tensors, meta = checkpoint.read(path) if path.is_file() else _newest(path)
    prefix = "best/" if any(name.startswith("best/") for name in tensors) else "params/"
    arrays = {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}
    params = {name: Param(array, np.zeros_like(array)) for name, array in arrays.items()}
    try:
        task, classes, data = meta["task"], tuple(meta["classes"]), meta["preprocessing"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: the checkpoint is damaged: it has no {error}") from None
    return Trained(path, description_of(meta, params), Preprocessing.from_json(data), task, classes)


def _newest(folder: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """The best checkpoint of a run, else the last or a numbered one, which also hold the best weights.

    A damaged one is a warning as long as there is another.
    """
    named = [folder / "checkpoints" / f"{name}.safetensors" for name in ("best", "last")]
    numbered = sorted(folder.glob("checkpoints/step-*.safetensors"), key=lambda file: (len(file.name), file.name))
    present = [file for file in (*named, *reversed(numbered)) if file.exists()]
    if not present:
        raise CheckpointError(f"{folder}: there is no checkpoint of a run here: nothing is saved yet, or it is gone")
    for file, other in pairwise(present):
        try:
            return checkpoint.read(file)
        except CheckpointError as error:
            warnings.warn(f"{error}; {other.name} is used instead", stacklevel=3)
    return checkpoint.read(present[-1])
