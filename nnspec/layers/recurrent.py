"""Recurrent layers: RNN, LSTM and GRU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnspec.arguments import arg, inferred
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Rules, ShapeError, Weight
from nnspec.layers._expect import expect_rank, expect_tensor, expect_weight_type, volume
from nnspec.layers._recurrent_onnx import project, run
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Recurrent(Layer):
    """What recurrent layers share: a stack of cells that go along the time, in one direction or in both.

    `x` is [T, N, D] (or [N, T, D] with `batch_first`, or [T, D] without a batch); a state, given as `hx` or returned,
    is [layers * directions, N, H], whatever `batch_first` says.
    """

    order: ClassVar[tuple[int, ...]]
    """For each gate of ONNX, its place among torch's gates."""
    kept: ClassVar[int] = 1
    """How many tensors of the state's size a step keeps for the backward pass."""

    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    bidirectional: bool

    def accept(self, *inputs: Any) -> None:
        expect_rank(self, inputs[0], "N, T, D" if self.batch_first else "T, N, D", "T, D")
        expect_weight_type(self, inputs[0])
        hx = inputs[1] if len(inputs) > 1 else None
        for state in self._states(hx):
            expect_weight_type(self, expect_tensor(self, state, 1), 1)

    def _states(self, hx: Any) -> tuple[Any, ...]:
        """The initial states that are given."""
        return () if hx is None else (hx,)

    def infer(self, rules: Rules, x: TensorType, hx: Operand = None) -> Any:
        directions = 1 + self.bidirectional
        rows = (self.num_layers * directions, *self._batch(x))
        shapes = [x.with_dims(*rows, size) for size in self._state_sizes()]
        for name, state, wanted in zip(("h0", "c0"), self._states(hx), shapes, strict=False):
            self._require_state(rules, name, state, wanted)
        y = x.with_dims(*x.dims[:-1], directions * self._output_size())
        return y, (tuple(shapes) if len(shapes) > 1 else shapes[0])

    def _batch(self, x: TensorType) -> tuple[Size, ...]:
        return () if x.rank == 2 else (x.dims[0 if self.batch_first else 1],)

    def _output_size(self) -> int:
        return self.hidden_size

    def _state_sizes(self) -> tuple[int, ...]:
        return (self.hidden_size,)

    def _require_state(self, rules: Rules, name: str, state: TensorType, wanted: TensorType) -> None:
        kind = type(self).__name__
        if state.rank != wanted.rank:
            raise ShapeError(f"{name} of `{kind}` must be {wanted}, not {state}", code="NNS402", input=1)
        names = ("layers", "batch", "features") if wanted.rank == 3 else ("layers", "features")
        for have, need, what in zip(state.dims, wanted.dims, names, strict=True):
            rules.require_equal(
                have,
                need,
                f"{name} of `{kind}` must be {wanted}, not {state}",
                label=f"the {what} dimension must be {show(need)}",
                input=1,
            )

    def _cells(self) -> list[tuple[str, int]]:
        """The suffix of each cell's weights, and the size of what it is fed, in torch's order."""
        ends = ("", "_reverse") if self.bidirectional else ("",)
        wide = len(ends) * self._output_size()
        return [(f"_l{i}{end}", wide if i else self.input_size) for i in range(self.num_layers) for end in ends]

    def weights(self) -> dict[str, Weight]:
        weights = {}
        rows = len(self.order) * self.hidden_size
        for suffix, size in self._cells():
            weights[f"weight_ih{suffix}"] = Weight((rows, size))
            weights[f"weight_hh{suffix}"] = Weight((rows, self._output_size()))
            if self.bias:
                weights[f"bias_ih{suffix}"] = Weight((rows,))
                weights[f"bias_hh{suffix}"] = Weight((rows,))
            if self._output_size() != self.hidden_size:
                weights[f"weight_hr{suffix}"] = Weight((self._output_size(), self.hidden_size))
        return weights

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        x = inputs[0]
        assert isinstance(x, TensorType)
        matrices = (w.shape for w in self.weights().values() if len(w.shape) == 2)
        return volume(x.dims[:-1]) * sum(rows * columns for rows, columns in matrices)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        from nnspec.layers._recurrent_memory import remember_recurrent

        return remember_recurrent(self, m, inputs[0], self._states(inputs[1] if len(inputs) > 1 else None))

    def remember_steps(self, m: Tape, x: Any) -> Any:
        """What a layer of the stack allocates, going along the time in one direction."""
        from nnspec.layers._recurrent_memory import remember_cells

        return remember_cells(self, m, x, gates=len(self.order), kept=self.kept)

    def onnx(self, g: OnnxGraph, x: str, hx: Any = None) -> Any:
        batched = g.type(x).rank == 3
        one = g.constant([1])
        if not batched:
            x = g.node("Unsqueeze", x, one)
        elif self.batch_first:
            x = g.node("Transpose", x, perm=[1, 0, 2])
        given = [s if batched else g.node("Unsqueeze", s, one) for s in self._states(hx)]
        layers: list[tuple[str, ...]] = []
        for number, states in enumerate(self._split(g, given)):
            x, *ends = self._layer(g, number, x, states)
            layers.append(tuple(ends))
        finals = [ends[0] if len(ends) == 1 else g.node("Concat", *ends, axis=0) for ends in zip(*layers, strict=True)]
        if not batched:
            x, *finals = (g.node("Squeeze", value, one) for value in (x, *finals))
        elif self.batch_first:
            x = g.node("Transpose", x, perm=[1, 0, 2])
        return x, (tuple(finals) if len(finals) > 1 else finals[0])

    def _split(self, g: OnnxGraph, given: Sequence[str]) -> list[tuple[str, ...]]:
        """The initial states of each layer of the stack."""
        if self.num_layers == 1 or not given:
            return [tuple(given)] * self.num_layers
        sizes = g.constant([1 + self.bidirectional] * self.num_layers)
        return list(zip(*(g.node("Split", s, sizes, axis=0, outputs=self.num_layers) for s in given), strict=True))

    def _layer(self, g: OnnxGraph, number: int, x: str, states: Sequence[str]) -> tuple[str, ...]:
        """One layer of the stack: its output [T, N, directions * H], and its final states."""
        ends = ("", "_reverse") if self.bidirectional else ("",)
        y, *finals = self._along(g, [f"_l{number}{end}" for end in ends], x, states)
        if not self.bidirectional:
            return (g.node("Squeeze", y, g.constant([1])), *finals)
        y = g.node("Transpose", y, perm=[0, 2, 1, 3])
        return (g.node("Reshape", y, g.constant([0, 0, 2 * self._output_size()])), *finals)

    def _along(self, g: OnnxGraph, suffixes: Sequence[str], x: str, states: Sequence[str]) -> tuple[str, ...]:
        """The operator for the weights of these names: [T, directions, N, H], and its final states."""
        return run(self, g, type(self).__name__, suffixes, x, states, **self._attributes())

    def _attributes(self) -> dict[str, Any]:
        return {}


class RNN(_Recurrent):
    """An Elman network, `h' = tanh(W x + U h + b)` at each step: returns every step's output, and the last state.

    `x` is [T, N, D], or [N, T, D] with `batch_first`, or [T, D]; states are [layers * directions, N, H].
    Source: `torch.nn.RNN`; Elman, Finding structure in time (1990).
    """

    order = (0,)

    input_size: int = inferred(axis=-1)
    hidden_size: int = arg(ge=1, doc="size of the state")
    num_layers: int = arg(1, ge=1, le=1000, doc="how many layers are stacked")
    nonlinearity: Literal["tanh", "relu"] = arg("tanh", doc="what makes a state of the sum")
    bias: bool = arg(True, doc="add learned offsets")
    batch_first: bool = arg(False, doc="the batch is the first dimension of input and output, not the second")
    dropout: float = arg(0.0, ge=0, le=1, doc="dropout between the layers of the stack")
    bidirectional: bool = arg(False, doc="go along the time in both directions")

    examples = (
        Example("RNN(4)", macs=2 * 2 * 4 * (3 + 4), x="float[T, N, 3]"),
        Example("RNN(4, batch_first=true)", macs=2 * 2 * 4 * (3 + 4), x="float[N, T, 3]", hx="float[1, N, 4]"),
        Example(
            "RNN(4, 2, bias=false, bidirectional=true)",
            macs=2 * 2 * 2 * 4 * (3 + 4 + 8 + 4),
            x="float[T, N, 3]",
            hx="float[4, N, 4]",
        ),
        Example("RNN(4)", macs=5 * 4 * (3 + 4), x="float[5, 3]"),
    )

    def _attributes(self) -> dict[str, Any]:
        return {"activations": [self.nonlinearity.capitalize()] * (1 + self.bidirectional)}


class GRU(_Recurrent):
    """A gated recurrent unit: returns every step's output, and the last state.

    `x` is [T, N, D], or [N, T, D] with `batch_first`, or [T, D]; states are [layers * directions, N, H].
    Source: `torch.nn.GRU`; Cho et al., Learning phrase representations (arXiv:1406.1078), with torch's reset gate, that
    acts behind the product.
    """

    order = (1, 0, 2)
    kept = 7

    input_size: int = inferred(axis=-1)
    hidden_size: int = arg(ge=1, doc="size of the state")
    num_layers: int = arg(1, ge=1, le=1000, doc="how many layers are stacked")
    bias: bool = arg(True, doc="add learned offsets")
    batch_first: bool = arg(False, doc="the batch is the first dimension of input and output, not the second")
    dropout: float = arg(0.0, ge=0, le=1, doc="dropout between the layers of the stack")
    bidirectional: bool = arg(False, doc="go along the time in both directions")

    examples = (
        Example("GRU(4)", macs=2 * 2 * 12 * (3 + 4), x="float[T, N, 3]"),
        Example("GRU(4, batch_first=true)", macs=2 * 2 * 12 * (3 + 4), x="float[N, T, 3]", hx="float[1, N, 4]"),
        Example(
            "GRU(4, 2, bias=false, dropout=0.5, bidirectional=true)",
            macs=2 * 2 * 2 * 12 * (3 + 4 + 8 + 4),
            x="float[T, N, 3]",
        ),
        Example("GRU(4)", macs=5 * 12 * (3 + 4), x="float[5, 3]", hx="float[1, 4]"),
    )

    def _attributes(self) -> dict[str, Any]:
        return {"linear_before_reset": 1}


class LSTM(_Recurrent):
    """Long short-term memory: returns every step's output, and the last pair of states, `y, (h, c) = x -> LSTM(8)`.

    `x` is [T, N, D], or [N, T, D] with `batch_first`, or [T, D]; states are [layers * directions, N, H]. An initial
    pair is fed as one input: `(x, (h0, c0)) -> LSTM(8)`.
    Source: `torch.nn.LSTM`; Hochreiter and Schmidhuber (1997); projections: Sak et al. (arXiv:1402.1128).
    """

    order = (0, 3, 1, 2)

    input_size: int = inferred(axis=-1)
    hidden_size: int = arg(ge=1, doc="size of the state")
    num_layers: int = arg(1, ge=1, le=1000, doc="how many layers are stacked")
    bias: bool = arg(True, doc="add learned offsets")
    batch_first: bool = arg(False, doc="the batch is the first dimension of input and output, not the second")
    dropout: float = arg(0.0, ge=0, le=1, doc="dropout between the layers of the stack")
    bidirectional: bool = arg(False, doc="go along the time in both directions")
    proj_size: int = arg(0, ge=0, doc="size that outputs are projected to; 0: they are not")

    examples = (
        Example("LSTM(4)", macs=2 * 2 * 16 * (3 + 4), x="float[T, N, 3]"),
        Example(
            "LSTM(4, batch_first=true)",
            macs=2 * 2 * 16 * (3 + 4),
            x="float[N, T, 3]",
            hx=("float[1, N, 4]", "float[1, N, 4]"),
        ),
        Example(
            "LSTM(4, num_layers=2, bias=false, bidirectional=true)",
            macs=2 * 2 * 2 * 16 * (3 + 4 + 8 + 4),
            x="float[T, N, 3]",
            hx=("float[4, N, 4]", "float[4, N, 4]"),
        ),
        Example("LSTM(4)", macs=5 * 16 * (3 + 4), x="float[5, 3]", hx=("float[1, 4]", "float[1, 4]")),
    )

    def accept(self, *inputs: Any) -> None:
        if self.proj_size >= self.hidden_size:
            raise ShapeError(
                f"proj_size {self.proj_size} of `LSTM` must be smaller than hidden_size {self.hidden_size}",
                code="NNS304",
                at="proj_size",
                label="would not make the output smaller",
            )
        super().accept(*inputs)

    def _states(self, hx: Any) -> tuple[Any, ...]:
        if hx is None:
            return ()
        if not isinstance(hx, tuple) or len(hx) != 2:
            raise ShapeError(
                "`LSTM` starts from a pair of states",
                code="NNS402",
                input=1,
                helps=("write `(x, (h0, c0)) -> LSTM(...)`",),
            )
        return hx

    def _output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def _state_sizes(self) -> tuple[int, ...]:
        return self._output_size(), self.hidden_size

    def _along(self, g: OnnxGraph, suffixes: Sequence[str], x: str, states: Sequence[str]) -> tuple[str, ...]:
        if not self.proj_size:
            return super()._along(g, suffixes, x, states)
        return project(self, g, suffixes, x, states)

    def remember_steps(self, m: Tape, x: Any) -> Any:
        from nnspec.layers._recurrent_memory import remember_kernel

        return remember_kernel(self, m, x)
