"""idx files, the format of MNIST, plain or gzipped: one file of images, one of labels.

    00 00 | type | axes | sizes, big-endian uint32 | values, big-endian      (Yann LeCun's format of 1998)

Unsigned bytes are pixels and become float32 in [0, 1]; other types keep their values.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from flux_core.data.archive import Header
from flux_core.data.arrays import ReadsArrays, array_dataset, input_shape
from flux_core.data.assemble import Targets, read_targets
from flux_core.data.cells import Place
from flux_core.data.dataset import Dataset, Peek, Task
from flux_core.data.files import DEFLATE_RATIO, MAX_BYTES, check_size, fractions_of_main, open_file
from flux_core.data.raw import Raw
from flux_core.data.split import Part
from flux_core.errors import DataError

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class IdxSource(ReadsArrays):
    """`images` (rows, ...) and `labels` (rows,); a test split may have its own pair of files.

    Without `split` the test files make all of `images` training data, as `test_path` does for other sources.
    """

    images: str | Path
    labels: str | Path
    test_images: str | Path | None = None
    test_labels: str | Path | None = None
    split: Mapping[str, float] | None = None
    standardize: bool = False
    task: Task | None = None
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        if (self.test_images is None) != (self.test_labels is None):
            raise ValueError("test_images and test_labels go together")
        self._fractions()

    def load(self, *, seed: int, task: Task | None = None) -> Dataset:
        """Read and encode; raises MissingFile or DataError."""
        files = self._images()
        xs = {part: self._raw(path) for part, path in files.items()}
        return array_dataset(
            xs,
            self._targets(task),
            fractions=self._fractions(),
            seed=seed,
            standardize=self.standardize,
            unit=255.0 if xs["train"].dtype == np.uint8 else 1.0,
            name="images",
        )

    def files(self) -> tuple[Path, ...]:
        """Images and labels, train first."""
        return tuple(path for part, images in self._images().items() for path in (images, self._labels()[part]))

    def peek(self, *, seed: int = 0, task: Task | None = None) -> Peek:
        """From the header of the images and all labels."""
        targets = self._targets(task)
        classes = len(targets.classes) if targets.task == "classification" else None
        shape = input_shape(self._raw(Path(self.images)).shape, ids=False)
        target_shape = targets.values["train"].shape[1:]
        return Peek(shape, "float32", classes, targets.task, target_shape, names=targets.classes)

    def _raw(self, path: Path) -> Raw:
        def header() -> Header:
            with open_file(path) as file:
                shape, dtype = _read_header(_plain(file), path)
            return Header(shape, dtype.newbyteorder("="), "C")

        return Raw.of_file(path, header, lambda: read_idx(path, self.max_bytes))

    def _images(self) -> dict[Part, Path]:
        return _pair(self.images, self.test_images)

    def _labels(self) -> dict[Part, Path]:
        return _pair(self.labels, self.test_labels)

    def _fractions(self) -> dict[Part, float]:
        return fractions_of_main(self.split, self._images(), separate=self.test_images is not None)

    def _targets(self, task: Task | None) -> Targets:
        files = self._labels()
        ys = {part: read_idx(path, self.max_bytes) for part, path in files.items()}
        places = {part: Place(path, None, "labels") for part, path in files.items()}
        return read_targets(ys, places, self.task or task)


def read_idx(path: Path, limit: int) -> NDArray[Any]:
    """The array of an idx file; raises MissingFile, or DataError for a file that is no idx file or not whole."""
    with open_file(path) as file:
        try:
            stream = _plain(file)
            shape, dtype = _read_header(stream, path)
            size = prod(shape) * dtype.itemsize
            check_size(size, limit, path, "the array")
            # a few bytes may claim any size: look at the file before memory is taken
            if size > path.stat().st_size * (1 if stream is file else DEFLATE_RATIO):
                raise EOFError
            data = stream.read(size)
            if len(data) < size:
                raise EOFError
            if stream.read(1):
                raise DataError(f"there is more than the {size:,} bytes that the header names", file=path)
        except EOFError:
            raise DataError("the file is cut off: it ends before its header says", file=path) from None
        except (OSError, zlib.error) as error:
            raise DataError(f"cannot be read: {error}", file=path) from None
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _plain(file: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """The stream behind gzip, if the file starts like one; its name does not matter."""
    start = file.read(2)
    file.seek(0)
    return gzip.open(file) if start == GZIP else file


def _read_header(stream: BinaryIO | gzip.GzipFile, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        magic = stream.read(4)
        if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not magic[3]:
            raise DataError(
                f"this is no idx file: it starts with {magic.hex(' ') or 'nothing'}",
                file=path,
                hint="an idx file starts with two zero bytes, a type from 08 to 0e and the number of axes",
            )
        sizes = stream.read(4 * magic[3])
        if len(sizes) < 4 * magic[3]:
            raise EOFError
        shape = struct.unpack(f">{magic[3]}I", sizes)
    except EOFError:
        raise DataError("the file is cut off inside its header", file=path) from None
    except (OSError, zlib.error) as error:
        raise DataError(f"cannot be read: {error}", file=path) from None
    if not prod(shape):
        raise DataError(f"the shape is {shape}: there are no values in it", file=path)
    return shape, np.dtype(TYPES[magic[2]])


def _pair(main: str | Path, test: str | Path | None) -> dict[Part, Path]:
    files: dict[Part, Path] = {"train": Path(main)}
    if test is not None:
        files["test"] = Path(test)
    return files
