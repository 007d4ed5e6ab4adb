"""Running a program on a tape: calls in the order in which the emitted module makes them, freeing what it frees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nnspec import ir, registry
from nnspec.dims import Dim, evaluate
from nnspec.memory_layout import in_order
from nnspec.memory_plan import Plan
from nnspec.memory_tape import Block, Recording, Tensor, tensors_in
from nnspec.types import Scalar, TensorType, is_float

MOST_TURNS = 32
"""So many steps of a scan are run; the others keep what the last of these did."""

_Values = dict[int, Any]


class Walk:
    """Runs methods and graphs of a program on a tape."""

    def __init__(self, program: ir.Program, tape: Recording) -> None:
        self._program = program
        self._tape = tape
        self._plans: dict[int, Plan] = {}
        self._operations: dict[int, Any] = {}
        self._layers: dict[int, Any] = {}
        self._weights: dict[str, Tensor] = {}

    def given(self, type_: TensorType, sizes: Mapping[str, int]) -> Tensor:
        """A tensor that was there before."""
        dims = tuple(evaluate(d, sizes) for d in type_.dims)
        return Tensor(Block(0, given=True), type_.dtype, dims, in_order(dims), False)

    def method(self, number: int, inputs: Sequence[Any], sizes: Mapping[str, int], place: str = "") -> tuple[Any, ...]:
        """The outputs of a method for inputs in the order of its graph's; they are held once."""
        method = self._program.methods[number]
        if number not in self._plans:
            self._plans[number] = Plan(self._program, method)
        return _Frame(self, self._plans[number], sizes, method.module, place).run(inputs)

    # --- what a frame asks ---

    @property
    def tape(self) -> Recording:
        """Where all is noted."""
        return self._tape

    def function(self, node: ir.Op) -> Any:
        """The function of a node."""
        found = self._operations.get(id(node))
        if found is None:
            cls = registry.find("function", node.function)
            assert cls is not None, node.function
            found = self._operations[id(node)] = cls(**node.attributes)
        return found

    def module_at(self, module: int, path: str) -> int:
        """The module at a path."""
        return self._program.module_at(module, path)

    def layer(self, number: int) -> Any:
        """The layer that a module describes."""
        found = self._layers.get(number)
        if found is None:
            module = self._program.modules[number]
            cls = registry.find("layer", module.name)
            assert cls is not None, module.name
            arguments = {name: attr.value for name, attr in module.arguments.items()}
            found = self._layers[number] = cls(**arguments)
        return found

    def weights(self, number: int, place: str) -> list[tuple[str, int]]:
        """The trained parameters of a layer: their names, and their bytes."""
        members = self._program.modules[number].members
        return [
            (self.owner(f"{place}.{m.name}"), self.given(m.type, {}).bytes)
            for m in members
            if m.kind == "param" and m.type is not None
        ]

    def bare(self, module: int, path: str, place: str) -> Tensor:
        """A parameter or buffer as a tensor."""
        name = self.owner(f"{place}{path}")
        if name not in self._weights:
            member = self._program.member(module, path)
            assert member.type is not None
            found = self._weights[name] = self.given(member.type, {})
            if member.kind == "param" and is_float(found.dtype):
                found.parameter, found.grad = name, self._tape.training
        return self._weights[name]

    def owner(self, name: str) -> str:
        """The parameter's own name, where this one is tied to it."""
        parts = name.split(".")
        module: int | None = self._program.main.module
        for depth in range(len(parts)):
            if module is None or self._program.modules[module].kind == "layer":
                break
            rest = ".".join(parts[depth:])
            for tie in self._program.modules[module].ties:
                if tie.alias == rest:
                    return self.owner(".".join([*parts[:depth], tie.owner]))
            module = self._program.find(module, parts[depth]).module
        return name


class _Frame:
    """One call of a method, or one computation of a graph: the values that are alive in it."""

    def __init__(self, walk: Walk, plan: Plan, sizes: Mapping[str, int], module: int | None, place: str) -> None:
        self._walk = walk
        self._tape = walk.tape
        self._plan = plan
        self._graph = plan.graph
        self._sizes = sizes
        self._module = module
        self._place = place
        self._values: _Values = {}

    def run(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Compute the outputs; the inputs are held by whoever calls, until that is done."""
        for number, operand in zip(self._graph.inputs, inputs, strict=True):
            self._bind(number, operand)
        held: dict[int, list[Tensor]] = {}
        for at, node in enumerate(self._plan.nodes):
            for value, end in self._plan.holds.get(at, ()):
                held.setdefault(end, []).append(self._values[value])
                self._hold(self._values[value])
            self._node(node)
            for x in held.pop(at, ()):
                self._release(x)
            for number in self._plan.ends.get(at, ()):
                self._drop(number)
        outputs = tuple(map(self._operand, self._graph.outputs))
        self._hold(outputs)
        for number in list(self._values):
            self._drop(number)
        return outputs

    # --- values ---

    def _bind(self, number: Any, operand: Any) -> None:
        if isinstance(number, int):
            self._values[number] = operand
            self._hold(operand)
        elif number is not None:
            for part, inner in zip(number, operand, strict=True):
                self._bind(part, inner)

    def _drop(self, number: int) -> None:
        if number in self._values:
            self._release(self._values.pop(number))

    def _hold(self, operand: Any) -> None:
        for x in tensors_in(operand):
            self._tape.hold(x.block)

    def _release(self, operand: Any) -> None:
        for x in tensors_in(operand):
            self._tape.release(x.block)

    def _operand(self, value: Any) -> Any:
        if isinstance(value, ir.Ref):
            return self._values[value.id]
        if isinstance(value, tuple):
            return tuple(map(self._operand, value))
        if isinstance(value, Dim):
            return Scalar(evaluate(value, self._sizes))
        return None if value is None else Scalar(value)

    def _types(self, result: Any) -> Any:
        if not isinstance(result, int):
            return tuple(map(self._types, result))
        type_ = self._graph.values[result].type
        return type_.with_dims(*(evaluate(d, self._sizes) for d in type_.dims))

    # --- nodes ---

    def _node(self, node: ir.Node) -> None:
        if isinstance(node, ir.Read):
            assert self._module is not None
            self._bind(node.outputs[0], self._walk.bare(self._module, node.path, self._place))
        elif isinstance(node, ir.Scan):
            self._scan(node)
        elif isinstance(node, ir.Call) and node.method is not None:
            sizes = {name: evaluate(size, self._sizes) for name, size in node.dims.items()}
            inputs = [self._operand(x) for x in node.inputs]
            outputs = self._walk.method(node.method, inputs, sizes, f"{self._place}{node.path}.")
            self._bind(ir.result_of(node.outputs), ir.result_of(outputs))
            self._release(outputs)
        else:
            self._apply(node)

    def _apply(self, node: ir.Call | ir.Op | ir.Foreign) -> None:
        """A layer, a function, or what Python computes."""
        tape = self._tape
        tape.sizes = self._sizes
        tape.output = self._types(ir.result_of(node.outputs))
        inputs = [self._operand(x) for x in node.inputs]
        if isinstance(node, ir.Call):
            assert self._module is not None
            number = self._walk.module_at(self._module, node.path)
            tape.place = f"{self._place}{node.path}"
            tape.weights = self._walk.weights(number, tape.place) if tape.training else ()
            tape.trained = bool(tape.weights)
            result = self._walk.layer(number).memory(tape, *inputs)
        elif isinstance(node, ir.Op):
            tape.place = f"{self._place}{node.function}()"
            result = self._walk.function(node).memory(tape, *inputs)
        else:
            result = tape.op(tape.output, *inputs)
        tape.weights, tape.trained = (), False
        self._bind(ir.result_of(node.outputs), result)
        tape.end_call()

    def _scan(self, node: ir.Scan) -> None:
        """The steps, one after the other; then what they yielded is stacked."""
        parts = node.body.inputs[: len(node.sequences)]
        states = node.body.inputs[len(parts) : len(parts) + len(node.states)]
        whole = [self._operand(x) for x in node.sequences]
        turns = whole[0].dims[node.axis]
        current = [self._operand(x) for x in node.states]
        self._hold(current)
        yields: list[list[Tensor]] = [[] for _ in range(node.yields)]
        others: Block | None = None
        for turn in range(min(turns, MOST_TURNS)):
            before = self._tape.live
            for number, x in zip(parts, whole, strict=True):
                self._bind(number, _part(self._tape, x, node.axis))
            for number, state in zip(states, current, strict=True):
                self._bind(number, state)
            self._body(node)
            results = [self._operand(x) for x in node.body.outputs]
            self._hold(results)
            self._release(current)
            for each, result in zip(yields, results, strict=False):
                each.append(result)
            current = results[node.yields :]
            for number in _numbers(node.body):
                self._drop(number)
            if turn == MOST_TURNS - 1:
                loose = sum(x.bytes for x in tensors_in(results[: node.yields]) if not x.block.kept)
                others = self._tape.repeat(turns - MOST_TURNS, self._tape.live - before, loose)
        stacks = self._types(tuple(node.outputs[: node.yields]))
        for number, type_, each in zip(node.outputs, stacks, yields, strict=False):
            self._bind(number, self._tape.op(type_, *each, keeps=()))
            self._release(each)
        if others is not None:
            self._tape.release(others)
        for number, state in zip(node.outputs[node.yields :], current, strict=True):
            self._bind(number, state)
        self._release(current)
        self._tape.end_call()

    def _body(self, node: ir.Scan) -> None:
        last: dict[int, int] = {}
        kept = {*node.body.inputs, *ir.refs(node.body.outputs), *ir.refs(node.captures)}
        own = {v for inner in node.body.nodes for v in ir.flat(inner.outputs)}
        for at, inner in enumerate(node.body.nodes):
            used = () if isinstance(inner, ir.Read) else ir.refs(inner.inputs)
            last |= dict.fromkeys((*ir.flat(inner.outputs), *used), at)
        for at, inner in enumerate(node.body.nodes):
            self._node(inner)
            for number in [v for v, end in last.items() if end == at and v in own and v not in kept]:
                self._drop(number)


def _numbers(body: ir.Graph) -> Iterator[int]:
    """The values that belong to a step of a scan."""
    yield from ir.flat(body.inputs)
    for node in body.nodes:
        yield from ir.flat(node.outputs)


def _part(tape: Recording, x: Tensor, axis: int) -> Tensor:
    at = axis % len(x.dims)
    return tape.view(x, x.dims[:at] + x.dims[at + 1 :], x.strides[:at] + x.strides[at + 1 :], passes=False)
