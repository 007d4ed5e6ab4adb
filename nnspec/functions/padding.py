"""Padding as a function: of any number of the last dimensions, by amounts that may be sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import counted, expect_float, expect_tensor
from nnspec.layers.padding import lower_padding, padded
from nnspec.types import TensorType, is_float

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class pad(Function):
    """Puts a number, or copies of what is there, around the last dimensions: [N, T] to [N, T + 3] for `(1, 2)`.

    Source: `torch.nn.functional.pad`.
    """

    pad: tuple[Size, ...] = arg(doc="in front of and behind the last dimension, then the one before it, and so on")
    mode: Literal["constant", "reflect", "replicate", "circular"] = arg("constant", doc="what is put there")
    value: float | None = arg(None, doc="the number for mode constant; none: 0")

    examples = (
        Example("pad(x, (1, 2))", x="float[N, T]"),
        Example("pad(x, (0, 1, 2, 0), value=-inf)", x="float[N, 3, H, W]"),
        Example("pad(x, [0, W - H])", x="float[N, H]", y="float[H, W]", assume="W >= H"),
        Example("pad(x, (-1, 0, 0, -2))", x="int[5, 6]"),
        Example('pad(x, (2, 1), mode="reflect")', x="float[N, 3, L]"),
        Example('pad(x, (1, 1, 2, 0), "replicate")', x="float[N, 3, H, W]"),
        Example('pad(x, (1, 2), mode="circular")', x="float[3, L]"),
        Example('pad(x, (-1, 2), mode="reflect")', x="float[2, 3, 5]"),
        Example('pad(x, (2, -2, -1, 1), mode="replicate")', x="float[N, 3, 4, 5]"),
        Example("pad(x, (1, 0), value=1)", x="bool[N, T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        if len(self.pad) % 2 or len(self.pad) > 2 * x.rank:
            raise ShapeError(
                f"`pad` takes two numbers for each of the last dimensions of {x}, not {len(self.pad)}",
                code="NNS402",
                at="pad",
            )
        amounts = self._amounts()
        if self.mode != "constant":
            expect_float(self, x)
            self._expect_places(x, len(amounts))
        elif self.value is not None and not is_float(x.dtype) and not float(self.value).is_integer():
            raise ShapeError(f"`pad` cannot put {self.value} around {x}", code="NNS406", at="value")
        for amount in self.pad:
            if not isinstance(amount, int):
                rules.require_at_least(amount, 0, f"`pad` needs amounts that are not negative, not {amount}", at="pad")
        return padded(self, rules, x, amounts, self.mode, "pad")

    def _expect_places(self, x: TensorType, count: int) -> None:
        if self.value is not None or not 1 <= count <= 3 or x.rank not in (count + 1, count + 2):
            dimensions = counted(count, "dimension")
            why = "no value" if self.value is not None else f"{count + 1} or {count + 2} dimensions, [N, C, ...]"
            raise ShapeError(
                f'`pad(mode="{self.mode}")` of {dimensions} takes {why}, but its input is {x}',
                code="NNS402",
                at="mode",
            )

    def _amounts(self) -> list[tuple[Size, Size]]:
        return list(zip(self.pad[::2], self.pad[1::2], strict=True))[::-1]

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.op(m.output, *inputs, keeps=() if self.mode in ("constant", "circular") else inputs)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        return call("F.pad", *inputs, options.pop("pad"), **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return lower_padding(g, x, self._amounts(), self.mode, self.value or 0) if self.pad else x
