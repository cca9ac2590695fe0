"""Large tables: a data set that took long to parse is kept, and the next run maps it.

    question (source, seed, ...) ──known of the file──▶ description: shapes, preprocessing, classes
                                └──not known──▶ made; if it is large, described, and its arrays `decoded`

Small data sets pass through untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flux_core.caches.facts import file_digest, identity, recall
from flux_core.data.chunks import is_large, pieces
from flux_core.data.dataset import Dataset, Examples
from flux_core.data.decoded import decoded, key_of
from flux_core.data.files import open_file, require_unchanged
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.split import PARTS, Part

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class _Small(Exception):
    """A data set that is not worth a file."""

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        self.data = data


def kept_dataset(path: Path, question: str, make: Callable[[], Dataset]) -> Dataset:
    """What `make` gives, from files if it is large and was made before.

    `question` names everything that it depends on besides the content of `path`. Raises MissingFile, DataError if the
    file changes while it is read.
    """
    open_file(path).close()  # raises MissingFile
    before = identity(path)

    @cache
    def made() -> Dataset:
        data = make()
        require_unchanged(path, before)
        if not is_large(sum(part.x.nbytes for part in _parts(data).values())):
            raise _Small(data)
        return data

    def described() -> dict[str, Any]:
        digest = file_digest(path)  # before the file is read, so that `made` sees whether it was this one
        return _described(made(), key_of(question=question, file=digest))

    try:
        return _restored(recall(path, question, described), made)
    except _Small as small:
        return small.data


def question_about(source: DataclassInstance, form: int, paths: Mapping[Part, Path], *more: object) -> str:
    """The question of a source: its settings, the content of all files but the first, and what else `load` got.

    Raises MissingFile.
    """
    options = {name: value for name, value in asdict(source).items() if not name.endswith("path")}
    others = [_digest(path) for part, path in paths.items() if part != "train"]
    return repr((type(source).__name__, form, sorted(options.items()), list(paths), others, *more))


def _digest(path: Path) -> str:
    open_file(path).close()  # raises MissingFile
    return file_digest(path)


def _parts(data: Dataset) -> dict[Part, Examples]:
    found = {"train": data.train, "valid": data.valid, "test": data.test}
    return {name: part for name in PARTS if (part := found[name]) is not None}


def _described(data: Dataset, key: str) -> dict[str, Any]:
    """All but the values, as JSON; `key` stands for everything that the values depend on."""
    arrays = {
        name: {axis: [list(array.shape), array.dtype.str] for axis, array in (("x", part.x), ("y", part.y))}
        for name, part in _parts(data).items()
    }
    return {
        "key": key,
        "arrays": arrays,
        "task": data.task,
        "classes": list(data.classes),
        "preprocessing": data.preprocessing.to_json(),
        "notes": list(data.notes),
    }


def _restored(known: dict[str, Any], made: Callable[[], Dataset]) -> Dataset:
    """The data set of a description; what lacks of its arrays is made again."""
    reasons: list[str] = []

    def array(name: Part, axis: str) -> NDArray[Any]:
        shape, dtype = known["arrays"][name][axis]

        def rows() -> Iterator[NDArray[Any]]:
            whole = getattr(_parts(made())[name], axis)
            return (whole[piece] for piece in pieces(whole.shape))

        found, reason = decoded(key_of(data=known["key"], part=name, axis=axis), tuple(shape), np.dtype(dtype), rows)
        reasons.extend([reason] if reason else [])
        return found

    parts = {name: Examples(array(name, "x"), array(name, "y")) for name in PARTS if name in known["arrays"]}
    preprocessing = Preprocessing.from_json(known["preprocessing"])
    notes = [*known["notes"], *(f"{reason}; every run decodes them again" for reason in dict.fromkeys(reasons))]
    return Dataset(
        train=parts["train"],
        valid=parts.get("valid"),
        test=parts.get("test"),
        task=known["task"],
        classes=tuple(known["classes"]),
        features=preprocessing.features,
        preprocessing=preprocessing,
        notes=tuple(notes),
    )
