"""Volumes sampled at places of a grid, element by element: for operator sets of ONNX that sample images only."""

from __future__ import annotations

from itertools import product

from nnspec.dims import Size
from nnspec.layer import OnnxGraph
from nnspec.layers._expect import volume


class Sampling:
    """One volume [N, C, D, H, W], whose elements are read at places of one grid, [N, d, h, w, 3]."""

    def __init__(self, g: OnnxGraph, x: str, grid: str, *, outside: str, corners: bool) -> None:
        self.g = g
        self.dims, self.dtype = g.type(x).dims, "float64" if g.type(x).dtype == "float64" else "float32"
        self.places = g.type(grid).dims[1:-1]
        self.outside = outside
        self.corners = corners
        flat = g.shape([*self.dims[:2], volume(self.dims[2:])])
        self.flat = g.node("Reshape", g.cast(x, self.dtype), flat)
        self.sizes = self.dims[2:]
        grid = g.cast(grid, self.dtype)
        # A place has its number along the width first.
        parts = [g.node("Gather", grid, g.constant(2 - axis), axis=4) for axis in range(3)]
        self.coordinates = [self._coordinate(part, size) for part, size in zip(parts, self.sizes, strict=True)]

    def nearest(self) -> str:
        """The element that is nearest to each place, of two the even one."""
        return self._shaped(self._read([self.g.node("Round", c) for c in self.coordinates], None))

    def linear(self) -> str:
        """The sum of the eight elements around each place, the nearer the more of it."""
        g, total = self.g, ""
        floors = [g.node("Floor", c) for c in self.coordinates]
        behind = [g.node("Sub", c, floor) for c, floor in zip(self.coordinates, floors, strict=True)]
        ahead = [g.node("Sub", self._number(1), share) for share in behind]
        for corner in product((0, 1), repeat=3):
            at = [g.node("Add", f, self._number(1)) if far else f for f, far in zip(floors, corner, strict=True)]
            shares = [(ahead, behind)[far][axis] for axis, far in enumerate(corner)]
            part = self._read(at, g.node("Mul", g.node("Mul", shares[0], shares[1]), shares[2]))
            total = g.node("Add", total, part) if total else part
        return self._shaped(total)

    def _number(self, value: float) -> str:
        return self.g.constant(float(value), self.dtype)

    def _size(self, size: Size) -> str:
        return self.g.cast(self.g.size(size), self.dtype)

    def _coordinate(self, place: str, size: Size) -> str:
        """From -1 to 1, as a position among `size` elements; what lies outside is brought in where that is wanted."""
        g = self.g
        ahead = g.node("Add", place, self._number(1))
        if self.corners:
            found = g.node("Mul", g.node("Mul", ahead, self._number(0.5)), self._size(size - 1))
        else:
            twice = g.node("Sub", g.node("Mul", ahead, self._size(size)), self._number(1))
            found = g.node("Mul", twice, self._number(0.5))
        if self.outside == "zeros":
            return str(found)
        if self.outside == "reflection":
            found = self._reflected(found, size)
        return str(g.node("Max", g.node("Min", found, self._size(size - 1)), self._number(0)))

    def _reflected(self, found: str, size: Size) -> str:
        """A position between mirrors: at the middles of the outermost elements, or at their edges."""
        g = self.g
        low, span = (self._number(0), self._size(size - 1)) if self.corners else (self._number(-0.5), self._size(size))
        way = g.node("Abs", g.node("Sub", found, low))
        length = g.node("Max", span, self._number(1))
        extra = g.node("Mod", way, length, fmod=1)
        turns = g.node("Mod", g.node("Floor", g.node("Div", way, length)), self._number(2), fmod=1)
        back = g.node("Where", g.node("Greater", turns, self._number(0)), g.node("Sub", length, extra), extra)
        return str(g.node("Add", back, low))

    def _read(self, at: list[str], share: str | None) -> str:
        """The elements at whole positions, zeros outside, times a share: [N, C, places]."""
        g, inside = self.g, ""
        number = ""
        for position, size in zip(at, self.sizes, strict=True):
            last = self._size(size - 1)
            fits = g.node(
                "And", g.node("GreaterOrEqual", position, self._number(0)), g.node("LessOrEqual", position, last)
            )
            inside = g.node("And", inside, fits) if inside else fits
            near = g.cast(g.node("Max", g.node("Min", position, last), self._number(0)), "int64")
            number = g.node("Add", g.node("Mul", number, g.size(size)), near) if number else near
        count = volume(self.places)
        number = g.node("Reshape", number, g.shape([self.dims[0], 1, count]))
        number = g.node("Expand", number, g.shape([*self.dims[:2], count]))
        weight = g.cast(inside, self.dtype)
        weight = g.node("Mul", weight, share) if share else weight
        found = g.node("GatherElements", self.flat, number, axis=2)
        return str(g.node("Mul", found, g.node("Reshape", weight, g.shape([self.dims[0], 1, count]))))

    def _shaped(self, found: str) -> str:
        return str(self.g.node("Reshape", found, self.g.shape([*self.dims[:2], *self.places])))
