"""Decoder in PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Attention(heads=4) for D = 32, E = 8 (line 10)."""

    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(32, 32, bias=False)
        self.k_proj = nn.Linear(32, 32, bias=False)
        self.v_proj = nn.Linear(32, 32, bias=False)
        self.o_proj = nn.Linear(32, 32, bias=False)

    def forward(self, x, angle):  # [N, T, 32], [T, 8]
        q = self.q_proj(x)  # line 13
        q = torch.unflatten(q, 2, (4, -1)).transpose(1, 2)  # [N, 4, T, 8]
        k = self.k_proj(x)  # line 14
        k = torch.unflatten(k, 2, (4, -1)).transpose(1, 2)  # [N, 4, T, 8]
        v = self.v_proj(x)  # line 15
        v = torch.unflatten(v, 2, (4, -1)).transpose(1, 2)  # [N, 4, T, 8]
        a, b = torch.chunk(q, 2, dim=-1)  # line 6: [N, 4, T, 4], [N, 4, T, 4]
        y = q * torch.cos(angle)  # line 7
        b = torch.cat([-b, a], dim=-1) * torch.sin(angle)  # [N, 4, T, 8]
        y = y + b
        a, b = torch.chunk(k, 2, dim=-1)  # line 6: [N, 4, T, 4], [N, 4, T, 4]
        h = k * torch.cos(angle)  # line 7
        b = torch.cat([-b, a], dim=-1) * torch.sin(angle)  # [N, 4, T, 8]
        y = F.scaled_dot_product_attention(y, h + b, v, is_causal=True)  # line 16
        y = y.transpose(1, 2).flatten(2, 3)  # line 17: [N, T, 32]
        return self.o_proj(y)


class DecoderLayer(nn.Module):
    """DecoderLayer(heads=4) for D = 32, E = 8 (line 20)."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(32)
        self.self_attn = Attention()
        self.norm2 = nn.LayerNorm(32)
        self.mlp = nn.ModuleDict(
            {
                "gate": nn.Linear(32, 128, bias=False),
                "up": nn.Linear(32, 128, bias=False),
                "down": nn.Linear(128, 32, bias=False),
            }
        )

    def forward(self, x, angle):  # [N, T, 32], [T, 8]
        y = self.norm1(x)  # line 23
        y = self.self_attn(y, angle)
        x = x + y
        h = self.norm2(x)  # line 24
        y = self.mlp.gate(h)  # line 26: [N, T, 128]
        y = F.silu(y)
        h = self.mlp.up(h)  # [N, T, 128]
        h = y * h
        h = self.mlp.down(h)  # line 27: [N, T, 32]
        return x + h


class Decoder(nn.Module):
    """A small decoder.

    Decoder(vocab=100, width=32, depth=3, heads=4, context=64, theta=10000.0) (line 33).
    """

    def __init__(self):
        super().__init__()
        angles = torch.arange(64)  # line 37: [64]
        x = 10000.0 ** (torch.arange(8) / 8)  # [8]
        self.register_buffer("angles", torch.outer(angles, 1.0 / x))
        self.scale = nn.Parameter(torch.empty(32))
        nn.init.normal_(self.scale, std=0.02)
        self.model = nn.ModuleDict(
            {
                "embed": nn.Embedding(100, 32),
                "layers": nn.ModuleList(DecoderLayer() for _ in range(3)),
                "norm": nn.LayerNorm(32),
            }
        )
        self.lm_head = nn.Linear(32, 100, bias=False)
        self.lm_head.weight = self.model.embed.weight

    def forward(self, tokens):  # [N, T]
        T = tokens.shape[1]
        torch._check(T <= 64, lambda: "the text is longer than 64")  # line 35
        x = self.model.embed(tokens)  # line 40: [N, T, 32]
        x = x * self.scale
        angle = self.angles[:T]  # line 41: [T, 8]
        for layer in self.model.layers:
            x = layer(x, angle)
        x = self.model.norm(x)
        logits = self.lm_head(x)  # line 43: [N, T, 100]
        return logits
