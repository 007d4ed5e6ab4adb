"""Modes in PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn


class Gate(nn.Module):
    """Gate for D = 8 (line 10)."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)

    def forward(self, x, scale=None):  # [N, 8], [N, 8]
        x = self.fc(x)  # line 13
        y = torch.sigmoid(x)
        if scale is not None:
            y = y * scale  # line 14
        return y


class Head(nn.Module):
    """Head(width=8) for D = 8 (line 3)."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.dropout = nn.Dropout()

    def forward(self, x):  # [N, 8]
        x = self.fc(x)  # line 5
        h = F.relu(x)
        if self.training:
            h = self.dropout(h)  # line 6
        return h


class Modes(nn.Module):
    """Modes(width=8) (line 18)."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 8, batch_first=True)
        self.add_module("0", nn.Linear(8, 8))
        self.tower = nn.ModuleList(nn.Sequential(nn.Linear(8, 8)) for _ in range(3))
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))
        self.gate = Gate()
        self.head = Head()
        self.aux = nn.Linear(8, 2)

    def forward(self, series, lambda_):  # [N, T, 4], [N, 8]
        y, (_, c) = self.lstm(series)  # line 21: [N, T, 8], [1, N, 8]
        x = torch.mean(y, dim=1) + getattr(self, "0")(lambda_)  # line 22
        for layer in self.tower:  # line 23
            x = layer(x)
            x = torch.tanh(x)
        for block in self.blocks:  # line 24
            z = block(x)
            x = x + F.relu(z) * 0.5
        z = self.gate(x)  # line 26
        x = self.gate(x, lambda_)
        x = z + x
        x = self.head(x)  # line 27
        if self.training:
            aux = self.aux(x)  # line 30: [N, 2]
            return c, x, aux
        return c, x
