"""The address of a BLAS' single-precision matrix product, as an operand for kernels.

SciPy publishes its BLAS as capsules of one extension module. That file is loaded alone: importing the package
around it takes ten times as long.
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

MODULE = "scipy.linalg.cython_blas"


@cache
def sgemm_address() -> int:
    """The address of sgemm. Raises ImportError when SciPy has no such capsule."""
    import scipy  # noqa: F401  # prepares the libraries that the extension is linked against

    package = find_spec("scipy")
    if package is None or package.origin is None:
        raise ImportError("SciPy is not installed as files")
    folder = Path(package.origin).parent / "linalg"
    for suffix in EXTENSION_SUFFIXES:
        file = folder / f"cython_blas{suffix}"
        if file.exists():
            spec = spec_from_file_location(MODULE, file, loader=ExtensionFileLoader(MODULE, str(file)))
            assert spec is not None
            assert spec.loader is not None
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            _one_thread(folder.parent)
            return _address(module.__pyx_capi__["sgemm"])
    raise ImportError(f"SciPy's {MODULE} is not in {folder}")


def _one_thread(package: Path) -> None:
    """Keep SciPy's BLAS on one thread: its own would change the last bits of results and get in the way of ours."""
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1":  # as the command line has it; spares the search
        return
    from threadpoolctl import ThreadpoolController

    for library in ThreadpoolController().lib_controllers:
        if library.user_api == "blas" and package.name in Path(library.filepath).parent.name:
            library.set_num_threads(1)


def _address(capsule: object) -> int:
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))
