"""How a parameter may start: the functions of `torch.nn.init`, named without their trailing underscore.

See https://docs.pytorch.org/docs/stable/nn.init.html. Each says which tensors it can fill; torch fills no others.
"""

from __future__ import annotations

import math
from typing import Literal

from nnspec import ir, registry
from nnspec.arguments import Arguments, arg
from nnspec.layer import ShapeError
from nnspec.types import TensorType

_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")

_LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38, "float32": 3.4028234663852886e38}
"""The largest number of a float type; that of float64 is Python's own."""


class Initializer(Arguments):
    """A way to fill a tensor."""

    def check(self, type: TensorType) -> None:
        """Refuse a tensor that torch would not fill like this (its sizes are numbers): raises `ShapeError`."""

    def _need(self, good: bool, otherwise: str) -> None:
        if not good:
            raise ShapeError(f"`{self.__class__.__name__}` {otherwise}", code="NNS318")

    def _fits(self, type: TensorType, *values: float) -> None:
        """Numbers that an element type cannot hold are refused, as torch does."""
        largest = _LARGEST.get(type.dtype, math.inf)
        for value in values:
            self._need(not math.isfinite(value) or abs(value) <= largest, f"cannot put {value:g} into {type}")


class uniform(Initializer):
    """Values drawn from U(a, b)."""

    a: float = arg(0.0, doc="lower bound")
    b: float = arg(1.0, doc="upper bound")

    def check(self, type: TensorType) -> None:
        self._need(self.a <= self.b, f"draws from a={self.a:g} to b={self.b:g}, and there is nothing between")
        self._fits(type, self.a, self.b, self.b - self.a)
        self._need(math.isfinite(self.b - self.a), "needs finite bounds")


class normal(Initializer):
    """Values drawn from N(mean, std^2)."""

    mean: float = arg(0.0, doc="mean")
    std: float = arg(1.0, ge=0, doc="standard deviation")


class trunc_normal(Initializer):
    """Values drawn from N(mean, std^2), redrawn until they lie in [a, b]."""

    mean: float = arg(0.0, doc="mean")
    std: float = arg(1.0, gt=0, doc="standard deviation")
    a: float = arg(-2.0, doc="lower cut")
    b: float = arg(2.0, doc="upper cut")

    def check(self, type: TensorType) -> None:
        self._need(self.a <= self.b, f"draws from a={self.a:g} to b={self.b:g}, and there is nothing between")


class constant(Initializer):
    """One value everywhere."""

    val: float = arg(doc="the value")

    def check(self, type: TensorType) -> None:
        self._fits(type, self.val)


class ones(Initializer):
    """Ones."""


class zeros(Initializer):
    """Zeros."""


class eye(Initializer):
    """The identity matrix (two dimensions)."""

    def check(self, type: TensorType) -> None:
        self._need(type.rank == 2, f"fills matrices, of two dimensions, not {type}")


class dirac(Initializer):
    """The kernel of a convolution that passes its input on, channel by channel (three to five dimensions)."""

    groups: int = arg(1, ge=1, doc="number of groups of channels")

    def check(self, type: TensorType) -> None:
        self._need(3 <= type.rank <= 5, f"fills kernels, of three to five dimensions, not {type}")
        divides = isinstance(type.dims[0], int) and type.dims[0] % self.groups == 0
        self._need(divides, f"needs a first dimension that groups={self.groups} divides, not {type}")


class _Fan(Initializer):
    """What counts how many inputs and outputs a unit has."""

    def check(self, type: TensorType) -> None:
        self._need(type.rank >= 2, f"counts inputs and outputs, which takes at least two dimensions, not {type}")
        self._need(0 not in type.dims, f"counts inputs and outputs, and {type} has none")


class xavier_uniform(_Fan):
    """Glorot and Bengio's uniform initialisation (2010)."""

    gain: float = arg(1.0, doc="scaling factor")


class xavier_normal(_Fan):
    """Glorot and Bengio's normal initialisation (2010)."""

    gain: float = arg(1.0, ge=0, doc="scaling factor")


class kaiming_uniform(_Fan):
    """He's uniform initialisation (2015)."""

    a: float = arg(0.0, doc="negative slope of the rectifier that follows (leaky_relu only)")
    mode: Literal["fan_in", "fan_out"] = arg("fan_in", doc="whose variance is kept")
    nonlinearity: Literal[
        "leaky_relu", "relu", "selu", "tanh", "sigmoid",
        "linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    ] = arg("leaky_relu", doc="the function that follows")  # fmt: skip


class kaiming_normal(kaiming_uniform):
    """He's normal initialisation (2015)."""


class orthogonal(Initializer):
    """A (semi-)orthogonal matrix, dimensions behind the first taken together (Saxe et al., 2013)."""

    gain: float = arg(1.0, doc="scaling factor")

    def check(self, type: TensorType) -> None:
        self._need(type.rank >= 2, f"makes matrices, which takes at least two dimensions, not {type}")
        self._need(type.dtype in ("float32", "float64"), f"computes in float32 and float64, not for {type}")


class sparse(Initializer):
    """A matrix of which each column has a share of zeros, the rest drawn from N(0, std^2) (Martens, 2010)."""

    sparsity: float = arg(ge=0, le=1, doc="the share of zeros in each column")
    std: float = arg(0.01, ge=0, doc="standard deviation of the others")

    def check(self, type: TensorType) -> None:
        self._need(type.rank == 2, f"fills matrices, of two dimensions, not {type}")


def way(init: ir.Initializer) -> Initializer:
    """The way to fill a tensor that a record of the IR stands for."""
    cls = registry.find("initializer", init.function)
    assert cls is not None
    found: Initializer = cls(**init.arguments)
    return found


def calculate_gain(nonlinearity: str, param: float = 0.01) -> float | None:
    """The gain that torch recommends for a function; None for one that it has no gain for."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + param**2))
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    return gains.get(nonlinearity, 1.0 if nonlinearity in (*_LINEAR, "sigmoid") else None)
