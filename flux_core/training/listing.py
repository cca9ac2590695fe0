"""A tape of training as text: what the loop gathers, every instruction, and the map of the memory.

    #  tiles  kernel  operands
    0      2  gemm    ta=0 tb=0 m=32 n=128 k=64 A=work+12288 lda=64 B=x[0.W] ldb=128 beta=0 C=work+0 ldc=128

Places are names: `x[0.W]` is where the Param 0.W begins, `dx[0.W]` its gradient, `work+64` a place among the
activations (`memory` says whose). Nothing is compiled for this.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from flux_core.data import Examples
from flux_core.engine.arena import Flat
from flux_core.engine.lower import Instruction
from flux_core.engine.operands import operands_text
from flux_core.engine.repeat import Repeated
from flux_core.engine.tape import FLOAT, offset
from flux_core.engine.tiles import tiled
from flux_core.training.on_tape import Assembly, TapeEngine

MEANING = {
    "x": "Params, one behind the other",
    "dx": "their gradients, laid out like x",
    "work": "activations, sharing room as `memory` shows",
    "constants": "numbers of the graph",
    "numbers": "scale, limit, decay and the numbers of the optimiser's rule, for this step",
    "norm": "sum of squares of the gradient and of its chunks, float64",
    "limit": "clip_norm",
    "first": "1 in the first minibatch of an epoch, where carried states begin anew",
    "zero": "a zero",
    "step": "number of the step, int64",
    "sums": "sum of the loss, rows, and sums of the metrics, float64",
}


def tape_text(engine: TapeEngine, examples: Examples, rows: int) -> str:
    """The tape for training on minibatches of `rows` examples, which are like `examples`."""
    assembly = engine.assembly(examples, rows, True)
    regions = _Regions(engine, assembly)
    listed = [line for part in (assembly.before, assembly.after) for line in _lines(part, regions)]
    count, tiles = len(listed), sum(line.tiles for line in listed)
    lines = [f"tape of one step on {rows} examples: {count} instructions in {tiles} tiles"]
    for name, (place, size) in zip(("x", "y", "lengths"), assembly.inputs, strict=False):
        lines.append(f"{'gathered':>16}  {name}: {rows} rows of {size} to {regions.name(place)}")
    lines.append(f"{'#':>3} {'tiles':>6} {'kernel':<18} operands")
    checked = len(_lines(assembly.before, regions))
    for number, line in enumerate(listed):
        if number == checked:
            lines.append(f"{'checked':>16}  a loss or gradient that is not finite ends the training here")
        lines.append(f"{number:>3} {line.tiles:>6} {line.text}")
    return "\n".join([*lines, "", *regions.map()])


class _Line(NamedTuple):
    tiles: int
    text: str


def _lines(part: Sequence[Instruction | Repeated], regions: _Regions) -> list[_Line]:
    """A line for each instruction, those of a loop's first step indented under its own."""
    found: list[_Line] = []
    plain = iter(tiled([one for one in part if isinstance(one, Instruction)]))
    for one in part:
        if isinstance(one, Repeated):
            found.append(_Line(1, f"loop               {one.steps} steps, of which this is the first:"))
            inside = zip(one.first, tiled(one.first), strict=True)
            found += [_Line(len(tiles), f"  {_text(i, regions, 16)}") for i, tiles in inside]
        else:
            found.append(_Line(len(next(plain)), _text(one, regions, 18)))
    return found


def _text(instruction: Instruction, regions: _Regions, width: int) -> str:
    operands = operands_text(instruction, regions.name)
    what = f"  {instruction.note} ({instruction.reads})" if instruction.reads else ""
    return f"{instruction.kernel.name:<{width}} {operands}{what}"


class _Regions:
    """Names for places."""

    def __init__(self, engine: TapeEngine, assembly: Assembly) -> None:
        self.engine, self.arrays = engine, engine.regions(assembly)
        self.starts = {name: offset(array, engine.arena.x) for name, array in self.arrays.items()}
        self.by_param = {"x", "dx", *engine.state.slots}

    def name(self, place: int, whole: bool = False) -> str:
        """The region of a place, and how far in it the place is."""
        for region, start in self.starts.items():
            if start <= place < start + _size(self.arrays[region]):
                return region if whole else self._inside(region, place - start)
        raise LookupError(f"place {place} is in no region of the memory")

    def _inside(self, region: str, at: int) -> str:
        if region in self.by_param:
            for param, (begin, end) in self.engine.arena.spans.items():
                if begin <= at < end:
                    return f"{region}[{param}{f'+{at - begin}' if at > begin else ''}]"
        return f"{region}+{at}" if region in ("work", "constants", "sums") else region

    def map(self) -> list[str]:
        """Every region with its size, and where each Param lies."""
        lines = ["memory, in float32 numbers"]
        for region, array in self.arrays.items():
            meaning = MEANING.get(region, "a slot of the optimiser, laid out like x")
            if region.startswith("state"):
                meaning = "a state that is carried to the next minibatch"
            if region.startswith("rows"):
                meaning = "how many examples a minibatch has, int64"
            if region.startswith("panels"):
                meaning = "a matrix that all steps of a loop read, packed"
            if region.startswith("scale"):
                meaning = "units of a metric, float64"
            lines.append(f"  {region:<10} {_size(array):>12,}  {meaning}")
            if region == "x":
                for name, (begin, end) in sorted(self.engine.arena.spans.items(), key=lambda span: span[1]):
                    shape = self.engine.params[name].shape
                    assert end - begin == prod(shape)
                    lines.append(f"  {'':<10} {begin:>12,}  {name} {' x '.join(map(str, shape))}")
        total = sum(_size(array) for array in self.arrays.values())
        return [*lines, f"  {'in all':<10} {total:>12,}  {total * FLOAT:,} bytes"]


def _size(array: Flat) -> int:
    return int(array.nbytes) // FLOAT
