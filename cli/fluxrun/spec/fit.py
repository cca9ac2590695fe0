"""The model of a spec, and whether its layers fit the data, each other, and the loss.

data gives (64,)  ──▶  affine 128  ──▶  relu  ──▶  affine 10  ──▶  cross_entropy wants one value for each class
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from flux_core.errors import GraphError
from fluxrun.spec.catalog import CATALOG
from fluxrun.spec.net_build import Nets
from fluxrun.spec.part import Part
from fluxrun.spec.problems import SpecError
from fluxrun.spec.resolve import Doubts, Facts
from fluxrun.spec.schema.layers import NoArguments, Reshape
from fluxrun.spec.schema.root import Spec


@dataclass(frozen=True)
class Inputs:
    """Shape (no batch axis) and dtype of one example, the shape of its target, whether examples are padded sequences
    that have lengths, and of ids the largest at each place of an example, if that is known."""

    shape: tuple[int, ...]
    dtype: str
    target: tuple[int, ...]
    lengths: bool = False
    largest: Any = None

    @property
    def kind(self) -> Literal["float", "int"]:
        """The dtype as graphs know it."""
        return "int" if self.dtype == "int64" else "float"


def fit_model(spec: Spec, facts: Facts, inputs: Inputs, doubts: Doubts, *, drawn: bool = True) -> Any:
    """The model with its weights drawn (or zeros, which are cheaper); what does not fit goes to `doubts`, then None."""
    from flux_core.layers import Chain
    from flux_core.layers.init import draws
    from flux_core.passes import Type, infer_types, laid_out
    from flux_core.passes.mask import masked

    words = {"classes": facts.classes, "vocab": facts.vocabulary}

    def inner(part: Part, path: str, step: bool) -> Any:
        return with_input_size(build_layer(part, path, facts, doubts, nets, step), part)

    nets = Nets(spec.nets, words, doubts, inner)
    layers = [build_layer(part, f"model.{i}", facts, doubts, nets) for i, part in enumerate(spec.model)]
    if any(layer is None for layer in layers):
        return None
    model = Chain(*layers, places=[f"model.{i}" for i in range(len(layers))])
    for part, layer in zip(spec.model, layers, strict=True):
        with_input_size(layer, part)
    example = Type((1, *inputs.shape), inputs.kind)
    try:
        model.build(example, draws(spec.seed) if drawn else _zeros)
        graph = laid_out(model)
        assert graph is not None, "every layer of the catalog has a graph"
        output = infer_types(graph, [example])[graph.output]
        if inputs.lengths:
            masked(graph, [example])
    except SpecError:  # it is in `doubts` already
        return None
    except GraphError as error:
        _misfit(error, spec, inputs, doubts)
        return None
    if not isinstance(output, Type):
        last = len(layers) - 1
        doubts.at(f"model.{last}", f"the model gives {len(output)} values, a loss takes one", "return one value")
        return None
    _check_ids(spec, facts, inputs, graph, doubts)
    _check_output(spec, facts, inputs, output.shape[1:], doubts)
    return model


def _check_ids(spec: Spec, facts: Facts, inputs: Inputs, graph: Any, doubts: Doubts) -> None:
    """The largest ids of the data against the layers that look them up."""
    import numpy as np

    from flux_core.passes.known_ids import unknown_id

    largest = inputs.largest if facts.vocabulary is None else np.full(inputs.shape, facts.vocabulary - 1)
    if largest is None or (found := unknown_id(graph, largest)) is None:
        return
    place = found.node.origin.place or "model"
    index = int(place.split(".")[1]) if place.startswith("model.") else None
    if index is not None and hasattr(spec.model[index].arguments, "n"):
        place = f"{place}.{spec.model[index].name}.n"
    text = f"the data have ids up to {found.id:,}, this looks up those of 0 to {found.rows - 1:,}"
    hint = f"n: {found.id + 1 if facts.vocabulary is None else 'vocab'}"
    doubts.at(place, text, hint if place.endswith(".n") else None)


def _zeros(name: str, shape: tuple[int, ...], init: Any) -> Any:
    import numpy as np

    return np.zeros(shape, np.float32)


def build_layer(part: Part, path: str, facts: Facts, doubts: Doubts, nets: Nets, step: bool = False) -> Any:
    """One layer, or None with a problem; a net inside a `step` is part of it."""
    arguments: dict[str, Any] = {}
    for name in set(type(part.arguments).model_fields) - {"n_in"}:
        value = getattr(part.arguments, name)
        if value in ("classes", "vocab"):
            value, why = _size_of_data(value, facts)
            if value is None:
                doubts.at(f"{path}.{part.name}.{name}", why, "write a number")
                return None
        arguments[name] = initialiser(value) if isinstance(value, Part) else value
    if part.name in nets:
        return nets.layer(part.name, arguments, step)
    maker = CATALOG["layer"][part.name].make()
    if isinstance(part.arguments, Reshape):
        return maker(*part.arguments.shape)
    if isinstance(part.arguments, NoArguments) and not isinstance(maker, type):
        return maker
    return maker(**arguments)


def with_input_size(layer: Any, part: Part) -> Any:
    """The layer with the input size that its part gives: a check of what reaches it.

    Its constructor, or that of a Chain that begins with it, would draw weights at once and without the spec's seed.
    """
    if layer is not None and (n_in := getattr(part.arguments, "n_in", None)) is not None:
        layer.n_in = n_in
    return layer


def _size_of_data(name: str, facts: Facts) -> tuple[int | None, str]:
    """What `classes` or `vocab` stand for, or why for nothing."""
    if name == "classes":
        return facts.classes, "the data are a regression: they have no classes"
    return facts.vocabulary, "the data are no text: they have no vocabulary"


def initialiser(part: Part) -> Any:
    """An initialiser as the layers take it: a name, or a name with arguments."""
    arguments = part.arguments.model_dump()
    return {part.name: arguments} if arguments else part.name


def _misfit(error: GraphError, spec: Spec, inputs: Inputs, doubts: Doubts) -> None:
    """A layer that cannot take what comes: at its line, with the line that decided what comes."""
    used = re.search(r"\b(\d+): ", error.path)  # of an error inside a net, the layer that uses it
    place = error.place or (f"model.{used[1]}" if used else "model")
    index = int(place.split(".")[1]) if place.startswith("model.") else int(used[1]) if used else 0
    if place.startswith("nets."):
        notes = [(f"model.{index}", f"layer {index} ({spec.model[index].name}) leads here")]
        doubts.at(place, error.reason, notes=notes)
        return
    names = [part.name for part in spec.model[:index]]
    giver = max((i for i, name in enumerate(names) if name in spec.nets or CATALOG["layer"][name].shapes), default=None)
    if giver is None:
        note = ("data", f"the data give examples of {_shape(inputs.shape)}")
    else:
        shapes = getattr(error, "shapes", ())
        came = shapes[0] if shapes else None
        gives = f"gives {_shape(came[1:])}" if isinstance(came, tuple) and came else "gives its input"
        if isinstance(came, tuple) and came and isinstance(came[0], tuple):
            gives = f"gives {len(came)} separate values"
        note = (f"model.{giver}", f"layer {giver} ({spec.model[giver].name}) {gives}")
    doubts.at(place, f"layer {index} ({spec.model[index].name}) does not fit: {error.reason}", notes=[note])


def _check_output(spec: Spec, facts: Facts, inputs: Inputs, shape: tuple[int, ...], doubts: Doubts) -> None:
    """The last layer against the loss and the targets; `shape` is that of one example."""
    last = len(spec.model) - 1
    part = spec.model[last]
    loss = spec.train.loss
    assert loss is not None, "a resolved spec has a loss"
    note = [("train.loss", f"the loss is {loss.name}")]
    sized = max((i for i, p in enumerate(spec.model) if p.name == "affine"), default=last)
    place = f"model.{sized}.affine.out" if spec.model[sized].name == "affine" else f"model.{sized}"
    if loss.name == "cross_entropy" and facts.classes is not None:
        if shape != (*inputs.target, facts.classes):
            steps = f" at each of the {_shape(inputs.target, 'steps')}" if inputs.target else ""
            text = (
                f"the model gives {_shape(shape)}, {loss.name} wants one value for each of the {facts.classes} classes"
                f"{steps}"
            )
            name = "classes" if facts.vocabulary is None else "vocab"
            one_size_off = not inputs.target or shape[:-1] == inputs.target
            hint = facts.classes_hint or (f"affine: {name}" if one_size_off else None)
            doubts.at(place, text, hint, note)
        elif part.name == "softmax":
            doubts.at(f"model.{last}", f"cross_entropy takes the scores before {part.name}", "remove this layer", note)
    elif loss.name == "binary_cross_entropy" and facts.task == "classification" and facts.vocabulary is None:
        if shape != (*inputs.target, 1) and (shape or inputs.target):
            steps = f" at each of the {_shape(inputs.target, 'steps')}" if inputs.target else ""
            text = f"the model gives {_shape(shape)}, {loss.name} wants a single value{steps}"
            doubts.at(place, text, "affine: 1", note)
        elif part.name in ("sigmoid", "softmax"):
            doubts.at(f"model.{last}", f"{loss.name} takes the score before {part.name}", "remove this layer", note)
    elif facts.task == "regression" and shape != inputs.target:
        *each, targets = inputs.target
        steps = f" at each of the {_shape(tuple(each), 'steps')}" if each else ""
        text = f"the model gives {_shape(shape)}, the data have {targets} target{'s' * (targets != 1)}{steps}"
        doubts.at(place, text, f"affine: {targets}", note)


def _shape(shape: tuple[Any, ...], what: str = "values") -> str:
    """A shape in words.

    >>> _shape((10,)), _shape((28, 28)), _shape(())
    ('10 values', '28 x 28 values', '1 value')
    """
    if shape in ((), (1,)):
        return "1 value"
    return " x ".join(str(size) for size in shape) + f" {what}"
