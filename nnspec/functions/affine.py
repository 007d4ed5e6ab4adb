"""Products with weights that are tensors: linear, bmm, bilinear, embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import computed
from nnspec.functions._operands import expect_numbers, same_type, shape_text
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_tensor, volume
from nnspec.types import Operand, TensorType, show_dtype

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class linear(Function):
    """The product `x @ weight.T`, plus a bias where one is given: [..., n] and [m, n] to [..., m].

    A weight [n] is one row, and the result [...]. With `weight=wte.weight` of an `Embedding`, for one, it scores words.
    Source: `torch.nn.functional.linear`.
    """

    namespace = "F"

    examples = (
        Example("linear(x, w)", x="float[N, T, 8]", w="float[5, 8]"),
        Example("linear(x, w, b)", x="float[N, 8]", w="float[5, 8]", b="float[5]"),
        Example("linear(x, weight=w)", x="float[8]", w="float[5, 8]", macs=40),
        Example("linear(x, w)", x="float[N, T, 8]", w="float[8]", macs=32),
    )

    def infer(self, rules: Rules, x: TensorType, weight: TensorType, bias: TensorType | None = None) -> TensorType:
        operands = [expect_numbers(self, x), expect_numbers(self, weight, 1)]
        operands += [expect_numbers(self, bias, 2)] if bias is not None else []
        dtype = same_type(self, operands)
        if not x.rank or weight.rank not in (1, 2) or (bias is not None and (bias.rank, weight.rank) != (1, 2)):
            wanted = "[..., n], [m, n] and [m]" if bias is not None else "[..., n] and [m, n]"
            raise ShapeError(
                f"`linear` needs {wanted}, but its inputs are {', '.join(map(str, operands))}", code="NNS402"
            )
        rules.require_equal(
            x.dims[-1],
            weight.dims[-1],
            f"`linear` cannot multiply {shape_text(x.dims)} by the transpose of {shape_text(weight.dims)}",
            label=f"{show(x.dims[-1])} and {show(weight.dims[-1])} should be the same",
        )
        if bias is not None:
            message = f"the bias of `linear` must be [{show(weight.dims[0])}], not {shape_text(bias.dims)}"
            rules.require_equal(bias.dims[0], weight.dims[0], message, input=2)
        return TensorType(dtype, (*x.dims[:-1], *weight.dims[:-1]))

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x = inputs[0]
        assert isinstance(x, TensorType)
        return volume(output.dims) * x.dims[-1]

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.linear(m.output, *inputs)

    def torch(self, *inputs: Any) -> Code:
        return call("F.linear", *inputs)

    def onnx(self, g: OnnxGraph, x: str, weight: str, bias: str | None = None) -> Any:
        dtype = g.type(x).dtype
        turned = g.node("Transpose", weight, perm=[1, 0]) if g.type(weight).rank == 2 else weight
        y = computed(g, "MatMul", (x, turned), dtype)
        return computed(g, "Add", (y, bias), dtype) if bias is not None else y


class bmm(Function):
    """The products of matrices one by one: [b, n, k] and [b, k, m] to [b, n, m]. Nothing is broadcast.

    Source: `torch.bmm`.
    """

    examples = (
        Example("bmm(x, y)", x="float[N, T, 8]", y="float[N, 8, 3]"),
        Example("bmm(x, y)", x="float[2, 3, K]", y="float[2, K, S]"),
    )

    def infer(self, rules: Rules, x: TensorType, mat2: TensorType) -> TensorType:
        dtype = same_type(self, (expect_numbers(self, x), expect_numbers(self, mat2, 1)))
        if x.rank != 3 or mat2.rank != 3:
            raise ShapeError(
                f"`bmm` needs two tensors of 3 dimensions, [b, n, k] and [b, k, m], but they are {x} and {mat2}",
                code="NNS402",
                helps=("`@` multiplies matrices of any rank",),
            )
        message = f"`bmm` cannot multiply {shape_text(x.dims)} by {shape_text(mat2.dims)}"
        for a, b in ((x.dims[0], mat2.dims[0]), (x.dims[2], mat2.dims[1])):
            rules.require_equal(a, b, message, label=f"{show(a)} and {show(b)} should be the same")
        return TensorType(dtype, (x.dims[0], x.dims[1], mat2.dims[2]))

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x = inputs[0]
        assert isinstance(x, TensorType)
        return volume(output.dims) * x.dims[-1]

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.op(m.output, *inputs)

    def onnx(self, g: OnnxGraph, x: str, mat2: str) -> Any:
        return computed(g, "MatMul", (x, mat2), g.type(x).dtype)


class bilinear(Function):
    """A bilinear form of two inputs, `y_o = x1 @ weight[o] @ x2 + bias[o]`: [..., in1] and [..., in2] to [..., out].

    The inputs agree in all dimensions but the last. Source: `torch.nn.functional.bilinear`.
    """

    namespace = "F"

    examples = (
        Example("bilinear(x, y, w, b)", x="float[N, 3]", y="float[N, 4]", w="float[5, 3, 4]", b="float[5]", macs=160),
        Example("bilinear(x, y, w)", x="float[N, T, 3]", y="float[N, T, 3]", w="float[2, 3, 3]", macs=4 * 2 * 12),
        Example("bilinear(x, y, w)", x="float[3]", y="float[K]", w="float[M, 3, K]", macs=2 * 8),
    )

    def infer(
        self, rules: Rules, x1: TensorType, x2: TensorType, weight: TensorType, bias: TensorType | None = None
    ) -> TensorType:
        operands = [x1, x2, weight] if bias is None else [x1, x2, weight, bias]
        dtype = same_type(self, [expect_float(self, x, position) for position, x in enumerate(operands)])
        listed = ", ".join(map(str, operands))
        if not x1.rank or x1.rank != x2.rank or weight.rank != 3 or (bias is not None and bias.rank != 1):
            wanted = "[..., n], [..., m], [o, n, m]" + (" and [o]" if bias is not None else "")
            raise ShapeError(f"`bilinear` needs {wanted}, but its inputs are {listed}", code="NNS402")
        pairs = [*zip(x1.dims[:-1], x2.dims[:-1], strict=True)]
        pairs += [(x1.dims[-1], weight.dims[1]), (x2.dims[-1], weight.dims[2])]
        pairs += [(bias.dims[0], weight.dims[0])] if bias is not None else []
        for a, b in pairs:
            rules.require_equal(
                a,
                b,
                f"the sizes of `bilinear`'s inputs do not fit: {listed}",
                label=f"{show(a)} and {show(b)} should be the same",
            )
        return TensorType(dtype, (*x1.dims[:-1], weight.dims[0]))

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        weight = inputs[2]
        assert isinstance(weight, TensorType)
        out, first, second = weight.dims
        return volume(output.dims[:-1]) * out * (first + 1) * second

    def torch(self, *inputs: Any) -> Code:
        return call("F.bilinear", *inputs)

    def onnx(self, g: OnnxGraph, x1: str, x2: str, weight: str, bias: str | None = None) -> Any:
        # x1 [..., 1, 1, n] @ [o, n, m] is [..., o, 1, m], times x2 [..., 1, m, 1].
        rows = g.node("MatMul", g.node("Unsqueeze", x1, g.constant([-2, -3])), weight)
        columns = g.node("Unsqueeze", x2, g.constant([-1, -3]))
        y = g.node("Squeeze", g.node("MatMul", rows, columns), g.constant([-1, -2]))
        return g.node("Add", y, bias) if bias is not None else y


class embedding(Function):
    """The rows of a table that numbers name: int[N, T] and [words, D] to [N, T, D].

    Source: `torch.nn.functional.embedding`, less `max_norm`, which would change the table.
    """

    namespace = "F"

    keeps = ("x",)

    padding_idx: int | None = arg(None, doc="a number whose row is not trained")
    scale_grad_by_freq: bool = arg(False, keyword=True, doc="divide gradients by how often a number occurs")
    sparse: bool = arg(False, keyword=True, doc="make sparse gradients, which only some optimizers take")

    examples = (
        Example("embedding(i % 5, w)", i="int[N, T]", w="float[5, 8]"),
        Example("embedding(i % 5, w, padding_idx=-1)", i="int[N, T]", w="float[5, 8]"),
        Example("embedding(to(i > 0, int), weight=w)", i="int[N]", w="float[2, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType, weight: TensorType) -> TensorType:
        x, weight = expect_tensor(self, x), expect_tensor(self, weight, 1)
        if x.dtype not in ("int32", "int64"):
            raise ShapeError(
                f"`embedding` looks numbers up, but its input is {x}",
                code="NNS406",
                label=f"is of type {show_dtype(x.dtype)}",
                input=0,
                helps=("convert it: `to(x, int)`",),
            )
        if weight.rank != 2:
            raise ShapeError(f"the table of `embedding` must be [words, D], not {weight}", code="NNS402", input=1)
        index = self.padding_idx
        if index is not None:
            message = f"padding_idx {index} is out of range for {show(weight.dims[0])} rows"
            fewest = -index if index < 0 else index + 1
            rules.require_at_least(weight.dims[0], fewest, message, code="NNS411", at="padding_idx")
        return weight.with_dims(*x.dims, weight.dims[1])

    def onnx(self, g: OnnxGraph, x: str, weight: str) -> Any:
        return g.node("Gather", weight, x)
