"""Source text in, object code out: the only module that runs Numba.

Numba wraps the function for C callers; the wrapper holds code for reporting a Python exception. A process
without Numba cannot resolve what that code calls, so a kernel that could get there would crash it. Therefore
a kernel must not be able to raise: division follows NumPy, indices are not checked, and a kernel that needs
Python's run time all the same is refused here, where its author sees it.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from flux_core.engine.kernel import Kernel

# What the wrapper mentions in the code that reports exceptions, never reached by a kernel that raises none.
WRAPPER = {
    "NRT_MemInfo_call_dtor",
    "PyErr_Clear",
    "PyErr_SetNone",
    "PyErr_SetString",
    "PyErr_WriteUnraisable",
    "PyExc_StopIteration",
    "PyExc_SystemError",
    "PyUnicode_FromString",
    "Py_DecRef",
    "numba_gil_ensure",
    "numba_gil_release",
}
RUNTIME = re.compile(r"_?Py|_?numba|NRT_")


class KernelError(Exception):
    """A kernel needs what a process without Numba does not have."""


@dataclass(frozen=True)
class Compiled:
    """Object code of this machine and the symbol of the kernel in it."""

    symbol: str
    code: bytes


def compile_kernel(kernel: Kernel) -> Compiled:
    """Compile one kernel; raises KernelError for one that can raise, allocate or call into Python."""
    function = compile_function(kernel)
    refused = sorted(name for name in undefined(function.inspect_llvm()) if not is_present(name))
    if refused:
        raise KernelError(f"kernel {kernel.name!r} may raise or allocate: it calls {', '.join(refused)}")
    return Compiled(function.native_name, object_code(function))


def compile_function(kernel: Kernel) -> Any:
    """Numba's C callback of a kernel."""
    numba: Any = import_module("numba")  # its type hints cover little of what is used here
    types, config = numba.types, numba.config
    # A module name that no other text has: two texts may define helpers of the same name, and all object
    # code of a process shares one table of symbols.
    namespace = {"__name__": f"kernel_{kernel.key.replace('-', '_')}"}
    signature = types.void(types.CPointer(types.float32), types.CPointer(types.int64))
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0  # helpers that are no machine code cannot be called
    try:
        exec(compile(kernel.source, f"<kernel {kernel.name}>", "exec", dont_inherit=True), namespace)
        return numba.cfunc(signature, error_model="numpy", boundscheck=False)(namespace[kernel.name])
    finally:
        config.DISABLE_JIT = disabled


def object_code(function: Any) -> bytes:
    """The machine code, as an object file: through Numba's private method, the only use of one."""
    return bytes(function._library._get_compiled_object())


def undefined(text: str) -> set[str]:
    """The symbols that LLVM code uses and does not define."""
    import llvmlite.binding as llvm

    with llvm.parse_assembly(text) as module:
        values = [*module.functions, *module.global_variables]
        return {value.name for value in values if value.is_declaration and not value.name.startswith("llvm.")}


def is_present(name: str) -> bool:
    """Whether a process without Numba has the symbol, or never needs it."""
    if RUNTIME.match(name):
        return name in WRAPPER
    return hasattr(ctypes.CDLL(None), name)
