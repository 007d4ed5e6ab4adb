"""Complex numbers in ONNX, which has no operators for them: floats with a last dimension of two, real and imaginary."""

from __future__ import annotations

from itertools import product
from typing import Any

from nnspec.backends.onnx_graph import GraphBuilder
from nnspec.layer import Function, Layer, OnnxGraph
from nnspec.types import TensorType, is_complex, real_part


def lower(g: OnnxGraph, graph: GraphBuilder, operation: Layer | Function, operands: tuple[Any, ...]) -> Any:
    """An operation's ONNX form, put together of those for real and imaginary parts where it says so."""
    if operation.of_complex in ("", "own") or not _any_complex(graph, operands):
        return operation.onnx(g, *operands)
    parts = _Parts(g, graph)
    if operation.of_complex == "parts":
        return parts.joined(*(operation.onnx(g, *(parts.of(each, number) for each in operands)) for number in (0, 1)))
    return parts.product(operation, operands)


def _any_complex(graph: GraphBuilder, operand: Any) -> bool:
    if isinstance(operand, tuple):
        return any(_any_complex(graph, part) for part in operand)
    return isinstance(operand, str) and is_complex(graph.types[operand].dtype)


class _Parts:
    """Takes values apart and joins them."""

    def __init__(self, g: OnnxGraph, graph: GraphBuilder) -> None:
        self._g = g
        self._graph = graph

    def of(self, operand: Any, number: int) -> Any:
        """The real (0) or imaginary (1) part; what is real (an index, a number) is the same for both.

        In a list with complex numbers, what is real has imaginary parts of 0.
        """
        if isinstance(operand, tuple):
            mixed = number == 1 and _any_complex(self._graph, operand)
            return tuple(
                self._zeros(each) if mixed and not _any_complex(self._graph, each) else self.of(each, number)
                for each in operand
            )
        if not _any_complex(self._graph, operand):
            return operand
        kind = self._graph.types[operand]
        return self._typed(self._g.node("Gather", operand, self._g.constant(number), axis=-1), kind)

    def joined(self, real: Any, imaginary: Any) -> Any:
        """Values of the two parts, in the nesting of the results."""
        if isinstance(real, tuple):
            return tuple(self.joined(*pair) for pair in zip(real, imaginary, strict=True))
        last = self._g.constant([-1])
        return self._g.node("Concat", *(self._g.node("Unsqueeze", half, last) for half in (real, imaginary)), axis=-1)

    def product(self, operation: Layer | Function, operands: tuple[Any, ...]) -> str:
        """The products of every choice of parts, added up: two imaginary parts give a negative real one."""
        sums: list[str | None] = [None, None]
        choices = [(0, 1) if _any_complex(self._graph, each) else (0,) for each in operands]
        for numbers in product(*choices):
            value = operation.onnx(self._g, *(self.of(each, n) for each, n in zip(operands, numbers, strict=True)))
            turns = sum(numbers)
            known, sign = sums[turns % 2], "Sub" if turns % 4 > 1 else "Add"
            sums[turns % 2] = value if known is None else self._g.node(sign, known, value)
        return str(self.joined(*sums))

    def _zeros(self, operand: str) -> str:
        kind = self._graph.types[operand]
        return self._typed(
            self._g.node("Expand", self._g.constant(0, kind.dtype), self._g.node("Shape", operand)), kind
        )

    def _typed(self, value: str, kind: TensorType) -> str:
        self._graph.types[value] = kind.with_dtype(real_part(kind.dtype))
        return value
