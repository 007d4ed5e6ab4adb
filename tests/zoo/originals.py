"""Networks that are published but in no library, written as their papers and the usual code have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Squash(nn.Module):
    """LeNet-5's scaled hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Between -1.7159 and 1.7159."""
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """Sums of 2x2 pixels, scaled and shifted for each map."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((maps, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))
        self.squash = Squash()

    def forward(self, x: Tensor) -> Tensor:
        """Half the height and width."""
        total = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
        return self.squash(total * self.weight + self.bias)  # type: ignore[no-any-return]  # a module's call has no type


class PartlyConnected(nn.ModuleList):
    """A convolution each of whose maps sees only some of the input's."""

    def __init__(self, seen: list[list[int]], kernel: int) -> None:
        super().__init__(nn.Conv2d(len(maps), 1, kernel) for maps in seen)
        self.seen = seen

    def forward(self, x: Tensor) -> Tensor:
        """One map for each of the lists."""
        return torch.cat([conv(x[:, maps]) for conv, maps in zip(self, self.seen, strict=True)], dim=1)


class LeNet5(nn.Module):
    """Gradient-Based Learning Applied to Document Recognition (1998), with learned codes of the classes."""

    seen = (
        [[i % 6 for i in range(start, start + 3)] for start in range(6)]
        + [[i % 6 for i in range(start, start + 4)] for start in range(6)]
        + [[0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5], [0, 1, 2, 3, 4, 5]]
    )

    def __init__(self, classes: int = 10, side: int = 32) -> None:
        super().__init__()
        self.C1 = nn.Conv2d(1, 6, 5)
        self.S2 = Subsampling(6)
        self.C3 = PartlyConnected([sorted(maps) for maps in self.seen], 5)
        self.S4 = Subsampling(16)
        self.C5 = nn.Conv2d(16, 120, side // 4 - 3)
        self.F6 = nn.Linear(120, 84)
        self.codes = nn.Parameter(torch.rand(classes, 84) * 2 - 1)
        self.squash = Squash()

    def forward(self, x: Tensor) -> Tensor:
        """Squared distances to the codes of the classes."""
        x = self.S2(self.squash(self.C1(x)))
        x = self.S4(self.squash(self.C3(x)))
        x = self.squash(self.C5(x)).flatten(1)
        x = self.squash(self.F6(x))
        return ((x[:, None] - self.codes) ** 2).sum(-1)
