"""Text, symbol by symbol: after each symbol of x, the one that comes next is its y.

    text  s0 s1 s2 ... s(n-1)      x = s[:-1]      y = s[1:]

    stream 0  | window 0 | window 1 | window 2 |   x is cut into batch_size streams, each into windows of `steps`
    stream 1  | window 3 | window 4 | window 5 |   symbols; minibatch k holds window k of every stream, so that it
              minibatch 0 minibatch 1              goes on where minibatch k - 1 ended

With `carry_state: false` the windows are examples like any others. x and y are views of one array of ids. Splits are
contiguous, in the order train, valid, test; what fills no window in all streams is dropped at their ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flux_core.data.cells import shown
from flux_core.data.dataset import Dataset, Examples, Peek, Task
from flux_core.data.files import (
    AS_UTF8,
    MAX_BYTES,
    check_size,
    files_of_parts,
    fractions_of_main,
    matching,
    open_file,
    utf8,
)
from flux_core.data.preprocessing import Preprocessing
from flux_core.data.split import PARTS, Part, contiguous, unused
from flux_core.data.vocabulary import Codes, Unit, Vocabulary, codes_of
from flux_core.errors import DataError, SettingError

if TYPE_CHECKING:
    from flux_core.data.new import Gives, NewData

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class TextSource:
    """Files of text, read one behind the other; a name may be a pattern, whose files come in sorted order.

    `unit` says what a symbol is, a character of UTF-8 text or a byte. The symbols of all splits are in the
    vocabulary; bytes are always all 256. At most `limit` symbols are taken (of each split, where these have their own
    files).
    """

    path: Paths | None = None
    train_path: Paths | None = None
    valid_path: Paths | None = None
    test_path: Paths | None = None
    unit: Unit = "char"
    steps: int = 50
    carry_state: bool = True
    batch_size: int = 32
    limit: int | None = None
    split: Mapping[str, float] | None = None
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, it must be at least 1")
        if self.unit not in ("char", "byte"):
            raise ValueError(f"a unit is char or byte, not {self.unit!r}")
        self._fractions()

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Read and cut; nothing is random, and the task is always to tell the next symbol among the vocabulary.

        Raises MissingFile, DataError for a text that is empty or no UTF-8, SettingError for one that is too short.
        """
        texts = {part: self._read(which) for part, which in self._paths().items()}
        vocabulary = Vocabulary.of(self.unit, texts.values())
        ids = {part: vocabulary.ids(codes) for part, codes in texts.items()}
        counts = contiguous(len(ids["train"]), self._fractions())
        notes = unused(len(ids["train"]), sum(counts.values()), "symbols")
        main, start = ids["train"], 0
        for part, count in counts.items():
            ids[part], start = main[start : start + count], start + count
        preprocessing = Preprocessing(dtype="int64", vocabulary=vocabulary)
        parts = {part: self._examples(part, ids[part]) for part in PARTS if part in ids}
        return Dataset(
            train=parts["train"],
            valid=parts.get("valid"),
            test=parts.get("test"),
            task="classification",
            classes=vocabulary.names,
            features=(),
            preprocessing=preprocessing,
            notes=(*notes, *_unseen(ids, vocabulary)),
            streams=self.carry_state,
        )

    def files(self) -> tuple[Path, ...]:
        """The files that are read, train first; those behind the limit are not."""
        found: list[Path] = []
        for which in self._paths().values():
            files = _expanded(which)
            whole = self.limit is None or len(files) == 1  # the first is always read
            found += files if whole else [file for file, _ in self._texts(which)]
        return tuple(found)

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """By loading: only the text says how many symbols it has."""
        data = self.load(seed=seed)
        symbols = len(data.classes)
        return Peek((self.steps,), "int64", symbols, "classification", (self.steps,), vocabulary=symbols)

    def read_new(self, path: Path, preprocessing: Preprocessing) -> NewData:
        """The symbols of another text, x (symbols,), or of several whose names a pattern stands for.

        Raises MissingFile, DataError with line and column for a character that the model has never seen.
        """
        from flux_core.data.new import NewData, Symbols

        vocabulary, pieces, size = preprocessing.vocabulary, [], 0
        assert vocabulary is not None, "a model of text has a vocabulary"
        for file in matching(path):
            data = _bytes(file, size, self.max_bytes)
            size += len(data)
            text = data.decode(errors="surrogateescape") if self.unit == "byte" else utf8(data, file)
            pieces.append(vocabulary.encode(text, file=file))
        if not size:
            raise DataError("there is no text in it", file=path)
        ids = np.concatenate(pieces)
        return NewData(path, ids, columns={"symbol": Symbols(ids, vocabulary.names)})

    def read_answered(self, path: Path, preprocessing: Preprocessing, gives: Gives) -> Dataset:
        """The windows of another text; raises DataError also for one that is too short."""
        vocabulary = preprocessing.vocabulary
        assert vocabulary is not None, "a model of text has a vocabulary"
        ids = self.read_new(path, preprocessing).x
        if lack := self._lack(len(ids), "the text"):
            raise DataError(lack, file=path)
        train, classes = self._examples("train", ids), vocabulary.names
        return Dataset(train, None, None, "classification", classes, (), preprocessing, streams=self.carry_state)

    def _paths(self) -> dict[Part, Paths]:
        return files_of_parts(self.path, self.train_path, self.valid_path, self.test_path)

    def _fractions(self) -> dict[Part, float]:
        return fractions_of_main(self.split, self._paths(), separate=self.train_path is not None)

    def _read(self, which: Paths) -> Codes:
        pieces = [codes for _, codes in self._texts(which)]
        codes = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        if not len(codes):
            raise DataError("there is no text in it", file=_first(which))
        return codes

    def _texts(self, which: Paths) -> Iterator[tuple[Path, Codes]]:
        """The files up to the limit, each with its codes."""
        size = symbols = 0
        for file in _expanded(which):
            data = _bytes(file, size, self.max_bytes)
            size += len(data)
            if self.unit == "byte":
                codes: Codes = np.frombuffer(data, np.uint8)
            else:
                codes = codes_of(utf8(data, file, hint=f"{AS_UTF8}; or set data.unit: byte"), "char")
            yield file, codes if self.limit is None else codes[: self.limit - symbols]
            symbols += len(codes)
            if self.limit is not None and symbols >= self.limit:
                return

    def _examples(self, part: Part, ids: NDArray[np.int64]) -> Examples:
        """The windows of a split, in the order of minibatches."""
        if lack := self._lack(len(ids), f"the {part} split"):
            raise SettingError(
                lack,
                key="steps",
                file=_first(self._paths().get(part) or self._paths()["train"]),
                hint="lower data.steps or data.batch_size, or take more text",
            )
        streams = self._streams
        windows = (len(ids) - 1) // (streams * self.steps)  # of each stream
        end = streams * windows * self.steps
        x, y = (ids[shift : shift + end].reshape(-1, self.steps) for shift in (0, 1))
        order = np.arange(len(x)).reshape(streams, windows).T
        return Examples(x, y, None if streams == 1 else np.ascontiguousarray(order).reshape(-1))

    @property
    def _streams(self) -> int:
        return self.batch_size if self.carry_state else 1

    def _lack(self, symbols: int, of: str) -> str | None:
        """Why a text of so many symbols is too short, None for one that is not."""
        needed = self._streams * self.steps + 1
        if symbols >= needed:
            return None
        what = f"{self._streams} streams" if self.carry_state else "a window"
        return (
            f"{of} has {symbols:,} symbol{'s' * (symbols != 1)}, too few for {what} of {self.steps:,} steps: "
            f"{needed:,} are needed"
        )


def _expanded(which: Paths) -> list[Path]:
    return [file for one in _listed(which) for file in matching(Path(one))]


def _listed(which: Paths) -> Sequence[str | Path]:
    return [which] if isinstance(which, str | Path) else which


def _first(which: Paths) -> str | Path:
    return _listed(which)[0]


def _bytes(file: Path, before: int, limit: int) -> bytes:
    """A file's bytes, if with those before it they are within the limit."""
    with open_file(file) as stream:
        try:
            check_size(before + file.stat().st_size, limit, file, "the text")
            return stream.read()
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", file=file) from None


def _unseen(ids: Mapping[Part, NDArray[np.int64]], vocabulary: Vocabulary) -> Iterator[str]:
    """Notes about symbols that only other splits than train have."""
    counts = {part: np.bincount(found, minlength=len(vocabulary)) for part, found in ids.items()}
    for part in [part for part in ids if part != "train"]:
        strange = np.flatnonzero((counts["train"] == 0) & (counts[part] > 0))
        if len(strange):
            examples = ", ".join(shown(vocabulary.names[symbol]) for symbol in strange[:3])
            times = int(counts[part][strange].sum())
            yield (
                f"the {part} split has {len(strange)} symbol{'s' * (len(strange) > 1)} that training never sees "
                f"({examples}), {times:,} of its {len(ids[part]):,}"
            )
