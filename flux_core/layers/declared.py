"""Layers that are declared as text: names of weights with their sizes, states, sub-models, and a formula.

    Cell = declare("Cell", arguments={"out": 64}, params={"W": ["in", "out"], "U": ["out", "out"]},
                   state={"h": ["out"]}, forward="h = tanh(x @ W + h[-1] @ U)\\nreturn h")
    Cell(128)                    a Formula: with states the step of a recurrence, without them a layer

A definition is checked as a whole before a layer is made of it: whatever is declared must be used, and whatever is used
must be declared.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flux_core.errors import Fault, FormulaError, GraphError, ShapeError, Span
from flux_core.ir import Graph, Node, Step, call, pack
from flux_core.layers.formula import Formula, Start, Weight
from flux_core.layers.init import Draw, Init
from flux_core.layers.language import FUNCTIONS, Context, Number, Program, Role, compile_forward, compile_number
from flux_core.layers.language.syntax import near
from flux_core.model.scope import Scope
from flux_core.passes import Type, TypeTree, infer_types, laid_out, shape_tree
from flux_core.passes.atomise import name_of
from flux_core.passes.step import state_misfit, step_form

MAX_SIZE = 1_000_000
BATCH = 1_000_003  # stands for the batch axis while shapes are checked: no size of a weight can be taken for it
NUMBER = re.compile(r"\d+")

Sizes = Callable[[Mapping[str, Number], str], tuple[int, ...]]
Maker = Callable[[Mapping[str, Number]], Any]
Sections = Mapping[str, tuple[Role, Sequence[str]]]


@dataclass(frozen=True)
class Shape:
    """Sizes as they are declared, and the initial values of what has them."""

    sizes: Sizes
    init: Init | None = None
    trainable: bool = False


@dataclass(frozen=True)
class Definition:
    """A declared net; calling it with its arguments makes a layer. `place` is where errors say that it stands."""

    name: str
    place: str
    arguments: Mapping[str, Number | None]
    words: Mapping[str, Number]
    inputs: tuple[str, ...]
    params: Mapping[str, Shape]
    states: Mapping[str, Shape]
    models: Mapping[str, Maker]
    program: Program

    def __call__(self, *values: Number, **named: Number) -> Declared:
        """The layer with these arguments; raises TypeError for what it does not take."""
        if len(values) > len(self.arguments):
            raise TypeError(f"{self.name} takes {len(self.arguments)} arguments, not {len(values)}")
        given: dict[str, Number | None] = dict(zip(self.arguments, values, strict=False))
        for name in named:
            if name not in self.arguments or name in given:
                why = "is given twice" if name in given else f"is unknown: {near(name, self.arguments)}"
                raise TypeError(f"{self.name}: the argument {name!r} {why}")
        given |= named
        numbers: dict[str, Number] = {}
        for name, default in self.arguments.items():
            value = given.get(name, default)
            if value is None:
                raise TypeError(f"{self.name} needs the argument {name!r}")
            if type(value) not in ((int, float) if isinstance(default, float) else (int,)):
                kind = "a number" if isinstance(default, float) else "a whole number"
                raise TypeError(f"{self.name}: {name} is {kind}, not {value!r}")
            numbers[name] = value
        return Declared(self, numbers)


def declare(
    name: str,
    *,
    forward: str,
    arguments: Mapping[str, Number | None] | None = None,
    params: Mapping[str, Any] | None = None,
    state: Mapping[str, Any] | None = None,
    inputs: Sequence[str] = ("x",),
    models: Mapping[str, Maker] | None = None,
    words: Mapping[str, Number | None] | None = None,
    place: str | None = None,
    read: Collection[str] | None = None,
) -> Definition:
    """declare(name, forward=...) => Definition. A shape is a list of sizes or {"shape": sizes, "init": ...}; a size is
    a number or a text such as "in", "in.NAME", "4 * out". `arguments` have their defaults (None: none), `models` are
    functions of all sizes by name, which use those of `read`; `words` are further sizes (None: not known as yet).

    Raises FormulaError with everything that is wrong.

    >>> double = declare("Double", forward="return 2 * x")()
    >>> double
    Double()
    """
    arguments, models, words = arguments or {}, models or {}, words or {}
    faults: list[Fault] = []
    roles: dict[str, Role] = {}
    sections: Sections = {
        "arguments": ("argument", list(arguments)),
        "inputs": ("input", list(inputs)),
        "params": ("param", list(params or {})),
        "state": ("state", list(state or {})),
        "models": ("model", list(models)),
    }
    for role, each, where in _names(sections):
        wrong = wrong_name(each) or (f"{each} is a word for what the data say" if each in words else None)
        if wrong is None and each in roles:
            wrong = f"{each} is the name of {'an' if roles[each][0] in 'ai' else 'a'} {roles[each]} too"
        if wrong:
            faults.append(Fault(wrong, None, "take another name", where))
        roles.setdefault(each, role)
    known = [*arguments, *words, "in", *(f"in.{each}" for each in inputs)]
    used: set[str] = set()
    shapes = {
        kind: {each: _shape(f"{kind}.{each}", value, known, used, faults) for each, value in (found or {}).items()}
        for kind, found in (("params", params), ("state", state))
    }
    program = None
    try:
        program = compile_forward(forward, {**roles, **dict.fromkeys(words, "argument")})
    except FormulaError as problem:
        faults += problem.faults
    if program is not None:
        everything = arguments if models and read is None else ()  # what a function reads, nobody can see
        faults += _unused(sections, program, used.union(read or (), everything))
    if faults or program is None:
        raise FormulaError(faults, name=name)
    numbers = {word: value for word, value in words.items() if value is not None}
    given = (arguments, numbers, tuple(inputs), shapes["params"], shapes["state"], models)
    return Definition(name, place or name, *given, program)


def _names(sections: Sections) -> Iterator[tuple[Role, str, str]]:
    """Every declared name with its role and the key that it stands under."""
    for section, (role, names) in sections.items():
        for position, name in enumerate(names):
            yield role, name, f"{section}.{position if section == 'inputs' else name}"


def wrong_name(name: str) -> str | None:
    """What is wrong with a name in a net, if anything."""
    if not (name.isascii() and name.isidentifier() and not name.startswith("_")) or len(name) > 100:
        return f"{name!r} is no name: one has letters, digits and _, and starts with a letter"
    if keyword.iskeyword(name) or name == "in":
        return f"{name!r} is a word of the language"
    return f"{name} is a function" if name in FUNCTIONS else None


def _shape(where: str, value: Any, known: Sequence[str], used: set[str], faults: list[Fault]) -> Shape:
    """A declared shape, its sizes as functions of names."""
    entry = value if isinstance(value, Mapping) else {"shape": value}
    functions: list[Callable[[Mapping[str, Number], str], Number]] = []
    for axis, size in enumerate(entry["shape"]):
        at = f"{where}.shape.{axis}"
        try:
            function, names = compile_number(str(size), known)
        except FormulaError as problem:
            faults += [fault._replace(where=at) for fault in problem.faults]
            continue
        functions.append(function)
        used |= names

    def sizes(numbers: Mapping[str, Number], place: str) -> tuple[int, ...]:
        return tuple(_size(f, numbers, f"{place}.{where}.shape.{axis}") for axis, f in enumerate(functions))

    init, trainable = entry.get("init"), bool(entry.get("trainable", False))
    if where.startswith("state.") and not trainable and (init or "zeros") not in ("zeros", "ones"):
        hint = "or say trainable: true"
        faults.append(Fault("a state that is not trained begins with zeros or ones", None, hint, where))
    return Shape(sizes, init, trainable)


def _size(function: Callable[[Mapping[str, Number], str], Number], numbers: Mapping[str, Number], place: str) -> int:
    size = function(numbers, place)
    if type(size) is not int or not 1 <= size <= MAX_SIZE:
        raise GraphError(f"a size is a whole number from 1 to {MAX_SIZE:,}, and this comes to {size}", place=place)
    return size


def _unused(sections: Sections, program: Program, used: Collection[str]) -> Iterator[Fault]:
    """What is declared and leads nowhere."""
    for role, name, where in _names(sections):
        if role == "state":
            if name not in program.assigned:
                hint = f"end with '{name} = ...' before 'return'"
                yield Fault(f"the state {name!r} is never assigned in forward", None, hint, where)
            elif name not in program.delayed:
                yield Fault(f"the state {name!r} is never read as {name}[-1]", None, "a plain name is enough", where)
        elif name not in program.used and not (role == "argument" and name in used):
            shown = "sub-model" if role == "model" else role
            yield Fault(f"the {shown} {name!r} is never used", None, "use it or remove it", where)


class Declared(Formula):
    """A layer made of a definition; its weights, states and sub-models are made when its inputs are known."""

    def __init__(self, definition: Definition, numbers: Mapping[str, Number]) -> None:
        super().__init__(self._forward, {}, inputs=definition.inputs, label=definition.name)
        self.definition, self.numbers = definition, dict(numbers)
        self.unpacked: list[tuple[Node, int, str]] = []  # values that several names were given for, and where

    def build(self, x: TypeTree, draw: Draw) -> None:
        """Draw all weights for an input of this type, or for a tuple of the types of several; check every shape."""
        net = self.definition
        batch = _for_a_batch(x)
        types = (batch,) if isinstance(batch, Type) or len(net.inputs) == 1 else batch
        sizes = {**net.words, **self.numbers, **_sizes_of(net.inputs, types)}
        self.weights = {name: Weight(shape.sizes(sizes, net.place), shape.init) for name, shape in net.params.items()}
        self.states = {
            name: Start(shape.sizes(sizes, net.place), shape.init or "zeros", shape.trainable)
            for name, shape in net.states.items()
        }
        self.models = {name: make(sizes) for name, make in net.models.items()}
        try:
            super().build(batch, draw)
            self._check(types)
        except ShapeError as misfit:
            reason = NUMBER.sub(_in_batches, misfit.reason)
            raise ShapeError(reason, path=misfit.path, place=misfit.place, shapes=misfit.shapes) from None

    def _forward(self, scope: Scope, *inputs: Node) -> Any:
        """The program over these inputs."""
        net = self.definition
        held = {name: getattr(scope, name) for name in net.params}
        context = Context(
            {**net.words, **self.numbers, **dict(zip(net.inputs, inputs, strict=True)), **held},
            f"{net.place}.forward",
            delayed=lambda name, n: getattr(scope, name)[n],
            assign=lambda name, value: setattr(scope, name, value),
            call=self._call,
        )
        output = net.program.run(context)
        self.unpacked[:] = context.unpacked
        return output

    def _call(self, name: str, inputs: Sequence[Node], place: str) -> Node:
        model = self.models[name]
        return call(model, *inputs, step=Step(name, name_of(model)), place=place)

    def _check(self, inputs: Sequence[TypeTree]) -> None:
        """Raise ShapeError for a state that changes its shape, for names that are not as many as the values that they
        stand for, and for an output without a batch axis."""
        net, graph = self.definition, self.graph()
        whole = laid_out(
            Graph(pack(graph.output, *(value for value, _, _ in self.unpacked)), graph.arity, graph.states)
        )
        assert whole is not None  # a Graph has a graph
        form = step_form(whole)
        before = [Type((BATCH, *hidden.initial.shape)) for hidden in form.hidden]
        types = infer_types(form.graph(form.output), [*before, *inputs])
        for hidden, state, had in zip(form.hidden, form.states, before, strict=True):
            if types[state] != had:  # of sub-models too: those that are no layers are not checked before
                misfit = state_misfit(hidden.name, had, types[state], state)
                raise (
                    misfit
                    if hidden.name not in net.program.assigned
                    else self._at(misfit.reason, net.program.assigned[hidden.name])
                )
        found_types = types[form.output]
        assert not isinstance(found_types, Type)  # it was packed above
        output, *unpacked = found_types
        for found, (_, length, place) in zip(unpacked, self.unpacked, strict=True):
            if isinstance(found, Type) or len(found) != length:
                has = "one value" if isinstance(found, Type) else f"{len(found)} values"
                raise ShapeError(f"{length} names for {has}", place=place)
        values = (output,) if isinstance(output, Type) else output
        for value in values:
            if not isinstance(value, Type) or value.shape[:1] != (BATCH,):
                raise self._at(
                    f"a net gives a value for each example, (batch, ...), and this is {shape_tree(value)}",
                    net.program.returned,
                )

    def _at(self, reason: str, span: Span) -> ShapeError:
        place = f"{self.definition.place}.forward:{span.line}:{span.column}:{span.end}"
        return ShapeError(reason, path=f"line {span.line}", place=place)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{value}" if i == 0 else f"{name}={value}" for i, (name, value) in enumerate(self.numbers.items())
        )
        return f"{self.definition.name}({shown})"


def _in_batches(number: re.Match[str]) -> str:
    """A number as it is, or what the batch axis stands in: 'batch', '2 * batch'."""
    count, rest = divmod(int(number[0]), BATCH)
    return number[0] if rest or not count else "batch" if count == 1 else f"{count} * batch"


def _for_a_batch(tree: TypeTree) -> TypeTree:
    """The type with a batch axis that is like no size of a weight."""
    if not isinstance(tree, Type):
        return tuple(_for_a_batch(part) for part in tree)
    return tree._replace(shape=(BATCH, *tree.shape[1:])) if tree.shape else tree


def _sizes_of(names: Sequence[str], types: Sequence[TypeTree]) -> dict[str, int]:
    """The last axes of inputs: "in.NAME" of each that has one beside the batch axis, "in" of the first."""
    found: dict[str, int] = {}
    for i, (name, kind) in enumerate(zip(names, types, strict=False)):
        if isinstance(kind, Type) and len(kind.shape) > 1:
            found |= {f"in.{name}": kind.shape[-1]} | ({"in": kind.shape[-1]} if i == 0 else {})
    return found
