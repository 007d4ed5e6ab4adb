"""Every layer against torch: shapes, state, cost; and arguments at random."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nnspec import registry
from nnspec.dims import Size, evaluate
from nnspec.layer import Example, ShapeError
from nnspec.types import TensorType

from .layer_harness import (
    Case,
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

EXAMPLES = all_examples()
LAYERS = sorted(registry.index("layer"))
IDS = [example.text for _, example in EXAMPLES]

LEFT_OUT = {
    "device": "where a module lives is said when it is loaded",
    "dtype": "parameters are float32",
    "inplace": "says nothing about the result",
    "max_norm": "changes weights in a forward pass",
    "norm_type": "goes with max_norm",
    "_weight": "not public",
    "_random_samples": "not public: it is drawn by torch's generator",
    "_freeze": "not public",
    "ConvTranspose1d.padding_mode": "only zeros are possible",
    "ConvTranspose2d.padding_mode": "only zeros are possible",
    "ConvTranspose3d.padding_mode": "only zeros are possible",
    "BatchNorm1d.bias": "newer than the oldest torch that is served",
    "BatchNorm2d.bias": "newer than the oldest torch that is served",
    "BatchNorm3d.bias": "newer than the oldest torch that is served",
    "custom_encoder": "an encoder of one's own stands in front of a `TransformerDecoder`",
    "custom_decoder": "a decoder of one's own stands behind a `TransformerEncoder`",
    "min_value": "deprecated by torch in favour of min_val",
    "max_value": "deprecated by torch in favour of max_val",
    "InstanceNorm1d.bias": "newer than the oldest torch that is served",
    "InstanceNorm2d.bias": "newer than the oldest torch that is served",
    "InstanceNorm3d.bias": "newer than the oldest torch that is served",
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
    home = nn.utils.parametrizations if name[0].islower() else nn
    theirs = {n: p.default for n, p in inspect.signature(getattr(home, name)).parameters.items()}
    theirs = {"layer" if n == "module" else n: default for n, default in theirs.items()}
    if "args" in theirs:
        base = inspect.signature(nn.RNNBase).parameters
        known = {n: p.default for n, p in base.items()} | {"nonlinearity": "tanh"}
        theirs = {n: known[n] for n in UNTOLD.get(name, "").split()}
    ours = [n for n, f in cls.fields.items() if not f.keyword or f.inferred]
    assert ours == [n for n in theirs if n in ours]
    assert not {n for n in theirs if n not in cls.fields and n not in LEFT_OUT and f"{name}.{n}" not in LEFT_OUT}
    for field in cls.fields.values():
        default = theirs.get(field.name)
        default = getattr(default, "__name__", default)  # `F.relu` is called "relu" here
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
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "LSTM with projections")
            result = apply(case.layer, module, tensors(case, sizes))
        theirs = nested(result, lambda y: (str(y.dtype).removeprefix("torch."), NestedDims(y.shape)))
        assert theirs == nested(case.output, lambda t, s=sizes: (t.dtype, NestedDims(shape_of(t, s))))


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=IDS)
def test_weights_are_the_state_of_the_module(name: str, example: Example) -> None:
    case = feed_example(example)
    module = build(case.layer)
    trained = {n for n, _ in module.named_parameters()}
    theirs = [(n, tuple(v.shape), str(v.dtype), n in trained) for n, v in module.state_dict().items()]
    assert [(n, w.shape, f"torch.{w.dtype}", w.trained) for n, w in case.layer.weights().items()] == theirs


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


def attempt(name: str, arguments: dict[str, Any], types: list[TensorType]) -> Case | None:
    """The layer fed with these types, or None where it refuses them."""
    try:
        return feed(make(name, **arguments), *types)
    except ShapeError:
        return None


def agree(name: str, arguments: dict[str, Any], *shapes: tuple[int, ...]) -> None:
    """Our shape is torch's, or both refuse."""
    types = [TensorType("float32", shape) for shape in shapes]
    case = attempt(name, arguments, types)
    if case is None:
        layer = make(name, **arguments)
        complete = layer.replace(**{n: shapes[f.input][f.axis] for n, f in layer.fields.items() if f.axis is not None})
        try:
            result = apply(complete, build(complete), [torch.randn(s) for s in shapes])
        except (RuntimeError, ValueError, IndexError):
            pass
        else:
            assert any(y.numel() == 0 for y in leaves(result)), "torch accepts it"
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using padding='same'|LSTM with projections")
        result = apply(case.layer, build(case.layer), tensors(case, {}))
    assert nested(result, lambda y: NestedDims(y.shape)) == nested(case.output, lambda t: NestedDims(t.dims))
    symbolic(name, arguments, case, types)


def cost(case: Case) -> Size:
    found: Size = case.layer.macs(case.inputs, case.output)
    return found


def symbolic(name: str, arguments: dict[str, Any], case: Case, types: list[TensorType]) -> None:
    """With symbols for the batch and the places, the shape at these sizes is the same."""
    fields = case.layer.fields.values()
    fixed = {(f.input, f.axis % types[f.input].rank) for f in fields if f.axis is not None}
    sizes: dict[str, int] = {}
    texts = []
    for number, kind in enumerate(types):
        dims = []
        for axis, size in enumerate(kind.dims):
            if (number, axis) in fixed or not isinstance(size, int):
                dims.append(str(size))
            else:
                sizes[f"S{axis}"] = size
                dims.append(f"S{axis}")
        texts.append(f"float[{', '.join(dims)}]")
    general = feed(make(name, **arguments), *texts)
    assert all(evaluate(r.size, sizes) >= 0 for r in general.proof.requires)
    dims_then = [shape_of(t, sizes) for t in leaves(general.output)]
    assert dims_then == [t.dims for t in leaves(case.output)]
    assert evaluate(cost(general), sizes) == cost(case)


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
