"""The symbols of texts as ids, and back.

    char   "café" ──encode──▶ [1, 0, 2, 3] ──decode──▶ "café"             the sorted characters of the texts: "acfé"
    byte   "é"    ──encode──▶ [195, 169]   ──decode──▶ "é"                all 256, so that every text has ids

Between a file and its ids stand codes: bytes as they are, or the code points of characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flux_core.errors import DataError

Unit = Literal["char", "byte"]
Codes = NDArray[Any]  # uint8 or uint32

POINTS = 0x110000  # of Unicode
MOST = 20_000  # characters; more would not go into the header of a checkpoint


@dataclass(frozen=True)
class Vocabulary:
    """The ids of symbols; `characters` are in the order of their ids, and empty for bytes.

    >>> vocabulary = Vocabulary.of("char", [codes_of("hello", "char")])
    >>> vocabulary.characters, len(vocabulary), vocabulary.encode("hole").tolist()
    ('ehlo', 4, [1, 3, 2, 0])
    >>> vocabulary.decode([1, 0, 2, 2, 3])
    'hello'
    """

    unit: Unit
    characters: str = ""

    @classmethod
    def of(cls, unit: Unit, texts: Iterable[Codes]) -> Vocabulary:
        """The vocabulary of some codes; raises DataError for more than 20,000 different characters."""
        if unit == "byte":
            return cls(unit)
        seen = np.zeros(POINTS, bool)
        for codes in texts:
            seen[codes] = True
        points = np.flatnonzero(seen)
        if len(points) > MOST:
            raise DataError(
                f"the text has {len(points):,} different characters, a vocabulary has room for {MOST:,}",
                hint="data.unit: byte has 256 symbols for any text",
            )
        return cls(unit, _text(points))

    def __len__(self) -> int:
        return 256 if self.unit == "byte" else len(self.characters)

    @property
    def names(self) -> tuple[str, ...]:
        """What each symbol is called.

        >>> Vocabulary("byte").names[10], Vocabulary("char", "ab").names
        ('0x0a', ('a', 'b'))
        """
        return tuple(f"0x{byte:02x}" for byte in range(256)) if self.unit == "byte" else tuple(self.characters)

    def ids(self, codes: Codes) -> NDArray[np.int64]:
        """The ids of codes, int64, -1 for characters that it does not have."""
        if self.unit == "byte":
            return codes.astype(np.int64)
        table = np.full(POINTS, -1, np.int64)
        table[codes_of(self.characters, "char")] = np.arange(len(self))
        return table[codes]

    def encode(self, text: str, *, file: str | Path | None = None) -> NDArray[np.int64]:
        """The ids of a text, int64 (symbols,); raises DataError for a character that training never had.

        Row and column of that error are the line and the place in it, counted from 1; `file` is for its message.
        """
        ids = self.ids(codes_of(text, self.unit))
        if len(ids) and ids.min() < 0:
            index = int(np.argmin(ids))
            raise DataError(
                f"the model has never seen the character {text[index]!r}",
                file=file,
                row=text.count("\n", 0, index) + 1,
                column=index - text.rfind("\n", 0, index),
                hint="with data.unit: byte a model takes any text",
            )
        return ids

    def decode(self, ids: ArrayLike) -> str:
        """The text of ids (symbols,); bytes that are no UTF-8 become U+FFFD."""
        ids = np.asarray(ids, np.int64)
        if self.unit == "byte":
            return ids.astype(np.uint8).tobytes().decode("utf-8", "replace")
        return _text(codes_of(self.characters, "char")[ids])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {"unit": self.unit, "characters": self.characters}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Vocabulary:
        """The vocabulary that `to_json` wrote; raises ValueError for anything else."""
        unit, characters = data["unit"], data["characters"]
        if unit not in ("char", "byte") or not isinstance(characters, str):
            raise ValueError("a vocabulary has a unit and characters")
        characters.encode()  # raises for half a surrogate pair
        points = codes_of(characters, "char").astype(np.int64)
        if (unit == "byte") != (not characters) or (np.diff(points) <= 0).any():
            raise ValueError("the characters of a vocabulary are different and sorted, and bytes have none")
        return cls(unit, characters)


def codes_of(text: str, unit: Unit) -> Codes:
    """The codes of a text, (symbols,); bytes that Python keeps as surrogates, where they were no UTF-8, are bytes."""
    if unit == "byte":
        return np.frombuffer(text.encode(errors="surrogateescape"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


def _text(points: NDArray[Any]) -> str:
    return points.astype("<u4").tobytes().decode("utf-32-le")
