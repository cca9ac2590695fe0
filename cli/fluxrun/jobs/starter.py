"""A first spec for a csv file: every line says why it is there, and it trains as it is.

adult.csv ──sniff, profile──▶ columns, target ──▶ adult.yaml     no column that names rows, sizes for so many rows

The model is a small one on purpose: what a beginner changes first is in the file, and changing it shows.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

from flux_core.data.cells import MISSING, shown
from flux_core.data.files import MAX_BYTES
from flux_core.data.profile import Profile, Target, marks_of, profile, profile_target
from flux_core.data.sniff import Dialect, sniff
from flux_core.data.table import read_table
from flux_core.data.tables import choose
from flux_core.errors import DataError, SettingError
from fluxrun.jobs.expect import CannotCreate, UsageError, creating
from fluxrun.jobs.piped import NAMES
from fluxrun.spec.problems import near
from fluxrun.spec.scalars import scalar
from fluxrun.spec.schema.root import NAME

SCHEMA = "fluxrun.schema.json"
COMMENT = 34  # the column of comments
FEWEST = 10  # rows, so that every split gets some
LISTED = 100  # columns; more are not listed one by one
PLAIN = re.compile(r"[A-Za-z_<>=./][A-Za-z0-9_<>=./+-]*")


@dataclass(frozen=True)
class Examined:
    """What was found out about the rows of a table that have a target."""

    path: Path
    rows: int
    dialect: Dialect
    marks: tuple[str, ...]
    target: str
    meaning: Target
    columns: tuple[Profile, ...]

    @property
    def used(self) -> list[Profile]:
        return [column for column in self.columns if column.kind]

    def to_json(self) -> dict[str, Any]:
        """What `init --json` prints of the table and of what was decided."""
        return {
            "source": str(self.path),
            "rows": self.rows,
            "header": self.dialect.header,
            "delimiter": self.dialect.delimiter,
            "target": self.target,
            "task": self.meaning.task,
            "classes": dict(self.meaning.counts),
            "columns": [
                {"name": one.name, "kind": one.kind, "reason": one.words, "missing": one.missing}
                for one in self.columns
            ],
        }


def examine(path: Path, target: str) -> Examined:
    """Read a table and decide what each column is. Raises MissingFile, DataError, UsageError without such a target."""
    if str(path) in NAMES:
        raise UsageError(f"--from {path}: standard input cannot be trained on later: save it as a file")
    dialect = sniff(path, target)
    table = read_table(path, header=dialect.header, delimiter=dialect.delimiter, limit=MAX_BYTES)
    index = int(target) if re.fullmatch(r"-?[0-9]+", target) and target not in table.columns else target
    try:
        name = choose(table, index, "target")
    except SettingError as error:
        hint = near(target, table.names) or "without names in the first line the columns are c0, c1, ..."
        raise UsageError(f"--target {target!r}: {error.reason}; {hint}") from None
    marks = marks_of(table.columns.values())
    known = [cell not in marks for cell in table.columns[name]]
    rows = sum(known)
    if rows < FEWEST:
        count = "1 row with a value here is" if rows == 1 else f"{rows} rows with a value here are"
        raise DataError(f"{count} too few: take {FEWEST} at least", file=path, column=name)

    def answered(name: str) -> list[str]:
        """The cells of the rows that the training takes."""
        return list(compress(table.columns[name], known))

    meaning = profile_target(answered(name), marks)
    if isinstance(meaning, str):
        raise DataError(f"this cannot be predicted: {meaning}", file=path, column=name)
    columns = tuple(profile(other, answered(other), marks) for other in table.names if other != name)
    if not any(column.kind for column in columns):
        why = "; ".join(f"{shown(column.name)}: {column.words}" for column in columns[:3])
        raise DataError("no column besides the target is worth learning from", file=path, hint=why or None)
    return Examined(path, rows, dialect, marks, name, meaning, columns)


def starter(found: Examined, output: str) -> str:
    """The spec for a table, to be written to `output` ('-': standard output)."""
    source = str(found.path)
    stem = Path(source if output == "-" else output).stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip(".-")[:100]
    folder = Path() if output == "-" else Path(output).parent
    path = os.path.relpath(source, folder) if not os.path.isabs(source) else source
    lines = [
        f"# yaml-language-server: $schema={SCHEMA}",
        f"# Made by `fluxrun init` from {found.path.name}: {found.rows:,} rows, {len(found.columns) + 1} columns.",
        *_aligned([("name: " + (name if NAME.fullmatch(name) else "run"), "what the run is called")]),
        *_aligned([("seed: 0", "decides the split, the first weights and the order of the examples")]),
        *_aligned(_data(found, path)),
        *_aligned(_model(found)),
        *_aligned(_train(found)),
    ]
    return "\n".join(lines) + "\n"


def write(text: str, output: Path) -> Path | None:
    """Write a new spec, and the schema for editors beside it if there is none; where that one was written.

    Raises CannotCreate where there is such a file, or no file can be made, OSError.
    """
    from flux_core import fsio
    from fluxrun.spec.json_schema import json_schema

    if output.exists() or output.is_symlink():
        raise CannotCreate(f"{output}: the file is there already, and it is not overwritten")
    schema = output.with_name(SCHEMA)
    missing = not schema.exists()
    with creating(output):
        fsio.write_atomically(output, text.encode())
    if missing:
        with creating(schema):
            fsio.write_atomically(schema, json.dumps(json_schema(), indent=1).encode() + b"\n")
    return schema if missing else None


Lines = Iterator[tuple[str, str]]


def _data(found: Examined, path: str) -> Lines:
    """The section `data`."""
    dialect, meaning = found.dialect, found.meaning
    yield "data:", ""
    yield "  source: csv", "text with a header" if dialect.header else "text without a header"
    yield f"  path: {quoted(path)}", "" if os.path.isabs(path) else "relative to this file"
    if not dialect.header:
        yield "  header: false", "the first line is a row; columns are called c0, c1, ..."
    if dialect.delimiter != ",":
        yield f"  delimiter: {json.dumps(dialect.delimiter)}", "what stands between columns"
    yield f"  target: {quoted(found.target)}", meaning.words
    if meaning.declared:
        yield f"  task: {meaning.task}", "the numbers are classes; 'regression' would predict quantities"
    elif meaning.task == "regression":
        yield "  task: regression", "a quantity; metrics are in its units"
    yield from _columns(found)
    ignored = [column for column in found.columns if not column.kind]
    if ignored:
        yield "  ignore:", "nothing to learn from"
        yield from ((f"    - {quoted(column.name)}", column.words) for column in ignored)
    if found.marks != MISSING:
        yield f"  missing: {json.dumps(list(found.marks))}", "cells that mean that the value is not known"
    if any(column.missing for column in found.used):
        yield "  on_missing: indicator", "the mean stands in, and one more column says so"
    yield "  split: {train: 0.8, valid: 0.1, test: 0.1}", "fractions"
    yield f"  batch_size: {_batch(found.rows)}", "examples in one step"


def _columns(found: Examined) -> Lines:
    """What each column holds; of very many only those whose cells do not tell."""
    listed = found.used
    if len(listed) > LISTED:
        listed = [column for column in listed if column.kind == "categorical"][:LISTED]
    lines = []
    for column in listed:
        part = f", {column.missing / found.rows:.1%} missing" if column.missing else ""
        lines.append((f"    {quoted(column.name)}: {column.kind}", column.words + part))
    if found.meaning.mixed:
        lines.append((f"    {quoted(found.target)}: categorical", "the classes, although some look like numbers"))
    if lines:
        yield "  columns:", "what each column holds"
        yield from lines


def _model(found: Examined) -> Lines:
    wide = 32 if found.rows < 2_000 else 64
    yield "model:", "each layer takes what the one above gives; sizes of inputs are inferred"
    yield f"  - affine: {{out: {wide}, init: he}}", f"{wide} weighted sums of all columns"
    yield "  - relu", "what is negative becomes 0"
    if found.rows >= 2_000:
        yield f"  - affine: {{out: {wide // 2}, init: he}}", "a second hidden layer"
        yield "  - relu", ""
    else:
        yield "  - dropout: 0.2", "hides a fifth of them in each step, against learning by heart"
    if found.meaning.task == "classification":
        yield "  - affine: classes", "a score for each class"
    else:
        yield "  - affine: 1", "the prediction"


def _train(found: Examined) -> Lines:
    rows = found.rows
    steps = -(-rows * 8 // 10 // _batch(rows))
    epochs = max(10, min(200, 6_000 // max(1, steps)))
    yield "train:", ""
    if found.meaning.task == "classification":
        yield "  loss: cross_entropy", "for classes"
    else:
        yield "  loss: mse", "the mean of squared errors"
    rate = 0.003 if rows < 2_000 else 0.001
    yield f"  optimizer: {{adamw: {{learning_rate: {rate}, weight_decay: 0.01}}}}", "Adam that also shrinks the weights"
    yield f"  epochs: {epochs}", "at most; see early_stop"
    patience = max(3, epochs // 8)
    yield (
        f"  early_stop: {{metric: valid.loss, patience: {patience}}}",
        f"end after {patience} epochs without a better validation loss",
    )
    if found.meaning.task == "classification":
        yield "  metrics: [accuracy]", "the fraction of right answers"
    else:
        yield "  metrics: [mae, r2]", "the mean error, and the share of the variance that is explained"


def _batch(rows: int) -> int:
    return 16 if rows < 500 else 32 if rows < 5_000 else 128


def _aligned(lines: Iterator[tuple[str, str]] | Sequence[tuple[str, str]]) -> Iterator[str]:
    for text, comment in lines:
        safe = "".join(c if c.isprintable() else "\ufffd" for c in comment)
        yield f"{text:<{COMMENT}}# {safe}" if len(text) < COMMENT and safe else f"{text}   # {safe}" if safe else text


def quoted(text: str) -> str:
    """A text as YAML 1.2 reads it back, bare where that is safe.

    >>> quoted("age"), quoted("no: 1"), quoted("12"), quoted("true"), quoted("~")
    ('age', '"no: 1"', '"12"', '"true"', '"~"')
    """
    bare = PLAIN.fullmatch(text) and isinstance(scalar(text), str) and text not in ("<<", "=")
    return text if bare else json.dumps(text, ensure_ascii=False)


def about(found: str, schema: Path | None) -> list[str]:
    """What to say behind a new file."""
    lines = [f"{found}: read it, then `fluxrun train {found}`"]
    return lines if schema is None else [*lines, f"{schema}: what editors know of specs"]
