"""Layers, initial weights and losses. Activations are the ops themselves: `Chain(Affine(4, 3), relu)`."""

from flux_core.layers.affine import Affine
from flux_core.layers.base import Layer
from flux_core.layers.chain import Chain, LayerRow, initialise, layer_table
from flux_core.layers.declared import Declared, Definition, declare
from flux_core.layers.formula import Formula, Start, Weight
from flux_core.layers.init import INITIALISERS, initial, seed
from flux_core.layers.loss import LOSSES, binary_cross_entropy, cross_entropy, huber, logloss, mae, mse
from flux_core.layers.simple import Dropout, Elu, Input, LeakyRelu, OneHot, Reshape

__all__ = [
    "INITIALISERS",
    "LOSSES",
    "Affine",
    "Chain",
    "Declared",
    "Definition",
    "Dropout",
    "Elu",
    "Formula",
    "Input",
    "Layer",
    "LayerRow",
    "LeakyRelu",
    "OneHot",
    "Reshape",
    "Start",
    "Weight",
    "binary_cross_entropy",
    "cross_entropy",
    "declare",
    "huber",
    "initial",
    "initialise",
    "layer_table",
    "logloss",
    "mae",
    "mse",
    "seed",
]
