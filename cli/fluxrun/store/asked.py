"""What was asked for, as one key that is found without reading the spec: is there a run of exactly this command?

    config.yaml, its variables ─┐
    overrides, their variables ─┼─▶ SHA-256 ─▶ "asked": {"key": ..., "bases": [[base.yaml, SHA-256], ...]} in run.json
    folder, present directory  ─┘

The same key, unchanged files below `extends`, unchanged data and the same format mean the same training. Another key
says nothing: then the spec has to be read and its fingerprint compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flux_core.caches.facts import file_digest
from fluxrun.store.record import FORMAT

VARIABLE = re.compile(rb"\$\{env:([A-Za-z_][A-Za-z0-9_]*)")


def asked_key(text: bytes, config: str, overrides: Sequence[str], name: str | None) -> str:
    """The key of a training command; `overrides` are those of the environment, then those of the command."""
    parts = [reading(text), os.path.abspath(config), os.getcwd(), [reading(os.fsencode(o)) for o in overrides], name]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def reading(text: bytes) -> str:
    """SHA-256 of a text and of the variables of the environment that it names."""
    named = {key.decode(): os.environ.get(key.decode()) for key in VARIABLE.findall(text)}
    return hashlib.sha256(text + json.dumps(named, sort_keys=True).encode()).hexdigest()


def still_holds(values: dict[str, Any]) -> bool:
    """Whether what a record was made from is unchanged: the format, the files below `extends`, the data."""
    try:
        bases = [(Path(path), digest) for path, digest in values["asked"]["bases"]]
        data = [(Path(file["path"]), file["sha256"]) for file in values["data"]]
        return (
            values["format"] == FORMAT
            and all(reading(path.read_bytes()) == digest for path, digest in bases)
            and all(file_digest(path) == digest for path, digest in data)
        )
    except (OSError, TypeError, KeyError, ValueError):
        return False
