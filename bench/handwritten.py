"""The networks of `specs/` as one would write them by hand: what their modules and ONNX files are measured against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Mlp(nn.Module):
    """`mlp.nns`."""

    def __init__(self, hidden: int = 512, classes: int = 10) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, classes)
        self.relu = nn.ReLU()

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the classes."""
        x = self.relu(self.fc1(image))
        x = self.relu(self.fc2(x))
        return self.fc3(x)  # type: ignore[no-any-return]  # a module's call has no type


class Tiny(nn.Module):
    """`tiny.nns`."""

    def __init__(self, hidden: int = 16) -> None:
        super().__init__()
        self.fc1 = nn.Linear(2, hidden)
        self.fc2 = nn.Linear(hidden, 2)
        self.relu = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Scores of the classes."""
        return self.fc2(self.relu(self.fc1(features)))  # type: ignore[no-any-return]  # a module's call has no type


class Digits(nn.Module):
    """`digits.nns`."""

    def __init__(self, width: int = 32, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1)
        self.fc = nn.Linear(2 * width * 4 * 4, classes)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout(0.25)

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the classes."""
        x = self.relu(self.conv1(image))
        x = self.pool(self.relu(self.conv2(x)))
        return self.fc(self.dropout(torch.flatten(x, 1)))  # type: ignore[no-any-return]  # a module's call has no type


class Residual(nn.Module):
    """Two convolutions and what went into them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Images of the same size."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(x + y)  # type: ignore[no-any-return]  # a module's call has no type


class Cnn(nn.Module):
    """`cnn.nns`."""

    def __init__(self, width: int = 32, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.body = Residual(width)
        self.fc = nn.Linear(width * 7 * 7, classes)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the classes."""
        x = self.pool(self.relu(self.stem(image)))
        x = self.pool(self.body(x))
        return self.fc(torch.flatten(x, 1))  # type: ignore[no-any-return]  # a module's call has no type


class Lstm(nn.Module):
    """`lstm.nns`."""

    def __init__(self, width: int = 128, classes: int = 10) -> None:
        super().__init__()
        self.rnn = nn.LSTM(64, width, num_layers=2, batch_first=True)
        self.fc = nn.Linear(width, classes)

    def forward(self, series: Tensor) -> Tensor:
        """Scores of the classes."""
        steps, _ = self.rnn(series)
        return self.fc(steps[:, -1])  # type: ignore[no-any-return]  # a module's call has no type


class Layer(nn.Module):
    """Causal self-attention and two linear layers, each on what is normalised before."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """States of the same tokens."""
        batch, length, width = x.shape
        q, k, v = self.in_proj(self.norm1(x)).chunk(3, dim=-1)
        q = q.view(batch, length, self.heads, -1).transpose(1, 2)
        k = k.view(batch, length, self.heads, -1).transpose(1, 2)
        v = v.view(batch, length, self.heads, -1).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).reshape(batch, length, width)
        x = x + self.out_proj(y)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]  # a module's call has no type


class Transformer(nn.Module):
    """`transformer.nns`."""

    def __init__(self, vocab: int = 512, width: int = 128, heads: int = 4, depth: int = 12, context: int = 64) -> None:
        super().__init__()
        self.context = context
        self.token = nn.Embedding(vocab, width)
        self.position = nn.Embedding(context, width)
        self.layers = nn.Sequential(*(Layer(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocab, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Scores of the next token, at each."""
        length = tokens.shape[1]
        if length > self.context:
            raise ValueError("the text is longer than the context")
        x = self.token(tokens) + self.position(torch.arange(length, device=tokens.device))
        return self.head(self.norm(self.layers(x)))  # type: ignore[no-any-return]  # a module's call has no type
