"""Data that come through standard input: `zcat new.csv.gz | fluxrun predict last -`.

stdin ──copied, up to the limit──▶ a file without a name ──▶ /dev/stdin     which can be read again, and has a size

What reads data files looks at them more than once, which a pipe does not bear.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flux_core.data.files import check_size

PATH = Path("/dev/stdin")
NAMES = ("-", str(PATH))
STDIN = 0
PIECE = 2**20


def shown(data: str) -> str:
    """The name of a data file for people, who know standard input as that of specs."""
    return "<stdin>" if data in NAMES else data


@contextmanager
def data_file(data: str, limit: int) -> Iterator[Path]:
    """The path of a data file; standard input, by either name, is copied and stands in its own place meanwhile.

    Raises DataError for more than `limit` bytes, OSError where they cannot be kept.
    """
    if data not in NAMES:
        yield Path(data)
        return
    size = 0
    with tempfile.TemporaryFile() as copy:
        while piece := sys.stdin.buffer.read(PIECE):
            size += len(piece)
            check_size(size, limit, PATH, "what comes through it")
            copy.write(piece)
        copy.flush()
        before = os.dup(STDIN)
        try:
            os.dup2(copy.fileno(), STDIN)
            yield PATH
        finally:
            os.dup2(before, STDIN)
            os.close(before)
