"""The model of a spec, and whether its layers fit the data, each other, and the loss.

data gives (64,)  ──▶  affine 128  ──▶  relu  ──▶  affine 10  ──▶  cross_entropy wants one value for each class
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flux_core.errors import ShapeError
from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.part import Part
from fluxrun.spec.resolve import Doubts, Facts
from fluxrun.spec.schema.layers import NoArguments, Reshape
from fluxrun.spec.schema.root import Spec


@dataclass(frozen=True)
class Inputs:
    """Shape (no batch axis) and dtype of one example, and how many targets a regression has (None: not known)."""

    shape: tuple[int, ...]
    dtype: str
    targets: int | None


def fit_model(spec: Spec, facts: Facts, inputs: Inputs, doubts: Doubts) -> Any:
    """The initialised model; what does not fit goes to `doubts`, and then there is None."""
    from flux_core.layers import Chain, initialise, layer_table

    layers = [build_layer(part, f"model.{i}", facts, doubts) for i, part in enumerate(spec.model)]
    if any(layer is None for layer in layers):
        return None
    places = [f"model.{i}" for i in range(len(layers))]
    model = Chain(*layers, places=places)
    try:
        model = initialise(model, inputs.shape, dtype=inputs.dtype, seed=spec.seed)
        rows = layer_table(model, inputs.shape, dtype=inputs.dtype)
    except ShapeError as error:
        _misfit(error, spec, inputs, doubts)
        return None
    _check_output(spec, facts, inputs, tuple(rows[-1].output), doubts)
    return model


def build_layer(part: Part, path: str, facts: Facts, doubts: Doubts) -> Any:
    """One layer, or None with a problem."""
    maker = CATALOG["layer"][part.name].make()
    arguments: dict[str, Any] = {}
    for name in type(part.arguments).model_fields:
        value = getattr(part.arguments, name)
        if value == "classes":
            if facts.classes is None:
                doubts.at(
                    f"{path}.{part.name}.{name}", "the data are a regression: they have no classes", "write a number"
                )
                return None
            value = facts.classes
        arguments[name] = initialiser(value) if isinstance(value, Part) else value
    if isinstance(part.arguments, Reshape):
        return maker(*part.arguments.shape)
    if isinstance(part.arguments, NoArguments) and not isinstance(maker, type):
        return maker
    return maker(**arguments)


def initialiser(part: Part) -> Any:
    """An initialiser as the layers take it: a name, or a name with arguments."""
    arguments = part.arguments.model_dump()
    return {part.name: arguments} if arguments else part.name


def _misfit(error: ShapeError, spec: Spec, inputs: Inputs, doubts: Doubts) -> None:
    """A layer that cannot take what comes: at its line, with the line that it comes from."""
    place = error.place or "model"
    index = int(place.split(".")[1]) if place.startswith("model.") else 0
    name = spec.model[index].name
    if index:
        before = (f"model.{index - 1}", f"layer {index - 1} ({spec.model[index - 1].name}) gives its input")
    else:
        before = ("data", f"the data give examples of shape {_shape(inputs.shape)}")
    doubts.at(place, f"layer {index} ({name}) does not fit: {error.reason}", notes=[before])


def _check_output(spec: Spec, facts: Facts, inputs: Inputs, output: tuple[Any, ...], doubts: Doubts) -> None:
    """The last layer against the loss and the targets; `output` has the batch axis or not, both are one example's."""
    last = len(spec.model) - 1
    part = spec.model[last]
    loss = spec.train.loss
    assert loss is not None, "a resolved spec has a loss"
    shape = tuple(size for size in output if isinstance(size, int))
    note = [("train.loss", f"the loss is {loss.name}")]
    sized = max((i for i, p in enumerate(spec.model) if p.name == "affine"), default=last)
    place = f"model.{sized}"
    if loss.name == "cross_entropy" and facts.classes is not None:
        if shape != (facts.classes,):
            text = (
                f"the model gives {_shape(shape)}, {loss.name} wants one value for each of the {facts.classes} classes"
            )
            doubts.at(place, text, "affine: classes", note)
        elif part.name == "softmax":
            doubts.at(f"model.{last}", f"cross_entropy takes the scores before {part.name}", "remove this layer", note)
    elif loss.name == "binary_cross_entropy" and facts.task == "classification":
        if shape not in ((), (1,)):
            doubts.at(place, f"the model gives {_shape(shape)}, {loss.name} wants a single value", "affine: 1", note)
        elif part.name in ("sigmoid", "softmax"):
            doubts.at(f"model.{last}", f"{loss.name} takes the score before {part.name}", "remove this layer", note)
    elif facts.task == "regression" and inputs.targets is not None and shape != (inputs.targets,):
        text = f"the model gives {_shape(shape)}, the data have {inputs.targets} target{'s' * (inputs.targets != 1)}"
        doubts.at(place, text, f"affine: {inputs.targets}", note)


def _shape(shape: tuple[Any, ...]) -> str:
    """A shape in words.

    >>> _shape((10,)), _shape((28, 28)), _shape(())
    ('10 values', '28 x 28 values', '1 value')
    """
    if shape in ((), (1,)):
        return "1 value"
    return " x ".join(str(size) for size in shape) + " values"
