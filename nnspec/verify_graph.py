"""Checks one graph of a program: single assignment, and every node's types by its callee or its shape rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnspec import ir
from nnspec.dims import Dim, Size, substitute, symbols
from nnspec.elaborate.session import MAX_SCANS
from nnspec.facts import Facts
from nnspec.types import Scalar, TensorType
from nnspec.verify_library import NotValid, function_of, infer, layer_of
from nnspec.verify_scan import same_type, scan_results


def resolve(program: ir.Program, module: int, path: str) -> ir.Member:
    """The member at a path below a module; `NotValid` when there is none."""
    inner: int | None = module
    for name in path.split("."):
        try:
            if inner is None:
                raise KeyError(name)
            member = program.find(inner, name)
        except KeyError:
            raise NotValid(f"there is no member `{path[:80]}`") from None
        inner = member.module
    return member


def form_problems(graph: ir.Graph, known: frozenset[str], depth: int = 0) -> Iterator[str]:
    """Whether values are defined once, before their use, and sizes speak of known symbols only."""
    count = len(graph.values)
    defined: set[int] = set()

    def define(value: int) -> Iterator[str]:
        if value not in range(count):
            yield f"there is no value {value}"
        elif value in defined:
            yield f"value {value} is defined twice"
        defined.add(value)

    def use(operand: Any) -> Iterator[str]:
        if isinstance(operand, ir.Ref):
            if operand.id not in defined:
                yield f"value {operand.id} is used before it is defined"
        elif isinstance(operand, tuple):
            for part in operand:
                yield from use(part)
        elif isinstance(operand, Dim):
            yield from _unknown(operand, known)
        elif operand is not None and not isinstance(operand, bool | int | float):
            yield f"{type(operand).__name__} cannot be an operand"

    if depth > MAX_SCANS:
        yield f"scans are nested deeper than {MAX_SCANS}"
        return
    if not all(each is None or _only_numbers(each) for each in graph.inputs):
        yield "its inputs are not numbers of values"
        return
    for value in ir.flat(graph.inputs):
        yield from define(value)
    for number, node in enumerate(graph.nodes):
        for problem in _node_problems(node, known, use, define):
            yield f"node {number}: {problem}"
        for problem in form_problems(node.body, known, depth + 1) if isinstance(node, ir.Scan) else ():
            yield f"node {number}, body: {problem}"
    for value in sorted(set(range(count)) - defined):
        yield f"value {value} is never defined"
    for number, item in enumerate(graph.values):
        for dim in item.type.dims:
            for problem in _unknown(dim, known):
                yield f"value {number}: {problem}"
    for output in graph.outputs:
        yield from use(output)
        if not _only_values(output):
            yield "an output is a value or a tuple of them"
    if not graph.outputs:
        yield "there are no outputs"


def _node_problems(node: ir.Node, known: frozenset[str], use: Any, define: Any) -> Iterator[str]:
    if not isinstance(node, ir.Read):
        for operand in node.inputs:
            yield from use(operand)
    sizes = node.dims if isinstance(node, ir.Call) else node.attributes if isinstance(node, ir.Op) else {}
    for size in _sizes(tuple(sizes.values())):
        yield from _unknown(size, known)
    if not _only_numbers(node.outputs):
        yield "its outputs are not numbers of values"
        return
    for value in ir.flat(node.outputs):
        yield from define(value)


def _unknown(size: Size, known: frozenset[str]) -> Iterator[str]:
    for name in sorted(symbols(size) - known):
        yield f"there is no symbol `{name}` here"


def _sizes(value: Any) -> Iterator[Dim]:
    if isinstance(value, Dim):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _sizes(part)


def _only_numbers(outputs: Any) -> bool:
    if isinstance(outputs, tuple):
        return all(map(_only_numbers, outputs))
    return isinstance(outputs, int) and not isinstance(outputs, bool)


def _only_values(operand: Any) -> bool:
    return all(map(_only_values, operand)) if isinstance(operand, tuple) else isinstance(operand, ir.Ref)


class TypeCheck:
    """Types of the nodes of a graph whose form is right."""

    def __init__(
        self,
        program: ir.Program,
        graph: ir.Graph,
        facts: Facts,
        module: int | None,
        kinds: tuple[str, ...] = ("function",),
    ) -> None:
        self.program = program
        self.graph = graph
        self.facts = facts
        self.module = module
        self.kinds = kinds

    def problems(self) -> Iterator[str]:
        """What is wrong, node by node."""
        for number, node in enumerate(self.graph.nodes):
            try:
                self._check(node)
            except NotValid as reason:
                name = node.function if isinstance(node, ir.Op) else getattr(node, "path", "scan")
                yield f"node {number} (`{name[:80]}`): {reason}"

    def _check(self, node: ir.Node) -> None:
        if isinstance(node, ir.Foreign):
            return  # its types are what it says
        if isinstance(node, ir.Op):
            self._match(node.outputs, infer(function_of(node, self.kinds), self.facts, self._operands(node)))
            return
        if isinstance(node, ir.Scan):
            self._match(node.outputs, scan_results(self.facts, node, self._operands(node)))
            inside = TypeCheck(self.program, node.body, self.facts, self.module, self.kinds)
            for problem in inside.problems():
                raise NotValid(f"in its body, {problem}")
            return
        if self.module is None:
            raise NotValid("there is no module here")
        member = resolve(self.program, self.module, node.path)
        if isinstance(node, ir.Read):
            self._match(node.outputs, member.type)
        elif member.module is None:
            raise NotValid("only modules can be called")
        elif self.program.modules[member.module].kind == "layer":
            if node.method is not None or node.dims:
                raise NotValid("a layer has no methods of its own")
            layer = layer_of(self.program.modules[member.module])
            self._match(node.outputs, infer(layer, self.facts, self._operands(node)))
        else:
            self._check_call(node, member.module)

    def _check_call(self, node: ir.Call, module: int) -> None:
        callee = self._callee(node, module)
        self._match_inputs(callee, node, node.inputs, callee.graph.inputs)
        results = tuple(_result(callee, output, node.dims) for output in callee.graph.outputs)
        self._match(node.outputs, results if len(results) > 1 else results[0])

    def _match_inputs(self, callee: ir.Method, node: ir.Call, given: Any, wanted: Any) -> None:
        """What flows in has the nesting and the types of the callee's inputs."""
        if len(given) != len(wanted):
            raise NotValid(f"it takes {len(wanted)} inputs, not {len(given)}")
        for operand, value in zip(given, wanted, strict=True):
            if isinstance(value, tuple) and isinstance(operand, tuple):
                self._match_inputs(callee, node, operand, value)
                continue
            found = self._type(operand)
            kind = _outside(callee.graph.values[value].type, node.dims) if isinstance(value, int) else value
            if not (found is kind is None) and not self._same(found, kind):
                raise NotValid(f"it takes {kind}, not {found}")

    def _callee(self, node: ir.Call, module: int) -> ir.Method:
        if node.method is None or node.method not in range(len(self.program.methods)):
            raise NotValid("a call of a block has a method")
        callee = self.program.methods[node.method]
        if callee.module != module:
            raise NotValid("its method is one of another module")
        if set(node.dims) != {s.name for s in callee.symbols}:
            raise NotValid("its sizes are not those of its method")
        return callee

    def _operands(self, node: ir.Call | ir.Op | ir.Scan) -> tuple[Any, ...]:
        return tuple(map(self._type, node.inputs))

    def _type(self, operand: Any) -> Any:
        if isinstance(operand, ir.Ref):
            return self.graph.values[operand.id].type
        if isinstance(operand, tuple):
            return tuple(map(self._type, operand))
        return None if operand is None else Scalar(operand)

    def _match(self, outputs: tuple[Any, ...], result: Any) -> None:
        """The types of a node's outputs are those of its result."""
        if not outputs:
            raise NotValid("it gives another number of outputs")
        self._match_part(ir.result_of(outputs), result)

    def _match_part(self, output: Any, kind: Any) -> None:
        if isinstance(kind, tuple):
            if not isinstance(output, tuple) or len(output) != len(kind):
                raise NotValid("it gives another number of outputs")
            for part, inner in zip(output, kind, strict=True):
                self._match_part(part, inner)
        elif not isinstance(output, int):
            raise NotValid("it gives another number of outputs")
        elif not self._same(self.graph.values[output].type, kind):
            raise NotValid(f"it gives {kind}, not {self.graph.values[output].type}")

    def _same(self, a: Any, b: Any) -> bool:
        return same_type(self.facts, a, b)


def _outside(kind: TensorType, dims: Mapping[str, Size]) -> TensorType:
    return TensorType(kind.dtype, tuple(substitute(dim, dims) for dim in kind.dims))


def _result(callee: ir.Method, output: Any, dims: Mapping[str, Size]) -> Any:
    if isinstance(output, tuple):
        return tuple(_result(callee, part, dims) for part in output)
    return _outside(callee.graph.values[output.id].type, dims)
