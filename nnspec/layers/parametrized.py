"""Layers that wrap a layer: one of its parameters is computed from others, which are trained in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Literal, cast

from nnspec import ir, registry
from nnspec.arguments import arg
from nnspec.dims import Size
from nnspec.layer import ONE_OF_SEVERAL, Code, Example, Layer, OnnxGraph, Ref, Rules, ShapeError, Weight
from nnspec.layer_inference import Plainer
from nnspec.layers._expect import counted
from nnspec.types import Operand

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

    from nnspec.layer_inference import Part
    from nnspec.layer_memory import Tape


class _Parametrized(Layer):
    """What `torch.nn.utils.parametrizations` does to a parameter: it is `parametrizations.NAME.original...` then.

    It is the wrapped layer in all other respects, and called like it.
    """

    layer: Layer = arg(doc="the layer that is wrapped")
    name: str = arg("weight", doc="its parameter that is computed")

    @property
    def title(self) -> str:
        record = cast("ir.Record | None", self.layer)
        return type(self).__name__ if record is None else self.inner.title

    @property
    def inner(self) -> Layer:
        """The wrapped layer; the field holds it as a record, which is how the IR stores it."""
        record = cast(ir.Record, self.layer)
        found = registry.find("layer", record.name)
        if found is None:
            raise ValueError(f"no layer is called {record.name!r}")
        layer: Layer = found(**record.arguments)
        return layer

    def stored(self, weight: Weight) -> dict[str, Weight]:
        """What is stored in place of a parameter, by the names that it has below `parametrizations.NAME`. Abstract."""
        raise NotImplementedError

    def compute(self, part: Callable[[str], np.ndarray]) -> np.ndarray:
        """The parameter from its parts, as in inference. Abstract."""
        raise NotImplementedError

    def accept(self, *inputs: Any) -> None:
        inner = self.inner
        names, least = inner.input_names(), inner.required_inputs()
        most = len(inputs) if names and names[-1].startswith("*") else len(names)
        if not least <= len(inputs) <= most:
            count = counted(least, "input") if least == most else f"{least} to {most} inputs"
            here = "is 1" if len(inputs) == 1 else f"are {len(inputs)}"
            helps = ONE_OF_SEVERAL if len(inputs) > most else ()
            raise ShapeError(f"`{inner.title}` takes {count}, and here {here}", code="NNS412", helps=helps)
        inner.accept(*inputs)

    def complete(self, rules: Rules, *inputs: Any) -> Self:
        self.accept(*inputs)
        inner = self.inner.complete(rules, *inputs)
        return self.replace(layer=ir.Record(type(inner).__name__, dict(inner.given())))

    def infer(self, rules: Rules, *inputs: Any) -> Any:
        self._check_parameter()
        return self.inner.infer(rules, *inputs)

    def _check_parameter(self) -> None:
        """Whether there is such a parameter; in a wrapper in here first, which may have taken it."""
        inner = self.inner
        if isinstance(inner, _Parametrized):
            inner._check_parameter()
        own = {n: w for n, w in inner.weights().items() if w.trained and "." not in n and not inner.definition}
        weight = own.get(self.name)
        if weight is None:
            names = [f"`{name}`" for name in own]
            raise ShapeError(
                f"`{inner.title}` has no parameter `{self.name}` that `{type(self).__name__}` can compute",
                code="NNS208",
                at="name",
                notes=(f"its parameters are {', '.join(names)}",) if names else (),
            )
        self.stored(weight)

    def weights(self) -> dict[str, Weight]:
        weights = self.inner.weights()
        parts = self.stored(weights.pop(self.name))
        return weights | {f"parametrizations.{self.name}.{part}": weight for part, weight in parts.items()}

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        return self.inner.macs(inputs, output)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return m.part(self.inner, m.output, *inputs)

    def derivation(self, inputs: Sequence[Any], output: Any) -> str:
        return self.inner.derivation(inputs, output)

    def torch(self) -> Code:
        options = {name: value for name, value in self.given() if name != "layer"}
        return Code("call", f"nn.utils.parametrizations.{type(self).__name__}", (self.inner.torch(),), options)

    def forward(self, module: Ref, *inputs: Any) -> Code:
        return self.inner.forward(module, *inputs)

    def plainer(self) -> Plainer:
        return Plainer(self.inner, self._ready)

    def _ready(self, part: Part) -> dict[str, np.ndarray]:
        names = [name for name in self.inner.weights() if name != self.name]
        computed = self.compute(lambda name: part(f"parametrizations.{self.name}.{name}"))
        return {self.name: computed, **{name: part(name) for name in names}}

    def onnx(self, g: OnnxGraph, *inputs: Any) -> Any:
        weight = self.compute(lambda part: g.array(f"parametrizations.{self.name}.{part}"))
        return self.inner.onnx(cast(OnnxGraph, _Folded(g, self.name, weight)), *inputs)


class _Folded:
    """A graph in which one of a layer's parameters is a constant that was worked out."""

    def __init__(self, graph: OnnxGraph, name: str, value: np.ndarray) -> None:
        self._graph = graph
        self._name = name
        self._value = value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)

    def weight(self, name: str) -> str:
        return self._graph.initializer(self._value, name) if name == self._name else self._graph.weight(name)

    def array(self, name: str) -> np.ndarray:
        return self._value if name == self._name else self._graph.array(name)


class weight_norm(_Parametrized):
    """A layer whose weight is a direction and a length, `weight = original0 * original1 / |original1|`.

    There is a length for each index of dimension `dim`, or one for all with `dim=none`. Checkpoints in which the two
    are called `weight_g` and `weight_v` load as they are. Source: `torch.nn.utils.parametrizations.weight_norm`;
    Salimans and Kingma (arXiv:1602.07868).
    """

    dim: int | None = arg(0, doc="the dimension that has a length for each index; none: one length for all")

    examples = (
        Example("weight_norm(Conv1d(8, 3, padding=1))", x="float[N, 4, L]"),
        Example("weight_norm(Linear(5, bias=false), dim=1)", x="float[N, T, 3]"),
        Example("weight_norm(ConvTranspose2d(3, 2, stride=2), dim=none)", x="float[N, 4, H, W]"),
        Example('weight_norm(Linear(5), name="bias")', x="float[N, 3]"),
        Example('weight_norm(weight_norm(Linear(5)), "bias", dim=none)', x="float[N, 3]"),
    )

    def stored(self, weight: Weight) -> dict[str, Weight]:
        rank = len(weight.shape)
        if self.dim is not None and not 0 <= self.dim < rank:
            dims = "dimension 0" if rank == 1 else f"dimensions 0 to {rank - 1}"
            raise ShapeError(
                f"`{self.name}` of `{self.inner.title}` has {dims}, and no dimension {self.dim}",
                code="NNS304",
                label="out of range",
                at="dim",
                helps=("one length for the whole tensor is `dim=none`",),
            )
        lengths = [size if axis == self.dim else 1 for axis, size in enumerate(weight.shape)]
        lengths = [] if self.dim is None else lengths
        return {"original0": Weight(lengths, weight.dtype), "original1": Weight(weight.shape, weight.dtype)}

    def compute(self, part: Callable[[str], np.ndarray]) -> np.ndarray:
        import numpy as np

        length, direction = part("original0"), part("original1")
        others = tuple(axis for axis in range(direction.ndim) if axis != self.dim)
        squares = np.square(direction, dtype="float64").sum(others, keepdims=self.dim is not None)
        return np.asarray(direction * (length / np.sqrt(squares)), direction.dtype)


class spectral_norm(_Parametrized):
    """A layer whose weight is divided by its largest singular value, which keeps its Lipschitz constant at 1.

    The value is estimated by power iterations: each forward pass in training goes on from the vectors `_u` and `_v` of
    the one before, and inference uses them as they are. Source: `torch.nn.utils.parametrizations.spectral_norm`; Miyato
    et al. (arXiv:1802.05957).
    """

    n_power_iterations: int = arg(1, ge=1, doc="power iterations in each forward pass of training")
    eps: float = arg(1e-12, gt=0, doc="least length that a vector is divided by")
    dim: int | None = arg(None, doc="dimension of the outputs; none: 1 for transposed convolutions, else 0")

    examples = (
        Example("spectral_norm(Linear(8))", x="float[N, 4]"),
        Example("spectral_norm(Conv2d(6, 3, padding=1, bias=false), n_power_iterations=3)", x="float[N, 2, H, W]"),
        Example("spectral_norm(ConvTranspose2d(3, 2))", x="float[N, 4, H, W]"),
        Example("spectral_norm(Conv1d(6, 3, padding=1), dim=-1, eps=1e-6)", x="float[N, 2, L]"),
        Example("spectral_norm(Embedding(7, 4))", x="int[N, T]"),
        Example("spectral_norm(LayerNorm)", x="float[N, 4]"),
        Example("spectral_norm(Bilinear(5))", macs=2 * 5 * (3 * 4 + 4), input1="float[N, 3]", input2="float[N, 4]"),
    )

    def stored(self, weight: Weight) -> dict[str, Weight]:
        rank = len(weight.shape)
        dim = self._dim
        if not -rank <= dim < rank:
            raise ShapeError(
                f"`{self.name}` of `{self.inner.title}` has no dimension {dim}",
                code="NNS304",
                label=f"from {-rank} to {rank - 1}",
                at="dim",
            )
        parts = {"original": Weight(weight.shape, weight.dtype)}
        if rank > 1:
            height, width = weight.shape[dim], 1
            for axis, size in enumerate(weight.shape):
                width *= 1 if axis == dim % rank else size
            parts |= {"0._u": Weight((height,), trained=False), "0._v": Weight((width,), trained=False)}
        return parts

    @property
    def _dim(self) -> int:
        innermost = cast(ir.Record, self.layer)
        while "layer" in innermost.arguments:
            innermost = innermost.arguments["layer"]
        return self.dim if self.dim is not None else int(innermost.name.startswith("ConvTranspose"))

    def compute(self, part: Callable[[str], np.ndarray]) -> np.ndarray:
        import numpy as np

        weight = part("original")
        if weight.ndim == 1:
            return np.asarray(weight / np.maximum(np.linalg.norm(weight), self.eps), weight.dtype)
        matrix = np.moveaxis(weight, self._dim, 0).reshape(weight.shape[self._dim], -1).astype("float64")
        value = part("0._u") @ (matrix @ part("0._v"))
        return np.asarray(weight / value, weight.dtype)


class orthogonal(_Parametrized):
    """A layer whose weight is orthogonal: its columns are, or its rows where there are fewer of these.

    A weight of more than two dimensions is a batch of matrices, its last two. Of the cost of computing it, the product
    with `base` counts: what an exponential takes depends on the values.
    Source: `torch.nn.utils.parametrizations.orthogonal`; Lezcano-Casado and Martinez-Rubio (arXiv:1901.08428).
    """

    orthogonal_map: Literal["matrix_exp", "cayley", "householder"] | None = arg(
        None, doc="how it is computed; none: `matrix_exp` for a square weight, else `householder`"
    )
    use_trivialization: bool = arg(True, doc="start from, and stay relative to, a fixed matrix `base`", keyword=True)

    examples = (
        Example("orthogonal(Linear(4))", macs=2 * 4 * 4 + 4 * 4 * 4, x="float[N, 4]"),
        Example("orthogonal(Linear(8))", x="float[N, T, 3]"),
        Example('orthogonal(Linear(3), orthogonal_map="cayley")', x="float[N, 5]"),
        Example("orthogonal(Linear(6, bias=false), use_trivialization=false)", x="float[N, 4]"),
        Example('orthogonal(Conv2d(2, 3), orthogonal_map="matrix_exp")', macs=8 * 3**3 + 72, x="float[1, 4, 3, 3]"),
    )

    def stored(self, weight: Weight) -> dict[str, Weight]:
        if len(weight.shape) < 2:
            raise ShapeError(
                f"`{self.name}` of `{self.inner.title}` is no matrix: it has {counted(len(weight.shape), 'dimension')}",
                code="NNS304",
                label="only a matrix can be orthogonal",
                at="name" if self.name != "weight" else "layer",
            )
        parts = {"original": Weight(weight.shape, weight.dtype)}
        if self.use_trivialization:
            size = max(weight.shape[-2:])
            parts["0.base"] = Weight((*weight.shape[:-2], size, size), weight.dtype, trained=False)
        elif self._map(weight.shape) != "householder":
            raise ShapeError(
                f'`orthogonal` cannot start from a given weight with `orthogonal_map="{self._map(weight.shape)}"`',
                code="NNS304",
                at="use_trivialization",
                helps=('take `orthogonal_map="householder"`, or leave `use_trivialization` out',),
            )
        return parts

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        inner = self.inner
        *batch, rows, columns = inner.weights()[self.name].shape
        product = prod(batch) * max(rows, columns) ** 2 * min(rows, columns) if self.use_trivialization else 0
        return inner.macs(inputs, output) + product

    def _map(self, shape: Sequence[int]) -> str:
        return self.orthogonal_map or ("matrix_exp" if shape[-2] == shape[-1] else "householder")

    def compute(self, part: Callable[[str], np.ndarray]) -> np.ndarray:
        import numpy as np

        given = part("original")
        wide = given.shape[-2] < given.shape[-1]
        x = (np.swapaxes(given, -2, -1) if wide else given).astype("float64")
        q = _reflected(x) if self._map(given.shape) == "householder" else self._turned(x, self._map(given.shape))
        if self.use_trivialization:
            q = part("0.base").astype("float64") @ q
        return np.ascontiguousarray(np.swapaxes(q, -2, -1) if wide else q, given.dtype)

    @staticmethod
    def _turned(x: np.ndarray, way: str) -> np.ndarray:
        """A rotation made of the skew-symmetric matrix that the lower triangle of x stands for."""
        import numpy as np

        rows, columns = x.shape[-2:]
        lower = np.zeros((*x.shape[:-1], rows))
        lower[..., :columns] = np.tril(x)
        skew = lower - np.swapaxes(lower, -2, -1)
        one = np.eye(rows)
        whole = np.linalg.solve(one - skew / 2, one + skew / 2) if way == "cayley" else _exponential(skew)
        found: np.ndarray = whole[..., :columns]
        return found


def _reflected(x: np.ndarray) -> np.ndarray:
    """The product of the Householder reflections whose vectors lie below the diagonal; the diagonal holds signs."""
    import numpy as np

    rows, columns = x.shape[-2:]
    vectors = np.tril(x, -1)
    scales = 2 / (1 + np.square(vectors).sum(-2))
    q = np.broadcast_to(np.eye(rows, columns), x.shape).copy()
    for i in reversed(range(columns)):
        v = vectors[..., i]
        v[..., i] = 1
        q -= scales[..., i, None, None] * v[..., :, None] * (v[..., None, :] @ q)
    signs = np.trunc(np.diagonal(x, axis1=-2, axis2=-1))
    return np.asarray(q * signs[..., None, :])


def _exponential(matrix: np.ndarray) -> np.ndarray:
    """The matrix exponential: that of a small part by its series, squared again and again."""
    import numpy as np

    norm = float(np.abs(matrix).sum(-1).max(initial=0))
    halvings = max(0, int(np.ceil(np.log2(norm))) + 1) if norm > 0 else 0
    small = matrix / 2**halvings
    term = np.broadcast_to(np.eye(matrix.shape[-1]), matrix.shape)
    total = term
    for i in range(1, 20):  # of a norm of at most a half: what is left out is below 1e-20
        term = term @ small / i
        total = total + term
    for _ in range(halvings):
        total = total @ total
    return total
