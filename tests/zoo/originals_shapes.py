"""U-Net and PointNet, with the names of the code that most people use."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_norm_relu(inside: int, outside: int) -> list[nn.Module]:
    """A 3x3 convolution that keeps the size."""
    return [nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]


class DoubleConv(nn.Module):
    """Two convolutions."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(*conv_norm_relu(inside, outside), *conv_norm_relu(outside, outside))

    def forward(self, x: Tensor) -> Tensor:
        """The same height and width."""
        y: Tensor = self.double_conv(x)
        return y


class Down(nn.Module):
    """Half the size, twice the channels."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.maxpool_conv = nn.Sequential(nn.MaxPool2d(2), DoubleConv(inside, outside))

    def forward(self, x: Tensor) -> Tensor:
        """Half the height and width."""
        y: Tensor = self.maxpool_conv(x)
        return y


class Up(nn.Module):
    """Twice the size, half the channels, beside what the encoder saw."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(inside, inside // 2, kernel_size=2, stride=2)
        self.conv = DoubleConv(inside, outside)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """The height and width of `skip`."""
        x = self.up(x)
        dy, dx = skip.shape[2] - x.shape[2], skip.shape[3] - x.shape[3]
        x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        y: Tensor = self.conv(torch.cat([skip, x], dim=1))
        return y


class UNet(nn.Module):
    """U-Net (2015), padded and with batch normalisation."""

    def __init__(self, channels: int = 3, classes: int = 2, width: int = 64) -> None:
        super().__init__()
        self.inc = DoubleConv(channels, width)
        self.down1 = Down(width, 2 * width)
        self.down2 = Down(2 * width, 4 * width)
        self.down3 = Down(4 * width, 8 * width)
        self.down4 = Down(8 * width, 16 * width)
        self.up1 = Up(16 * width, 8 * width)
        self.up2 = Up(8 * width, 4 * width)
        self.up3 = Up(4 * width, 2 * width)
        self.up4 = Up(2 * width, width)
        self.outc = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of classes for each pixel."""
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.down2(x2)
        x4 = self.down3(x3)
        x = self.down4(x4)
        x = self.up1(x, x4)
        x = self.up2(x, x3)
        x = self.up3(x, x2)
        y: Tensor = self.outc(self.up4(x, x1))
        return y


class STN3d(nn.Module):
    """A 3x3 matrix for a set of points."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv1d(3, 64, 1), nn.Conv1d(64, 128, 1), nn.Conv1d(128, 1024, 1)
        self.fc1, self.fc2, self.fc3 = nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, 9)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm1d(64), nn.BatchNorm1d(128), nn.BatchNorm1d(1024)
        self.bn4, self.bn5 = nn.BatchNorm1d(512), nn.BatchNorm1d(256)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, P] to [N, 3, 3]."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = F.relu(self.bn3(self.conv3(x)))
        x = torch.max(x, 2)[0]
        x = F.relu(self.bn4(self.fc1(x)))
        x = F.relu(self.bn5(self.fc2(x)))
        return self.fc3(x).view(-1, 3, 3) + torch.eye(3, dtype=x.dtype, device=x.device)  # type: ignore[no-any-return]


class PointNetFeature(nn.Module):
    """A vector for a set of points."""

    def __init__(self) -> None:
        super().__init__()
        self.stn = STN3d()
        self.conv1, self.conv2, self.conv3 = nn.Conv1d(3, 64, 1), nn.Conv1d(64, 128, 1), nn.Conv1d(128, 1024, 1)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm1d(64), nn.BatchNorm1d(128), nn.BatchNorm1d(1024)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The vector, and the matrix that the points were turned by."""
        pose = self.stn(x)
        x = torch.bmm(x.transpose(2, 1), pose).transpose(2, 1)
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        return torch.max(x, 2)[0], pose


class PointNet(nn.Module):
    """PointNet (2016), the classifier with its transform of the input."""

    def __init__(self, classes: int = 40, dropout: float = 0.3) -> None:
        super().__init__()
        self.feat = PointNetFeature()
        self.fc1, self.fc2, self.fc3 = nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, classes)
        self.dropout = nn.Dropout(dropout)
        self.bn1, self.bn2 = nn.BatchNorm1d(512), nn.BatchNorm1d(256)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logarithms of probabilities, and the matrix that the points were turned by."""
        x, pose = self.feat(x)
        x = F.relu(self.bn1(self.fc1(x)))
        x = F.relu(self.bn2(self.dropout(self.fc2(x))))
        return F.log_softmax(self.fc3(x), dim=1), pose
