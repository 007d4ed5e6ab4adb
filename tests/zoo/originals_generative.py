"""A variational autoencoder, DCGAN's two halves and WaveNet, with the names of the code that most people use."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VAE(nn.Module):
    """Auto-Encoding Variational Bayes (2013); the code's mean stands for it at inference."""

    def __init__(self, side: int = 28, hidden: int = 400, latent: int = 20) -> None:
        super().__init__()
        self.fc1 = nn.Linear(side * side, hidden)
        self.fc21 = nn.Linear(hidden, latent)
        self.fc22 = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, side * side)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code."""
        h = F.relu(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def reparameterize(self, mu: Tensor, logvar: Tensor) -> Tensor:
        """A sample of the code while training."""
        if not self.training:
            return mu
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def decode(self, z: Tensor) -> Tensor:
        """Probabilities of pixels."""
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The code's distribution, and what is made of it."""
        mu, logvar = self.encode(x.flatten(1))
        z = self.reparameterize(mu, logvar)
        return mu, logvar, self.decode(z)


class Generator(nn.Module):
    """DCGAN's generator (2015): images of 64x64 from noise."""

    def __init__(self, noise: int = 100, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(noise, width * 8, 4, 1, 0, bias=False),
            nn.BatchNorm2d(width * 8),
            nn.ReLU(True),
            nn.ConvTranspose2d(width * 8, width * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width * 4),
            nn.ReLU(True),
            nn.ConvTranspose2d(width * 4, width * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width * 2),
            nn.ReLU(True),
            nn.ConvTranspose2d(width * 2, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(True),
            nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, z: Tensor) -> Tensor:
        """[N, noise, 1, 1] to [N, channels, 64, 64]."""
        return self.main(z)  # type: ignore[no-any-return]  # a module's call has no type


class Discriminator(nn.Module):
    """DCGAN's discriminator (2015): how real images of 64x64 look."""

    def __init__(self, width: int = 64, channels: int = 3) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, width, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, width * 2, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width * 2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width * 2, width * 4, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width * 4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width * 4, width * 8, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width * 8),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width * 8, 1, 4, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """A probability for each place of the image: one at 64x64."""
        return self.main(x).flatten(1)  # type: ignore[no-any-return]  # a module's call has no type


class WaveNet(nn.Module):
    """WaveNet (2016) over samples of mu-law audio: scores of the next sample at every place."""

    def __init__(
        self,
        levels: int = 256,
        residual: int = 32,
        dilated: int = 32,
        skipped: int = 256,
        end: int = 256,
        layers: int = 10,
        stacks: int = 4,
    ) -> None:
        super().__init__()
        self.levels = levels
        self.dilations = [2**layer for _ in range(stacks) for layer in range(layers)]
        self.start_conv = nn.Conv1d(levels, residual, 1, bias=False)
        self.filter_convs = nn.ModuleList()
        self.gate_convs = nn.ModuleList()
        self.residual_convs = nn.ModuleList()
        self.skip_convs = nn.ModuleList()
        for dilation in self.dilations:
            self.filter_convs.append(nn.Conv1d(residual, dilated, 2, dilation=dilation, bias=False))
            self.gate_convs.append(nn.Conv1d(residual, dilated, 2, dilation=dilation, bias=False))
            self.residual_convs.append(nn.Conv1d(dilated, residual, 1, bias=False))
            self.skip_convs.append(nn.Conv1d(dilated, skipped, 1, bias=False))
        self.end_conv_1 = nn.Conv1d(skipped, end, 1)
        self.end_conv_2 = nn.Conv1d(end, levels, 1)

    def forward(self, samples: Tensor) -> Tensor:
        """[N, T] to [N, levels, T]."""
        x = F.one_hot(samples, self.levels).transpose(1, 2).to(self.start_conv.weight.dtype)
        x = self.start_conv(x)
        skip: Tensor | None = None
        for i, dilation in enumerate(self.dilations):
            past = F.pad(x, (dilation, 0))
            gated = torch.tanh(self.filter_convs[i](past)) * torch.sigmoid(self.gate_convs[i](past))
            s = self.skip_convs[i](gated)
            skip = s if skip is None else skip + s
            x = self.residual_convs[i](gated) + x
        assert skip is not None
        x = F.relu(self.end_conv_1(F.relu(skip)))
        return self.end_conv_2(x)  # type: ignore[no-any-return]  # a module's call has no type
