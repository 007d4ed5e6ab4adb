"""Every layer's ONNX form against torch, in ONNX Runtime and in the reference evaluator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.backends.onnx import DEFAULT_OPSET, MIN_OPSET
from nnspec.layer import Example, ShapeError
from tests.opsets import NEWEST, OPSETS

from .layer_harness import (
    TOLERANCE,
    Case,
    all_examples,
    apply,
    build,
    feed,
    feed_example,
    leaves,
    make,
    onnx_feed,
    onnx_model,
    read_layer,
    sizes_for,
    tensors,
)

EXAMPLES = [(name, example) for name, example in all_examples() if example.onnx]


def agree(case: Case, sizes: list[dict[str, int]], opset: int, *, reference: bool = True) -> None:
    """The model passes the checker, invents no dimension, and computes what torch does."""
    module = build(case.layer)
    model = onnx_model(case, module.state_dict(), opset)
    onnx.checker.check_model(model, full_check=True)
    named = {d.dim_param for o in model.graph.output for d in o.type.tensor_type.shape.dim}
    assert not any("unk" in n for n in named)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for numbers in sizes:
        inputs = tensors(case, numbers)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Using padding='same'|LSTM with projections")
            expected = [y.numpy() for y in leaves(apply(case.layer, module, inputs))]
        compare(session.run(None, onnx_feed(inputs)), expected, f"ONNX Runtime, {numbers}")
        if reference:
            evaluator = onnx.reference.ReferenceEvaluator(model)
            compare(evaluator.run(None, onnx_feed(inputs)), expected, f"reference, {numbers}")


def compare(results: Any, expected: list[np.ndarray], who: str) -> None:
    tolerance = 1e-3 if expected[0].dtype == np.float16 else TOLERANCE
    for ours, theirs in zip(results, expected, strict=True):
        assert ours.shape == theirs.shape, who
        assert ours.dtype == theirs.dtype, who
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=who)


@pytest.mark.parametrize("opset", [MIN_OPSET, DEFAULT_OPSET, NEWEST])
@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[e.text for _, e in EXAMPLES])
def test_onnx_computes_what_torch_does(name: str, example: Example, opset: int) -> None:
    case = feed_example(example)
    agree(case, sizes_for(case, seed=2), opset)


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect"])
def test_an_uneven_padding_is_on_torchs_side(mode: str) -> None:
    case = feed(read_layer(f'Conv2d(4, (4, 3), padding="same", padding_mode="{mode}")'), "float[N, 3, H, W]")
    agree(case, [{"N": 2, "H": 5, "W": 4}], 21, reference=False)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(
    "text",
    [
        "GELU",
        'GELU(approximate="tanh")',
        "GroupNorm(2)",
        "AdaptiveAvgPool2d((1, 3))",
        'Conv2d(4, 3, padding=1, padding_mode="circular")',
        "MaxPool2d(2, stride=3, padding=1, ceil_mode=true)",
        "BatchNorm2d(track_running_stats=false)",
    ],
)
def test_other_opsets_say_the_same(text: str, opset: int) -> None:
    case = feed(read_layer(text), "float[N, 4, H, 6]")
    agree(case, sizes_for(case, seed=3)[:2], opset, reference=False)


small = st.integers(1, 4)
side = st.integers(3, 9)


def pair(number: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.one_of(number, st.tuples(number, number))


def try_both(
    name: str, arguments: dict[str, Any], fixed: str, symbolic: str, sizes: dict[str, int], opset: int
) -> None:
    """A layer over numbers and over symbols, where the arguments fit."""
    try:
        cases = [feed(make(name, **arguments), fixed), feed(make(name, **arguments), symbolic)]
    except ShapeError:
        return
    agree(cases[0], [{}], opset, reference=False)
    agree(cases[1], [sizes], opset, reference=False)


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "kernel_size": pair(small),
            "stride": st.one_of(st.none(), pair(st.integers(1, 5))),
            "padding": pair(st.integers(0, 2)),
            "ceil_mode": st.booleans(),
        }
    ),
    st.one_of(
        st.fixed_dictionaries({"dilation": pair(st.integers(1, 2))}),
        st.fixed_dictionaries({"count_include_pad": st.booleans()}),
        st.fixed_dictionaries({"divisor_override": st.integers(1, 5)}),
    ),
    side,
    side,
    st.sampled_from(OPSETS),
)
def test_pools(arguments: dict[str, Any], more: dict[str, Any], h: int, w: int, opset: int) -> None:
    name = "MaxPool2d" if "dilation" in more else "AvgPool2d"
    try_both(name, arguments | more, f"float[2, 3, {h}, {w}]", "float[N, 3, H, W]", {"N": 2, "H": h, "W": w}, opset)


@settings(max_examples=30, deadline=None)
@given(pair(st.integers(1, 5)), side, side, st.sampled_from(OPSETS))
def test_adaptive_pools(size: Any, h: int, w: int, opset: int) -> None:
    sizes = {"N": 2, "H": h, "W": w}
    try_both("AdaptiveAvgPool2d", {"output_size": size}, f"float[2, 3, {h}, {w}]", "float[N, 3, H, W]", sizes, opset)


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "out_channels": st.sampled_from([2, 4]),
            "kernel_size": pair(small),
            "stride": pair(st.integers(1, 3)),
            "padding": st.one_of(pair(st.integers(0, 3)), st.sampled_from(["same", "valid"])),
            "dilation": pair(st.integers(1, 2)),
            "groups": st.integers(1, 2),
            "padding_mode": st.sampled_from(["zeros", "reflect", "replicate", "circular"]),
        }
    ),
    side,
    side,
    st.sampled_from(OPSETS),
)
def test_convolutions(arguments: dict[str, Any], h: int, w: int, opset: int) -> None:
    try_both("Conv2d", arguments, f"float[2, 4, {h}, {w}]", "float[N, 4, H, W]", {"N": 2, "H": h, "W": w}, opset)


@settings(max_examples=30, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "out_channels": st.sampled_from([2, 4]),
            "kernel_size": pair(small),
            "stride": pair(st.integers(1, 3)),
            "padding": pair(st.integers(0, 2)),
            "output_padding": pair(st.integers(0, 2)),
            "groups": st.integers(1, 2),
            "bias": st.booleans(),
            "dilation": pair(st.integers(1, 3)),
        }
    ),
    side,
    side,
)
def test_transposed_convolutions(arguments: dict[str, Any], h: int, w: int) -> None:
    sizes = {"N": 2, "H": h, "W": w}
    try_both("ConvTranspose2d", arguments, f"float[2, 4, {h}, {w}]", "float[N, 4, H, W]", sizes, 21)


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["RNN", "GRU", "LSTM"]),
    st.fixed_dictionaries(
        {
            "hidden_size": small,
            "num_layers": st.integers(1, 3),
            "bias": st.booleans(),
            "batch_first": st.booleans(),
            "bidirectional": st.booleans(),
        }
    ),
    st.booleans(),
    st.sampled_from(["tanh", "relu"]),
)
def test_recurrent_layers(name: str, arguments: dict[str, Any], given_state: bool, nonlinearity: str) -> None:
    if name == "RNN":
        arguments["nonlinearity"] = nonlinearity
    rows = arguments["num_layers"] * (1 + arguments["bidirectional"])
    state: Any = f"float[{rows}, N, {arguments['hidden_size']}]"
    state = ((state, state) if name == "LSTM" else state) if given_state else None
    case = feed(make(name, **arguments), "float[N, T, 3]" if arguments["batch_first"] else "float[T, N, 3]", state)
    agree(case, [{"N": 2, "T": 4}, {"N": 1, "T": 1}], 21, reference=False)


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "num_heads": st.sampled_from([1, 2, 4]),
            "bias": st.booleans(),
            "add_bias_kv": st.booleans(),
            "add_zero_attn": st.booleans(),
            "batch_first": st.booleans(),
            "need_weights": st.booleans(),
            "average_attn_weights": st.booleans(),
        }
    ),
    st.booleans(),
    st.sampled_from([0, 1, 2, 3]),
    st.sampled_from(["", "bool", "float"]),
    st.sampled_from(["", "pairs", "heads"]),
)
def test_attention(arguments: dict[str, Any], batched: bool, inputs: int, padding: str, mask: str) -> None:
    batch_first, heads = arguments["batch_first"], arguments["num_heads"]

    def sequence(length: str, width: int) -> str:
        if not batched:
            return f"float[{length}, {width}]"
        return f"float[N, {length}, {width}]" if batch_first else f"float[{length}, N, {width}]"

    given_types = {"query": sequence("L", 8)}
    source = "S" if inputs else "L"
    if inputs:
        given_types["key"] = sequence("S", 8 if inputs == 1 else 6)
    if inputs > 1:
        given_types["value"] = sequence("S", 6 if inputs == 2 else 4)
    if padding:
        given_types["key_padding_mask"] = f"{padding}[N, {source}]" if batched else f"{padding}[{source}]"
    if mask:
        rows = f"{heads} * N, " if batched else f"{heads}, "
        given_types["attn_mask"] = f"{padding or 'bool'}[{rows if mask == 'heads' else ''}L, {source}]"
    case = feed(make("MultiheadAttention", **arguments), **given_types)
    agree(case, [{"N": 2, "L": 3, "S": 4}, {"N": 1, "L": 1, "S": 1}], 21, reference=False)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize(
    "text", ["ReLU", "Sigmoid", "Softmax(1)", "MaxPool2d(2)", "AdaptiveAvgPool2d(1)", "Flatten", "Step"]
)
def test_other_floats(text: str, dtype: str) -> None:
    case = feed(read_layer(text), f"{dtype}[N, 4, H, W]")
    agree(case, [{"N": 2, "H": 4, "W": 5}], 21, reference=False)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("text", ["ReLU", "Sigmoid", "Flatten", "Step", "Identity"])
def test_integers(text: str, dtype: str) -> None:
    agree(feed(read_layer(text), f"{dtype}[N, 4]"), [{"N": 3}], 21)


def test_a_large_table_is_worked_out_by_the_graph() -> None:
    case = feed(read_layer("AdaptiveAvgPool2d((300, 1))"), "float[N, 1, 400, 2]")
    agree(case, [{"N": 1}], 21, reference=False)
    model = onnx_model(case, {}, 21)
    assert model.ByteSize() < 10_000


def test_the_lowering_uses_the_operator_that_there_is() -> None:
    ops = {
        "Linear(3)": ("float[N, 4]", ["Gemm"]),
        "Conv2d(3, 3)": ("float[N, 4, 8, 8]", ["Conv"]),
        "BatchNorm2d": ("float[N, 4, 8, 8]", ["BatchNormalization"]),
        "LayerNorm": ("float[N, 4]", ["LayerNormalization"]),
        "GroupNorm(2)": ("float[N, 4, 8, 8]", ["GroupNormalization"]),
        "GELU": ("float[N, 4]", ["Gelu"]),
        "AdaptiveAvgPool2d(2)": ("float[N, 4, 8, 8]", ["AveragePool"]),
        "Flatten": ("float[N, 4, 8, 8]", ["Reshape"]),
        "LSTM(3)": ("float[T, N, 4]", ["LSTM", "Squeeze"]),
    }
    for text, (kind, wanted) in ops.items():
        case = feed(read_layer(text), kind)
        model = onnx_model(case, build(case.layer).state_dict(), 21)
        assert [n.op_type for n in model.graph.node] == wanted, text


def test_torch_is_the_reference() -> None:
    """The comparison itself sees a difference."""
    with pytest.raises(AssertionError):
        compare([np.ones(2, np.float32)], [torch.zeros(2).numpy()], "nobody")
