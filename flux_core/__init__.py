"""flux_core: models, graphs, gradients and a trainer in Python, NumPy and Numba.

    from flux_core import Affine, Chain, back, relu, softmax, update

    m = Chain(Affine(4, 16), relu, Affine(16, 3), softmax)
    y = m(x)                 the value
    dx = back(m, dy, x)      gradients gather in every Param
    update(m, 0.1)           x -= 0.1 * dx; dx = 0

Names are loaded when they are first used: importing this package imports nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flux_core.dims import (
        Batch,
        Batched,
        BatchSeq,
        CatMat,
        Seq,
        accuracy,
        batches,
        batchone,
        chunk,
        onecold,
        onehot,
        rawbatch,
        rebatch,
        rebatchseq,
        sequences,
        stack,
        tobatch,
        unbatchone,
        unstack,
    )
    from flux_core.errors import (
        BackpropError,
        CheckpointError,
        ColumnError,
        DataError,
        Diverged,
        FluxError,
        FormulaError,
        GraphError,
        MissingFile,
        SettingError,
        ShapeError,
    )
    from flux_core.ir import Graph, Node, Param, accumulate, copyto, graph, param, state
    from flux_core.layers import (
        GRU,
        LSTM,
        Affine,
        Chain,
        Dropout,
        Elu,
        Embedding,
        GatedRecurrent,
        Input,
        Last,
        LeakyRelu,
        OneHot,
        Recurrence,
        Recurrent,
        Reshape,
        TimeMean,
        binary_cross_entropy,
        cross_entropy,
        declare,
        gru,
        huber,
        initialise,
        logloss,
        lstm,
        mae,
        mse,
        recurrent,
        seed,
    )
    from flux_core.model import (
        Array,
        Capacitor,
        Model,
        SeqModel,
        State,
        Stateful,
        back,
        flip,
        infer,
        interpmodel,
        net,
        parameters,
        reset,
        runmodel,
        runseq,
        stateless,
        unroll,
        unroll1,
        update,
    )
    from flux_core.ops import (
        absolute,
        concat,
        dropout,
        elu,
        equal,
        erf,
        exp,
        flatten,
        gather,
        gelu,
        greater,
        greater_equal,
        leaky_relu,
        less,
        less_equal,
        log,
        log_softmax,
        max_,
        maximum,
        mean,
        minimum,
        not_equal,
        one_hot,
        pick,
        power,
        relu,
        reshape,
        sigmoid,
        sign,
        silu,
        softmax,
        softplus,
        sqrt,
        sum_,
        tanh,
        transpose,
        where,
    )
    from flux_core.ops import sigmoid as σ
    from flux_core.optim import (
        Constant,
        Cosine,
        Exponential,
        Optimizer,
        Plateau,
        Step,
        adam,
        adamw,
        momentum,
        nesterov,
        rmsprop,
        sgd,
    )
    from flux_core.training import EarlyStop, Fit, Plan, load, sample, train

__version__ = "0.1.0"

_HOMES = {
    "flux_core.dims": (
        "Batch Batched BatchSeq CatMat Seq accuracy batches batchone chunk onecold onehot rawbatch rebatch "
        "rebatchseq sequences stack tobatch unbatchone unstack"
    ),
    "flux_core.errors": (
        "BackpropError CheckpointError ColumnError DataError Diverged FluxError FormulaError GraphError MissingFile "
        "SettingError ShapeError"
    ),
    "flux_core.ir": "Graph Node Param accumulate copyto graph param state",
    "flux_core.layers": (
        "Affine Chain Dropout Elu Embedding GRU GatedRecurrent Input LSTM Last LeakyRelu OneHot Recurrence "
        "Recurrent Reshape TimeMean binary_cross_entropy cross_entropy declare gru huber initialise logloss lstm "
        "mae mse recurrent seed"
    ),
    "flux_core.model": (
        "Array Capacitor Model SeqModel State Stateful back flip infer interpmodel net parameters reset runmodel "
        "runseq stateless unroll unroll1 update"
    ),
    "flux_core.ops": (
        "absolute concat dropout elu equal erf exp flatten gather gelu greater greater_equal leaky_relu less "
        "less_equal log log_softmax max_ maximum mean minimum not_equal one_hot pick power relu reshape "
        "sigmoid sign silu softmax softplus sqrt sum_ tanh transpose where"
    ),
    "flux_core.optim": "Constant Cosine Exponential Optimizer Plateau Step adam adamw momentum nesterov rmsprop sgd",
    "flux_core.training": "EarlyStop Fit Plan load sample train",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "GRU",
    "LSTM",
    "Affine",
    "Array",
    "BackpropError",
    "Batch",
    "BatchSeq",
    "Batched",
    "Capacitor",
    "CatMat",
    "Chain",
    "CheckpointError",
    "ColumnError",
    "Constant",
    "Cosine",
    "DataError",
    "Diverged",
    "Dropout",
    "EarlyStop",
    "Elu",
    "Embedding",
    "Exponential",
    "Fit",
    "FluxError",
    "FormulaError",
    "GatedRecurrent",
    "Graph",
    "GraphError",
    "Input",
    "Last",
    "LeakyRelu",
    "MissingFile",
    "Model",
    "Node",
    "OneHot",
    "Optimizer",
    "Param",
    "Plan",
    "Plateau",
    "Recurrence",
    "Recurrent",
    "Reshape",
    "Seq",
    "SeqModel",
    "SettingError",
    "ShapeError",
    "State",
    "Stateful",
    "Step",
    "TimeMean",
    "absolute",
    "accumulate",
    "accuracy",
    "adam",
    "adamw",
    "back",
    "batches",
    "batchone",
    "binary_cross_entropy",
    "chunk",
    "concat",
    "copyto",
    "cross_entropy",
    "declare",
    "dropout",
    "elu",
    "equal",
    "erf",
    "exp",
    "flatten",
    "flip",
    "gather",
    "gelu",
    "graph",
    "greater",
    "greater_equal",
    "gru",
    "huber",
    "infer",
    "initialise",
    "interpmodel",
    "leaky_relu",
    "less",
    "less_equal",
    "load",
    "log",
    "log_softmax",
    "logloss",
    "lstm",
    "mae",
    "max_",
    "maximum",
    "mean",
    "minimum",
    "momentum",
    "mse",
    "nesterov",
    "net",
    "not_equal",
    "one_hot",
    "onecold",
    "onehot",
    "param",
    "parameters",
    "pick",
    "power",
    "rawbatch",
    "rebatch",
    "rebatchseq",
    "recurrent",
    "relu",
    "reset",
    "reshape",
    "rmsprop",
    "runmodel",
    "runseq",
    "sample",
    "seed",
    "sequences",
    "sgd",
    "sigmoid",
    "sign",
    "silu",
    "softmax",
    "softplus",
    "sqrt",
    "stack",
    "state",
    "stateless",
    "sum_",
    "tanh",
    "tobatch",
    "train",
    "transpose",
    "unbatchone",
    "unroll",
    "unroll1",
    "unstack",
    "update",
    "where",
    "σ",
]


def __getattr__(name: str) -> Any:
    if name == "σ":
        return __getattr__("sigmoid")
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value  # the next look-up finds it without this function
    return value


def __dir__() -> list[str]:
    return __all__
