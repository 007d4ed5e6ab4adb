"""Metrics that compare each number that was predicted with the one that was wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from nnspec.dims import Dim, Size, show
from nnspec.layer import Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.training.metric import Metric
from nnspec.types import TensorType


class Paired(Metric):
    """Two tensors of one shape: what is predicted, in floats, and what is wanted."""

    module: ClassVar[str] = "regression"
    """The module of torchmetrics that it comes from."""
    kind: ClassVar[str] = ""
    """What torchmetrics calls its class."""
    least: ClassVar[int] = 1
    """Samples without which there is no such number."""
    gathers: ClassVar[bool] = False
    """Whether all samples are kept: they are needed, or torchmetrics' states of two halves are not one of the whole."""

    def infer(self, rules: Rules, preds: Any, target: Any) -> TensorType:
        preds, target = expect_float(self, preds), expect_tensor(self, target, 1)
        name = type(self).__name__
        message = f"`{name}` compares number by number, and its inputs are {preds} and {target}"
        if preds.rank != target.rank or not preds.rank:
            raise ShapeError(message, code="NNS402", label="needs the shape of the other", input=1)
        for size, want in zip(target.dims, preds.dims, strict=True):
            rules.require_equal(size, want, message, input=1)
        return TensorType("float32", self._result(preds))

    def _result(self, preds: TensorType) -> tuple[Size, ...]:
        return ()

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        """What torchmetrics is handed: both in one type, wide enough to add up in."""
        return lambda p, t: (_wide(p), _wide(t))

    def options_for(self, types: Sequence[TensorType]) -> dict[str, Any]:
        """Arguments of torchmetrics' class."""
        return dict(vars(self))

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        from nnspec.training.running.borrowed import Borrowed, Gathered

        name, options, prepare = type(self).__name__, self.options_for(types), self.prepare(types)
        if self.gathers:
            return Gathered(name, f"functional.{self.module}.{name}", options, prepare, device, least=self.least)
        return Borrowed(name, f"{self.module}.{self.kind}", options, prepare, device, least=self.least)


class Flat(Paired):
    """A metric that all numbers count in alike, whatever their place."""

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        """As in `Paired`, as vectors."""
        return lambda p, t: (_wide(p).flatten(), _wide(t).flatten())


class Columns(Paired):
    """A metric of each column: of [N, D] it is D numbers, and of [N] or [N, 1] one."""

    least = 2
    outputs: ClassVar[bool] = True
    """Whether torchmetrics wants to know how many columns there are."""

    def _result(self, preds: TensorType) -> tuple[Size, ...]:
        if preds.rank > 2:
            raise ShapeError(
                f"`{type(self).__name__}` is for vectors and columns, [N] or [N, D], and these are {preds}",
                code="NNS402",
                label=f"has {preds.rank} dimensions",
                input=0,
                helps=("bring both into one: `flatten(x, 0)`",),
            )
        count = self._columns(preds)
        return (count,) if count > 1 else ()

    def _columns(self, preds: TensorType) -> int:
        size = preds.dims[1] if preds.rank == 2 else 1
        if isinstance(size, Dim):
            message = f"`{type(self).__name__}` is of each column, and how many there are is `{show(size)}`"
            raise ShapeError(message, code="NNS405", label="is no fixed number", input=0)
        return size

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        """As in `Paired`; a single column is a vector."""
        if types[0].rank == 2 and types[0].dims[1] == 1:
            return lambda p, t: (_wide(p).squeeze(1), _wide(t).squeeze(1))
        return super().prepare(types)

    def options_for(self, types: Sequence[TensorType]) -> dict[str, Any]:
        """As in `Paired`, with the number of columns."""
        return super().options_for(types) | ({"num_outputs": self._columns(types[0])} if self.outputs else {})


def _wide(values: Any) -> Any:
    """In float64; in float32 on Apple's devices, which have nothing wider."""
    return values.float() if values.device.type == "mps" else values.double()
