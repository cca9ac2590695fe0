"""Nets: a model written as a formula. The class is run once with nodes for inputs, and what it builds is its graph.

@net
class TLP(Model):                  TLP(Affine(10, 20), Affine(20, 15))
    first: Model
    second: Model                  fields are the constructor's arguments, in order;
                                   arrays become Params, models stay models,
                                   `y: State` is what later steps read as self.y[-1]
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

from flux_core.ir import Graph, Param, param
from flux_core.ir.node import tuple_length
from flux_core.model.capacitor import Capacitor
from flux_core.model.model import Model
from flux_core.model.scope import Scope, State, arity_of, trace

Array: TypeAlias = NDArray[np.floating[Any]]


def net(definition: Any) -> Any:
    """net(class) => the class as a model with a graph; net(function) => a Capacitor.

    >>> double = net(lambda x: x + x)
    >>> double(np.ones(2, np.float32))
    array([2., 2.], dtype=float32)
    """
    if isinstance(definition, FunctionType):
        return Capacitor(trace(definition, arity_of(definition)))
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
    """An array becomes a Param, a state's initial value a State; anything else stays what it is."""
    if hint in (State, "State"):
        return value if isinstance(value, State) else State(value)
    is_array = isinstance(value, np.ndarray) or hint in (Array, "Array")
    return param(value) if is_array and not isinstance(value, Param) else value


def _graph(self: Any) -> Graph:
    """The model as a graph, traced at the first call and again when a field was replaced."""
    traced = self.__dict__.setdefault("_traced", {})
    length = tuple_length.get()
    if length not in traced:
        scope = _Tracer(self)
        forward = MethodType(type(self).forward, scope)
        traced[length] = trace(forward, arity_of(forward), scope, type(self).__name__)
    found: Graph = traced[length]
    return found


def states_of(model: Any) -> dict[str, State]:
    """The states that a net declares, by name."""
    return {name: value for name, value in vars(model).items() if isinstance(value, State)}


def _setattr(self: Any, name: str, value: Any) -> None:
    self.__dict__.pop("_traced", None)
    if isinstance(self.__dict__.get(name), State) and not isinstance(value, State):
        value = State(value)
    object.__setattr__(self, name, value)


_METHODS = {"graph": _graph, "__setattr__": _setattr}


class _Tracer(Scope):
    """Stands for `self` while a net is traced; its methods are traced with it."""

    def __init__(self, model: Any) -> None:
        super().__init__(lambda name: getattr(model, name), states_of(model))
        object.__setattr__(self, "_model", model)

    def __getattr__(self, name: str) -> Any:
        model = object.__getattribute__(self, "_model")
        value = getattr(model, name)
        if isinstance(value, MethodType) and value.__self__ is model:
            return MethodType(value.__func__, self)
        if isinstance(inspect.getattr_static(model, name), staticmethod | classmethod):
            return value  # a helper that was written with the class, and is traced with it
        return super().__getattr__(name)
