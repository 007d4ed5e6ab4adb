"""Blocks of `std` for sequences, and the modules of torch, torchvision and transformers that they are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..zoo.libraries import transformers
from ..zoo.network import Case, Inputs
from .std_block import Block

_TOKENS = "x: float[N, T, 16]"
_SEEN = "seen: bool[N, T]"
_KEYS = "seen: bool[N, S]"
_MEMORY = "memory: float[N, S, 16]"


def _texts(*names: str, memory: int = 16) -> Callable[..., Inputs]:
    """Tokens; with a mask that hides the last of the first text, and what is read beside them."""

    def make(batch: int, *size: int) -> Inputs:
        length = size[0]
        found = {"x": torch.randn(batch, length, 16)}
        if "memory" in names:
            length = size[1]
            found["memory"] = torch.randn(batch, length, memory)
        if "seen" in names:
            found["seen"] = torch.arange(length).expand(batch, length) != length - 1
        return found

    return make


def _sequence(name: str, text: str, original: Callable[[], nn.Module], *declared: str, **options: Any) -> Block:
    """A block over tokens of sixteen features."""
    case = Case(original=original, sizes=options.pop("sizes", ((7, 5), (4, 9))))
    names = [each.partition(":")[0] for each in declared]
    options = {"inputs": _texts(*names)} | options
    return Block(name=name, text=f"{text}", declared=(_TOKENS, *declared), cases=(case,), **options)


def _layer(kind: str, **options: Any) -> Callable[[], nn.Module]:
    """A layer of `torch.nn` without dropout."""
    return lambda: getattr(nn, kind)(16, 4, 32, dropout=0.0, batch_first=True, **options)


def _stack(kind: str, norm: bool, **options: Any) -> Callable[[], nn.Module]:
    stack = getattr(nn, kind)
    more = {"enable_nested_tensor": False} if kind == "TransformerEncoder" else {}
    return lambda: stack(_layer(f"{kind}Layer", **options)(), 2, nn.LayerNorm(16) if norm else None, **more)


def _encode(module: nn.Module, inputs: Inputs, causal: bool = False) -> Any:
    x, seen = inputs["x"], inputs.get("seen")
    later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1) if causal else None
    mask = {"mask" if isinstance(module, nn.TransformerEncoder) else "src_mask": later}
    return module(x, **mask, src_key_padding_mask=None if seen is None else ~seen)


def _decode(module: nn.Module, inputs: Inputs) -> Any:
    x, seen = inputs["x"], inputs.get("seen")
    later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
    padded = None if seen is None else ~seen
    return module(x, inputs["memory"], tgt_mask=later, memory_key_padding_mask=padded)


class Heads(nn.Module):
    """Multi-head attention by torch's function, with four projections that have names of their own."""

    def __init__(self, context: int = 16, width: int = 16) -> None:
        super().__init__()
        self.q_proj, self.out_proj = nn.Linear(16, width), nn.Linear(width, 16)
        self.k_proj, self.v_proj = nn.Linear(context, width), nn.Linear(context, width)

    def forward(self, x: Tensor, memory: Tensor | None = None, seen: Tensor | None = None) -> Tensor:
        """Attention in four heads; causal where nothing else is read."""
        y = x if memory is None else memory
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1) if memory is None else None
        projections = {f"{n}_proj_weight": getattr(self, f"{n}_proj").weight for n in "qkv"}
        biases = torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias])
        found, _ = F.multi_head_attention_forward(
            x.transpose(0, 1), y.transpose(0, 1), y.transpose(0, 1), 16, 4, None, biases, None, None, False, 0.0,
            self.out_proj.weight, self.out_proj.bias, attn_mask=later, use_separate_proj_weight=True,
            key_padding_mask=None if seen is None else ~seen, **projections,
        )  # fmt: skip
        return found.transpose(0, 1)


class Gated(nn.Module):
    """A gated feed-forward part."""

    def __init__(self) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = nn.Linear(16, 40), nn.Linear(16, 40), nn.Linear(40, 16)

    def forward(self, x: Tensor) -> Tensor:
        """GEGLU."""
        y: Tensor = self.down_proj(F.gelu(self.gate_proj(x)) * self.up_proj(x))
        return y


class Ungated(nn.Module):
    """A feed-forward part."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 40), nn.Linear(40, 16)

    def forward(self, x: Tensor) -> Tensor:
        """With a hyperbolic tangent."""
        y: Tensor = self.fc2(torch.tanh(self.fc1(x)))
        return y


def _config(kind: str, **options: Any) -> Any:
    options = {"hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4} | options
    return getattr(transformers(), kind)(intermediate_size=44, attn_implementation="eager", **options)


def _modeling(name: str) -> Any:
    transformers()
    return importlib.import_module(f"transformers.models.{name}.modeling_{name}")


def _language(module: str, kind: str, config: str, *given: Any, **options: Any) -> Callable[[], nn.Module]:
    """Makes a module of transformers."""

    def make() -> nn.Module:
        found: nn.Module = getattr(_modeling(module), kind)(_config(config, **options), *given)
        return found

    return make


def _rotary(module: nn.Module, inputs: Inputs) -> Any:
    """A module of Llama's family, with angles of its own and a causal mask."""
    x = inputs["x"]
    length = x.shape[1]
    places = _modeling("llama").LlamaRotaryEmbedding(_config("LlamaConfig"))(x, torch.arange(length)[None])
    later = torch.full((length, length), -torch.inf, dtype=x.dtype).triu(1)[None, None]
    found = module(x, attention_mask=later, position_embeddings=places)
    return found[0] if isinstance(found, tuple) else found


def _gemma() -> nn.Module:
    found: nn.Module = _modeling("gemma").GemmaRMSNorm(16)
    return found


class Buckets(nn.Module):
    """The bias of T5's attention, added to what is like its result."""

    def __init__(self) -> None:
        super().__init__()
        config = transformers().T5Config(d_model=16, d_kv=4, num_heads=4, relative_attention_max_distance=20)
        self.attention = [_modeling("t5").T5Attention(config, True, 0)]  # in a list: its projections are not ours
        self.relative_attention_bias = self.attention[0].relative_attention_bias

    def forward(self, x: Tensor) -> Tensor:
        """[1, 4, T, T]."""
        self.attention[0].relative_attention_bias = self.relative_attention_bias
        y: Tensor = self.attention[0].compute_bias(x.shape[1], x.shape[1])
        return y


def _by_name(module: nn.Module, inputs: Inputs) -> Any:
    return module(**inputs)


_SPLIT = {"needs": "transformers", "dtype": torch.float32}
_ANGLES = "(x, rotary_angles(arange(T), width=4))"

SEQUENCES = (
    _sequence("FeedForward", "x -> b: FeedForward(40, act=Tanh)", Ungated),
    _sequence("GatedFeedForward", "x -> b: GatedFeedForward(40, act=GELU, bias=true)", Gated),
    _sequence(
        "GatedFeedForward", "x -> b: GatedFeedForward(44)", _language("llama", "LlamaMLP", "LlamaConfig"),
        needs="transformers",
    ),
    _sequence("UnitOffsetRMSNorm", "x -> b: UnitOffsetRMSNorm", _gemma, **_SPLIT),
    _sequence("Attention", "x -> b: Attention(4, causal=true)", Heads),
    _sequence(
        "Attention", "(x, mask=seen[:, none, none]) -> b: Attention(4, causal=true)", Heads, _SEEN, call=_by_name
    ),
    _sequence(
        "Attention", "(x, memory, seen[:, none, none]) -> b: Attention(4)", partial(Heads, 12),
        "memory: float[N, S, 12]", _KEYS, call=_by_name, inputs=_texts("memory", "seen", memory=12),
    ),
    _sequence(
        "GroupedQueryAttention", f"{_ANGLES} -> b: GroupedQueryAttention(4, kv_heads=2)",
        _language("llama", "LlamaAttention", "LlamaConfig", 0), call=_rotary, **_SPLIT,
    ),
    _sequence(
        "GroupedQueryAttention",
        f"{_ANGLES} -> b: GroupedQueryAttention(6, 2, head_width=4, qk_norm=RMSNorm(eps=1e-6))",
        _language("qwen3", "Qwen3Attention", "Qwen3Config", 0, num_attention_heads=6, rms_norm_eps=1e-6),
        call=_rotary, **_SPLIT,
    ),
    _sequence(
        "LlamaLayer", f"{_ANGLES} -> b: LlamaLayer(4, 2, hidden=44)",
        _language("llama", "LlamaDecoderLayer", "LlamaConfig", 0), call=_rotary, **_SPLIT,
    ),
    _sequence(
        "RelativePositionBias", "(arange(T), arange(T)) -> b: RelativePositionBias(4, furthest=20)", Buckets,
        sizes=((40, 1), (3, 1)), **_SPLIT,
    ),
    _sequence(
        "EncoderLayer", "x -> b: EncoderLayer(4, 32)", _layer("TransformerEncoderLayer"), call=_encode,
    ),
    _sequence(
        "EncoderLayer", "(x, seen) -> b: EncoderLayer(4, 32, act=GELU, norm_first=true, causal=true)",
        _layer("TransformerEncoderLayer", activation="gelu", norm_first=True), _SEEN,
        call=partial(_encode, causal=True),
    ),
    _sequence(
        "DecoderLayer", "(x, memory, seen) -> b: DecoderLayer(4, 32)", _layer("TransformerDecoderLayer"), _MEMORY,
        _KEYS, call=_decode,
    ),
    _sequence(
        "DecoderLayer", "(x, memory) -> b: DecoderLayer(4, 32, norm_first=true)",
        _layer("TransformerDecoderLayer", norm_first=True), _MEMORY, call=_decode,
    ),
    _sequence(
        "Encoder", "(x, seen) -> b: Encoder(EncoderLayer(4, 32, norm_first=true), 2, norm=LayerNorm)",
        _stack("TransformerEncoder", True, norm_first=True), _SEEN, call=_encode,
    ),
    _sequence(
        "Decoder", "(x, memory, seen) -> b: Decoder(DecoderLayer(4, 32), depth=2)",
        _stack("TransformerDecoder", False), _MEMORY, _KEYS, call=_decode,
    ),
)  # fmt: skip
