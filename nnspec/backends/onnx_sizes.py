"""Sizes in an ONNX graph: constants where they are numbers, else computed from the shapes of the graph's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nnspec.backends.onnx_graph import GraphBuilder
from nnspec.dims import Atom, Dim, Size, show, symbol


class Place(NamedTuple):
    """Where a symbol is read: a dimension (counted from the front) of an input of the graph."""

    input: str
    axis: int


class Sizes:
    """Equal sizes are computed once. Everything is a 1-D tensor inside: that is what Shape gives and Reshape takes."""

    def __init__(self, graph: GraphBuilder, places: Mapping[str, Place]) -> None:
        self._graph = graph
        self._places = {symbol(name): place for name, place in places.items()}
        self._vectors: dict[tuple[Size, ...], str] = {}
        self._scalars: dict[Size, str] = {}

    def scalar(self, size: Size) -> str:
        """One size as a scalar."""
        if isinstance(size, int):
            return self._graph.constant(size, "int64")
        if size not in self._scalars:
            inputs = (self.vector((size,)), self._graph.constant([0], "int64"))
            self._scalars[size] = self._node(size, "Squeeze", *inputs)
        return self._scalars[size]

    def vector(self, dims: Sequence[Size]) -> str:
        """Several sizes as a 1-D tensor."""
        key = tuple(dims)
        if key not in self._vectors:
            pieces = [self._piece(run) for run in self._runs(key)]
            name = f"size/[{', '.join(map(show, key))}]"
            self._vectors[key] = (
                pieces[0] if len(pieces) == 1 else self._graph.node(name, "Concat", pieces, 1, {"axis": 0})
            )
        return self._vectors[key]

    def _runs(self, dims: tuple[Size, ...]) -> list[list[Size]]:
        """Neighbours that one node gives: numbers, and successive dimensions of one input."""
        runs: list[list[Size]] = [[]]
        for dim in dims:
            if runs[-1] and not self._continues(runs[-1][-1], dim):
                runs.append([])
            runs[-1].append(dim)
        return runs

    def _continues(self, last: Size, dim: Size) -> bool:
        if isinstance(last, int) or isinstance(dim, int):
            return isinstance(last, int) and isinstance(dim, int)
        place, after = self._places.get(last), self._places.get(dim)
        return place is not None and after == (place.input, place.axis + 1)

    def _piece(self, run: list[Size]) -> str:
        first = run[0] if run else 0
        if isinstance(first, int):
            return self._graph.constant(run, "int64")
        place = self._places.get(first)
        if place is None:
            return self._computed(first)
        name = f"size/{', '.join(map(show, run))}"
        bounds = {"start": place.axis, "end": place.axis + len(run)}
        shape: str = self._graph.node(name, "Shape", [place.input], 1, bounds)
        return shape

    def _computed(self, size: Dim) -> str:
        """A polynomial: the sum of the products of its factors."""
        # The canonical order has the number first; a reader expects it last.
        terms = [self._term(size, *term) for term in (*size.terms[1:], size.terms[0])]
        return self._chain(size, "Add", terms)

    def _term(self, size: Dim, factors: Sequence[str], coefficient: int) -> str:
        values = [self._atom(f) if isinstance(f, Atom) else self._symbol(f) for f in factors]
        if coefficient != 1 or not factors:
            values.append(self._graph.constant([coefficient], "int64"))
        return self._chain(size, "Mul", values)

    def _chain(self, size: Dim, op: str, values: Sequence[str]) -> str:
        total = values[0]
        for value in values[1:]:
            total = self._node(size, op, total, value)
        return total

    def _symbol(self, name: str) -> str:
        size = symbol(name)
        if size not in self._places:
            raise KeyError(f"no input of the graph has the size {name}")
        return self.vector((size,))

    def _atom(self, atom: Atom) -> str:
        size = Dim((((atom,), 1),))
        key = (size,)
        if key not in self._vectors:
            self._vectors[key] = self._atom_nodes(size, atom)
        return self._vectors[key]

    def _atom_nodes(self, size: Dim, atom: Atom) -> str:
        args = [self.vector((arg,)) for arg in atom.args]
        if atom.kind == "floor":
            dividend, divisor = args
            if not (_never_negative(atom.args[0]) and _never_negative(atom.args[1])):
                # Div rounds towards zero; Mod has the sign of the divisor, as in Python.
                dividend = self._node(size, "Sub", dividend, self._node(size, "Mod", dividend, divisor))
            return self._node(size, "Div", dividend, divisor)
        if atom.kind in ("min", "max"):
            return self._node(size, atom.kind.capitalize(), *args)
        left, right, then, otherwise = args
        test = "Equal" if atom.kind == "if_equal" else "GreaterOrEqual"
        return self._node(size, "Where", self._node(size, test, left, right), then, otherwise)

    def _node(self, size: Size, op: str, *inputs: str) -> str:
        name: str = self._graph.node(f"size/{show(size)}/{op}", op, inputs, 1, {})
        return name


def _never_negative(size: Size) -> bool:
    """Whether it is certain, from symbols being at least 1, that the size is not negative."""
    if isinstance(size, int):
        return size >= 0
    number = 0
    for factors, coefficient in size.terms:
        if not factors:
            number += coefficient
        elif coefficient < 0 or not all(map(_factor_never_negative, factors)):
            return False
        elif not any(isinstance(factor, Atom) for factor in factors):
            number += coefficient
    return number >= 0


def _factor_never_negative(factor: str) -> bool:
    if not isinstance(factor, Atom):
        return True
    choices = factor.args[2:] if factor.kind.startswith("if") else factor.args
    return all(map(_never_negative, choices))
