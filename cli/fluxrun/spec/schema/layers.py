"""Layers and initialisers: what stands in the list `model`."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fluxrun.spec.part import MAX_SIZE, Component, Fraction, NotNegative, Part, Positive, Scale, Size, Slot


class NoArguments(Component):
    """A component that is only a name."""


class Normal(Component):
    """Normal numbers with a mean of zero."""

    main: ClassVar[str | None] = "std"
    std: Scale = 0.05
    """The standard deviation."""


class Glorot(Component):
    """Uniform numbers within gain sqrt(6 / (in + out))."""

    main: ClassVar[str | None] = "gain"
    gain: Scale = 1.0
    """A factor on all numbers."""


class He(Glorot):
    """Normal numbers with a deviation of gain sqrt(2 / in)."""


class Uniform(Component):
    """Uniform numbers of [-limit, limit)."""

    main: ClassVar[str | None] = "limit"
    limit: Scale = 0.05
    """The largest magnitude."""


class Orthogonal(Glorot):
    """A random orthogonal matrix times gain."""


class Affine(Component):
    """x @ W + b."""

    main: ClassVar[str | None] = "out"
    out: Size
    """How many values it gives; `classes` or `vocab` for as many as the data have."""
    n_in: Annotated[int, Field(ge=1, le=MAX_SIZE)] | None = None
    """How many values it takes; found from the layer before if it is left out."""
    bias: bool = True
    """Whether there is a b."""
    init: Annotated[Part, Slot("initialiser", default="glorot")]
    """The first values of W."""
    bias_init: Annotated[Part, Slot("initialiser", default="zeros")]
    """The first values of b."""


class Reshape(Component):
    """Give each example another shape; one size may be -1."""

    main: ClassVar[str | None] = "shape"
    shape: Annotated[list[Annotated[int, Field(ge=-1, le=MAX_SIZE)]], Field(min_length=1, max_length=8)]
    """The sizes of one example."""


class Dropout(Component):
    """Zero a part of the values while training."""

    main: ClassVar[str | None] = "rate"
    rate: Fraction = 0.5
    """Which part."""


class OneHot(Component):
    """Ids to rows of zeros with a single one."""

    main: ClassVar[str | None] = "n"
    n: Size
    """How many ids there are, from 0; `classes` or `vocab` for as many as the data have."""


class LeakyRelu(Component):
    """x where it is positive, slope x elsewhere."""

    main: ClassVar[str | None] = "slope"
    slope: NotNegative = 0.01
    """The slope below zero."""


class Elu(Component):
    """x where it is positive, alpha (exp(x) - 1) elsewhere."""

    main: ClassVar[str | None] = "alpha"
    alpha: Positive = 1.0
    """The limit far below zero, negated."""


class Cells(Component):
    """Layers of recurrent cells along sequences: (batch, steps, values) to (batch, steps, out)."""

    main: ClassVar[str | None] = "out"
    out: Size
    """How many values it gives at each step; twice as many if bidirectional."""
    layers: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many layers, each fed with all steps of the one before."""
    bidirectional: bool = False
    """Whether each layer runs from the last step too; its values stand behind the others."""
    dropout: Fraction = 0.0
    """Which part of the values between two layers is zeroed while training."""
    trainable_state: bool = False
    """Whether the state before the first step is trained; else it is zero."""
    init: Annotated[Part, Slot("initialiser", default="glorot")]
    """The first values of the weights of the input."""
    recurrent_init: Annotated[Part, Slot("initialiser", default="orthogonal")]
    """The first values of the weights of the state."""
    bias_init: Annotated[Part, Slot("initialiser", default="zeros")]
    """The first values of the biases."""


class Recurrent(Cells):
    """h = tanh(x W + h[-1] U + b), step by step."""

    activation: Literal["tanh", "relu"] = "tanh"
    """What squeezes the sum."""


class Gru(Cells):
    """Gated recurrent units, step by step."""

    reset: Literal["after", "before"] = "after"
    """Whether the state is reset after its product with U, as in cuDNN, or before it, as in 2014."""


class Lstm(Cells):
    """Long short-term memory, step by step."""

    forget_bias: float = 1.0
    """What is added to the first bias of the forget gate."""


class Embedding(Component):
    """Ids to rows of a trained table."""

    main: ClassVar[str | None] = "out"
    out: Size
    """How many values an id becomes."""
    n: Size = "vocab"
    """How many ids there are, from 0; `vocab` for as many as the text has symbols."""
    init: Annotated[Part, Slot("initialiser", default="normal")]
    """The first values of the table."""
