"""The kernel store: compile once per machine, load ever after.

    kernel ──key──▶ index.json ──SHA-256──▶ KEY.o ──llvmlite──▶ address
                        ▲ absent, damaged: under a lock, compile and save

A warm process imports no Numba. Whatever is wrong with the stored files (cut short, changed, unreadable, no
room for more), the kernel is compiled again and training goes on; a folder that cannot keep kernels is
reported once, as a warning, because every process then pays for the compiler.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from flux_core import fsio
from flux_core.engine.compiler import WRAPPER, compile_kernel
from flux_core.engine.folder import INDEX, store_folder
from flux_core.engine.kernel import Kernel

LOCK = "lock"
WAIT_SECONDS = 0.05  # between two looks at a lock that another process has

Entry = tuple[str, bytes]  # symbol, object code


class StoreWarning(UserWarning):
    """Kernels cannot be kept; each process compiles its own."""


class Store:
    """Kernels by address, from one folder, or from memory alone where `folder` is None.

    `compiled` counts the kernels that this process had to compile.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.compiled = 0
        self._addresses: dict[str, int] = {}
        self._busy = threading.Lock()
        self._warned = False

    def load(self, kernels: Iterable[Kernel]) -> list[int]:
        """The addresses of kernels, valid as long as the store; all that are missing are compiled.

        Raises KernelError for a kernel that is refused.
        """
        kernels = list(kernels)
        for _ in self.loading(kernels):
            pass
        return [self._addresses[kernel.key] for kernel in kernels]

    def loading(self, kernels: Iterable[Kernel]) -> Iterator[tuple[int, int]]:
        """Load kernels; before each that the folder does not hold come its number, from 1, and their count.

        The number is 0, again and again, while another process compiles. No lock is held while a value is out. Who
        does not go on to the end has loaded nothing, but what was compiled is kept. Raises KernelError for a kernel
        that is refused.
        """
        wanted = {kernel.key: kernel for kernel in kernels if kernel.key not in self._addresses}
        found = self._stored(wanted)
        missing = [kernel for key, kernel in wanted.items() if key not in found]
        for number, kernel in enumerate(missing, 1):
            yield number, len(missing)
            while (made := self._made(kernel)) is None:
                yield 0, len(missing) - number + 1
                time.sleep(WAIT_SECONDS)
            found[kernel.key] = made
        with self._busy:
            self._link(found)

    def missing(self, kernels: Iterable[Kernel]) -> list[Kernel]:
        """The kernels that the folder does not hold, or holds damaged: a process that needs them compiles them."""
        wanted = {kernel.key: kernel for kernel in kernels}
        held = self._stored(wanted)
        return [kernel for key, kernel in wanted.items() if key not in held]

    def inventory(self) -> tuple[int, int]:
        """How many kernels the index names, and how many of them are damaged."""
        named = self._index()
        return len(named), len(named) - len(self._stored(named))

    def function(self, kernel: Kernel) -> Callable[[int, int], None]:
        """A kernel to be called with two addresses, arena and operands; the call releases the GIL."""
        (address,) = self.load([kernel])
        function = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(address)
        function.store = self  # type: ignore[attr-defined]  # the code lives as long as the store
        return function

    def _stored(self, wanted: Iterable[str]) -> dict[str, Entry]:
        """What the folder holds of these keys, whole."""
        index = self._index()
        found = {}
        for key in wanted:
            try:
                symbol, checksum = index[key]["symbol"], index[key]["sha256"]
                code = (self._place(f"{key}.o")).read_bytes()
            except (KeyError, TypeError, OSError):
                continue
            if isinstance(symbol, str) and hashlib.sha256(code).hexdigest() == checksum:
                found[key] = (symbol, code)
        return found

    def _index(self) -> dict[str, Any]:
        """The index, or an empty one where it cannot be read."""
        if self.folder is None:
            return {}
        try:
            index = json.loads(self._place(INDEX).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return index if isinstance(index, dict) else {}

    def _made(self, kernel: Kernel) -> Entry | None:
        """The kernel from the folder, else compiled; None while another process compiles."""
        with ExitStack() as stack:
            free = self._locks(stack)
            stored = self._stored([kernel.key]).get(kernel.key)  # another process may have been faster
            if stored is not None or not free:
                return stored
            with self._busy:
                return self._compile(kernel)

    def _locks(self, stack: ExitStack) -> bool:
        """Take the lock of the folder, unless another process has it; without locks, each process compiles."""
        try:
            stack.enter_context(fsio.locked(self._place(LOCK), wait=False))
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _compile(self, kernel: Kernel) -> Entry:
        """Compile, and keep it at once: whoever is stopped now has not done it in vain."""
        compiled = compile_kernel(kernel)
        self.compiled += 1
        self._save(kernel.key, compiled.symbol, compiled.code)
        return compiled.symbol, compiled.code

    def _save(self, key: str, symbol: str, code: bytes) -> None:
        """Keep a compiled kernel, code before index: an index never names what is not there."""
        if self.folder is None:
            self._warn("no folder for compiled kernels can be written to")
            return
        try:
            fsio.write_atomically(self._place(f"{key}.o"), code)
            index = self._index() | {key: {"symbol": symbol, "sha256": hashlib.sha256(code).hexdigest()}}
            fsio.write_atomically(self._place(INDEX), json.dumps(index, sort_keys=True, indent=1).encode())
        except OSError as error:
            self._warn(f"compiled kernels cannot be kept in {self.folder}: {error.strerror or error}")

    def _warn(self, reason: str) -> None:
        if not self._warned:
            self._warned = True
            way_out = "each process compiles its own; FLUXRUN_CACHE can name another folder"
            warnings.warn(f"{reason}; {way_out}", StoreWarning, stacklevel=2)

    def _place(self, name: str) -> Path:
        if self.folder is None:
            raise FileNotFoundError(name)
        return self.folder / name

    def _link(self, found: dict[str, Entry]) -> None:
        """Make object code callable."""
        import llvmlite.binding as llvm

        found = {key: entry for key, entry in found.items() if key not in self._addresses}  # another thread's
        for _, code in found.values():
            self._linker.add_object_file(llvm.ObjectFileRef.from_data(code))
        self._linker.finalize_object()
        for key, (symbol, _) in found.items():
            self._addresses[key] = self._linker.get_function_address(symbol)

    @cached_property
    def _linker(self) -> Any:
        import llvmlite.binding as llvm

        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        # Every name must have an address, also in code that no kernel reaches; Numba, if it is ever imported,
        # replaces these by its own.
        process = ctypes.CDLL(None)
        abort = ctypes.cast(process.abort, ctypes.c_void_p).value
        for name in WRAPPER:
            if not hasattr(process, name) and llvm.address_of_symbol(name) is None:
                llvm.add_symbol(name, abort)
        machine = llvm.Target.from_default_triple().create_target_machine()
        return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


@cache
def default_store() -> Store:
    """The store of this process, in the folder that `store_folder` finds."""
    return Store(store_folder())
