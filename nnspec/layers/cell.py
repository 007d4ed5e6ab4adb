"""Single steps of recurrent layers: RNNCell, GRUCell and LSTMCell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from nnspec.arguments import arg, inferred
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Weight
from nnspec.layers._expect import expect_rank, expect_tensor, expect_weight_type, volume
from nnspec.layers._recurrent_onnx import run
from nnspec.types import Operand, TensorType


class _Cell(Layer):
    """What the cells share: an input [N, D] or [D] and states [N, H] or [H], zeros where none are given."""

    operator: ClassVar[str]
    """ONNX's operator, which a cell is one step of."""
    order: ClassVar[tuple[int, ...]]
    """For each gate of ONNX, its place among torch's gates."""
    states: ClassVar[int] = 1
    """How many states there are."""

    input_size: int
    hidden_size: int
    bias: bool

    def accept(self, *inputs: Any) -> None:
        x = expect_weight_type(self, expect_rank(self, inputs[0], "N, D", "D"))
        for name, state in zip(("h", "c"), self._given(inputs[1] if len(inputs) > 1 else None), strict=False):
            if expect_weight_type(self, expect_tensor(self, state, 1), 1).rank != x.rank:
                raise ShapeError(
                    f"input and {name} of `{type(self).__name__}` need the same rank, but they are {x} and {state}",
                    code="NNS402",
                    input=1,
                )

    def _given(self, hx: Any) -> tuple[Any, ...]:
        """The states that are given."""
        return () if hx is None else (hx,)

    def infer(self, rules: Rules, x: TensorType, hx: Operand = None) -> Any:
        wanted = x.with_dims(*x.dims[:-1], self.hidden_size)
        for name, state in zip(("h", "c"), self._given(hx), strict=False):
            for axis, (have, need) in enumerate(zip(state.dims, wanted.dims, strict=True)):
                what = "features" if axis == x.rank - 1 else "batch"
                rules.require_equal(
                    have,
                    need,
                    f"{name} of `{type(self).__name__}` must be {wanted}, not {state}",
                    label=f"the {what} dimension must be {show(need)}",
                    input=1,
                )
        return wanted if self.states == 1 else (wanted,) * self.states

    def weights(self) -> dict[str, Weight]:
        rows = len(self.order) * self.hidden_size
        weights = {"weight_ih": Weight((rows, self.input_size)), "weight_hh": Weight((rows, self.hidden_size))}
        return weights | {f"bias_{kind}": Weight((rows,)) for kind in ("ih", "hh") if self.bias}

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x = inputs[0]
        assert isinstance(x, TensorType)
        return volume(x.dims[:-1]) * len(self.order) * self.hidden_size * (self.input_size + self.hidden_size)

    def onnx(self, g: OnnxGraph, x: str, hx: Any = None) -> Any:
        # A sequence of one step, with a batch of one where there is none.
        lead = g.constant([0] if g.type(x).rank == 2 else [0, 1])
        x, *states = (g.node("Unsqueeze", value, lead) for value in (x, *self._given(hx)))
        _, *finals = run(self, g, self.operator, [""], x, states, **self._attributes())
        found = tuple(g.node("Squeeze", final, lead) for final in finals)
        return found if len(found) > 1 else found[0]

    def _attributes(self) -> dict[str, Any]:
        return {}


class RNNCell(_Cell):
    """One step of an Elman network, `h' = tanh(W x + U h + b)`: [N, D] and a state [N, H] to the next state.

    Unbatched they are [D] and [H]; a state that is left out is zero.
    Source: `torch.nn.RNNCell`; Elman, Finding structure in time (1990).
    """

    operator = "RNN"
    order = (0,)

    input_size: int = inferred(axis=-1)
    hidden_size: int = arg(ge=1, doc="size of the state")
    bias: bool = arg(True, doc="add learned offsets")
    nonlinearity: Literal["tanh", "relu"] = arg("tanh", doc="what makes a state of the sum")

    examples = (
        Example("RNNCell(4)", x="float[N, 3]", hx="float[N, 4]"),
        Example("RNNCell(4, bias=false)", x="float[N, 3]", hx="float[N, 4]"),
        Example("RNNCell(4)", x="float[N, 3]"),
        Example("RNNCell(4)", x="float[3]", hx="float[4]"),
    )

    def _attributes(self) -> dict[str, Any]:
        return {"activations": [self.nonlinearity.capitalize()]}


class GRUCell(_Cell):
    """One step of a gated recurrent unit: [N, D] and a state [N, H] to the next state.

    Unbatched they are [D] and [H]; a state that is left out is zero.
    Source: `torch.nn.GRUCell`; Cho et al., Learning phrase representations (arXiv:1406.1078), with torch's reset gate,
    that acts behind the product.
    """

    operator = "GRU"
    order = (1, 0, 2)

    input_size: int = inferred(axis=-1)
    hidden_size: int = arg(ge=1, doc="size of the state")
    bias: bool = arg(True, doc="add learned offsets")

    examples = (
        Example("GRUCell(4)", x="float[N, 3]", hx="float[N, 4]"),
        Example("GRUCell(4, bias=false)", x="float[N, 3]"),
        Example("GRUCell(4)", x="float[3]", hx="float[4]"),
    )

    def _attributes(self) -> dict[str, Any]:
        return {"linear_before_reset": 1}


class LSTMCell(_Cell):
    """One step of a long short-term memory: `h, c = (x, (h, c)) -> LSTMCell(8)`.

    `x` is [N, D] and the states are [N, H]; unbatched they are [D] and [H]. States that are left out are zero.
    Source: `torch.nn.LSTMCell`; Hochreiter and Schmidhuber (1997).
    """

    operator = "LSTM"
    order = (0, 3, 1, 2)
    states = 2

    input_size: int = inferred(axis=-1)
    hidden_size: int = arg(ge=1, doc="size of the state")
    bias: bool = arg(True, doc="add learned offsets")

    examples = (
        Example("LSTMCell(4)", x="float[N, 3]", hx=("float[N, 4]", "float[N, 4]")),
        Example("LSTMCell(4, bias=false)", x="float[N, 3]"),
        Example("LSTMCell(4)", x="float[3]", hx=("float[4]", "float[4]")),
    )

    def _given(self, hx: Any) -> tuple[Any, ...]:
        if hx is None:
            return ()
        if not isinstance(hx, tuple) or len(hx) != 2:
            raise ShapeError(
                "`LSTMCell` starts from a pair of states",
                code="NNS402",
                input=1,
                helps=("write `(x, (h, c)) -> LSTMCell(...)`",),
            )
        return hx
