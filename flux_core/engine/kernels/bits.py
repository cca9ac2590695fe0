"""What a processor does to one float32 and Python has no word for.

    bits(x)        float32 ──same bits──▶ int32        number(i)   the way back
    fma(a, b, c)   a·b + c, rounded once               polynomial(x, c)   c₀ + x·(c₁ + x·(c₂ + …)) by fma

Each becomes one or a few instructions that LLVM turns into vectors. A product that may or may not be fused
with a sum would make the bits depend on whether an element falls into the vector loop or into its remainder:
here fma always is one, and a·b + c never becomes one. Imported only while a kernel is compiled.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

types: Any = import_module("numba.types")
cgutils: Any = import_module("numba.core.cgutils")

FLOAT, INT = ir.FloatType(), ir.IntType(32)


def _bits(typing: Any, x: Any) -> Any:
    return types.int32(types.float32), lambda context, builder, signature, args: builder.bitcast(args[0], INT)


def _number(typing: Any, i: Any) -> Any:
    return types.float32(types.int32), lambda context, builder, signature, args: builder.bitcast(args[0], FLOAT)


def _fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    signature = types.float32(types.float32, types.float32, types.float32)
    return signature, lambda context, builder, signature, args: builder.fma(*args)


def _polynomial(typing: Any, x: Any, coefficients: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        *rest, y = cgutils.unpack_tuple(builder, args[1])
        for c in reversed(rest):
            y = builder.fma(y, args[0], c)
        return y

    return types.float32(types.float32, coefficients), generate


def _unary(name: str) -> Any:
    """LLVM's own function of one float32."""

    def typed(typing: Any, x: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.call(builder.module.declare_intrinsic(name, [FLOAT]), args)

        return types.float32(types.float32), generate

    return intrinsic(typed)


def _copysign(typing: Any, size: Any, sign: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = builder.module.declare_intrinsic("llvm.copysign", [FLOAT], ir.FunctionType(FLOAT, [FLOAT, FLOAT]))
        return builder.call(function, args)

    return types.float32(types.float32, types.float32), generate


bits: Any = intrinsic(_bits)  # bits(x): int32
number: Any = intrinsic(_number)  # number(i): float32
fma: Any = intrinsic(_fma)  # fma(a, b, c): a·b + c
polynomial: Any = intrinsic(_polynomial)  # polynomial(x, (c₀, c₁, ...)) of float32
copysign: Any = intrinsic(_copysign)  # copysign(size, sign)
absolute: Any = _unary("llvm.fabs")
sqrt: Any = _unary("llvm.sqrt")
truncate: Any = _unary("llvm.trunc")
