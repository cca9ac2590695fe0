"""Nets: a model written as a formula. The class is run once with nodes for inputs, and what it builds is its graph.

@net
class TLP(Model):                  TLP(Affine(10, 20), Affine(20, 15))
    first: Model
    second: Model                  fields are the constructor's arguments, in order;
                                   arrays become Params, models stay models
    def forward(self, x):
        return softmax(self.second(sigmoid(self.first(x))))
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any, ClassVar, TypeAlias, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from flux_core.ir import Graph, Param, Step, as_node, call, input_node, named, param
from flux_core.model.capacitor import Capacitor
from flux_core.model.model import Model
from flux_core.passes.atomise import name_of

Array: TypeAlias = NDArray[np.floating[Any]]


def net(definition: Any) -> Any:
    """net(class) => the class as a model with a graph; net(function) => a Capacitor.

    >>> double = net(lambda x: x + x)
    >>> double(np.ones(2, np.float32))
    array([2., 2.], dtype=float32)
    """
    if isinstance(definition, FunctionType):
        return Capacitor(_trace(definition))
    if not (isinstance(definition, type) and callable(getattr(definition, "forward", None))):
        raise TypeError("net takes a function, or a class with a method forward(self, x)")
    fields = {name: hint for base in reversed(definition.__mro__) for name, hint in _annotations(base).items()}
    bases = (definition,) if issubclass(definition, Model) else (definition, Model)
    members = {"__init__": _constructor(definition, fields), "__doc__": definition.__doc__}
    body = {**_METHODS, **members, "__module__": definition.__module__, "__qualname__": definition.__qualname__}
    return type(definition.__name__, bases, {key: value for key, value in body.items() if value is not None})


def _annotations(cls: type) -> dict[str, Any]:
    own = inspect.get_annotations(cls)
    try:
        hints = get_type_hints(cls)
    except NameError:  # a name that only a type checker sees
        hints = own
    found = {name: hints.get(name, hint) for name, hint in own.items()}
    return {name: hint for name, hint in found.items() if get_origin(hint) is not ClassVar and hint is not ClassVar}


def _constructor(definition: type, fields: dict[str, Any]) -> Callable[..., None] | None:
    if "__init__" in vars(definition) or not fields:
        return None
    parameters = [
        inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=getattr(definition, name, _REQUIRED))
        for name in fields
    ]
    signature = inspect.Signature(parameters)

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807  # becomes the class's constructor
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError as problem:
            raise TypeError(f"{definition.__name__}{signature}: {problem}") from None
        bound.apply_defaults()
        for name, value in bound.arguments.items():
            setattr(self, name, _field(value, fields[name]))

    return __init__


_REQUIRED = inspect.Parameter.empty


def _field(value: Any, hint: Any) -> Any:
    """An array becomes a Param; anything else stays what it is."""
    is_array = isinstance(value, np.ndarray) or hint in (Array, "Array")
    return param(value) if is_array and not isinstance(value, Param) else value


def _graph(self: Any) -> Graph:
    """The model as a graph, traced at the first call and again when a field was replaced."""
    traced = self.__dict__.get("_traced")
    if traced is None:
        traced = self.__dict__["_traced"] = _trace(MethodType(type(self).forward, _Tracer(self)))
    found: Graph = traced
    return found


def _setattr(self: Any, name: str, value: Any) -> None:
    self.__dict__.pop("_traced", None)
    object.__setattr__(self, name, value)


_METHODS = {"graph": _graph, "__setattr__": _setattr}


def _trace(f: Callable[..., Any]) -> Graph:
    parameters = inspect.signature(f).parameters.values()
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        raise TypeError("a net names its inputs one by one; *args have no fixed number")
    # what has a default keeps it: `lambda x, w=w: x @ w` has one input
    inputs = [input_node(i) for i in range(sum(p.default is p.empty for p in parameters))]
    return Graph(as_node(f(*inputs)), len(inputs))


class _Tracer:
    """Stands for `self` while a net is traced: a Param becomes a leaf, a sub-model a call that names its field."""

    def __init__(self, model: Any) -> None:
        object.__setattr__(self, "_model", model)

    def __getattr__(self, name: str) -> Any:
        model = object.__getattribute__(self, "_model")
        value = getattr(model, name)
        if isinstance(value, Param):
            return named(name, value)
        if isinstance(value, MethodType) and value.__self__ is model:
            return MethodType(value.__func__, self)
        if isinstance(inspect.getattr_static(model, name), staticmethod | classmethod):
            return value  # a helper that was written with the class, and is traced with it
        if callable(value) and not isinstance(value, type):
            return lambda *xs: call(value, *xs, step=Step(name, name_of(value)))
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a net's forward cannot set self.{name}: what it computes is fixed when it is traced")
