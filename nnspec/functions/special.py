"""Special functions of real numbers: error functions, gamma functions, entropies.

ONNX has the error function alone. The others are spelled out by formulas in float64, each with its error. Such an error
is relative, and what torch computes in float32 is no better; of float64 tensors fewer digits are right than it has.
"""

from __future__ import annotations

from math import inf, log, nan, pi, sqrt
from typing import Any, ClassVar

from nnspec.arguments import arg
from nnspec.functions._elementwise import DoubleReal, Real, RealPair
from nnspec.functions._lowering import polynomial, tensor
from nnspec.functions.transcendental import log1p
from nnspec.layer import Example, OnnxGraph, Rules, ShapeError
from nnspec.types import TensorType, show_dtype

_DOUBLE = "float64"

_ERFCX = (
    *(-1.2655121235615998, 1.000000039278365, 0.3749967135864071, 0.08344052329404791, -0.08774268555021808),
    *(-0.12576739399168244, -0.20582070948469086, 0.5066782428577845, -1.1894446557546512, 2.445190820412536),
    *(-2.1742015521878657, -0.3287943814136151, 2.324978147817095, -2.0276481324601394, 0.7929981570384622),
    -0.12335100996992077,
)
"""The polynomial in t = 2 / (2 + x) closest to log(erfc(x) / t) + x * x, over all x from 0 on; it is off by 1.2e-10."""


def _log_erfc(g: OnnxGraph, x: str) -> str:
    """The logarithm of `erfc`, for values from 0 on."""
    two = g.constant(2.0, _DOUBLE)
    t = g.node("Div", two, g.node("Add", x, two))
    scaled = g.node("Add", g.node("Log", t), polynomial(g, t, _ERFCX, _DOUBLE))
    return str(g.node("Sub", scaled, g.node("Mul", x, x)))


def _erfc(g: OnnxGraph, x: str) -> str:
    right = g.node("Exp", _log_erfc(g, g.node("Abs", x)))
    left = g.node("Sub", g.constant(2.0, _DOUBLE), right)
    return str(g.node("Where", g.node("Less", x, g.constant(0.0, _DOUBLE)), left, right))


class erfc(DoubleReal):
    """`1 - erf(x)`, exact for large numbers too, in the same shape; integers become float.

    Source: `torch.erfc`.
    """

    examples = (
        Example("erfc(x)", x="float[N, 8]"),
        Example("erfc(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return _erfc(g, x)


class ndtr(DoubleReal):
    """The share of the normal distribution that lies below x, in the same shape; integers become float.

    Source: `torch.special.ndtr`.
    """

    namespace = "torch.special"

    examples = (
        Example("ndtr(x)", x="float[N, 8]"),
        Example("ndtr(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return str(g.node("Mul", _erfc(g, g.node("Mul", x, g.constant(-sqrt(0.5), dtype))), g.constant(0.5, dtype)))


class log_ndtr(DoubleReal):
    """The logarithm of `ndtr`, exact where that is next to nothing, in the same shape; integers become float.

    Source: `torch.special.log_ndtr`.
    """

    namespace = "torch.special"

    examples = (
        Example("log_ndtr(x)", x="float[N, 8]"),
        Example("log_ndtr(20 * x)", x="int[T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        y = super().infer(rules, x)
        if y.dtype in ("float16", "bfloat16"):
            raise ShapeError(
                f"`log_ndtr` needs float or float64, but its input is {x}",
                code="NNS406",
                label=f"is of type {show_dtype(x.dtype)}",
                input=0,
                helps=("convert it: `to(x, float)`",),
            )
        return y

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        root = g.node("Mul", x, g.constant(sqrt(0.5), dtype))
        below = g.node("Sub", _log_erfc(g, g.node("Abs", root)), g.constant(log(2), dtype))
        half = g.node("Mul", _erfc(g, root), g.constant(-0.5, dtype))
        above = log1p().lowered(g, half, dtype)
        return str(g.node("Where", g.node("Less", x, g.constant(0.0, dtype)), below, above))


class erfinv(DoubleReal):
    """The number whose error function is x, in the same shape; integers become float.

    Source: `torch.erfinv`. The formula in ONNX, Giles (2010), is exact to 4e-7.
    """

    keeps = ("output",)
    examples = (
        Example("erfinv(tanh(x / 4))", x="float[N, 8]"),
        Example("erfinv(x)", x="bool[T]"),
    )

    _NEAR = (
        *(1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087),
        *(-4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08),
    )
    _FAR = (
        *(2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773),
        *(-0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        one, five = g.constant(1.0, dtype), g.constant(5.0, dtype)
        product = g.node("Mul", g.node("Sub", one, x), g.node("Add", one, x))
        depth = g.node("Neg", g.node("Log", product))
        near = polynomial(g, g.node("Sub", depth, g.constant(2.5, dtype)), self._NEAR, dtype)
        root = g.node("Sqrt", g.node("Max", depth, five))
        far = polynomial(g, g.node("Sub", root, g.constant(3.0, dtype)), self._FAR, dtype)
        factor = g.node("Where", g.node("Less", depth, five), near, far)
        end = g.node("Equal", g.node("Abs", x), one)
        return str(g.node("Mul", g.node("Where", end, g.constant(inf, dtype), factor), x))


class lgamma(DoubleReal):
    """The logarithm of the gamma function's absolute value, in the same shape; integers become float.

    Source: `torch.lgamma`.
    """

    examples = (
        Example("lgamma(exp(x))", x="float[N, 8]"),
        Example("lgamma(x)", x="int[T]"),
    )

    _LANCZOS = (
        *(676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059),
        *(12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        """Lanczos' sum from 1/2 on, and below it the reflection of that: log(pi / sin(pi * x)) - lgamma(1 - x)."""
        left, mirrored, turn = _mirrored(g, x)
        above = self._above(g, mirrored)
        sine = g.node("Abs", g.node("Sin", g.node("Mul", turn, g.constant(pi, dtype))))
        below = g.node("Sub", g.node("Sub", g.constant(log(pi), dtype), g.node("Log", sine)), above)
        y = g.node("Where", left, below, above)
        return str(g.node("Where", g.node("IsInf", x), g.constant(inf, dtype), y))

    def _above(self, g: OnnxGraph, x: str) -> str:
        down = g.node("Sub", x, g.constant(1.0, _DOUBLE))
        terms = g.constant(0.99999999999980993, _DOUBLE)
        for number, weight in enumerate(self._LANCZOS, 1):
            place = g.node("Add", down, g.constant(float(number), _DOUBLE))
            terms = g.node("Add", terms, g.node("Div", g.constant(weight, _DOUBLE), place))
        half = g.node("Add", down, g.constant(0.5, _DOUBLE))
        height = g.node("Log", g.node("Add", half, g.constant(7.0, _DOUBLE)))
        bulk = g.node("Mul", half, g.node("Sub", height, g.constant(1.0, _DOUBLE)))
        rest = g.node("Add", g.node("Log", terms), g.constant(log(2 * pi) / 2 - 7, _DOUBLE))
        return str(g.node("Add", bulk, rest))


def _mirrored(g: OnnxGraph, x: str) -> tuple[str, str, str]:
    """Where x is below 1/2; x, or there 1 - x; and how far x is from the next whole number."""
    left = g.node("Less", x, g.constant(0.5, _DOUBLE))
    mirrored = g.node("Where", left, g.node("Sub", g.constant(1.0, _DOUBLE), x), x)
    return left, mirrored, g.node("Sub", x, g.node("Round", x))


class digamma(DoubleReal):
    """The derivative of `lgamma`, in the same shape; integers become float.

    Source: `torch.digamma`.
    """

    examples = (
        Example("digamma(exp(x))", x="float[N, 8]"),
        Example("digamma(x)", x="bool[T]"),
    )

    _STEPS = 6
    _BERNOULLI = (-1 / 12, 1 / 120, -1 / 252, 1 / 240)

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        """An asymptotic series (off by 1e-10), for which numbers are moved up by six; below 1/2 its reflection."""
        left, mirrored, turn = _mirrored(g, x)
        one, zero = g.constant(1.0, dtype), g.constant(0.0, dtype)
        up = g.node("Add", mirrored, g.constant(float(self._STEPS), dtype))
        inverse = g.node("Div", one, up)
        square = g.node("Mul", inverse, inverse)
        series = g.node("Mul", square, polynomial(g, square, self._BERNOULLI, dtype))
        y = g.node("Add", g.node("Sub", g.node("Log", up), g.node("Mul", inverse, g.constant(0.5, dtype))), series)
        for step in range(self._STEPS):
            y = g.node("Sub", y, g.node("Div", one, g.node("Add", mirrored, g.constant(float(step), dtype))))
        angle = g.node("Mul", turn, g.constant(pi, dtype))
        slope = g.node("Div", g.node("Mul", g.node("Cos", angle), g.constant(pi, dtype)), g.node("Sin", angle))
        y = g.node("Where", left, g.node("Sub", y, slope), y)
        y = g.node("Where", g.node("Equal", x, zero), g.node("Neg", g.node("Reciprocal", x)), y)
        pole = g.node("And", g.node("Equal", turn, zero), g.node("Less", x, zero))
        return str(g.node("Where", pole, g.constant(nan, dtype), y))


class i0(DoubleReal):
    """The modified Bessel function of the first kind and order 0, in the same shape; integers become float.

    Source: `torch.i0`. The formula in ONNX, Abramowitz and Stegun (9.8.1), is exact to 2e-7.
    """

    examples = (
        Example("i0(x)", x="float[N, 8]"),
        Example("i0(x)", x="int[T]"),
    )

    _NEAR = (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813)
    _FAR = (
        *(0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281),
        *(-0.02057706, 0.02635537, -0.01647633, 0.00392377),
    )
    _BORDER = 3.75

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        border = g.constant(self._BORDER, dtype)
        size = g.node("Abs", x)
        ratio = g.node("Div", size, border)
        near = polynomial(g, g.node("Mul", ratio, ratio), self._NEAR, dtype)
        beyond = g.node("Max", size, border)
        wave = polynomial(g, g.node("Div", border, beyond), self._FAR, dtype)
        far = g.node("Mul", g.node("Div", g.node("Exp", beyond), g.node("Sqrt", beyond)), wave)
        return str(g.node("Where", g.node("Less", size, border), near, far))


class entr(Real):
    """`-x * log(x)`, an element's part of the entropy: 0 for 0, `-inf` below, in the same shape.

    Source: `torch.special.entr`.
    """

    namespace = "torch.special"

    examples = (
        Example("entr(sigmoid(x))", x="float[N, 8]"),
        Example("entr(x)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        zero = g.constant(0.0, dtype)
        y = g.node("Neg", g.node("Mul", x, g.node("Log", x)))
        y = g.node("Where", g.node("Less", x, zero), g.constant(-inf, dtype), y)
        return str(g.node("Where", g.node("Equal", x, zero), zero, y))


class logit(Real):
    """`log(x / (1 - x))`, the number whose sigmoid is x, in the same shape; integers become float.

    Source: `torch.logit`.
    """

    eps: float | None = arg(None, doc="move x between `eps` and `1 - eps` before; nothing is moved when left out")

    examples = (
        Example("logit(sigmoid(x))", x="float[N, 8]"),
        Example("logit(x, eps=1e-6)", x="float[T]"),
        Example("logit(x, 0.25)", x="int[T]"),
    )

    def lowered(self, g: OnnxGraph, x: str, dtype: str) -> str:
        one = g.constant(1.0, dtype)
        if self.eps is not None:
            low, high = g.constant(self.eps, dtype), g.constant(1.0 - self.eps, dtype)
            x = g.node("Where", g.node("Greater", x, high), high, x)
            x = g.node("Where", g.node("Less", x, low), low, x)
        return str(g.node("Log", g.node("Div", x, g.node("Sub", one, x))))


class xlogy(RealPair):
    """`x * log(other)`, broadcast, and 0 where x is 0; either may be a number.

    Source: `torch.xlogy`.
    """

    examples: ClassVar[tuple[Example, ...]] = (
        Example("xlogy(x, y)", x="float[N, 8]", y="uint8[8]"),
        Example("xlogy(x, 2)", x="int[N]"),
        Example("xlogy(0.5, sigmoid(x))", x="float[N]"),
    )

    def lowered(self, g: OnnxGraph, x: Any, other: Any, dtype: str) -> Any:
        a, b = tensor(g, x, dtype), tensor(g, other, dtype)
        zero = g.constant(0.0, dtype)
        y = g.node("Where", g.node("Equal", a, zero), zero, g.node("Mul", a, self.log(g, b, dtype)))
        return g.node("Where", g.node("IsNaN", b), b, y)

    def log(self, g: OnnxGraph, x: str, dtype: str) -> str:
        """The logarithm that is multiplied by."""
        return str(g.node("Log", x))


class xlog1py(xlogy):
    """`x * log(1 + other)`, broadcast, and 0 where x is 0; either may be a number.

    Source: `torch.special.xlog1py`.
    """

    namespace = "torch.special"

    examples = (
        Example("xlog1py(x, y)", x="float[N, 8]", y="uint8[8]"),
        Example("xlog1py(-1, x)", x="uint8[N]"),
    )

    def log(self, g: OnnxGraph, x: str, dtype: str) -> str:
        return log1p().lowered(g, x, dtype)
