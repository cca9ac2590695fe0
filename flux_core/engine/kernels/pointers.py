"""Pointer arithmetic for kernels: what C writes as `arena + offset`, casts and calls by address.

Imported by the text of kernels, that is, only while one is compiled.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

types: Any = import_module("numba.types")
floats, ints, doubles = types.CPointer(types.float32), types.CPointer(types.int64), types.CPointer(types.float64)


def _at(typing: Any, pointer: Any, offset: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), generate


def _cast_to(target: Any) -> Any:
    def typed(typing: Any, pointer: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.bitcast(arguments[0], context.get_value_type(target))

        return target(pointer), generate

    return typed


def _call(typing: Any, address: Any, arena: Any, operands: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = [ir.FloatType().as_pointer(), ir.IntType(64).as_pointer()]
        function = ir.FunctionType(ir.VoidType(), kinds).as_pointer()
        builder.call(builder.inttoptr(arguments[0], function), arguments[1:])
        return context.get_dummy_value()

    return types.void(types.int64, floats, ints), generate


at: Any = intrinsic(_at)  # at(pointer, offset): the pointer `offset` elements further on
as_float64: Any = intrinsic(_cast_to(doubles))  # as_float64(pointer): the same place, holding float64
as_int64: Any = intrinsic(_cast_to(ints))  # as_int64(pointer): the same place, holding int64
call: Any = intrinsic(_call)  # call(address, arena, operands): run the kernel at an address
