"""Training on the tape: Python makes the tape and is then entered once for many steps.

    minibatch ─▶ forward, loss, backward, norm │ clip, update, sums        one row of the tape each
                                               └ a loss or gradient that is not finite stops here

A tape is made for each size of minibatch (the last one of an epoch may be smaller), and one without the backward
part for evaluation; all work on the same arena.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flux_core.data import Examples
from flux_core.engine.arena import LINE, aligned
from flux_core.engine.kernel import Kernel
from flux_core.engine.lower import CannotLowerError, Instruction, copied
from flux_core.engine.repeat import Repeated
from flux_core.engine.store import Store, default_store
from flux_core.engine.tape import WIDTH, Layout, Tape, encode, kernels_of, lay_out, offset
from flux_core.engine.update import chunks, norm, update_kernel
from flux_core.errors import Diverged
from flux_core.ir import Node, Param, is_leaf
from flux_core.ops import Run
from flux_core.optim import OptState
from flux_core.passes import Type
from flux_core.passes.schedule import units
from flux_core.philox import Stream
from flux_core.training.carried import Carry
from flux_core.training.crew import Crew
from flux_core.training.engine import Engine
from flux_core.training.graph import types_of
from flux_core.training.measure import Measurements
from flux_core.training.metrics import Meter, Metric
from flux_core.training.plan import Plan, usable_cores
from flux_core.training.stepper import Stepper

STEPS, SHUFFLE = Kernel.written("steps", "loop"), Kernel.written("shuffle", "shuffle")


@dataclass(frozen=True)
class Assembly:
    """A tape for one size of minibatch, not yet machine code; `before` comes before the look at the loss."""

    tape: Tape
    before: tuple[Instruction | Repeated, ...]
    after: tuple[Instruction, ...]
    loss: int
    inputs: tuple[tuple[int, int], ...]  # where each input is gathered to, and the length of its rows


@dataclass(frozen=True)
class Program:
    """An assembly as the loop wants it; `checked` rows come before the look at the loss, `tables` are of scans."""

    assembly: Assembly
    rows: NDArray[np.int64]
    checked: int
    tables: tuple[NDArray[np.int64], ...]
    crew: Crew


class TapeEngine(Engine):
    """Machine code for whole stretches of steps.

    Raises CannotLowerError when the model has something that only the interpreter runs.
    """

    name = "tape"

    def __init__(
        self,
        stepper: Stepper,
        plan: Plan,
        metrics: tuple[Metric, ...],
        examples: Examples,
        store: Store | None = None,
    ) -> None:
        if stepper.graph.opaque:
            raise CannotLowerError("the model calls a plain function, which has no graph")
        if stepper.arena.dtype != np.float32:
            raise CannotLowerError("the tape is for float32")
        self.params, self.arena, self.state = stepper.params, stepper.arena, stepper.state
        self.plan, self.graph = plan, stepper.graph
        self.optimizer = stepper.optimizer
        self.store = store or default_store()
        self._starts = {id(p): self.arena.spans[name][0] for name, p in self.params.items()}
        self._numbers_width = 3 + len(self.optimizer.numbers(1, 1.0))
        self._numbers = aligned(self._numbers_width, np.float32)
        self._limit, self._zero = (aligned(LINE, np.float32) for _ in range(2))
        self._norm = aligned(LINE + chunks(self.arena.g.size), np.float64)  # behind the first line: of each chunk
        self._counter, self._result = (aligned(LINE, np.int64) for _ in range(2))
        self._gate = aligned(LINE, np.int64)
        self.threads = plan.threads or usable_cores()
        self.measurements = Measurements(metrics, examples.y.shape[1:], stepwise=examples.stepwise)
        # of training and of evaluation; where states go on, minibatches have one size
        self._carries: dict[bool, Carry] = {}
        self._assemblies: dict[tuple[int, bool], Assembly] = {}
        self._programs: dict[tuple[int, bool], Program] = {}
        self.assembly(examples, min(plan.batch_size, len(examples)), True)  # what cannot be lowered shows here

    def train(
        self,
        examples: Examples,
        order: NDArray[np.int64] | None,
        first: int,
        rates: Sequence[float],
        step: int,
        meter: Meter,
    ) -> None:
        """One call for the full minibatches, one for a smaller last."""
        size = self.plan.batch_size
        order = examples.order() if order is None else order
        self._carries[True].begin(first == 0)
        full = min(len(rates), len(examples) // size - first)
        rest = len(examples) - (first + full) * size if full < len(rates) else 0
        for steps, rows, begin in ((full, size, first * size), (int(rest > 0), rest, (first + full) * size)):
            if steps:
                numbers = self._number_table(np.asarray(rates[:steps]), self.state.step)
                rates = rates[steps:]
                done = self._run(
                    self._program(examples, rows, True), examples, order, begin, rows, steps, step, numbers, meter
                )
                step += done
                self.state = OptState(self.state.slots, self.state.step + done)

    def evaluate(self, examples: Examples, meter: Meter) -> None:
        """The tape without its backward part."""
        size = self.plan.batch_size
        self.assembly(examples, min(size, len(examples)), False)
        self._carries[False].begin(True)
        full = len(examples) // size
        rest = len(examples) - full * size
        for steps, rows, begin in ((full, size, 0), (int(rest > 0), rest, full * size)):
            if steps:
                program = self._program(examples, rows, False)
                self._run(program, examples, examples.order(), begin, rows, steps, 0, None, meter)

    @property
    def carried(self) -> list[NDArray[Any]]:
        """The memory that the tape carries states in."""
        return self._carries[True].states

    @carried.setter
    def carried(self, states: list[NDArray[Any]]) -> None:
        for memory, state in zip(self._carries[True].states, states, strict=bool(states)):
            memory[...] = state

    def prepare(self, train: Examples, *others: Examples) -> Iterator[tuple[int, int]]:
        """All kernels together: what is missing is compiled, and linking happens once."""
        size = self.plan.batch_size
        kernels = [STEPS, SHUFFLE]
        for examples, training in ((train, True), *((other, False) for other in others)):
            rest = 0 if training and self.plan.drop_last else len(examples) % size
            for rows in (size if len(examples) >= size else 0, rest):
                if rows:
                    assembly = self.assembly(examples, rows, training)
                    kernels += kernels_of((*assembly.before, *assembly.after))
        yield from self.store.loading(kernels)

    def order(self, size: int, epoch: int) -> NDArray[np.int64]:
        """By the stream of the seed, in machine code."""
        order = np.empty(size, np.int64)
        key = Stream.of(self.plan.seed, "shuffle").key
        operands = np.array([offset(order, self.arena.x), size, epoch, *key], np.int64)
        self._shuffle(self.arena.x.ctypes.data, operands.ctypes.data)
        return order

    def assembly(self, examples: Examples, rows: int, training: bool) -> Assembly:
        """The tape for minibatches of `rows` examples; `examples` give the shapes. Nothing is compiled."""
        key = (rows, training)
        if key not in self._assemblies:
            self._assemblies[key] = self._assembled(types_of(examples, rows), training)
        return self._assemblies[key]

    def regions(self, assembly: Assembly) -> dict[str, NDArray[Any]]:
        """The memory that an assembly works on, by name."""
        return {
            "x": self.arena.x,
            "dx": self.arena.g,
            **self.state.slots,
            "work": assembly.tape.workspace,
            "constants": assembly.tape.constants,
            "numbers": self._numbers,
            "norm": self._norm,
            "limit": self._limit,
            "step": self._counter,
            "sums": self.measurements.sums,
            **{f"rows{rows}": count for rows, count in self.measurements.counts.items()},
            "first": self._carries[True].first,
            "zero": self._zero,
            **{f"panels{i}": room for i, room in enumerate(assembly.tape.rooms)},
            **{f"state{i}": state.reshape(-1) for i, state in enumerate(self._carries[True].states)},
            **{f"scale{i}": scale for i, scale in enumerate(self.measurements.scales)},
        }

    @cached_property
    def _steps(self) -> Callable[[int, int], None]:
        return self.store.function(STEPS)

    @cached_property
    def _shuffle(self) -> Callable[[int, int], None]:
        return self.store.function(SHUFFLE)

    def _run(
        self,
        program: Program,
        examples: Examples,
        order: NDArray[np.int64] | None,
        begin: int,
        rows: int,
        steps: int,
        step: int,
        numbers: NDArray[np.float32] | None,
        meter: Meter,
    ) -> int:
        """Run a program over minibatches and return how many it did. Raises Diverged."""
        base = self.arena.x
        sources = [np.ascontiguousarray(array) for array in examples.arrays]
        inputs = np.array(
            [(offset(s, base), *target) for s, target in zip(sources, program.assembly.inputs, strict=True)], np.int64
        )
        self.measurements.load(meter)
        self._counter[0], self._result[:2] = step, 0
        training = numbers is not None
        operands = [
            offset(program.rows, base),
            len(program.rows),
            WIDTH,
            program.checked,
            steps,
            rows,
            -1 if order is None else offset(order, base),
            begin,
            len(inputs),
            offset(inputs, base),
            program.assembly.loss,
            offset(self._norm, base) if training else -1,
            0 if numbers is None else offset(numbers, base),
            0 if numbers is None else self._numbers_width,
            offset(self._numbers, base),
            offset(self._counter, base),
            offset(self._result, base),
        ]
        threads, began = program.crew.size(), time.perf_counter()
        self._on_threads(operands, threads)
        program.crew.took(threads, (time.perf_counter() - began) / steps)
        self.measurements.store(meter)
        done, fault = int(self._result[0]), int(self._result[1])
        if fault and training:
            self.state = OptState(self.state.slots, self.state.step + done)
            raise Diverged(step + done + 1, "loss" if fault == 1 else "gradient")
        return done

    def _on_threads(self, operands: list[int], threads: int) -> None:
        """The loop in this thread and, where there is enough to do, in others beside it."""
        self._gate[:] = 0
        base = self.arena.x.ctypes.data
        words = [np.array([*operands, self._place(self._gate), i, threads], np.int64) for i in range(threads)]
        others = [Thread(target=self._steps, args=(base, own.ctypes.data), daemon=True) for own in words[1:]]
        for other in others:
            other.start()
        self._steps(base, words[0].ctypes.data)
        for other in others:
            other.join()

    def _number_table(self, rates: NDArray[np.float64], updates: int) -> NDArray[np.float32]:
        """What the update needs at each step, float32 (steps, width): scale, limit, decay, the rule's numbers."""
        limit = inf if self.plan.clip_value is None else self.plan.clip_value
        counts = np.arange(updates + 1, updates + 1 + len(rates))
        rule = self.optimizer.rule.numbers(self.optimizer.hyper, counts, rates)
        decay = (
            rates * self.optimizer.hyper["weight_decay"] if self.optimizer.rule.decoupled else self.optimizer.decay(0)
        )
        table = np.empty((len(rates), self._numbers_width), np.float32)
        for column, value in enumerate((1.0, limit, decay, *rule)):
            table[:, column] = value
        return table

    def _program(self, examples: Examples, rows: int, training: bool) -> Program:
        key = (rows, training)
        if key not in self._programs:
            assembly = self.assembly(examples, rows, training)
            parts = (assembly.before, assembly.after)
            before, after = (encode(part, self.store, self.arena.x, self.threads) for part in parts)
            words = np.concatenate([before.rows, after.rows])
            crew = Crew(min(self.threads, max(before.tiles, after.tiles)))
            self._programs[key] = Program(assembly, words, len(before.rows), before.tables, crew)
        return self._programs[key]

    def _assembled(self, types: tuple[Type, ...], training: bool) -> Assembly:
        """The tape for inputs of these types: x, y, and the lengths where there are any."""
        states = self.graph.state_types(types)
        carry = self._carries.setdefault(training, Carry(states))
        graph = self.graph.step if training else self.graph.forward
        homes: dict[Node, int] = {}

        def placed(owners: Sequence[Node]) -> list[Node]:
            """The gradients that can be written where the optimiser reads them: each has one owner of its own."""
            homes.clear()
            for i, owner in enumerate(owners[2 : 2 + len(self.graph.params)] if training else ()):
                if not is_leaf(owner) and owner not in owners[:2] and owner not in homes:
                    homes[owner] = self._gradient_place(self.graph.params[i])
            return list(homes)

        run = Run(training=training, seed=self.plan.seed)
        extra = (Type(()), *states) if states else ()
        outside = range(len(types), len(types) + len(extra))
        layout = lay_out(graph, (*types, *extra), run, placed, kept=range(1, len(types)), outside=outside)

        def place_of(owner: Node) -> int | None:
            """Where a result lies that the optimiser reads, or a state that is carried."""
            if owner.op == "input" and owner.attrs["index"] in outside:
                number = owner.attrs["index"] - outside.start
                return self._place(carry.states[number - 1] if number else carry.first)
            return homes.get(owner)

        tape = Tape(
            layout,
            self.arena.x,
            param_place=lambda p: self._starts[id(p)],
            result_place=place_of,
            seed=self.plan.seed,
            step_place=self._place(self._counter),
        )
        loss, prediction, *rest = layout.schedule.results
        gradients, finals = rest[: len(rest) - len(states)], rest[len(rest) - len(states) :]
        if _shape(layout, loss) != ():
            raise CannotLowerError(f"a loss is one number, not {_shape(layout, loss)}")
        before = list(tape.instructions)
        places = [None if node is None else tape.place(node) for node in layout.inputs[: len(types)]]
        if (target := places[1]) is None:
            raise CannotLowerError("the loss does not read the target")
        predicted = (tape.place(prediction), _shape(layout, prediction))
        lengths = places[2] if len(types) > 2 else None
        after = self.measurements.instructions(self._place, tape.place(loss), predicted, (target, types[1]), lengths)
        if training:
            before += self._gathered(tape, layout, gradients)
            place = self._place(self._norm)
            before += norm(self._place(self.arena.g), self.arena.g.size, place + 2 * LINE, place)
            after = [*self._update(), *after]
        for final, state in zip(finals, carry.states, strict=True):
            after.append(copied(tape.place(final), self._place(state), state.size))
        if states:
            after.append(copied(self._place(self._zero), self._place(carry.first), 1))
        inputs = tuple(
            (self._spare(t) if place is None else place, units(Type(t.shape[1:], t.kind)))
            for place, t in zip(places, types, strict=True)
        )
        return Assembly(tape, tuple(before), tuple(after), tape.place(loss), inputs)

    def _gathered(self, tape: Tape, layout: Layout, gradients: Sequence[Node]) -> list[Instruction]:
        """Copies of the gradients that are not yet where the optimiser reads them."""
        found = []
        for p, node in zip(self.graph.params, gradients, strict=True):
            source, target = tape.place(node), self._gradient_place(p)
            if source != target:
                found.append(copied(source, target, p.size))
        return found

    def _update(self) -> list[Instruction]:
        """Clipping by the norm, and the optimiser's loop."""
        found = []
        numbers = self._place(self._numbers)
        if self.plan.clip_norm is not None:
            self._limit[0] = self.plan.clip_norm
            found.append(
                self._instruction("clip_scale", "norm", self._place(self._norm), self._place(self._limit), numbers)
            )
        arrays = (self.arena.x, self.arena.g, *(self.state.slots[slot] for slot in self.optimizer.slots))
        operands = (*map(self._place, arrays), numbers, self.arena.x.size, self.arena.decayed)
        return [*found, Instruction(update_kernel(self.optimizer, clear=False), operands, "update")]

    def _spare(self, kind: Type) -> int:
        raise CannotLowerError(f"the model does not read its input of shape {kind.shape}")

    def _gradient_place(self, p: Param) -> int:
        return self._place(self.arena.g) + self._starts[id(p)]

    def _place(self, array: NDArray[Any]) -> int:
        return offset(array, self.arena.x)

    @staticmethod
    def _instruction(name: str, file: str, *operands: int) -> Instruction:
        return Instruction(Kernel.written(name, file), operands, name)


def _shape(layout: Layout, node: Node) -> tuple[int, ...]:
    found = layout.types[node]
    assert isinstance(found, Type)
    return found.shape
