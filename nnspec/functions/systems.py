"""Square matrices: determinants, powers, inverses, linear systems, and what matrices are taken apart into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, minimum, show
from nnspec.functions._lowering import narrowed, tensor, wide
from nnspec.functions._operands import expect_numbers, same_type
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, Unsupported, call
from nnspec.layers._expect import counted, expect_float, expect_tensor, volume
from nnspec.layers._lowering import reduce
from nnspec.types import Operand, TensorType, show_dtype


def _expect_real(function: Function, operand: Any, input: int = 0) -> TensorType:
    """The operand, which must be of float or float64: torch solves in no others."""
    x = expect_float(function, operand, input)
    if x.dtype not in ("float32", "float64"):
        raise ShapeError(
            f"`{type(function).__name__}` computes in float and float64, not in {show_dtype(x.dtype)}: {x}",
            code="NNS406",
            label=f"is of type {show_dtype(x.dtype)}",
            input=input,
            helps=("convert it: `to(x, float)`",),
        )
    return x


def _expect_matrix(function: Function, x: TensorType, input: int = 0) -> TensorType:
    if x.rank < 2:
        raise ShapeError(f"`{type(function).__name__}` needs a matrix, but it is given {x}", code="NNS402", input=input)
    return x


def _expect_square(function: Function, rules: Rules, x: TensorType) -> TensorType:
    """The operand, whose last two dimensions must agree."""
    rows, columns = _expect_matrix(function, x).dims[-2:]
    message = f"`{type(function).__name__}` needs square matrices, but its input is {x}"
    rules.require_equal(rows, columns, message, label=f"{counted(rows, 'row')}, {counted(columns, 'column')}", input=0)
    return x


def _unsupported(function: Function, does: str, instead: str) -> Unsupported:
    return Unsupported(f"`{type(function).__name__}` {does}, for which ONNX has no operator; {instead}")


_BEFOREHAND = "what does not depend on the inputs can be worked out beforehand and kept in a `buffer`"


class det(Function):
    """The determinant of square matrices: [N, T, T] to [N].

    Source: `torch.linalg.det`.
    """

    namespace = "torch.linalg"

    examples = (
        Example("det(x)", x="float[T, T]"),
        Example("det(x)", x="float[N, 3, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = _expect_square(self, rules, _expect_real(self, x))
        return x.with_dims(*x.dims[:-2])

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return g.node("Det", x)


class logdet(Function):
    """The logarithm of the determinant of square matrices: [N, T, T] to [N]; no number where that is negative.

    In ONNX it takes the determinant of x with rows of length 1, which is 0 to a float where there are hundreds of them.
    Source: `torch.logdet`.
    """

    examples = (
        Example("logdet(x @ transpose(x, 0, 1) + eye(3))", x="float[3, 3]", macs=27),
        Example("logdet(x @ transpose(x, 1, 2) + eye(T))", x="float[N, T, T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = _expect_square(self, rules, _expect_real(self, x))
        return x.with_dims(*x.dims[:-2])

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        size, rest = _scaled_determinant(g, x, g.type(x))
        return g.node("Add", size, g.node("Log", rest))


def _scaled_determinant(g: OnnxGraph, x: str, kind: TensorType) -> tuple[str, str]:
    """The logarithm of the product of the rows' lengths, and the determinant with rows of length 1.

    The determinant itself is soon beyond a float: that of 60 rows of random numbers is.
    """
    length = reduce(g, "ReduceL2", x, [kind.rank - 1])
    empty = g.node("Equal", length, g.constant(0.0, kind.dtype))
    length = g.node("Where", empty, g.constant(1.0, kind.dtype), length)
    size = reduce(g, "ReduceSum", g.node("Log", length), [kind.rank - 2, kind.rank - 1], keepdims=False)
    return size, g.node("Det", g.node("Div", x, length))


class slogdet(Function):
    """The sign of the determinant of square matrices, and the logarithm of its size: [N, T, T] to a pair of [N].

    In ONNX it has the limits of `logdet`. Source: `torch.linalg.slogdet`.
    """

    namespace = "torch.linalg"

    examples = (
        Example("slogdet(x + 3 * eye(T))", x="float[T, T]"),
        Example("slogdet(x - 4 * eye(3))", x="float[N, 3, 3]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        x = _expect_square(self, rules, _expect_real(self, x))
        return (x.with_dims(*x.dims[:-2]),) * 2

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        size, rest = _scaled_determinant(g, x, g.type(x))
        return g.node("Sign", rest), g.node("Add", size, g.node("Log", g.node("Abs", rest)))


class inv(Function):
    """The inverse of square matrices: [N, T, T] to [N, T, T].

    `solve(x, y)` is more exact than `inv(x) @ y`. Source: `torch.linalg.inv`.
    """

    namespace = "torch.linalg"

    examples = (
        Example("inv(x + 9 * eye(T))", x="float[T, T]", onnx=False),
        Example("inv(x + 9 * eye(3))", x="float[N, 3, 3]", onnx=False),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return _expect_square(self, rules, _expect_real(self, x))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        raise _unsupported(self, "inverts matrices", _BEFOREHAND)


class solve(Function):
    """The solution X of A X = B for square matrices A: [N, T, T] and [N, T, K] to [N, T, K].

    B may be a vector for each matrix: [N, T, T] and [N, T] to [N, T]. Without `left` it is that of X A = B.
    Source: `torch.linalg.solve`.
    """

    namespace = "torch.linalg"

    left: bool = arg(True, doc="whether A stands on the left of X", keyword=True)

    examples = (
        Example("solve(x + 9 * eye(T), y)", x="float[T, T]", y="float[T, 2]", onnx=False),
        Example("solve(x + 9 * eye(3), y)", x="float[N, 3, 3]", y="float[N, 3]", onnx=False),
        Example("solve(x + 9 * eye(3), y, left=false)", x="float[3, 3]", y="float[N, 3]", onnx=False),
    )

    def infer(self, rules: Rules, A: TensorType, B: TensorType) -> TensorType:
        a = _expect_square(self, rules, _expect_real(self, A))
        b = _expect_real(self, B, 1)
        same_type(self, (a, b))
        size = a.dims[-1]
        if self._holds_vectors(rules, a, b):
            if not self.left:
                raise ShapeError("`solve(left=false)` takes matrices, not vectors", code="NNS402", input=1)
            self._expect_size(rules, a, b, b.dims[-1])
            return a.with_dims(*rules.broadcast(a.dims[:-2], b.dims[:-1]), size)
        _expect_matrix(self, b, 1)
        self._expect_size(rules, a, b, b.dims[-2 if self.left else -1])
        return a.with_dims(*rules.broadcast(a.dims[:-2], b.dims[:-2]), *b.dims[-2:])

    def _holds_vectors(self, rules: Rules, a: TensorType, b: TensorType) -> bool:
        """Whether B is a vector, or has the shape of A less a dimension: what torch takes for vectors."""
        if b.rank <= 1 or b.rank != a.rank - 1:
            return b.rank == 1
        pairs = list(zip(a.dims[:-1], b.dims, strict=True))
        if any(rules.equal(p, q) is False for p, q in pairs):
            return False
        for p, q in pairs:
            rules.require_equal(p, q, f"`solve` cannot tell whether {b} are vectors or matrices for {a}", input=1)
        return True

    def _expect_size(self, rules: Rules, a: TensorType, b: TensorType, size: Size) -> None:
        message = f"`solve` of {a} cannot have {b} on the other side"
        rules.require_equal(size, a.dims[-1], message, label=f"{show(size)} should be {show(a.dims[-1])}", input=1)

    def onnx(self, g: OnnxGraph, A: str, B: str) -> Any:
        raise _unsupported(self, "solves linear systems", f"{_BEFOREHAND} as an inverse")


class cholesky(Function):
    """The lower triangle L with L @ L.T = x, for symmetric positive definite matrices: [N, T, T] to [N, T, T].

    Source: `torch.linalg.cholesky`.
    """

    namespace = "torch.linalg"

    upper: bool = arg(False, doc="give the upper triangle instead, U with U.T @ U = x", keyword=True)

    examples = (
        Example("cholesky(x @ transpose(x, 0, 1) + eye(3))", x="float[3, N]", onnx=False),
        Example("cholesky(x @ transpose(x, 1, 2) + eye(T), upper=true)", x="float[N, T, 2]", onnx=False),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return _expect_square(self, rules, _expect_real(self, x))

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        raise _unsupported(self, "factors matrices", _BEFOREHAND)


class matrix_power(Function):
    """Square matrices multiplied by themselves `n` times; the inverse's power for a negative `n`.

    Source: `torch.linalg.matrix_power`.
    """

    namespace = "torch.linalg"

    n: int = arg(ge=-1024, le=1024, doc="how often")

    examples = (
        Example("matrix_power(x, 3)", x="float[N, T, T]"),
        Example("matrix_power(x, 0)", x="float[T, T]"),
        Example("matrix_power(x, n=5)", x="int8[3, 3]"),
        Example("matrix_power(x + 9 * eye(3), -2)", x="float[3, 3]", onnx=False),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = _expect_square(self, rules, expect_numbers(self, x))
        return _expect_real(self, x) if self.n < 0 else x

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        products = abs(self.n).bit_length() - 1 + abs(self.n).bit_count() - 1 if self.n else 0
        size: Size = output.dims[-1]
        return products * volume(output.dims) * size

    def torch(self, *inputs: Any) -> Code:
        return call("torch.linalg.matrix_power", *inputs, self.n)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        if self.n < 0:
            raise _unsupported(self, "inverts matrices for a negative power", _BEFOREHAND)
        if not self.n:
            places = g.node("Range", g.constant(0), g.size(kind.dims[-1]), g.constant(1))
            one = g.cast(g.node("Equal", g.node("Unsqueeze", places, g.constant([1])), places), wide(kind.dtype))
            return narrowed(g, g.node("Expand", one, g.shape(kind.dims)), kind.dtype)
        power, result, rest = tensor(g, x, kind.dtype), "", self.n
        while rest:
            if rest % 2:
                result = g.node("MatMul", result, power) if result else power
            rest //= 2
            power = g.node("MatMul", power, power) if rest else power
        return narrowed(g, result, kind.dtype)


class qr(Function):
    """Orthonormal columns Q and an upper triangle R whose product is x: [N, H, W] to [N, H, K] and [N, K, W].

    K is `min(H, W)`, or H when complete. Source: `torch.linalg.qr`.
    """

    namespace = "torch.linalg"

    mode: Literal["reduced", "complete"] = arg("reduced", doc="whether Q has no more columns than needed, or is square")

    examples = (
        Example("qr(x)", x="float[N, 4, 3]", onnx=False),
        Example('qr(x, "complete")', x="float[H, 3]", onnx=False),
        Example("qr(x)", x="float[H, W]", onnx=False),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        x = _expect_matrix(self, _expect_real(self, x))
        *batch, rows, columns = x.dims
        inside = rows if self.mode == "complete" else rules.simplify(minimum(rows, columns))
        return x.with_dims(*batch, rows, inside), x.with_dims(*batch, inside, columns)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        raise _unsupported(self, "factors matrices", _BEFOREHAND)


class svd(Function):
    """Singular values and vectors: U, S and Vh with x = U @ diag(S) @ Vh; [H, W] to [H, H], [min(H, W)] and [W, W].

    Source: `torch.linalg.svd`.
    """

    namespace = "torch.linalg"

    full_matrices: bool = arg(True, doc="square U and Vh; without it only the parts that S reaches")

    examples = (
        Example("svd(x, full_matrices=false)", x="float[N, 4, 3]", onnx=False),
        Example("svd(x)", x="float[3, W]", onnx=False),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType, TensorType]:
        x = _expect_matrix(self, _expect_real(self, x))
        *batch, rows, columns = x.dims
        count = rules.simplify(minimum(rows, columns))
        left, right = (rows, columns) if self.full_matrices else (count, count)
        return x.with_dims(*batch, rows, left), x.with_dims(*batch, count), x.with_dims(*batch, right, columns)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        raise _unsupported(self, "finds singular values", _BEFOREHAND)


class eigh(Function):
    """Eigenvalues, in order, and eigenvectors, as columns, of symmetric matrices: [T, T] to [T] and [T, T].

    Source: `torch.linalg.eigh`.
    """

    namespace = "torch.linalg"

    UPLO: Literal["L", "U"] = arg("L", doc="the triangle that is looked at: lower or upper")

    examples = (
        Example("eigh(x + transpose(x, 0, 1))", x="float[T, T]", onnx=False),
        Example('eigh(x, "U")', x="float[N, 3, 3]", onnx=False),
    )

    def infer(self, rules: Rules, x: TensorType) -> tuple[TensorType, TensorType]:
        x = _expect_square(self, rules, _expect_real(self, expect_tensor(self, x)))
        return x.with_dims(*x.dims[:-1]), x

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        raise _unsupported(self, "finds eigenvalues", _BEFOREHAND)
