"""The language in which nets are declared.

syntax      text ──▶ Python's syntax tree, bounded, with places       refused     what of it means nothing here
functions   what may be called                                        compiler    syntax ──▶ Program, or all faults
program     Program ──▶ nodes
"""

from flux_core.layers.language.compiler import Role, compile_forward
from flux_core.layers.language.functions import FUNCTIONS
from flux_core.layers.language.program import Context, Number, Program
from flux_core.layers.language.sizes import compile_number

__all__ = ["FUNCTIONS", "Context", "Number", "Program", "Role", "compile_forward", "compile_number"]
