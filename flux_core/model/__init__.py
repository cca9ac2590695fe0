"""Models: functions with state.

    runmodel(m, x)   back(m, dy, x)   update(m, eta)   graph(m)   infer(m, shape)

A model is anything callable; what it defines of `graph`, `back` and `update` is used, the rest follows from its
graph.
"""

from flux_core.model.capacitor import Capacitor
from flux_core.model.model import (
    Model,
    back,
    infer,
    interpmodel,
    parameters,
    runmodel,
    submodels,
    update,
)
from flux_core.model.net import Array, net
from flux_core.model.scope import State
from flux_core.model.seqmodel import SeqModel, runseq
from flux_core.model.stateful import Stateful, reset, stateless
from flux_core.model.unroll import flip, unroll, unroll1

__all__ = [
    "Array",
    "Capacitor",
    "Model",
    "SeqModel",
    "State",
    "Stateful",
    "back",
    "flip",
    "infer",
    "interpmodel",
    "net",
    "parameters",
    "reset",
    "runmodel",
    "runseq",
    "stateless",
    "submodels",
    "unroll",
    "unroll1",
    "update",
]
