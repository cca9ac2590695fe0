"""Sources of data: the map `data`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fluxrun.spec.part import Column, Columns, Component, Count, File, NotNegative, Several, Share, Text

MAX_BYTES = 4 * 2**30
MISSING = ("", "NA", "NaN", "?")
Task = Literal["classification", "regression"]


class Split(Component):
    """Fractions of the rows; a split that is not named is absent."""

    train: Annotated[float, Field(gt=0, le=1)]
    """The fraction to train on."""
    valid: Share = 0.0
    """The fraction that is measured after every epoch."""
    test: Share = 0.0
    """The fraction that is measured once, at the end."""

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        shares = list(values.values())
        sound = all(type(share) in (int, float) and share <= 1 for share in shares)  # what is not is told by itself
        if sound and sum(shares) > 1 + 1e-9:
            yield list(values)[-1], f"the fractions sum to {sum(shares):g}, more than 1"


class Batches(Component):
    """How examples are dealt out; common to all sources."""

    dealing: ClassVar[frozenset[str]] = frozenset(("batch_size", "shuffle", "drop_last"))  # not for the source to know
    batch_size: Annotated[int, Field(ge=1, le=2**31 - 1)] = 32
    """Examples in one step."""
    shuffle: bool = True
    """Whether every epoch has an order of its own."""
    drop_last: bool = False
    """Whether the examples that fill no batch are left out."""


class Shares(Batches):
    """What is divided into splits."""

    split: Split | None = None
    """Fractions of the rows; by default 0.8, 0.1 and 0.1, or all to train where other splits have own files."""


class Source(Shares):
    """What has a target of either kind."""

    task: Task | None = None
    """What the target is; by default the loss and the target's type decide."""


class Paths(Shares):
    """Files under `path`, which are split, or under a key for each split."""

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        own = [key for key in ("train_path", "valid_path", "test_path") if values.get(key) is not None]
        if values.get("path") is not None:
            for key in own:
                yield key, f"'path' and {key!r} exclude each other"
        elif not own:
            yield "path", "missing key 'path' in data"
        elif values.get("train_path") is None:
            yield own[0], f"{own[0]!r} needs a 'train_path' beside it"
        for key in own:
            if key != "train_path" and getattr(values.get("split"), key.removesuffix("_path"), None):
                yield key, f"these examples come from 'split' or from {key!r}, not from both"


class OneFile(Paths):
    """One file that is split, or a file for each split."""

    path: File | None = None
    """One file, which is split."""
    train_path: File | None = None
    """The file of the training split, in the place of `path`."""
    valid_path: File | None = None
    """The file of the validation split."""
    test_path: File | None = None
    """The file of the test split."""
    max_bytes: Count = MAX_BYTES
    """No array may be larger, whatever a file claims."""


class Files(OneFile, Source):
    """Files with targets of either kind."""


class Csv(Files):
    """A table in text."""

    target: Column = -1
    """The column to predict: its name, or its index, negative from the end."""
    header: bool = True
    """Whether the first line holds names; without one, columns are c0, c1, ..."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """The character between columns."""
    features: Annotated[list[Column], Field(min_length=1)] | None = None
    """The columns to learn from; by default all but the target."""
    ignore: list[Column] = Field(default_factory=list)
    """Columns to leave out."""
    columns: dict[str, Literal["numeric", "categorical"]] | None = None
    """What a column holds, where its cells do not tell."""
    missing: list[str] = Field(default_factory=lambda: list(MISSING))
    """Cells that mean that the value is not known."""
    on_missing: Literal["error", "mean", "median", "mode", "indicator"] = "error"
    """What stands in for them: an error, the column's mean, median or mode, or an indicator column beside the mean."""
    standardize: bool = True
    """Whether numbers, also those to predict, are brought to mean 0 and deviation 1."""

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from super().together(values)
        yield from _delimiter(values)
        if values.get("features") and values.get("ignore"):
            yield "ignore", "'features' and 'ignore' exclude each other"


def _delimiter(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if values.get("delimiter") in ('"', "\r", "\n", "\0"):
        yield "delimiter", "a quote or a line end cannot separate columns"


class Windows(OneFile):
    """Windows over a table of text whose rows are steps of time; the target is what comes behind a window."""

    steps: Count
    """Rows in a window."""
    horizon: Count = 1
    """How many values of the target are forecast, the next ones."""
    stride: Count = 1
    """Rows from the start of a window to that of the next."""
    columns: Annotated[list[Column], Field(min_length=1)] | None = None
    """The columns in a window; by default all that hold numbers."""
    target: Columns = -1
    """The column to forecast, or several: a name, or an index, negative from the end."""
    header: bool = True
    """Whether the first line holds names; without one, columns are c0, c1, ..."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """The character between columns."""
    missing: list[str] = Field(default_factory=lambda: list(MISSING))
    """Cells that mean that the value is not known, which a series may not have."""
    standardize: bool = True
    """Whether numbers, also those to forecast, are brought to mean 0 and deviation 1."""

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from super().together(values)
        yield from _delimiter(values)


class TextFiles(Paths):
    """Text, symbol by symbol: the target of each is the next one."""

    dealing: ClassVar[frozenset[str]] = frozenset(("shuffle", "drop_last"))
    path: Several | None = None
    """A file, which is split; or a list of files, or a pattern such as texts/*.txt, read one behind the other."""
    train_path: Several | None = None
    """The files of the training split, in the place of `path`."""
    valid_path: Several | None = None
    """The files of the validation split."""
    test_path: Several | None = None
    """The files of the test split."""
    max_bytes: Count = MAX_BYTES
    """The files of a split may not be larger together."""
    unit: Literal["char", "byte"] = "char"
    """What a symbol is."""
    steps: Count = 50
    """Symbols in a window, through which gradients go back."""
    carry_state: bool = True
    """Whether each window goes on where the one before it ended, with the state that it left; else all begin anew."""
    limit: Count | None = None
    """At most so many symbols are taken."""
    shuffle: bool = False
    """Whether every epoch has an order of its own, which needs `carry_state: false`."""
    drop_last: bool = True
    """Whether the windows that fill no batch are left out; to keep them needs `carry_state: false`."""

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from super().together(values)
        if values.get("carry_state", True):
            if values.get("shuffle"):
                yield "shuffle", "states go on through windows in their order: to shuffle needs 'carry_state: false'"
            if values.get("drop_last") is False:
                yield "drop_last", "states go on in whole batches: to keep the rest needs 'carry_state: false'"


class Npz(Files):
    """Arrays in one file of NumPy; without `standardize`, features that are floats with two axes are standardised."""

    features: Text = "x"
    """The array of the features."""
    target: Text = "y"
    """The array of the targets; with `lengths`, also those of every step."""
    lengths: Text | None = None
    """The array of the lengths of sequences that are padded behind; without one, all steps are real."""
    ids: bool = False
    """Whether features are whole numbers that name things."""
    standardize: bool | None = None
    """Whether numbers are brought to mean 0 and deviation 1; by default features that are floats with two axes are."""


class Npy(Source):
    """Arrays in files of their own, which may be larger than memory; float32 is used as it lies in the file."""

    features: File
    """The file of the features."""
    labels: File
    """The file of the targets."""
    valid_features: File | None = None
    """The features of the validation split."""
    valid_labels: File | None = None
    """Its targets."""
    test_features: File | None = None
    """The features of the test split."""
    test_labels: File | None = None
    """Its targets."""
    ids: bool = False
    """Whether features are whole numbers that name things."""
    standardize: bool = False
    """Whether numbers are brought to mean 0 and deviation 1."""

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for part in ("valid", "test"):
            yield from _pair(values, f"{part}_features", f"{part}_labels", part)


class Idx(Source):
    """The format of the MNIST files, also compressed with gzip."""

    images: File
    """The file of the images."""
    labels: File
    """The file of their labels."""
    test_images: File | None = None
    """The images of the test split."""
    test_labels: File | None = None
    """Their labels."""
    standardize: bool = False
    """Whether pixels are brought to mean 0 and deviation 1 instead of 0 to 1."""
    max_bytes: Count = MAX_BYTES
    """No array may be larger, whatever a file claims."""

    @classmethod
    def together(cls, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from _pair(values, "test_images", "test_labels", "test")


def _pair(values: Mapping[str, Any], x: str, y: str, part: str) -> Iterator[tuple[str, str]]:
    """What is wrong with the two files of a split of their own."""
    for key, other in ((x, y), (y, x)):
        if values.get(key) is not None and values.get(other) is None:
            yield key, f"{key!r} needs {other!r} beside it"
    if values.get(x) is not None and getattr(values.get("split"), part, None):
        yield x, f"these examples come from 'split' or from {x!r}, not from both"


class Synthetic(Source):
    """Examples that are computed."""

    name: Literal["xor", "spirals", "sine"]
    """Which examples."""
    examples: Annotated[int, Field(ge=1, le=100_000_000)] = 1000
    """How many."""
    noise: NotNegative = 0.1
    """The standard deviation of what is added."""
    standardize: bool = False
    """Whether numbers are brought to mean 0 and deviation 1."""
