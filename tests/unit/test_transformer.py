"""torch's transformer layers: values on every path that torch takes, their cost, masks, copies, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nnspec import ir, loads
from nnspec.compiler import check_text, compile_text
from nnspec.dims import evaluate
from nnspec.layer import Layer, ShapeError
from tests.opsets import OPSETS

from ..contract import judge
from .layer_harness import Case, apply, build, feed, leaves, make, onnx_feed, onnx_model, read_layer, tensors

pytestmark = [
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
]

ATTENDS: dict[str, dict[str, tuple[str, str, str, str]]] = {
    "TransformerEncoderLayer": {"is_causal": ("src_mask", "src_key_padding_mask", "T", "T")},
    "TransformerEncoder": {"is_causal": ("mask", "src_key_padding_mask", "T", "T")},
    "TransformerDecoderLayer": {
        "tgt_is_causal": ("tgt_mask", "tgt_key_padding_mask", "T", "T"),
        "memory_is_causal": ("memory_mask", "memory_key_padding_mask", "T", "S"),
    },
    "Transformer": {
        "src_is_causal": ("src_mask", "src_key_padding_mask", "S", "S"),
        "tgt_is_causal": ("tgt_mask", "tgt_key_padding_mask", "T", "T"),
        "memory_is_causal": ("memory_mask", "memory_key_padding_mask", "T", "S"),
    },
}
ATTENDS["TransformerDecoder"] = ATTENDS["TransformerDecoderLayer"]
SEQUENCES = {"Encoder": {"src": "T"}, "Decoder": {"tgt": "T", "memory": "S"}, "Transformer": {"src": "S", "tgt": "T"}}


@st.composite
def cases(draw: Callable[..., Any]) -> Case:
    """A layer with random options, fed with random masks; masks of floats only where they are taken."""
    name, batched = draw(st.sampled_from(sorted(ATTENDS))), draw(st.sampled_from([True, True, False]))
    heads, flag = draw(st.sampled_from([1, 2, 4])), st.booleans()
    block = {"nhead": heads, "dim_feedforward": draw(st.integers(1, 6))}
    block |= {key: draw(flag) for key in ("batch_first", "norm_first", "bias")}
    block["activation"] = draw(st.sampled_from(["relu", "gelu"]))
    inputs, options = {}, {}
    kind = name.removeprefix("Transformer").removesuffix("Layer") or name
    for sequence, length in SEQUENCES[kind].items():
        dims = [length, "N"][:: -1 if block["batch_first"] else 1] if batched else [length]
        inputs[sequence] = f"float[{', '.join(dims)}, {2 * heads}]"
    for causal, (pairs, keys, length, source) in ATTENDS[name].items():
        masked, padded, hides = draw(st.sampled_from(["", "bool", "float"])), draw(flag), draw(st.integers(0, 3)) == 0
        word = masked or "bool"
        if hides:
            options[causal] = True
        if masked:
            lead = f"{heads}{' * N' if batched else ''}, " if draw(flag) else ""
            inputs[pairs] = f"{word}[{lead}{length}, {source}]"
        if padded:
            inputs[keys] = f"{word}[{'N, ' if batched else ''}{source}]"
    try:
        return feed(_layer(draw, name, block, options), **inputs)
    except ShapeError as refused:
        reason = refused.message
    assert "as bools" in reason
    return feed(_layer(draw, name, block, options), **{n: inputs[n] for n in SEQUENCES[kind]})


def _layer(draw: Callable[..., Any], name: str, block: dict[str, Any], options: dict[str, Any]) -> Layer:
    if name.endswith("Layer"):
        return make(name, **block, **options)
    if name == "Transformer":
        return make(name, **block, **options, num_encoder_layers=draw(st.integers(1, 2)), num_decoder_layers=1)
    held = make(f"{name}Layer", **block)
    holder = "encoder_layer" if name == "TransformerEncoder" else "decoder_layer"
    norm = draw(st.sampled_from([None, "LayerNorm", "RMSNorm"]))
    more = {} if norm is None else {"norm": ir.Record(norm, {})}
    if name == "TransformerEncoder":
        more |= {key: draw(st.booleans()) for key in ("enable_nested_tensor", "mask_check")}
    record = ir.Record(f"{name}Layer", dict(held.given()))
    return make(name, **{holder: record}, num_layers=draw(st.integers(1, 3)), **more, **options)


def masked(case: Case, inputs: tuple[Any, ...], style: str) -> list[Any]:
    """Inputs whose masks leave something to see, or hide anything, even all, or what stands at the end of each row."""
    generator = torch.Generator().manual_seed(1)

    def one(name: str, x: Any) -> Any:
        if x is None or "mask" not in name or style == "some":
            return x
        hidden = torch.rand(x.shape, generator=generator) < 0.7
        if style == "end":
            shown = torch.randint(1, x.shape[-1] + 1, (*x.shape[:-1], 1), generator=generator)
            hidden = torch.arange(x.shape[-1]) >= shown
        return hidden if x.dtype == torch.bool else x.masked_fill(hidden, float("-inf"))

    return list(map(one, case.layer.input_names(), inputs))


def compare(case: Case, style: str, opset: int) -> None:
    """ONNX Runtime computes what torch does in inference, be it a number or none."""
    module = build(case.layer)
    model = onnx_model(case, module.state_dict(), opset)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for sizes in ({"N": 3, "T": 4, "S": 3}, {"N": 1, "T": 1, "S": 1}):
        inputs = masked(case, tensors(case, sizes), style)
        try:
            (want,) = leaves(apply(case.layer, module, inputs))
        except RuntimeError as refused:
            if "should have non-zero numel" not in str(refused):  # all is padded, and torch left it out
                raise
            continue
        (got,) = session.run(None, onnx_feed(inputs))
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-5, atol=2e-5, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from(["some", "any", "end"]), st.sampled_from(OPSETS))
def test_onnx_computes_what_torch_does_in_inference(case: Case, style: str, opset: int) -> None:
    compare(case, style, opset)


@pytest.mark.parametrize("style", ["some", "any", "end"])
@pytest.mark.parametrize(
    ("text", "masks"),
    [
        ("TransformerEncoderLayer(2, 4, batch_first=true)", "src_key_padding_mask"),
        ("TransformerEncoderLayer(1, 4, batch_first=true)", "src_key_padding_mask"),
        (
            "TransformerEncoder(TransformerEncoderLayer(2, 4, batch_first=true), 2, norm=LayerNorm)",
            "src_key_padding_mask",
        ),
        (
            "TransformerEncoder(TransformerEncoderLayer(2, 4, batch_first=true), 2, mask_check=false)",
            "src_key_padding_mask",
        ),
        (
            "TransformerEncoder(TransformerEncoderLayer(2, 4, batch_first=true), 1, enable_nested_tensor=false)",
            "src_key_padding_mask",
        ),
        ("TransformerDecoderLayer(2, 4, batch_first=true)", "tgt_key_padding_mask"),
        ("TransformerDecoderLayer(2, 4, batch_first=true)", "tgt_key_padding_mask float"),
        ("TransformerDecoderLayer(2, 4, batch_first=true)", "memory_key_padding_mask"),
        ("Transformer(2, 1, 1, 4, batch_first=true)", "src_key_padding_mask"),
        ("MultiheadAttention(2, batch_first=true, need_weights=false)", "key_padding_mask"),
        ("MultiheadAttention(2, batch_first=true, need_weights=false)", "key_padding_mask float"),
    ],
)
def test_each_path_of_torch_is_followed(text: str, masks: str, style: str) -> None:
    name, _, word = masks.partition(" ")
    layer = read_layer(text)
    inputs = dict.fromkeys(layer.input_names()[: layer.required_inputs()], "float[N, T, 4]")
    compare(feed(layer, **inputs, **{name: f"{word or 'bool'}[N, T]"}), style, 21)


@settings(max_examples=25, deadline=None)
@given(cases())
def test_weights_and_cost_are_those_of_torch(case: Case) -> None:
    module = build(case.layer)
    theirs = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    assert [(name, w.shape) for name, w in case.layer.weights().items()] == list(theirs.items())
    sizes = {"N": 2, "T": 4, "S": 3}
    # What it counts are matrix products, which neither the fast path nor the fused attention has.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        apply(case.layer, module.train(), tensors(case, sizes))
    assert evaluate(case.layer.macs(case.inputs, case.output), sizes) == counter.get_total_flops() // 2


STACK = """
model M {
  input ids: int[N, T]
  input padded: bool[N, T]
  x = ids -> embed: Embedding(9, 8)
  x = (x, src_key_padding_mask=padded)
    -> encoder: TransformerEncoder(TransformerEncoderLayer(2, 16, batch_first=true), 3, norm=LayerNorm(eps=1e-6))
  output y = x -> head: Linear(4)
}
"""


class Stack(nn.Module):
    """The same, written by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 3, nn.LayerNorm(8, eps=1e-6))
        self.head = nn.Linear(8, 4)

    def forward(self, ids: torch.Tensor, padded: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(self.encoder(self.embed(ids), src_key_padding_mask=padded))
        return y


@pytest.mark.parametrize("mode", ["training", "evaluation", "inference"])
def test_a_stack_is_torchs_in_every_mode(mode: str) -> None:
    torch.manual_seed(0)
    ours = loads(STACK)
    torch.manual_seed(0)
    theirs = Stack()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    ids, padded = torch.randint(0, 9, (3, 5)), torch.arange(5) >= torch.tensor([[2], [5], [3]])
    results = []
    for module in (ours, theirs):
        torch.manual_seed(1)
        with torch.set_grad_enabled(mode != "inference"):
            results.append(module.train(mode == "training")(ids, padded))
    assert torch.equal(*results)
    # What is padded is left out in inference alone.
    assert (results[0][0, 2:] == results[0][0, 2]).all() == (mode == "inference")


def test_all_layers_start_from_the_same_weights() -> None:
    state = loads(STACK).state_dict()
    for name in ("self_attn.in_proj_weight", "linear1.weight", "linear2.bias"):
        assert torch.equal(state[f"encoder.layers.0.{name}"], state[f"encoder.layers.2.{name}"])


def test_a_spec_goes_through_every_backend() -> None:
    judge(
        compile_text("""
        model Translate {
          input source: float[S, N, 8]
          input target: float[T, N, 8]
          input ban: bool[T, S] = none
          memory = source -> encoder: TransformerEncoder(TransformerEncoderLayer(4, 16, norm_first=true), 2)
          y = (target, memory, memory_mask=ban)
            -> decoder: TransformerDecoder(TransformerDecoderLayer(4, 16), 2, RMSNorm(eps=1e-6), tgt_is_causal=true)
          output y = y -> attention: MultiheadAttention(2, need_weights=false, is_causal=true)
        }
        """).program
    )


@pytest.mark.parametrize(
    "text", ["TransformerEncoderLayer(2, 16)", "TransformerEncoder(TransformerEncoderLayer(2, 16), 2)"]
)
def test_is_causal_is_the_mask_that_torch_makes(text: str) -> None:
    texts = text, text[:-1] + ", is_causal=true)"
    pieces = [loads(f"model M {{\n  input x: float[T, N, 8]\n  output y = x -> {each}\n}}\n") for each in texts]
    pieces[1].load_state_dict(pieces[0].state_dict())
    plain = next(pieces[0].eval().children())
    x = torch.randn(5, 3, 8)
    want = plain(x, nn.Transformer.generate_square_subsequent_mask(5))
    torch.testing.assert_close(pieces[1].eval()(x), want)
    assert not torch.allclose(pieces[0](x), want)


def test_attention_that_is_causal_sees_what_is_appended() -> None:
    text = "MultiheadAttention(2, add_zero_attn=true, need_weights=false, is_causal=true)"
    inputs = "  input q: float[T, N, 8]\n  input k: float[S, N, 8]\n"
    judge(compile_text(f"model M {{\n{inputs}  output y = (q, k) -> {text}\n}}\n").program)


def test_settings_of_a_kind_of_layer_leave_the_parts_of_others_alone() -> None:
    model = loads("""
    model M {
      input x: float[N, T, 8]
      x = x -> encoder: TransformerEncoder(TransformerEncoderLayer(2, 16), 1, norm=LayerNorm) -> head: Linear(20)
      y, loss = (x[:, 0, :8], argmax(x[:, 0], dim=1)) -> rare: AdaptiveLogSoftmaxWithLoss(20, [4, 8], div_value=2)
      output y
      params Linear.weight { init = constant(0.5) }
      params "rare.head.*" { init = zeros }
    }
    """)
    filled = {n for n, p in model.named_parameters() if p.dim() == 2 and (p == p[0, 0]).all()}
    assert filled == {"head.weight", "rare.head.weight"}


REFUSED = [
    ("x -> TransformerEncoder(Linear(8), 2)", "NNS303", "a stack of `TransformerEncoderLayer`, not of `Linear`"),
    ("x -> TransformerEncoder(8, 2)", "NNS303", "`encoder_layer` of `TransformerEncoder` must be a layer"),
    ("x -> TransformerEncoder(TransformerEncoderLayer, 2)", "NNS302", "`TransformerEncoderLayer` needs `nhead`"),
    ("x -> TransformerEncoder(TransformerEncoderLayer(3), 2)", "NNS404", "nhead 3 does not divide d_model 8"),
    (
        "x -> TransformerEncoder(TransformerEncoderLayer(2), 2, norm=3)",
        "NNS303",
        "`norm` of `TransformerEncoder` must be",
    ),
    ("x -> TransformerEncoder(TransformerEncoderLayer(2), 2, norm=Bilinear(3))", "NNS303", "cannot be the norm"),
    ("x -> TransformerEncoder(TransformerEncoderLayer(2), 2, norm=Step)", "NNS303", "cannot be the norm"),
    ("x -> TransformerEncoder(TransformerEncoderLayer(2, is_causal=true), 2)", "NNS303", "said of the stack"),
    ("x -> TransformerEncoder(TransformerEncoderLayer(2, weight=n.weight), 2)", "NNS311", "is tied"),
    ("x -> TransformerEncoder(TransformerEncoderLayer(2), 2, norm=LayerNorm(bias=n.bias))", "NNS311", "is tied"),
    ("(x, mask=seen) -> TransformerEncoder(TransformerEncoderLayer(2), 2)", "NNS410", "must have shape [T, T]"),
    ("x -> TransformerDecoderLayer(2)", "NNS412", "needs its input `memory`"),
    ("(x, s) -> TransformerDecoderLayer(2)", "NNS410", "differ in batch"),
    ("(x, x[:, :, :4]) -> TransformerDecoderLayer(2)", "NNS401", "differ in size"),
    ("(x, x[0]) -> TransformerDecoderLayer(2)", "NNS402", "need the same rank"),
    ("x[:, :, none] -> TransformerEncoderLayer(2)", "NNS402", "needs 3 or 2 dimensions, [T, N, D] or [T, D]"),
    ("k -> TransformerEncoderLayer(2)", "NNS406", "has float32 parameters"),
    ('x -> TransformerEncoderLayer(2, activation="silu")', "NNS303", 'must be "relu" or "gelu"'),
    ("(x, x) -> Transformer(2, 0)", "NNS304", "must be at least 1"),
    ("(x, src_key_padding_mask=far) -> TransformerEncoderLayer(2, batch_first=true)", "NNS406", "as bools"),
    ("(x, seen, src_key_padding_mask=far) -> TransformerEncoderLayer(2)", "NNS406", "are of two types"),
    ("(x, src_key_padding_mask=far) -> TransformerEncoderLayer(1, is_causal=true)", "NNS406", "must be bool"),
    ("(x, src_key_padding_mask=k) -> TransformerEncoderLayer(2)", "NNS406", "is bool (true: do not look) or float"),
]


@pytest.mark.parametrize(("flow", "code", "said"), REFUSED, ids=[flow for flow, _, _ in REFUSED])
def test_what_does_not_fit_is_refused(flow: str, code: str, said: str) -> None:
    inputs = ["x: float[T, N, 8]", "s: float[N, T, 8]", "seen: bool[N, T]", "far: float[N, T]", "k: int[N, T]"]
    lines = [*(f"  input {text}" for text in inputs), "  n = LayerNorm()", "  x = x -> n", f"  output y = {flow}"]
    errors = [d for d in check_text("\n".join(["model M {", *lines, "}", ""])) if d.severity == "error"]
    assert [d.code for d in errors] == [code], errors
    assert said in errors[0].message, errors[0].message


def test_arguments_in_torchs_order_are_doubted_inside_of_a_stack() -> None:
    flow = "x -> TransformerEncoder(TransformerEncoderLayer(512, 8), 2)"
    text = f"model M {{\n  input x: float[T, N, 512]\n  output y = {flow}\n}}\n"
    assert [d.code for d in check_text(text)] == ["NNS330"]
    assert not check_text(text.replace("512, 8", "8, 512"))
