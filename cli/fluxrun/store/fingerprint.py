"""What makes two runs the same: the resolved spec, the data, and the engine's format.

SHA-256(spec without name and paths | SHA-256 of each data file | format)   ->   digits-7f3a9c01de
                                                                                        ^^^^^^^^^^ its first ten digits
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from fluxrun.spec.part import Component, Part, fields, set_aside
from fluxrun.spec.schema.root import Spec
from fluxrun.store.record import FORMAT


def fingerprint(spec: Spec, digests: Sequence[str]) -> str:
    """SHA-256 of a training, in hexadecimal: equal for specs that differ in names, places of files and saving only."""
    meaning = {"format": FORMAT, "spec": _meaning(spec), "data": list(digests)}
    del meaning["spec"]["name"]
    text = json.dumps(meaning, sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _meaning(value: Any) -> Any:
    """The long form, without what changes nothing of the training."""
    if isinstance(value, Part):
        return {value.name: _meaning(value.arguments)}
    if isinstance(value, Component):
        left_out = set_aside(type(value))
        return {name: _meaning(getattr(value, name)) for name in fields(type(value)) if name not in left_out}
    if isinstance(value, list):
        return [_meaning(item) for item in value]
    if isinstance(value, dict):
        return {name: _meaning(item) for name, item in value.items()}
    return value
