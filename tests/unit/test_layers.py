"""Every layer against torch: shapes, state, cost; arguments at random; and what a wrong input is told."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_harness import (
    NestedDims,
    all_examples,
    apply,
    build,
    feed,
    feed_example,
    free_symbols,
    layer_class,
    leaves,
    make,
    nested,
    read_layer,
    shape_of,
    sizes_for,
    tensors,
)
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnspec import registry
from nnspec.dims import evaluate
from nnspec.layer import Example, ShapeError
from nnspec.types import TensorType

EXAMPLES = all_examples()
LAYERS = sorted(registry.index("layer"))
IDS = [example.text for _, example in EXAMPLES]

LEFT_OUT = {
    "device": "where a module lives is said when it is loaded",
    "dtype": "parameters are float32",
    "inplace": "says nothing about the result",
    "max_norm": "changes weights in a forward pass",
    "norm_type": "goes with max_norm",
    "return_indices": "a second output that only MaxUnpool reads",
    "_weight": "not public",
    "_freeze": "not public",
    "ConvTranspose2d.padding_mode": "only zeros are possible",
    "BatchNorm1d.bias": "newer than the oldest torch that is served",
    "BatchNorm2d.bias": "newer than the oldest torch that is served",
    "GroupNorm.bias": "newer than the oldest torch that is served",
}


UNTOLD = {
    "RNN": "input_size hidden_size num_layers nonlinearity bias batch_first dropout bidirectional",
    "GRU": "input_size hidden_size num_layers bias batch_first dropout bidirectional",
    "LSTM": "input_size hidden_size num_layers bias batch_first dropout bidirectional proj_size",
}
"""Arguments of classes whose signature is `*args`."""


@pytest.mark.parametrize("name", [n for n in LAYERS if n != "Step"])
def test_arguments_are_torchs_in_torchs_order(name: str) -> None:
    cls = layer_class(name)
    theirs = {n: p.default for n, p in inspect.signature(getattr(nn, name)).parameters.items()}
    if "args" in theirs:
        base = inspect.signature(nn.RNNBase).parameters
        known = {n: p.default for n, p in base.items()} | {"nonlinearity": "tanh"}
        theirs = {n: known[n] for n in UNTOLD.get(name, "").split()}
    ours = [n for n, f in cls.fields.items() if not f.keyword or f.inferred]
    assert ours == [n for n in theirs if n in ours]
    assert not {n for n in theirs if n not in cls.fields and n not in LEFT_OUT and f"{name}.{n}" not in LEFT_OUT}
    for field in cls.fields.values():
        default = theirs.get(field.name)
        if not field.required and not field.inferred and default not in (None, inspect.Parameter.empty):
            assert field.default == default, field.name


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_is_documented(name: str) -> None:
    cls = layer_class(name)
    assert cls.__doc__
    assert "Source: " in cls.__doc__
    assert len(cls.examples) >= 2
    assert all(field.doc for field in cls.fields.values())


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_the_shape_rule_is_torchs(name: str, example: Example) -> None:
    case = feed_example(example)
    module = build(case.layer)
    found = sizes_for(case, seed=1)
    assert found, "no sizes fit the requirements"
    for sizes in found:
        result = apply(case.layer, module, tensors(case, sizes))
        theirs = nested(result, lambda y: (str(y.dtype).removeprefix("torch."), NestedDims(y.shape)))
        assert theirs == nested(case.output, lambda t, s=sizes: (t.dtype, NestedDims(shape_of(t, s))))


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_weights_are_the_state_of_the_module(name: str, example: Example) -> None:
    case = feed_example(example)
    module = build(case.layer)
    trained = {n for n, _ in module.named_parameters()}
    theirs = [
        (n, tuple(v.shape), str(v.dtype).removeprefix("torch."), n in trained) for n, v in module.state_dict().items()
    ]
    assert [(n, w.shape, w.dtype, w.trained) for n, w in case.layer.weights().items()] == theirs


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_the_cost_is_torchs_count(name: str, example: Example) -> None:
    case = feed_example(example)
    sizes = dict.fromkeys(free_symbols(case.inputs), 2)
    macs = evaluate(case.layer.macs(case.inputs, case.output), sizes)
    if example.macs is not None:
        assert macs == example.macs
        return
    with FlopCounterMode(display=False) as counter:
        apply(case.layer, build(case.layer), tensors(case, sizes))
    assert macs == counter.get_total_flops() // 2


def test_recurrent_costs_are_torchs_where_it_counts_them() -> None:
    for name in ("RNN", "GRU"):
        for example in layer_class(name).examples:
            case = feed_example(example)
            with FlopCounterMode(display=False) as counter:
                inputs = tensors(case, dict.fromkeys(free_symbols(case.inputs), 2))
                apply(case.layer, build(case.layer), inputs)
            assert counter.get_total_flops() // 2 == example.macs


# --- random arguments ------------------------------------------------------------------------------------------------

small = st.integers(1, 4)
pad = st.integers(0, 4)
side = st.integers(1, 9)


def pair(number: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.one_of(number, st.tuples(number, number))


def agree(name: str, arguments: dict[str, Any], *shapes: tuple[int, ...], state: Any = None) -> None:
    """Our shape is torch's, or both refuse."""
    types = [TensorType("float32", shape) for shape in shapes]
    try:
        case = feed(make(name, **arguments), *types, *([state] if state else []))
    except ShapeError as error:
        layer = make(name, **arguments)
        complete = layer.replace(**{n: shapes[f.input][f.axis] for n, f in layer.fields.items() if f.axis is not None})
        try:
            result = apply(complete, build(complete), [torch.randn(s) for s in shapes])
        except (RuntimeError, ValueError, IndexError):
            pass
        else:
            assert any(y.numel() == 0 for y in leaves(result)), error.message
        assert error.message[0] not in ".ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        assert not error.message.endswith(".")
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same'|LSTM with projections")
        result = apply(case.layer, build(case.layer), tensors(case, {}))
    assert nested(result, lambda y: NestedDims(y.shape)) == nested(case.output, lambda t: NestedDims(t.dims))
    symbolic(name, arguments, case, types)


def symbolic(name: str, arguments: dict[str, Any], case: Any, types: list[TensorType]) -> None:
    """With symbols for the batch and the places, the shape at these sizes is the same."""
    fields = case.layer.fields.values()
    fixed = {(f.input, f.axis % types[f.input].rank) for f in fields if f.axis is not None}
    sizes: dict[str, int] = {}
    texts = []
    for number, kind in enumerate(types):
        dims = []
        for axis, size in enumerate(kind.dims):
            if (number, axis) in fixed:
                dims.append(str(size))
            else:
                sizes[f"S{axis}"] = size
                dims.append(f"S{axis}")
        texts.append(f"float[{', '.join(dims)}]")
    general = feed(make(name, **arguments), *texts)
    assert all(evaluate(r.size, sizes) >= 0 for r in general.proof.requires)
    dims_then = [shape_of(t, sizes) for t in leaves(general.output)]
    assert dims_then == [t.dims for t in leaves(case.output)]
    assert evaluate(general.layer.macs(general.inputs, general.output), sizes) == case.layer.macs(
        case.inputs, case.output
    )


convolution = {
    "out_channels": st.sampled_from([2, 4, 6]),
    "kernel_size": pair(small),
    "stride": pair(st.integers(1, 3)),
    "padding": st.one_of(pair(pad), st.sampled_from(["same", "valid"])),
    "dilation": pair(st.integers(1, 3)),
    "groups": st.integers(1, 3),
    "bias": st.booleans(),
    "padding_mode": st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]),
}


@settings(max_examples=120, deadline=None)
@given(st.fixed_dictionaries(convolution), st.sampled_from([2, 4, 6]), side, side, st.booleans())
def test_conv2d_agrees_with_torch(arguments: dict[str, Any], channels: int, h: int, w: int, batched: bool) -> None:
    agree("Conv2d", arguments, (2, channels, h, w) if batched else (channels, h, w))


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "out_channels": st.sampled_from([2, 4]),
            "kernel_size": pair(small),
            "stride": pair(st.integers(1, 3)),
            "padding": pair(pad),
            "output_padding": pair(st.integers(0, 2)),
            "groups": st.integers(1, 2),
            "dilation": pair(st.integers(1, 3)),
        }
    ),
    side,
    side,
)
def test_conv_transpose2d_agrees_with_torch(arguments: dict[str, Any], h: int, w: int) -> None:
    agree("ConvTranspose2d", arguments, (2, 4, h, w))


pooling = {
    "kernel_size": pair(small),
    "stride": st.one_of(st.none(), pair(st.integers(1, 5))),
    "padding": pair(st.integers(0, 2)),
    "ceil_mode": st.booleans(),
}


@settings(max_examples=120, deadline=None)
@given(st.fixed_dictionaries(pooling | {"dilation": pair(st.integers(1, 3))}), side, side, st.booleans())
def test_max_pool2d_agrees_with_torch(arguments: dict[str, Any], h: int, w: int, batched: bool) -> None:
    agree("MaxPool2d", arguments, (2, 3, h, w) if batched else (3, h, w))


@settings(max_examples=80, deadline=None)
@given(st.fixed_dictionaries(pooling), side, side)
def test_avg_pool2d_agrees_with_torch(arguments: dict[str, Any], h: int, w: int) -> None:
    agree("AvgPool2d", arguments, (2, 3, h, w))


@settings(max_examples=80, deadline=None)
@given(
    small,
    st.one_of(st.none(), st.integers(1, 5)),
    st.integers(0, 2),
    st.integers(1, 3),
    st.booleans(),
    side,
    st.booleans(),
)
def test_max_pool1d_agrees_with_torch(
    kernel: int, stride: int | None, padding: int, dilation: int, ceil: bool, length: int, batched: bool
) -> None:
    arguments = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil}
    agree("MaxPool1d", arguments, (2, 3, length) if batched else (3, length))


@settings(max_examples=40, deadline=None)
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
    st.integers(0, 4),
    st.booleans(),
)
def test_recurrent_layers_agree_with_torch(
    name: str, arguments: dict[str, Any], projection: int, batched: bool
) -> None:
    if name == "LSTM":
        arguments["proj_size"] = projection
    agree(name, arguments, (3, 2, 5) if batched else (3, 5))


def test_a_projection_is_counted() -> None:
    case = feed(read_layer("LSTM(4, proj_size=2)"), "float[5, 3]")
    assert case.layer.macs(case.inputs, case.output) == 5 * (16 * (3 + 2) + 2 * 4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.integers(-5, 4), st.integers(-5, 4))
def test_flatten_agrees_with_torch(shape: list[int], start: int, end: int) -> None:
    agree("Flatten", {"start_dim": start, "end_dim": end}, tuple(shape))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 6), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_group_norm_agrees_with_torch(groups: int, channels: int, rest: list[int]) -> None:
    agree("GroupNorm", {"num_groups": groups}, (2, channels, *rest))


# --- what a wrong input is told --------------------------------------------------------------------------------------

REFUSALS = [
    ("Linear(3)", ["int[N, 4]"], "NNS406", "`Linear` has float32 parameters, but its input is int[N, 4]"),
    ("Linear(3)", ["float64[N, 4]"], "NNS406", "`Linear` has float32 parameters, but its input is float64[N, 4]"),
    ("Linear(3)", ["float[]"], "NNS402", "`Linear` needs at least 1 dimension, but its input is float[]"),
    (
        "Linear(3, in_features=256)",
        ["float[N, 400]"],
        "NNS401",
        "`Linear(in_features=256)` cannot follow a tensor of shape [N, 400]",
    ),
    (
        "Linear(3)",
        ["float[N, T]"],
        "NNS405",
        "`Linear` takes in_features from the last dimension of its input, which is `T`: not a fixed number",
    ),
    (
        "Bilinear(3)",
        ["float[2, 4]", "float[3, 4]"],
        "NNS401",
        "the inputs of `Bilinear`, float[2, 4] and float[3, 4], differ in dimension 0",
    ),
    (
        "Bilinear(3)",
        ["float[N, 4]", "float[M, 4]"],
        "NNS410",
        "the inputs of `Bilinear`, float[N, 4] and float[M, 4], differ in dimension 0",
    ),
    (
        "Conv2d(8, 3)",
        ["float[N, 784]"],
        "NNS402",
        "`Conv2d` needs 4 or 3 dimensions, [N, C, H, W] or [C, H, W], but its input is float[N, 784]",
    ),
    ("Conv2d(8, 7)", ["float[N, 3, 5, 9]"], "NNS403", "kernel 7 does not fit an input of height 5"),
    (
        "Conv2d(8, 4, dilation=3, padding=1)",
        ["float[N, 3, 12, 6]"],
        "NNS403",
        "kernel 4 with dilation 3, which reaches over 10, does not fit an input of width 6, padded to 8",
    ),
    ("Conv2d(6, 3, groups=4)", ["float[N, 6, 9, 9]"], "NNS404", "groups 4 does not divide in_channels 6"),
    ('Conv2d(8, 3, stride=2, padding="same")', ["float[N, 6, 9, 9]"], "NNS304", None),
    (
        'Conv2d(8, 3, padding=4, padding_mode="reflect")',
        ["float[N, 6, 9, 4]"],
        "NNS403",
        'padding 4 with padding_mode="reflect" does not fit an input of width 4',
    ),
    ("ConvTranspose2d(2, 1, padding=4)", ["float[N, 6, 5, 5]"], "NNS403", None),
    (
        "MaxPool2d(2, padding=2)",
        ["float[N, 6, 5, 5]"],
        "NNS304",
        "padding 2 of `MaxPool2d` is more than half of kernel 2",
    ),
    (
        "MaxPool2d(2)",
        ["int[N, 6, 5, 5]"],
        "NNS406",
        "`MaxPool2d` needs a float tensor, but its input is int[N, 6, 5, 5]",
    ),
    (
        "BatchNorm2d",
        ["float[N, 8]"],
        "NNS402",
        "`BatchNorm2d` needs 4 dimensions, [N, C, H, W], but its input is float[N, 8]",
    ),
    ("LayerNorm(normalized_shape=(4, 5))", ["float[N, 5, 4]"], "NNS401", None),
    ("GroupNorm(4)", ["float[N, 6]"], "NNS404", "num_groups 4 does not divide num_channels 6"),
    ("Embedding(9, 4)", ["float[N, T]"], "NNS406", "`Embedding` looks numbers up, but its input is float[N, T]"),
    ("Embedding(9, 4, padding_idx=9)", ["int[N]"], "NNS411", "padding_idx 9 is out of range for 9 embeddings"),
    ("LSTM(4)", ["float[T, N, 3]", "float[1, N, 4]"], "NNS402", "`LSTM` starts from a pair of states"),
    (
        "GRU(4)",
        ["float[T, N, 3]", "float[2, N, 4]"],
        "NNS401",
        "h0 of `GRU` must be float[1, N, 4], not float[2, N, 4]",
    ),
    ("LSTM(4, proj_size=4)", ["float[T, N, 3]"], "NNS304", None),
    ("MultiheadAttention(7)", ["float[T, N, 512]"], "NNS404", "num_heads 7 does not divide embed_dim 512"),
    (
        "MultiheadAttention(2)",
        ["float[T, N, 8]", "float[S, M, 8]"],
        "NNS410",
        "query and key of `MultiheadAttention` differ in batch: N and M",
    ),
    (
        "Flatten(2)",
        ["float[N, 6]"],
        "NNS411",
        "`Flatten(start_dim=2)` is out of range for float[N, 6], which has 2 dimensions",
    ),
    ("Unflatten(1, (4, 4))", ["float[N, 12]"], "NNS408", "a dimension of 12 cannot become (4, 4), which holds 16"),
    (
        "Unflatten(1, (5, -1))",
        ["float[N, 12]"],
        "NNS408",
        "a dimension of 12 cannot become (5, -1): 5 does not divide it",
    ),
    ("Unflatten(1, (5, -1))", ["float[N, T]"], "NNS410", None),
    ("Softmax(2)", ["float[N, 6]"], "NNS411", None),
    ("PReLU(3)", ["float[N, 6]"], "NNS401", "`PReLU(3)` needs 3 channels, but its input is float[N, 6]"),
    ("ReLU", ["bool[N]"], "NNS406", "`ReLU` needs numbers, but its input is bool[N]"),
    ("GELU", ["int[N]"], "NNS406", "`GELU` needs a float tensor, but its input is int[N]"),
]


@pytest.mark.parametrize(
    ("text", "inputs", "code", "message"), REFUSALS, ids=[f"{r[0]} of {r[1][0]}" for r in REFUSALS]
)
def test_a_wrong_input_is_refused(text: str, inputs: list[str], code: str, message: str | None) -> None:
    with pytest.raises(ShapeError) as caught:
        feed(read_layer(text), *inputs)
    assert caught.value.code == code
    if message is not None:
        assert caught.value.message == message


def test_the_help_names_what_would_fit() -> None:
    with pytest.raises(ShapeError) as caught:
        feed(read_layer("MultiheadAttention(7)"), "float[T, N, 512]")
    assert caught.value.helps == ("the nearest that do: `num_heads=4` and `num_heads=8`",)
    with pytest.raises(ShapeError) as caught:
        feed(read_layer("Conv2d(8, 7)"), "float[N, 3, 5, 9]")
    assert caught.value.helps == ("use a smaller kernel, or padding=1",)
    assert caught.value.at == "kernel_size"


def test_what_cannot_be_decided_becomes_a_requirement() -> None:
    case = feed(read_layer("Conv2d(8, 7, padding=1)"), "float[N, 3, H, W]")
    assert [str(r.size) for r in case.proof.requires] == ["H - 5", "W - 5"]
    assert case.proof.requires[0].message == "kernel 7 does not fit an input of height H, padded to H + 2"


def test_a_stride_of_two_rounds_as_a_person_would_write_it() -> None:
    case = feed(read_layer("Conv2d(8, 3, stride=2, padding=1)"), "float[N, 3, H, W]")
    assert str(case.output) == "float[N, 8, (H + 1) // 2, (W + 1) // 2]"
