"""The same numbers: of another type, in memory of their own, or without a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, method, torch_dtype
from nnspec.layers._expect import expect_tensor
from nnspec.types import DType, TensorType, is_float

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class detach(Function):
    """x itself, but no gradient flows back through it.

    Source: `torch.Tensor.detach`.
    """

    of_complex = "own"

    examples = (
        Example("detach(x)", x="float[N, 8]"),
        Example("detach(x)", x="int[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.detach(inputs[0])

    def gives_back(self, inputs: Sequence[Any], output: Any) -> int:
        return 0

    def torch(self, *inputs: Any) -> Code:
        return method("detach", *inputs)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return x


class clone(Function):
    """x itself, in memory of its own.

    Source: `torch.clone`.
    """

    of_complex = "own"

    examples = (
        Example("clone(x)", x="float[N, 8]"),
        Example("clone(x)", x="int[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.op(m.output, *inputs, keeps=(), passes=True)

    def torch(self, *inputs: Any) -> Code:
        return method("clone", *inputs)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return x


class to(Function):
    """x converted to another element type, in the same shape; floats lose what stands behind the point in integers.

    Source: `torch.Tensor.to`.
    """

    dtype: DType = arg(doc="the element type")

    examples = (
        Example("to(x, float)", x="int[N, 8]"),
        Example("to(x, int32)", x="float[N]"),
        Example("to(x, bool)", x="uint8[N]"),
        Example("to(x, dtype=float16)", x="float[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_tensor(self, x).with_dtype(self.dtype)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return inputs[0] if inputs[0].type == m.output else m.op(m.output, *inputs, keeps=())

    def gives_back(self, inputs: Sequence[Any], output: Any) -> int | None:
        # A module may go to another float type (`half()`), and then this is what keeps its own.
        return 0 if output == inputs[0] and not is_float(self.dtype) else None

    def torch(self, *inputs: Any) -> Code:
        return method("to", *inputs, torch_dtype(self.dtype))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.cast(x, self.dtype)


class type_as(Function):
    """x converted to the element type of another tensor, in the same shape.

    What is computed from sizes (`cos(angle)`) stays float32 when a model goes to another type, as by `model.half()`;
    what meets such parameters may have to follow them. Source: `torch.Tensor.type_as`.
    """

    examples = (
        Example("type_as(x, y)", x="int[N, 8]", y="float[T]"),
        Example("type_as(x, y)", x="float[T, 4]", y="float[N, T, 4]"),
        Example("x -> type_as(y)", x="float[N]", y="bool[]"),
    )

    def infer(self, rules: Rules, x: TensorType, other: TensorType) -> TensorType:
        return expect_tensor(self, x).with_dtype(expect_tensor(self, other, 1).dtype)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return inputs[0] if inputs[0].type == m.output else m.op(m.output, inputs[0], keeps=())

    def torch(self, *inputs: Any) -> Code:
        return method("type_as", *inputs)

    def onnx(self, g: OnnxGraph, x: str, other: str) -> Any:
        return g.cast(x, g.type(other).dtype)
