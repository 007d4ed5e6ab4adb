"""Where random calls start: the calls that the examples of the classes make, as operations with typed operands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from nnspec import ir, registry
from nnspec.compiler import compile_text
from nnspec.dims import Dim
from nnspec.layer import Layer, Operation
from nnspec.reference import example_spec
from nnspec.types import Scalar
from nnspec.verify_library import function_of, layer_of


@dataclass(frozen=True)
class Call:
    """An operation, without the sizes that it infers, and what it is fed: types, numbers, tuples of them, None."""

    operation: Operation
    operands: tuple[Any, ...]


@cache
def seeds(kind: str, name: str) -> tuple[Call, ...]:
    """The calls of a class that its examples make."""
    cls = registry.find(kind, name)
    assert cls is not None
    found = []
    for example in cls.examples:
        program = compile_text(example_spec(kind, example)).program
        entry = program.main
        graph = program.methods[entry.methods_with(entry.optional)["infer"]].graph
        for node in graph.nodes:
            operation = _operation(program, entry.module, node)
            if operation is not None and type(operation) is cls and isinstance(node, (ir.Op, ir.Call)):
                found.append(Call(_plain(operation), tuple(_operand(graph, each) for each in node.inputs)))
    return tuple(found)


def _operation(program: ir.Program, module: int, node: ir.Node) -> Operation | None:
    if isinstance(node, ir.Op):
        return function_of(node)
    if isinstance(node, ir.Call) and node.method is None:
        for part in node.path.split("."):
            member = next(m for m in program.modules[module].members if m.name == part)
            assert member.module is not None
            module = member.module
        return layer_of(program.modules[module])
    return None


def _plain(operation: Operation) -> Operation:
    """The operation as an author wrote it, and the layers that it wraps or copies likewise."""
    if not isinstance(operation, Layer):
        return operation
    wrapped = {name: _plain_record(v) for name, v in vars(operation).items() if isinstance(v, ir.Record)}
    sizes = [n for n, field in operation.fields.items() if field.inferred and isinstance(getattr(operation, n), int)]
    return operation.replace(**wrapped, **dict.fromkeys(sizes))


def _plain_record(record: ir.Record) -> ir.Record:
    cls = registry.find("layer", record.name)
    assert cls is not None
    made = _plain(cls(**record.arguments))
    return ir.Record(record.name, {name: value for name, value in made.given() if value is not None})


def _operand(graph: ir.Graph, operand: Any) -> Any:
    if isinstance(operand, ir.Ref):
        return graph.values[operand.id].type
    if isinstance(operand, tuple):
        return tuple(_operand(graph, part) for part in operand)
    if isinstance(operand, (bool, int, float, Dim)):
        return Scalar(operand)
    return operand
