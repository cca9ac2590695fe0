"""The engine: small kernels, compiled once per machine, called by address.

    rule or text ──▶ Kernel ──▶ Store ──▶ address        called with (arena, operands)
                              compiler (Numba), only for a kernel never seen before

The only part of the house that knows Numba, and only `compiler` runs it.
"""

from flux_core.engine.compiler import KernelError
from flux_core.engine.kernel import Kernel
from flux_core.engine.store import Store, StoreWarning, default_store
from flux_core.engine.update import Update, fused_update, gradient_norm

__all__ = [
    "Kernel",
    "KernelError",
    "Store",
    "StoreWarning",
    "Update",
    "default_store",
    "fused_update",
    "gradient_norm",
]
