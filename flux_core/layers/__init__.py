"""Layers, initial weights and losses. Activations are the ops themselves: `Chain(Affine(4, 3), relu)`."""

from flux_core.layers.affine import Affine
from flux_core.layers.base import Layer
from flux_core.layers.cells import GRU, LSTM, GatedRecurrent, Recurrent
from flux_core.layers.chain import Chain, LayerRow, initialise, layer_table
from flux_core.layers.declared import Declared, Definition, declare
from flux_core.layers.formula import Formula, Start, Weight
from flux_core.layers.init import INITIALISERS, initial, seed
from flux_core.layers.loss import LOSSES, binary_cross_entropy, cross_entropy, huber, logloss, mae, mse
from flux_core.layers.recurrence import Recurrence
from flux_core.layers.sequence import Embedding, Last, TimeMean
from flux_core.layers.simple import Dropout, Elu, Input, LeakyRelu, OneHot, Reshape
from flux_core.layers.stacked import gru, lstm, recurrent

__all__ = [
    "GRU",
    "INITIALISERS",
    "LOSSES",
    "LSTM",
    "Affine",
    "Chain",
    "Declared",
    "Definition",
    "Dropout",
    "Elu",
    "Embedding",
    "Formula",
    "GatedRecurrent",
    "Input",
    "Last",
    "Layer",
    "LayerRow",
    "LeakyRelu",
    "OneHot",
    "Recurrence",
    "Recurrent",
    "Reshape",
    "Start",
    "TimeMean",
    "Weight",
    "binary_cross_entropy",
    "cross_entropy",
    "declare",
    "gru",
    "huber",
    "initial",
    "initialise",
    "layer_table",
    "logloss",
    "lstm",
    "mae",
    "mse",
    "recurrent",
    "seed",
]
