"""Random draws from named distributions: whole numbers, orders, bell curves, categories, counts."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.functions.creation import DEVICE, checked_sizes
from nnspec.functions.random import draw
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, Unsupported, call, torch_dtype
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.types import DType, Operand, Scalar, TensorType, is_float, is_int, show_dtype

_DOUBLE = 11
"""ONNX's number for float64."""
_EXACT = 2**53
"""Up to this a float64 tells all whole numbers apart."""
_LARGEST = {"bool": 1, "uint8": 2**8 - 1, "int8": 2**7 - 1, "int16": 2**15 - 1, "int32": 2**31 - 1, "int64": 2**63 - 1}
_LARGEST |= {"float16": 2**11, "bfloat16": 2**8, "float32": 2**24, "float64": 2**53}
"""The last whole number of each type, before which it lacks none."""

_SIZES = 2**40
"""No size of a tensor is larger."""


class _Whole(Function):
    """Whole numbers from `low` up to but not including `high`, each as likely as the others."""

    draws = True

    def bounds(self) -> tuple[Size, Size]:
        """The first number, and the end. Abstract: both of them say it."""
        raise NotImplementedError

    def expect_range(self, rules: Rules, dtype: str) -> None:
        """Refuse an empty range, and numbers that the type does not hold."""
        name, (low, high) = type(self).__name__, self.bounds()
        message = f"`{name}` draws from {show(low)} up to but not including {show(high)}, which leaves nothing"
        rules.require_at_least(high, low + 1, message, code="NNS411", at="high")
        if dtype not in _LARGEST:
            raise ShapeError(f"`{name}` draws whole numbers, not {show_dtype(dtype)}", code="NNS406")
        most = _LARGEST[dtype]
        least = 0 if dtype in ("bool", "uint8") else -most - (1 if is_int(dtype) else 0)
        for at, value, greater, smaller in (("low", low, low, least), ("high", high, most, high - 1)):
            if isinstance(value, Dim) and most > _SIZES:
                continue
            rules.require_at_least(
                greater,
                smaller,
                f"`{name}` cannot draw {'from' if at == 'low' else 'up to'} {show(value)} in the type "
                f"{show_dtype(dtype)}",
                code="NNS406",
                at=at,
                label=f"{show_dtype(dtype)} goes from {least} to {most}",
            )

    def drawn(self, g: OnnxGraph, dims: tuple[Size, ...], dtype: str) -> Any:
        """The lowering: a share of the range, rounded down."""
        low, high = self.bounds()
        count = high - low
        if isinstance(count, int) and count > _EXACT:
            raise Unsupported(
                f"`{type(self).__name__}` draws from {count:,} numbers, but ONNX draws floats, which tell at most "
                f"{_EXACT:,} apart; draw from fewer"
            )
        like = g.node("Expand", g.constant(0.0, "float64"), g.shape(dims)) if dims else g.constant(0.0, "float64")
        share = g.node("RandomUniformLike", like, dtype=_DOUBLE)
        number = g.cast(g.node("Floor", g.node("Mul", share, g.cast(g.size(count), "float64"))), "int64")
        # What is rounded up to the end is taken back in.
        number = g.node("Min", number, g.size(count - 1))
        if low != 0:
            number = g.node("Add", number, g.size(low))
        return number if dtype == "int64" else g.cast(number, dtype)


class randint(_Whole):
    """Random whole numbers from `low` (0) up to but not including `high`, of a given shape: `randint(10, (N,))`.

    Each is as likely as the others. Source: `torch.randint`.
    """

    low: Size = arg(0, doc="the least number; with two arguments the end is given first, and this is 0")
    high: Size | tuple[Size, ...] | None = arg(None, doc="the end, which is never drawn")
    size: tuple[Size, ...] | None = arg(None, doc="the sizes")
    dtype: DType = arg("int64", doc="the element type", keyword=True)

    examples = (
        Example("randint(10, (N, 3))", x="float[N]"),
        Example("randint(-5, T + 1, [T, 2])", x="float[T]"),
        Example("randint(low=1, high=7, size=(2,), dtype=float)"),
        Example("randint(high=2, size=(N,), dtype=uint8)", x="float[N]"),
    )

    def infer(self, rules: Rules) -> TensorType:
        if (self.size is None) != isinstance(self.high, tuple) or self.high is None:
            raise ShapeError(
                "`randint` needs an end and sizes: `randint(10, (N, 3))` or `randint(1, 10, (N, 3))`", code="NNS405"
            )
        self.expect_range(rules, self.dtype)
        return TensorType(self.dtype, checked_sizes(self, rules, self._sizes()))

    def bounds(self) -> tuple[Size, Size]:
        if isinstance(self.high, tuple):
            return 0, self.low
        assert self.high is not None
        return self.low, self.high

    def _sizes(self) -> tuple[Size, ...]:
        sizes = self.high if isinstance(self.high, tuple) else self.size
        assert sizes is not None
        return sizes

    def torch(self, *inputs: Any) -> Code:
        low, high = self.bounds()
        options = {} if self.dtype == "int64" else {"dtype": torch_dtype(self.dtype)}
        first = () if low == 0 else (low,)
        return call("torch.randint", *first, high, self._sizes(), **options, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        return self.drawn(g, self._sizes(), self.dtype)


class randint_like(_Whole):
    """Random whole numbers from `low` (0) up to but not including `high`, in the shape and type of x.

    Each is as likely as the others. Source: `torch.randint_like`.
    """

    low: Size = arg(0, doc="the least number; with one argument that is the end, and this is 0")
    high: Size | None = arg(None, doc="the end, which is never drawn")
    dtype: DType | None = arg(None, doc="the element type, that of x when left out", keyword=True)

    examples = (
        Example("randint_like(x, 10)", x="int[N, 3]"),
        Example("randint_like(x, -T, T)", x="float[T]"),
        Example("randint_like(x, low=1, high=7, dtype=int32)", x="bool[N]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        dtype = self.dtype or x.dtype
        self.expect_range(rules, dtype)
        return x.with_dtype(dtype)

    def bounds(self) -> tuple[Size, Size]:
        return (0, self.low) if self.high is None else (self.low, self.high)

    def torch(self, *inputs: Any) -> Code:
        low, high = self.bounds()
        options = {} if self.dtype is None else {"dtype": torch_dtype(self.dtype)}
        return call("torch.randint_like", *inputs, *(() if low == 0 else (low,)), high, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        return self.drawn(g, kind.dims, self.dtype or kind.dtype)


class randperm(Function):
    """The numbers from 0 up to but not including `n` in a random order, each as likely as the others: int[n].

    Source: `torch.randperm`.
    """

    draws = True

    n: Size = arg(doc="how many numbers")
    dtype: DType = arg("int64", doc="the element type", keyword=True)

    examples = (
        Example("randperm(5)"),
        Example("randperm(N, dtype=int32)", x="float[N]"),
    )

    def infer(self, rules: Rules) -> TensorType:
        if self.dtype == "bool" or (isinstance(self.n, int) and self.n - 1 > _LARGEST[self.dtype]):
            raise ShapeError(
                f"`randperm` cannot put {show(self.n)} numbers in the type {show_dtype(self.dtype)}",
                code="NNS406",
                at="dtype",
            )
        return TensorType(self.dtype, checked_sizes(self, rules, (self.n,), at="n"))

    def torch(self, *inputs: Any) -> Code:
        options = {} if self.dtype == "int64" else {"dtype": torch_dtype(self.dtype)}
        return call("torch.randperm", self.n, **options, device=DEVICE)

    def onnx(self, g: OnnxGraph) -> Any:
        # The order of random numbers.
        keys = draw(g, "RandomUniformLike", g.shape([self.n]), "float32")
        _, order = g.node("TopK", keys, g.shape([self.n]), outputs=2)
        return order if self.dtype == "int64" else g.cast(order, self.dtype)


class normal(Function):
    """Random numbers from normal distributions: for each place a mean and a deviation, tensors or numbers.

    Two tensors broadcast; two numbers need a `size`. Source: `torch.normal`.
    """

    draws = True
    scalars = ("mean", "std")
    order = ("mean", "std", "size")

    size: tuple[Size, ...] | None = arg(None, doc="the sizes, where both are numbers")
    dtype: DType | None = arg(None, doc="the element type, where both are numbers; float when left out", keyword=True)

    examples = (
        Example("normal(x, sigmoid(y))", x="float[N, 3]", y="float[3]"),
        Example("normal(x, 0.5)", x="float[N, T]"),
        Example("normal(0, sigmoid(y))", y="float[N]"),
        Example("normal(1.0, 2.0, (N, 3))", x="float[N]"),
        Example("normal(x)", x="float[N]"),
    )

    def infer(self, rules: Rules, mean: Operand = None, std: Operand = None) -> TensorType:
        mean, std = self._operands(mean, std)
        if isinstance(std, Scalar) and not isinstance(std.value, Dim) and std.value < 0:
            raise ShapeError(f"a deviation of `normal` cannot be negative: {std}", code="NNS405", input=1)
        tensors = [(i, x) for i, x in enumerate((mean, std)) if not isinstance(x, Scalar)]
        if not tensors:
            if self.size is None:
                raise ShapeError(
                    "`normal` of two numbers needs sizes", code="NNS405", helps=("write `normal(0, 1, (N, 3))`",)
                )
            if not is_float(self.dtype or "float32"):
                raise ShapeError(f"`normal` draws floats, not {self.dtype}", code="NNS406", at="dtype")
            return TensorType(self.dtype or "float32", checked_sizes(self, rules, self.size))
        for at in ("size", "dtype"):
            if self.__dict__[at] is not None:
                message = f"`normal` of a tensor has its {'shape' if at == 'size' else 'type'}, and takes no `{at}`"
                raise ShapeError(message, code="NNS405", at=at)
        kinds = [expect_float(self, x, i) for i, x in tensors]
        return TensorType(kinds[0].dtype, rules.broadcast(*(x.dims for x in kinds)))

    def _operands(self, mean: Any, std: Any) -> tuple[Any, Any]:
        return (Scalar(0.0) if mean is None else mean), (Scalar(1.0) if std is None else std)

    def torch(self, *inputs: Any) -> Code:
        mean, std = (*inputs, None, None)[:2]
        mean = 0.0 if mean is None else _with_point(mean)
        if self.size is None:
            return call("torch.normal", mean, *(() if std is None else (_with_point(std),)))
        options = {} if self.dtype is None else {"dtype": torch_dtype(self.dtype)}
        return call("torch.normal", mean, 1.0 if std is None else _with_point(std), self.size, **options, device=DEVICE)

    def onnx(self, g: OnnxGraph, mean: Any = None, std: Any = None) -> Any:
        mean, std = 0.0 if mean is None else mean, 1.0 if std is None else std
        tensors = [x for x in (mean, std) if isinstance(x, str)]
        dtype = g.type(tensors[0]).dtype if tensors else self.dtype or "float32"
        middle, spread = (_number(g, x, dtype) for x in (mean, std))
        if tensors:
            # Only the shape of the sum counts; nothing in it may be no number.
            shape = g.node("Shape", g.node("Add", middle, spread))
        else:
            assert self.size is not None
            shape = g.shape(self.size)
        return g.node("Add", g.node("Mul", draw(g, "RandomNormalLike", shape, dtype), spread), middle)


def _with_point(value: Any) -> Any:
    """torch wants a float where a number stands beside a tensor."""
    return float(value) if isinstance(value, int) else value


def _number(g: OnnxGraph, value: Any, dtype: str) -> str:
    if isinstance(value, str):
        return g.cast(value, dtype)
    return g.cast(g.size(value), dtype) if isinstance(value, Dim) else g.constant(value, dtype)


class multinomial(Function):
    """Categories drawn by their weights, which lie along the last dimension: [N, C] to int[N, num_samples].

    Weights need not sum to 1. Without replacement no category is drawn twice. Source: `torch.multinomial`.
    """

    draws = True

    num_samples: Size = arg(doc="how many categories to draw")
    replacement: bool = arg(False, doc="a category may be drawn again")

    examples = (
        Example("multinomial(softmax(x, dim=1), 1)", x="float[N, 8]"),
        Example("multinomial(sigmoid(x), 3)", x="float[5]"),
        Example("multinomial(sigmoid(x), num_samples=T, replacement=true)", x="float[N, 2]", y="float[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_float(self, x)
        if x.rank not in (1, 2):
            message = f"`multinomial` needs weights of shape [N, C] or [C], but its input is {x}"
            raise ShapeError(message, code="NNS402", input=0)
        message = f"`multinomial` draws once at least, not {show(self.num_samples)} times"
        rules.require_at_least(self.num_samples, 1, message, code="NNS411", at="num_samples")
        if not self.replacement:
            rules.require_at_least(
                x.dims[-1],
                self.num_samples,
                f"`multinomial` cannot draw {show(self.num_samples)} different ones of "
                f"{show(x.dims[-1])} categor{'y' if x.dims[-1] == 1 else 'ies'}",
                code="NNS411",
                at="num_samples",
                helps=("draw with replacement: `replacement=true`",),
            )
        return TensorType("int64", (*x.dims[:-1], self.num_samples))

    def torch(self, *inputs: Any) -> Code:
        return call(
            "torch.multinomial", *inputs, self.num_samples, **({"replacement": True} if self.replacement else {})
        )

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        """The largest of logarithms of weights with Gumbel's noise: drawn each by itself, or the first ones of all."""
        kind = g.type(x)
        weights = g.node("Log", g.cast(x, "float32"))
        if not self.replacement:
            scores = g.node("Add", weights, _gumbel(g, kind.dims))
            _, order = g.node("TopK", scores, g.shape([self.num_samples]), outputs=2)
            return order
        dims = (*kind.dims[:-1], self.num_samples, kind.dims[-1])
        scores = g.node("Add", g.node("Unsqueeze", weights, g.constant([-2])), _gumbel(g, dims))
        return g.node("ArgMax", scores, axis=-1, keepdims=0)


def _gumbel(g: OnnxGraph, dims: tuple[Size, ...]) -> str:
    """Noise of Gumbel's distribution; the logarithms of 0 and 1 have no use here."""
    drawn = draw(g, "RandomUniformLike", g.shape(dims), "float32")
    inside = g.node("Clip", drawn, g.constant(1e-30, "float32"), g.constant(1 - 2**-24, "float32"))
    return str(g.node("Neg", g.node("Log", g.node("Neg", g.node("Log", inside)))))


class poisson(Function):
    """Random counts: each element of x is the mean number of events that are counted.

    Source: `torch.poisson`.
    """

    draws = True

    examples = (
        Example("poisson(exp(x))", x="float[N, 8]", onnx=False),
        Example("poisson(full((N,), 2.5))", x="float[N]", onnx=False),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        return expect_float(self, x)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        raise Unsupported(
            "`poisson` has no operator in ONNX, which draws from uniform and normal distributions; "
            "for large means `round(normal(x, sqrt(x)))` comes near"
        )
