"""Text from a trained model, as bytes: a symbol is on its way to the reader as soon as it is chosen.

run ──flux_core.load──▶ model of text ──prime──▶ symbols, one by one ──▶ UTF-8, or for models of bytes these themselves
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flux_core.errors import DataError, GraphError
from fluxrun.jobs.expect import UsageError
from fluxrun.store.listing import find

if TYPE_CHECKING:
    from flux_core.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Settings:
    """What is asked for; the names are those of the options."""

    prime: str
    length: int
    temperature: float
    top_k: int | None
    seed: int


@dataclass(frozen=True)
class Sample:
    """A text in the making: `symbols` are its ids, to be taken once."""

    run: Path
    settings: Settings
    vocabulary: Vocabulary
    symbols: Iterator[int]

    def pieces(self) -> Iterator[bytes]:
        """The prime, and then each symbol."""
        yield self.settings.prime.encode(errors="surrogateescape")
        if self.vocabulary.unit == "byte":
            yield from (bytes([symbol]) for symbol in self.symbols)
        else:
            yield from (self.vocabulary.characters[symbol].encode() for symbol in self.symbols)

    def to_json(self) -> dict[str, Any]:
        """What `sample --json` prints; bytes that are no UTF-8 are U+FFFD in it."""
        text = b"".join(self.pieces()).decode(errors="replace")
        return {"run": str(self.run), "text": text, **vars(self.settings)}


def sample(which: str, settings: Settings, runs: Path) -> Sample:
    """Raises NoSuchRun, CheckpointError, UsageError for a model that cannot go on from the prime."""
    from flux_core.training import load as load_model
    from flux_core.training.sampling import sample_ids

    if not settings.temperature >= 0:  # nan is neither
        raise UsageError(f"--temperature {settings.temperature}: write a number, 0 or more")
    run = find(runs, which)
    trained = load_model(run.folder)
    vocabulary = trained.preprocessing.vocabulary
    if vocabulary is None:
        raise UsageError(
            f"{run.name} has not learnt from a text, so it writes none: `fluxrun predict` lets it answer rows of data"
        )
    try:
        return Sample(run.folder, settings, vocabulary, sample_ids(trained, **vars(settings)))
    except DataError as error:
        raise UsageError(f"--prime, line {error.row}, column {error.column}: {error.reason}; {error.hint}") from None
    except GraphError as error:
        raise UsageError(f"{run.name} cannot be sampled: {error}") from None
