"""Sums of products by Einstein's convention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions import _equation
from nnspec.functions._equation import DOTS, Equation, spread
from nnspec.functions._operands import expect_numbers, same_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.types import Operand, TensorType, is_int


class einsum(Function):
    """Sums of products, written by naming dimensions: "bik,bkj->bij" is the batched matrix product.

    Dimensions of one letter must have one size; letters that the result lacks are summed over; `...` stands for
    dimensions that broadcast, and which unlike in torch are always kept. Source: `torch.einsum`.
    """

    of_complex = "product"

    order = ("equation", "*operands")

    equation: str = arg(doc="the letters of each operand's dimensions, and after the arrow those of the result")

    examples = (
        Example('einsum("nthd,nshd->nhts", q, k)', q="float[N, T, 4, 8]", k="float[N, S, 4, 8]"),
        Example('einsum("ij,jk", a, b)', a="float[N, 3]", b="float[3, 5]"),
        Example('einsum("...ij,...j->...i", a, b)', a="float[N, 3, T, 4]", b="float[3, 4]", macs=2 * 3 * 2 * 4),
        Example('einsum("i...,...i", a, b)', a="float[3, 1, T]", b="float[N, T, 3]"),
        Example('einsum("nn->n", a)', a="float[N, N]"),
        Example('einsum("i,j,k->ijk", a, b, c)', a="float[N]", b="float[3]", c="float[T]"),
        Example('einsum("ij,jk,kl->il", a, b, c)', a="float[N, 3]", b="float[3, 4]", c="float[4, T]"),
        Example('einsum("nd -> n", a)', a="int[N, 8]"),
        Example('abs(einsum("nik,iok->nok", rfft(a), view_as_complex(w)))', a="float[N, 3, 8]", w="float[3, 4, 5, 2]"),
    )

    def infer(self, rules: Rules, *operands: TensorType) -> TensorType:
        equation = self._checked(operands)
        dtype = same_type(self, operands)
        sizes: dict[str, Size] = {}
        for term, x in zip(equation.terms, operands, strict=True):
            for name, size in zip(spread(term, x), x.dims, strict=True):
                if not name.startswith(DOTS):
                    self._agree(rules, name, sizes.setdefault(name, size), size)
        hidden = rules.broadcast(*self._hidden(equation, operands))
        dims: list[Size] = []
        for c in equation.result:
            dims += hidden if c == DOTS else (sizes[c],)
        return TensorType(dtype, tuple(dims))

    def _checked(self, operands: Sequence[TensorType]) -> Equation:
        equation = _equation.parse(self.equation)
        terms = len(equation.terms)
        if len(operands) != terms:
            why = f"{terms} term{'' if terms == 1 else 's'} for {len(operands)} operand{'s'[: len(operands) != 1]}"
            raise ShapeError(f'the equation "{self.equation}" of `einsum` has {why}', **_equation.fault(why))
        for position, (term, operand) in enumerate(zip(equation.terms, operands, strict=True)):
            x = self._expect_type(expect_numbers(self, operand, position), position)
            letters = len(term.replace(DOTS, ""))
            if x.rank < letters or (x.rank > letters and DOTS not in term):
                shown = term.replace(DOTS, "...")
                why = f"`{shown}` names {letters} dimension{'' if letters == 1 else 's'} of {x.rank}"
                raise ShapeError(
                    f'the term `{shown}` of "{self.equation}" does not fit {x}',
                    code="NNS409",
                    label=why,
                    at="equation",
                    input=position,
                    helps=("`...` stands for any dimensions",) if x.rank > letters else (),
                )
        return equation

    def _expect_type(self, x: TensorType, position: int) -> TensorType:
        """torch works out narrow integers in their own type or in int, as the sizes fall."""
        if is_int(x.dtype) and x.dtype != "int64":
            raise ShapeError(
                f"`einsum` takes floats and int, but an operand is {x}",
                code="NNS406",
                label=f"is of type {x.dtype}",
                input=position,
                helps=("convert it: `to(x, int)`",),
            )
        return x

    def _agree(self, rules: Rules, name: str, known: Size, size: Size) -> None:
        rules.require_equal(
            known,
            size,
            f'`{name}` in "{self.equation}" has size {show(known)} in one place and {show(size)} in another',
            label=f"`{name}` is {show(known)} and {show(size)}",
            at="equation",
        )

    def _hidden(self, equation: Equation, operands: Sequence[TensorType]) -> list[list[Size]]:
        """The dimensions under `...`, for each operand."""
        return [
            [size for name, size in zip(spread(term, x), x.dims, strict=True) if name.startswith(DOTS)]
            for term, x in zip(equation.terms, operands, strict=True)
        ]

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        equation = _equation.parse(self.equation)
        operands = [x for x in inputs if isinstance(x, TensorType)]
        names = [spread(term, x) for term, x in zip(equation.terms, operands, strict=True)]
        sizes: dict[str, Size] = {}
        for term, x in zip(names, operands, strict=True):
            for name, size in zip(term, x.dims, strict=True):
                if sizes.get(name, 1) == 1:
                    sizes[name] = size
        return _equation.macs(names, spread(equation.result, output), sizes)

    def torch(self, *inputs: Any) -> Code:
        return call("torch.einsum", self.equation, *inputs)

    def onnx(self, g: OnnxGraph, *operands: str) -> Any:
        equation = _equation.parse(self.equation)
        kinds = [g.type(x) for x in operands]
        hidden = [len(dims) for dims in self._hidden(equation, kinds)]
        parts = []
        for x, term, count in zip(operands, equation.terms, hidden, strict=True):
            missing = max(hidden) - count if DOTS in term else 0
            at = term.find(DOTS)
            # In ONNX `...` stands for as many dimensions in all operands.
            axes = g.constant(list(range(at, at + missing)))
            parts.append(g.node("Unsqueeze", x, axes) if missing else x)
        text = f"{','.join(equation.terms)}->{equation.result}".replace(DOTS, "...")
        return g.node("Einsum", *parts, equation=text)
