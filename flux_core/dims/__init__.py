"""Batches and sequences as lists of examples: CatMat, Batch, Seq, BatchSeq, and what makes them."""

from flux_core.dims.batching import Batched, batches, batchone, chunk, sequences, tobatch, unbatchone
from flux_core.dims.catmat import Batch, BatchSeq, CatMat, Seq, rawbatch, rebatch, rebatchseq
from flux_core.dims.labels import accuracy, onecold, onehot
from flux_core.dims.stacking import stack, unstack

__all__ = [
    "Batch",
    "BatchSeq",
    "Batched",
    "CatMat",
    "Seq",
    "accuracy",
    "batches",
    "batchone",
    "chunk",
    "onecold",
    "onehot",
    "rawbatch",
    "rebatch",
    "rebatchseq",
    "sequences",
    "stack",
    "tobatch",
    "unbatchone",
    "unstack",
]
