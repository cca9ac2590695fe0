"""Every name that a spec may use.

    kind          name        keys (schema)      made by (imported when used)
    optimizer     adam        Adam               flux_core.optim:adam

One row adds a component; check, build, and all lists of names read these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from fluxrun.spec.part import Component
from fluxrun.spec.schema import layers, sources, training
from fluxrun.spec.schema.layers import NoArguments

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Row:
    """A component's schema, and `module:name` of what makes it (a class, or a plain function that is a layer).

    `doc` is one line for lists; a schema of one component says it itself. `task` is what a loss or a metric is for,
    `loss` the one that a metric is made from, and `shapes` says that a layer decides the shape of what it gives.
    """

    schema: type[Component]
    maker: str
    doc: str = ""
    task: Task | None = None
    loss: str | None = None
    shapes: bool = False

    def make(self) -> Any:
        """The maker itself."""
        module, name = self.maker.split(":")
        return getattr(import_module(module), name)

    @property
    def summary(self) -> str:
        """What the component is, in one line."""
        return self.doc or (self.schema.__doc__ or "").partition("\n")[0]


def _functions(**docs: str) -> dict[str, Row]:
    return {name: Row(NoArguments, f"flux_core.ops:{name}", doc) for name, doc in docs.items()}


CATALOG: Mapping[str, Mapping[str, Row]] = {
    "source": {
        "csv": Row(sources.Csv, "flux_core.data:CsvSource"),
        "npz": Row(sources.Npz, "flux_core.data:NpzSource"),
        "npy": Row(sources.Npy, "flux_core.data:NpySource"),
        "idx": Row(sources.Idx, "flux_core.data:IdxSource"),
        "text": Row(sources.TextFiles, "flux_core.data:TextSource"),
        "windows": Row(sources.Windows, "flux_core.data:WindowsSource"),
        "synthetic": Row(sources.Synthetic, "flux_core.data:SyntheticSource"),
    },
    "layer": {
        "affine": Row(layers.Affine, "flux_core.layers:Affine", shapes=True),
        "reshape": Row(layers.Reshape, "flux_core.layers:Reshape", shapes=True),
        "dropout": Row(layers.Dropout, "flux_core.layers:Dropout"),
        "onehot": Row(layers.OneHot, "flux_core.layers:OneHot", shapes=True),
        "recurrent": Row(layers.Recurrent, "flux_core.layers:recurrent", shapes=True),
        "gru": Row(layers.Gru, "flux_core.layers:gru", shapes=True),
        "lstm": Row(layers.Lstm, "flux_core.layers:lstm", shapes=True),
        "embedding": Row(layers.Embedding, "flux_core.layers:Embedding", shapes=True),
        "last": Row(NoArguments, "flux_core.layers:Last", "The last step of a sequence.", shapes=True),
        "time_mean": Row(
            NoArguments, "flux_core.layers:TimeMean", "The mean over the steps of a sequence.", shapes=True
        ),
        "leaky_relu": Row(layers.LeakyRelu, "flux_core.layers:LeakyRelu"),
        "elu": Row(layers.Elu, "flux_core.layers:Elu"),
        "flatten": Row(NoArguments, "flux_core.ops:flatten", "All axes of an example as one.", shapes=True),
        "abs": Row(NoArguments, "flux_core.ops:absolute", "The magnitude."),
        **_functions(
            relu="x where it is positive, 0 elsewhere.",
            gelu="x times the share of normal numbers below it.",
            silu="x sigmoid(x).",
            softplus="log(1 + exp(x)), a smooth relu.",
            tanh="Squeezes into (-1, 1).",
            sigmoid="Squeezes into (0, 1).",
            softmax="Scores to probabilities that sum to 1.",
            log_softmax="Scores to logarithms of probabilities.",
            exp="e to the power of x.",
        ),
    },
    "initialiser": {
        "glorot": Row(layers.Glorot, "flux_core.layers.init:glorot"),
        "he": Row(layers.He, "flux_core.layers.init:he"),
        "orthogonal": Row(layers.Orthogonal, "flux_core.layers.init:orthogonal"),
        "normal": Row(layers.Normal, "flux_core.layers.init:normal"),
        "uniform": Row(layers.Uniform, "flux_core.layers.init:uniform"),
        "zeros": Row(NoArguments, "flux_core.layers.init:zeros", "Zeros."),
        "ones": Row(NoArguments, "flux_core.layers.init:ones", "Ones."),
    },
    "loss": {
        "cross_entropy": Row(
            NoArguments,
            "flux_core.layers.loss:cross_entropy",
            "For classes: takes one score for each.",
            task="classification",
        ),
        "binary_cross_entropy": Row(
            NoArguments,
            "flux_core.layers.loss:binary_cross_entropy",
            "For two classes: takes a single score.",
            task="classification",
        ),
        "mse": Row(NoArguments, "flux_core.layers.loss:mse", "The mean of squared errors.", task="regression"),
        "mae": Row(NoArguments, "flux_core.layers.loss:mae", "The mean of absolute errors.", task="regression"),
        "huber": Row(training.Huber, "flux_core.layers.loss:huber", task="regression"),
    },
    "optimizer": {
        "sgd": Row(training.Sgd, "flux_core.optim:sgd"),
        "momentum": Row(training.Momentum, "flux_core.optim:momentum"),
        "nesterov": Row(
            training.Momentum, "flux_core.optim:nesterov", "Gradient descent with a velocity that looks ahead."
        ),
        "rmsprop": Row(training.RmsProp, "flux_core.optim:rmsprop"),
        "adam": Row(training.Adam, "flux_core.optim:adam"),
        "adamw": Row(training.AdamW, "flux_core.optim:adamw"),
    },
    "schedule": {
        "constant": Row(training.Constant, "flux_core.optim.schedule:Constant"),
        "step": Row(training.Step, "flux_core.optim.schedule:Step"),
        "exponential": Row(training.Exponential, "flux_core.optim.schedule:Exponential"),
        "cosine": Row(training.Cosine, "flux_core.optim.schedule:Cosine"),
        "plateau": Row(training.Plateau, "flux_core.optim.schedule:Plateau"),
    },
    "metric": {
        "accuracy": Row(
            NoArguments,
            "flux_core.training.metrics:Accuracy",
            "The fraction of right answers.",
            task="classification",
        ),
        "top_k": Row(training.TopK, "flux_core.training.metrics:TopK", task="classification"),
        "bits_per_symbol": Row(
            NoArguments,
            "flux_core.training.metrics:BitsPerSymbol",
            "Bits for a symbol: cross_entropy / ln 2.",
            task="classification",
            loss="cross_entropy",
        ),
        "perplexity": Row(
            NoArguments,
            "flux_core.training.metrics:Perplexity",
            "exp(cross_entropy).",
            task="classification",
            loss="cross_entropy",
        ),
        "mae": Row(
            NoArguments,
            "flux_core.training.metrics:MeanAbsoluteError",
            "The mean error, in the units of the data.",
            task="regression",
        ),
        "r2": Row(
            NoArguments,
            "flux_core.training.metrics:RSquared",
            "The share of the variance that is explained.",
            task="regression",
        ),
    },
}


def of_task(kind: str, task: Task) -> list[str]:
    """The names of the losses or metrics that are for a task."""
    return [name for name, row in CATALOG[kind].items() if row.task == task]
