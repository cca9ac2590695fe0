"""Pointer arithmetic for kernels: what C writes as `arena + offset`.

Imported by the text of kernels, that is, only while one is compiled.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from numba.extending import intrinsic

types: Any = import_module("numba.types")


def _at(typing: Any, pointer: Any, offset: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), generate


def _as_float64(typing: Any, pointer: Any) -> Any:
    doubles = types.CPointer(types.float64)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(doubles))

    return doubles(pointer), generate


at: Any = intrinsic(_at)  # at(pointer, offset): the pointer `offset` elements further on
as_float64: Any = intrinsic(_as_float64)  # as_float64(pointer): the same place, holding float64
