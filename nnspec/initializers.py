"""How a bare parameter may start: the functions of `torch.nn.init`, named without their trailing underscore.

See https://docs.pytorch.org/docs/stable/nn.init.html.
"""

from __future__ import annotations

from typing import Literal

from nnspec.arguments import Arguments, arg


class uniform(Arguments):
    """Values drawn from U(a, b)."""

    a: float = arg(0.0, doc="lower bound")
    b: float = arg(1.0, doc="upper bound")


class normal(Arguments):
    """Values drawn from N(mean, std^2)."""

    mean: float = arg(0.0, doc="mean")
    std: float = arg(1.0, ge=0, doc="standard deviation")


class trunc_normal(Arguments):
    """Values drawn from N(mean, std^2), redrawn until they lie in [a, b]."""

    mean: float = arg(0.0, doc="mean")
    std: float = arg(1.0, ge=0, doc="standard deviation")
    a: float = arg(-2.0, doc="lower cut")
    b: float = arg(2.0, doc="upper cut")


class constant(Arguments):
    """One value everywhere."""

    val: float = arg(doc="the value")


class ones(Arguments):
    """Ones."""


class zeros(Arguments):
    """Zeros."""


class eye(Arguments):
    """The identity matrix (two dimensions)."""


class xavier_uniform(Arguments):
    """Glorot and Bengio's uniform initialisation (2010)."""

    gain: float = arg(1.0, doc="scaling factor")


class xavier_normal(Arguments):
    """Glorot and Bengio's normal initialisation (2010)."""

    gain: float = arg(1.0, doc="scaling factor")


class kaiming_uniform(Arguments):
    """He's uniform initialisation (2015)."""

    a: float = arg(0.0, doc="negative slope of the rectifier that follows")
    mode: Literal["fan_in", "fan_out"] = arg("fan_in", doc="whose variance is kept")
    nonlinearity: str = arg("leaky_relu", doc="the function that follows")


class kaiming_normal(kaiming_uniform):
    """He's normal initialisation (2015)."""


class orthogonal(Arguments):
    """A (semi-)orthogonal matrix (Saxe et al., 2013)."""

    gain: float = arg(1.0, doc="scaling factor")


INITIALIZERS: dict[str, type[Arguments]] = {
    cls.__name__: cls
    for cls in (
        uniform,
        normal,
        trunc_normal,
        constant,
        ones,
        zeros,
        eye,
        xavier_uniform,
        xavier_normal,
        kaiming_uniform,
        kaiming_normal,
        orthogonal,
    )
}
"""By name."""
