"""Joining tensors and taking them apart: cat, stack, chunk, split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, divide_exact, show
from nnspec.functions._operands import axis, expect_tensors, result_type, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import counted, expect_tensor, quotient_text
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape

_MOST_PIECES = 10_000


class _Join(Function):
    """What both ways of joining share: a list of tensors of one rank, whose types are promoted."""

    of_complex = "parts"
    sequences = ("tensors",)

    keeps = ()

    dim: int = arg(0, doc="the dimension to join along")

    def _list(self, tensors: Any) -> tuple[TensorType, ...]:
        name = type(self).__name__
        if tensors == ():
            raise ShapeError(f"`{name}` needs at least one tensor, and this list is empty", code="NNS402", input=0)
        if not isinstance(tensors, tuple):
            raise ShapeError(
                f"`{name}` needs a list of tensors", code="NNS402", helps=(f"write `{name}([a, b])`",), input=0
            )
        expect_tensors(self, tensors)
        first = tensors[0]
        for x in tensors:
            if x.rank != first.rank:
                raise ShapeError(
                    f"`{name}` needs tensors of one rank, but they are {first} and {x}",
                    code="NNS402",
                    label=f"{first.rank} and {x.rank} dimensions",
                )
        return tensors

    def _same(self, rules: Rules, tensors: Sequence[TensorType], skip: int | None) -> None:
        """Refuse tensors that differ in a dimension other than `skip`."""
        first = tensors[0]
        for x in tensors[1:]:
            for i, (a, b) in enumerate(zip(first.dims, x.dims, strict=True)):
                if i != skip and a != b:
                    label = f"{show(a)} and {show(b)} in dimension {i}"
                    rules.require_equal(
                        a,
                        b,
                        f"`{type(self).__name__}` cannot join {shape_text(first.dims)} and {shape_text(x.dims)}: "
                        f"dimension {i} is {show(a)} and {show(b)}",
                        **({"label": label, "axis": i} | self._advice(rules, first, x, skip, i)),
                    )

    def _advice(self, rules: Rules, a: TensorType, b: TensorType, skip: int | None, at: int) -> dict[str, Any]:
        others = [i for i in range(a.rank) if i != at and rules.equal(a.dims[i], b.dims[i]) is not True]
        if skip is None or others:
            rest = "all dimensions" if skip is None else f"all dimensions but dimension {skip}"
            return {"helps": (f"{rest} must agree",)}
        return {
            "at": "dim",
            "label": f"they differ in dimension {at}, not in this one",
            "helps": (f"they can be joined along dimension {at}: `dim={at}`",),
            "instead": ("dim", str(at)),
        }


class cat(_Join):
    """Tensors one after the other along `dim`: [N, 3] and [N, 5] to [N, 8] for `dim=1`.

    Source: `torch.cat`.
    """

    examples = (
        Example("cat([a, b], dim=1)", a="float[N, 3]", b="float[N, 5]"),
        Example("cat([a, b], dim=-1)", a="float[N, T]", b="float[N, S]"),
        Example("cat([a, b, a])", a="int[N, 2]", b="float16[3, 2]"),
        Example("cat([a], 0)", a="bool[N]"),
    )

    def infer(self, rules: Rules, tensors: tuple[TensorType, ...]) -> TensorType:
        tensors = self._list(tensors)
        first = tensors[0]
        if not first.rank:
            raise ShapeError(
                "`cat` cannot join tensors without dimensions", code="NNS402", helps=("`stack` makes a new dimension",)
            )
        at = axis(self, first, self.dim)
        self._same(rules, tensors, at)
        total: Size = 0
        for x in tensors:
            total = total + x.dims[at]
        return TensorType(result_type(*tensors), (*first.dims[:at], rules.simplify(total), *first.dims[at + 1 :]))

    def onnx(self, g: OnnxGraph, tensors: Sequence[str]) -> Any:
        dtype = result_type(*map(g.type, tensors))
        parts = [g.cast(x, dtype) for x in tensors]
        return g.node("Concat", *parts, axis=self.dim) if len(parts) > 1 else parts[0]


class stack(_Join):
    """Tensors of one shape side by side in a new dimension: two [N, D] to [N, 2, D] for `dim=1`.

    Source: `torch.stack`.
    """

    examples = (
        Example("stack([a, b])", a="float[N, 3]", b="float[N, 3]"),
        Example("stack([a, b, a], dim=-1)", a="float[N, T]", b="int[N, T]"),
        Example("stack([a, b], 1)", a="int[N]", b="int[N]"),
        Example("stack([a, b])", a="float[]", b="float[]"),
    )

    def infer(self, rules: Rules, tensors: tuple[TensorType, ...]) -> TensorType:
        tensors = self._list(tensors)
        first = tensors[0]
        at = axis(self, first, self.dim, extra=1)
        self._same(rules, tensors, None)
        return TensorType(result_type(*tensors), (*first.dims[:at], len(tensors), *first.dims[at:]))

    def onnx(self, g: OnnxGraph, tensors: Sequence[str]) -> Any:
        dtype = result_type(*map(g.type, tensors))
        at = g.constant([self.dim])
        parts = [g.node("Unsqueeze", g.cast(x, dtype), at) for x in tensors]
        return g.node("Concat", *parts, axis=self.dim) if len(parts) > 1 else parts[0]


class _Pieces(Function):
    """What both ways of taking apart share: several outputs along one dimension."""

    of_complex = "parts"

    def pieces(self, rules: Rules, size: Size) -> Sequence[Size]:
        """The sizes of the outputs, for a dimension of this size. Abstract: `chunk` and `split` say it."""
        raise NotImplementedError

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, ...]:
        x = expect_tensor(self, x)
        at = self._axis(x)
        sizes = self.pieces(rules, x.dims[at])
        return tuple(x.with_dims(*x.dims[:at], size, *x.dims[at + 1 :]) for size in sizes)

    def _axis(self, x: TensorType) -> int:
        if not x.rank:
            raise ShapeError(f"`{type(self).__name__}` cannot take apart a tensor without dimensions", code="NNS402")
        dim: int = self.__dict__["dim"]
        return axis(self, x, dim)

    def _split(self, g: OnnxGraph, x: str, at: int, sizes: Sequence[Size]) -> tuple[str, ...]:
        if len(sizes) == 1:
            return (x,)
        parts: tuple[str, ...] = g.node("Split", x, g.shape(sizes), outputs=len(sizes), axis=at)
        return parts

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.pieces(inputs[0], self._axis(inputs[0].type), m.output)


class chunk(_Pieces):
    """Several pieces of one size along `dim`, as a tuple: [N, 12] to three of [N, 4].

    When a number does not divide by it, the last piece is smaller. Source: `torch.chunk`.
    """

    chunks: int = arg(ge=1, le=_MOST_PIECES, doc="how many pieces")
    dim: int = arg(0, doc="the dimension to take apart")

    examples = (
        Example("chunk(x, 3, dim=-1)", x="float[N, 12]"),
        Example("chunk(x, 2, dim=1)", t="float[T]", x="float[N, 2 * T]"),
        Example("chunk(x, 2)", x="int[5, N]"),
        Example("chunk(x, 1)", x="float[N]"),
    )

    def pieces(self, rules: Rules, size: Size) -> Sequence[Size]:
        size = rules.simplify(size)
        if isinstance(size, Dim):
            if rules.equal(size // self.chunks * self.chunks, size) is False:
                message = f"`chunk` makes equal pieces of a symbol, but {quotient_text(size, self.chunks)} is not whole"
                helps = ("`tensor_split` makes pieces that differ by 1",)
                raise ShapeError(message, code="NNS405", at="chunks", helps=helps)
            piece = rules.exact(
                size,
                self.chunks,
                f"`chunk` cannot make {self.chunks} equal pieces of a dimension of size {show(size)}",
                code="NNS404",
                at="chunks",
            )
            return [piece] * self.chunks
        piece = -(-size // self.chunks)
        sizes = _equal_pieces(size, piece)
        if len(sizes) != self.chunks:
            raise ShapeError(
                f"`chunk` would make only {counted(len(sizes), 'piece')} of a dimension of size {size}, "
                f"not {self.chunks}",
                code="NNS404",
                label=f"{size} / {self.chunks} rounds up to {piece}",
                at="chunks",
                helps=("`split` takes the size of each piece",),
            )
        return sizes

    def torch(self, *inputs: Any) -> Code:
        options = {"dim": self.dim} if self.dim else {}
        return call("torch.chunk", *inputs, self.chunks, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        at = self._axis(kind)
        size = kind.dims[at]
        if isinstance(size, int):
            return self._split(g, x, at, _equal_pieces(size, -(-size // self.chunks)))
        return self._split(g, x, at, [size // self.chunks] * self.chunks)


def _equal_pieces(size: int, piece: int) -> list[Size]:
    whole, rest = divmod(size, max(piece, 1))
    return [*[piece] * whole, *([rest] if rest else [])] or [0]


class split(_Pieces):
    """Pieces of given sizes along `dim`, as a tuple: [N, 12] to [N, 4] and [N, 8] for sizes (4, 8).

    One number is the size of all pieces (of a number the last may be smaller). Source: `torch.split`.
    """

    split_size_or_sections: Size | tuple[Size, ...] = arg(doc="the size of each piece, or one size for all")
    dim: int = arg(0, doc="the dimension to take apart")

    examples = (
        Example("split(x, [4, 8], dim=1)", x="float[N, 12]"),
        Example("split(x, 4, dim=-1)", x="float[N, 10]"),
        Example("split(x, T, dim=1)", t="float[T]", x="float[N, 3 * T]"),
        Example("split(x, (S, T))", s="float[S]", t="float[T]", x="int[S + T, 3]"),
    )

    def pieces(self, rules: Rules, size: Size) -> Sequence[Size]:
        given = self.split_size_or_sections
        size = rules.simplify(size)
        if isinstance(given, tuple):
            return self._sections(rules, size, given)
        rules.require_at_least(
            given, 1, f"`split` needs pieces of at least one element, not {show(given)}", at="split_size_or_sections"
        )
        if isinstance(size, int) and isinstance(given, int):
            sizes = _equal_pieces(size, given)
        else:
            count = rules.exact(
                size,
                given,
                f"`split` cannot make pieces of {show(given)} of a dimension of size {show(size)}",
                code="NNS404",
                at="split_size_or_sections",
            )
            if isinstance(count, Dim):
                raise ShapeError(
                    f"`split` would make `{show(count)}` pieces: their number must be known",
                    code="NNS405",
                    at="split_size_or_sections",
                    helps=("give the dimension a fixed size", "`reshape` makes a dimension of the pieces"),
                )
            sizes = [given] * min(count, _MOST_PIECES + 1)
        if len(sizes) > _MOST_PIECES:
            raise ShapeError(f"`split` makes at most {_MOST_PIECES:,} pieces", code="NNS404")
        return sizes

    def _sections(self, rules: Rules, size: Size, sections: tuple[Size, ...]) -> tuple[Size, ...]:
        total: Size = 0
        for section in sections:
            rules.require_at_least(
                section,
                0,
                f"`split` needs sizes that are not negative, not {show(section)}",
                at="split_size_or_sections",
            )
            total = total + section
        total = rules.simplify(total)
        rules.require_equal(
            total,
            size,
            f"the sizes of `split` sum to {show(total)}, but the dimension has size {show(size)}",
            label=f"{' + '.join(map(show, sections))} is not {show(size)}",
            at="split_size_or_sections",
        )
        return sections

    def torch(self, *inputs: Any) -> Code:
        options = {"dim": self.dim} if self.dim else {}
        return call("torch.split", *inputs, self.split_size_or_sections, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        at = self._axis(kind)
        given, size = self.split_size_or_sections, kind.dims[at]
        if isinstance(given, tuple):
            return self._split(g, x, at, given)
        if isinstance(given, int) and isinstance(size, int):
            return self._split(g, x, at, _equal_pieces(size, given))
        count = divide_exact(size, given)
        assert isinstance(count, int), (size, given)
        return self._split(g, x, at, [given] * count)
