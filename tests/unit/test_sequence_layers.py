"""Cells, projected LSTMs and the adaptive softmax, with random arguments against torch and ONNX Runtime."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnspec.compiler import check_text
from nnspec.layer import ShapeError
from nnspec.types import TensorType
from tests.opsets import OPSETS

from .layer_harness import build, feed, make, read_layer
from .test_layers_onnx import agree

small = st.integers(1, 4)
opsets = st.sampled_from(OPSETS)


def states(name: str, *dims: str) -> Any:
    """The initial states that a layer takes, of these dimensions."""
    types = tuple(f"float[{text}]" for text in dims)
    return types if name.startswith("LSTM") else types[0]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["RNNCell", "GRUCell", "LSTMCell"]),
    st.fixed_dictionaries({"hidden_size": small, "bias": st.booleans()}),
    st.sampled_from(["tanh", "relu"]),
    small,
    st.booleans(),
    st.booleans(),
    opsets,
)
def test_cells(
    name: str, arguments: dict[str, Any], nonlinearity: str, size: int, batched: bool, given_state: bool, opset: int
) -> None:
    if name == "RNNCell":
        arguments["nonlinearity"] = nonlinearity
    lead = "N, " if batched else ""
    state = f"{lead}{arguments['hidden_size']}"
    case = feed(make(name, **arguments), f"float[{lead}{size}]", states(name, state, state) if given_state else None)
    agree(case, [{"N": 3}, {"N": 1}], opset, reference=False)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@settings(max_examples=30, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "hidden_size": st.integers(2, 5),
            "num_layers": st.integers(1, 3),
            "bias": st.booleans(),
            "batch_first": st.booleans(),
            "bidirectional": st.booleans(),
            "proj_size": st.integers(1, 4),
        }
    ),
    st.booleans(),
    st.booleans(),
    opsets,
)
def test_projections(arguments: dict[str, Any], batched: bool, given_state: bool, opset: int) -> None:
    assume(arguments["proj_size"] < arguments["hidden_size"])
    rows, lead = arguments["num_layers"] * (1 + arguments["bidirectional"]), "N, " if batched else ""
    h, c = (f"{rows}, {lead}{arguments[name]}" for name in ("proj_size", "hidden_size"))
    x = "float[T, 3]" if not batched else "float[N, T, 3]" if arguments["batch_first"] else "float[T, N, 3]"
    case = feed(make("LSTM", **arguments), x, states("LSTM", h, c) if given_state else None)
    agree(case, [{"N": 2, "T": 4}, {"N": 1, "T": 1}], opset, reference=False)


@settings(max_examples=20, deadline=None)
@given(
    st.integers(2, 20),
    st.sets(st.integers(1, 19), min_size=1, max_size=4),
    st.integers(4, 12),
    st.sampled_from([1.0, 1.3, 2.0]),
    st.booleans(),
    st.booleans(),
    opsets,
)
def test_adaptive_softmax(
    classes: int, cutoffs: set[int], size: int, div_value: float, head_bias: bool, batched: bool, opset: int
) -> None:
    arguments = {"n_classes": classes, "cutoffs": sorted(cutoffs), "div_value": div_value, "head_bias": head_bias}
    layer, lead = make("AdaptiveLogSoftmaxWithLoss", **arguments), "N" if batched else ""
    types = f"float[{lead + ', ' if lead else ''}{size}]", f"int[{lead}]"
    if max(cutoffs) >= classes:
        with pytest.raises(ShapeError, match="cutoffs"):
            feed(layer, *types)
        with pytest.raises(ValueError, match="cutoffs"):
            nn.AdaptiveLogSoftmaxWithLoss(size, **arguments)  # type: ignore[arg-type]  # of a dict of many types
        return
    assume(size // div_value ** len(cutoffs) >= 1)
    case = feed(layer, *types)
    agree(case, [{"N": 5}, {"N": 1}], opset)
    module, dearest = build(case.layer), 0
    for target in range(classes):
        with FlopCounterMode(display=False) as counter:
            module(torch.zeros(1, size), torch.tensor([target]))
        dearest = max(dearest, counter.get_total_flops() // 2)
    assert case.layer.macs([TensorType("float32", (1, size))], None) == dearest


def test_a_cluster_has_features() -> None:
    with pytest.raises(ShapeError, match=r"cluster 2 of 2 would have no features: 8 / 4\*\*2 is below 1"):
        feed(read_layer("AdaptiveLogSoftmaxWithLoss(9, [2, 5])"), "float[N, 8]", "int[N]")


REFUSED = [
    ("x[0] -> GRUCell(4) -> GRUCell(4, input_size=8)", "NNS401", "cannot follow"),
    ("x -> RNNCell(4)", "NNS402", "`RNNCell` needs 2 or 1 dimensions, [N, D] or [D]"),
    ("(x[0], x) -> RNNCell(4)", "NNS402", "input and h of `RNNCell` need the same rank"),
    ("(x[0], x[1]) -> GRUCell(4)", "NNS401", "h of `GRUCell` must be float[T, 4], not float[T, 8]"),
    ("(x[0], x[0]) -> LSTMCell(4)", "NNS402", "`LSTMCell` starts from a pair of states"),
    ("(k, k) -> GRUCell(4)", "NNS406", "`GRUCell` has float32 parameters"),
    ("(x, x) -> AdaptiveLogSoftmaxWithLoss(9, [2])", "NNS402", "[N, D] or [D]"),
    ("(x[0], x[0]) -> AdaptiveLogSoftmaxWithLoss(9, [2])", "NNS406", "are numbers of classes, int64"),
    ("(x[0, 0], k) -> AdaptiveLogSoftmaxWithLoss(9, [2])", "NNS402", "needs one target for each row"),
    ("(x[0], k) -> AdaptiveLogSoftmaxWithLoss(9, [2])", "NNS410", "needs one target for each row"),
    ("(x[:, 0], k) -> AdaptiveLogSoftmaxWithLoss(9, [])", "NNS304", "must rise, from 1 to below n_classes 9"),
    ("(x[:, 0], k) -> AdaptiveLogSoftmaxWithLoss(9, [4, 4])", "NNS304", "must rise"),
]


@pytest.mark.parametrize(("flow", "code", "said"), REFUSED, ids=[flow for flow, _, _ in REFUSED])
def test_what_does_not_fit_is_refused(flow: str, code: str, said: str) -> None:
    spec = f"model M {{\n  input x: float[N, T, 8]\n  input k: int[N]\n  y = {flow}\n  output x\n}}\n"
    errors = [d for d in check_text(spec) if d.severity == "error"]
    assert [d.code for d in errors] == [code], errors
    assert said in errors[0].message, errors[0].message
