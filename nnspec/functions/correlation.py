"""How variables vary together: covariances and correlations of rows of observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._operands import as_float, expect_numbers
from nnspec.functions._positions import expect_positions
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import Operand, TensorType, promote

_HALVES = ("float16", "bfloat16")


class _Covariance(Function):
    """What both share: rows are variables, columns observations; a vector is one variable."""

    def result(self, rules: Rules, x: Any, dtype: str | None = None) -> TensorType:
        """The type of the result: a matrix, or one number for one variable."""
        x = expect_numbers(self, x)
        name = type(self).__name__
        if x.rank > 2:
            raise ShapeError(f"`{name}` needs a matrix of variables, but its input is {x}", code="NNS402", input=0)
        dtype = dtype or as_float(x.dtype)
        if self._alone(x):
            return TensorType(dtype, ())
        count = x.dims[0]
        message = f"`{name}` of {x} is a matrix only for two variables or more, not {show(count)}"
        rules.require_at_least(count, 2, message, input=0)
        return TensorType(dtype, (count, count))

    def _alone(self, x: TensorType) -> bool:
        return x.rank < 2 or x.dims[0] == 1

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x = inputs[0]
        assert isinstance(x, TensorType)
        rows, columns = _matrix(x)
        return rows * rows * columns

    def covariances(
        self, g: OnnxGraph, x: str, weights: tuple[str | None, str | None], correction: int, compute: str
    ) -> str:
        """The matrix [variables, variables], for weights that count observations and others that weigh them."""
        kind = g.type(x)
        dims = _matrix(kind)
        rows = g.cast(x, compute)
        if kind.rank < 2:
            rows = g.node("Reshape", rows, g.shape(dims))
        given = [g.cast(w, compute) for w in weights if w is not None]
        if not given:
            total = g.cast(g.size(dims[1]), compute)
            weighted = rows
        else:
            weight = given[0] if len(given) == 1 else g.node("Mul", *given)
            total = g.node("ReduceSum", weight, keepdims=0)
            weighted = g.node("Mul", rows, weight)
        mean = g.node("Div", g.node("ReduceSum", weighted, g.constant([1]), keepdims=1), total)
        lost: Any = g.constant(correction, compute)
        if weights[1] is not None and correction:
            squares = g.node("ReduceSum", g.node("Mul", weight, given[-1]), keepdims=0)
            lost = g.node("Div", g.node("Mul", lost, squares), total)
        count = g.node("Max", g.node("Sub", total, lost), g.constant(0, compute))
        rows = g.node("Sub", rows, mean)
        weighted = g.node("Mul", rows, weight) if given else rows
        return str(g.node("Div", g.node("MatMul", rows, g.node("Transpose", weighted, perm=[1, 0])), count))


class cov(_Covariance):
    """The covariances of variables, which are rows, over observations, which are columns: [D, N] to [D, D].

    A vector is one variable, and gives one number: its variance. Source: `torch.cov`.
    """

    correction: int = arg(1, doc="divide by the number of observations less this", keyword=True)

    order = ("x",)

    examples = (
        Example("cov(x)", x="float[D, 6]"),
        Example("cov(x, correction=0)", x="float[4, N]"),
        Example("cov(x)", x="int[6]"),
        Example(
            "cov(x, correction=0, fweights=clamp(f, 1, 3), aweights=sigmoid(a))",
            x="float[3, N]",
            f="int[N]",
            a="float[N]",
        ),
    )

    def infer(
        self, rules: Rules, x: TensorType, fweights: TensorType | None = None, aweights: TensorType | None = None
    ) -> TensorType:
        x = expect_tensor(self, x)
        dtype = as_float(x.dtype)
        if fweights is not None:
            expect_positions(self, fweights, what="fweights")
        if aweights is not None:
            dtype = promote(x.dtype, expect_float(self, aweights, 2).dtype)
        for position, weights in ((1, fweights), (2, aweights)):
            if weights is None:
                continue
            count = x.dims[-1] if x.rank else 1
            message = f"`cov` needs a weight for each of {show(count)} observations, but they are {weights}"
            if weights.rank != 1:
                raise ShapeError(message, code="NNS402", input=position)
            rules.require_equal(weights.dims[0], count, message, input=position)
        return self.result(rules, x, dtype)

    def torch(self, *inputs: Any) -> Code:
        x, *weights = inputs
        given = {name: w for name, w in zip(("fweights", "aweights"), weights, strict=False) if w is not None}
        return call("torch.cov", x, **self.options(), **given)

    def onnx(self, g: OnnxGraph, x: str, fweights: str | None = None, aweights: str | None = None) -> Any:
        kind = g.type(x)
        dtype = as_float(kind.dtype) if aweights is None else promote(kind.dtype, g.type(aweights).dtype)
        compute = "float32" if dtype in _HALVES else dtype
        y = self.covariances(g, x, (fweights, aweights), self.correction, compute)
        y = g.node("Reshape", y, g.constant([], "int64")) if self._alone(kind) else y
        return y if compute == dtype else g.cast(y, dtype)


class corrcoef(_Covariance):
    """The correlations of variables, which are rows, over observations, which are columns: [D, N] to [D, D].

    A vector is one variable, and gives one number. Source: `torch.corrcoef`.
    """

    examples = (
        Example("corrcoef(x)", x="float[D, 7]"),
        Example("corrcoef(x)", x="float[6]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return self.result(rules, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        dtype = as_float(kind.dtype)
        compute = "float32" if dtype in _HALVES else dtype
        y = self.covariances(g, x, (None, None), 1, compute)
        if self._alone(kind):
            y = g.node("Reshape", g.node("Div", y, y), g.constant([], "int64"))
        else:
            place = g.node("Unsqueeze", g.node("Range", g.constant(0), g.size(kind.dims[0]), g.constant(1)), _last(g))
            spread = g.node("Sqrt", g.node("GatherElements", y, place, axis=1))
            y = g.node("Div", g.node("Div", y, spread), g.node("Transpose", spread, perm=[1, 0]))
            y = g.node("Max", g.node("Min", y, g.constant(1, compute)), g.constant(-1, compute))
        return y if compute == dtype else g.cast(y, dtype)


def _matrix(x: TensorType) -> tuple[Size, Size]:
    """Its dimensions as those of a matrix: a vector is one row."""
    return (x.dims[0] if x.rank == 2 else 1, x.dims[-1] if x.rank else 1)


def _last(g: OnnxGraph) -> str:
    return g.constant([1])
