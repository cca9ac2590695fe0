"""What the operands of each kernel are, for people who read a tape.

    gemm  "-sgemm ta tb m n k @A lda ..."     @ a place, = the whole of a region, - not shown, :6 six words in one

An elementwise kernel and an update have as many operands as their formula and their rule; theirs are put together.
"""

from __future__ import annotations

from collections.abc import Callable

from flux_core.engine.lower import Instruction

OPERANDS: dict[str, str] = {
    "absolute_error": "@prediction @target @sums groups most @lengths each @scale",
    "accuracy": "@prediction @ids @sums groups most @lengths each n",
    "binary_accuracy": "@logits @target @sums groups most @lengths each",
    "clip_scale": "@norm @limit @scale",
    "copy": "@x @y sizes:6 from:6 to:6",
    "cross_entropy": "@logits @ids @y rows n",
    "cross_entropy_back": "@dy @logits @ids @dx rows n",
    "dropout_mask": "@y rows n @rate @step -key -key",
    "fill": "@y size @number",
    "floats_of_ids": "@ids @y size",
    "gather": "@table @ids @y count n rows",
    "gemm": "-sgemm ta tb m n k @A lda @B ldb beta @C ldc",
    "log_softmax": "@x @y rows n",
    "loss_sum": "@loss @sums groups @lengths",
    "one_hot": "@ids @y rows n",
    "pack": "@B ldb tb k n @panels",
    "pick": "@x @ids @y rows n",
    "reduce_max": "@x @y outer n inner",
    "reduce_sum": "@x @y outer n inner divisor",
    "scatter": "@dy @ids @dx count n rows",
    "softmax": "@x @y rows n",
    "squared_error": "@prediction @target @sums groups most @lengths each",
    "squares_of_chunks": "=g size chunk @sums",
    "sum_of_squares": "@sums count @norm",
    "top_k": "@prediction @ids @sums groups most @lengths each n k",
    "unpick": "@dy @ids @dx rows n",
}


def names(instruction: Instruction) -> list[str]:
    """The names of an instruction's operands, marked as in the table. Raises KeyError for a kernel without a row."""
    kernel, count = instruction.kernel.name, len(instruction.operands)
    if kernel == "elementwise":
        inputs = [f"@a{i}" for i in range(len(instruction.reads))]
        return [*inputs, "@out", "rows", "columns", f"strides:{len(inputs) + 1}"]
    if kernel.startswith("update_"):
        return ["=x", "=dx", *(f"=slot{i}" for i in range(count - 5)), "@numbers", "size", "decayed"]
    return OPERANDS[kernel].split()


def operands_text(instruction: Instruction, place: Callable[[int, bool], str]) -> str:
    """The operands of an instruction as `name=value`; `place(at, whole)` names a place or its region.

    >>> from flux_core.engine.kernel import Kernel
    >>> fill = Instruction(Kernel.written("fill", "move"), (32, 10, 64), "fill")
    >>> operands_text(fill, lambda at, whole: f"work+{at}")
    'y=work+32 size=10 number=work+64'
    """
    words = iter(instruction.operands)
    shown = []
    for name in names(instruction):
        if ":" in name:
            name, count = name.split(":")
            found = [next(words) for _ in range(int(count))]
            shown.append(f"{name}={','.join(map(str, found))}")
            continue
        value = next(words)
        if name[0] in "@=":
            shown.append(f"{name[1:]}={place(value, name[0] == '=')}")
        elif name[0] != "-":
            shown.append(f"{name}={value}")
    return " ".join(shown)
