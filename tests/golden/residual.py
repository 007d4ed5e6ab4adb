"""ResNet in PyTorch."""

import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    """The basic block of a residual network.

    BasicBlock(width=8, stride=1) for C = 8.
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(8)

    def forward(self, x):  # [N, 8, H, W]
        y = self.conv1(x)
        y = self.bn1(y)
        y = self.relu(y)
        y = self.conv2(y)
        y = self.bn2(y)
        return F.relu(x + y)


class Stage(nn.Sequential):
    """Stage(width=8, depth=2, stride=1) for C = 8."""

    def __init__(self):
        super().__init__(BasicBlock(), BasicBlock())


class BasicBlock2(nn.Module):
    """The basic block of a residual network.

    BasicBlock(width=16, stride=2) for C = 8.
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.downsample = nn.Sequential(
            nn.Conv2d(8, 16, 1, stride=2, bias=False),
            nn.BatchNorm2d(16),
        )

    def forward(self, x):  # [N, 8, H, W]
        y = self.conv1(x)  # [N, 16, (H + 1) // 2, (W + 1) // 2]
        y = self.bn1(y)
        y = self.relu(y)
        y = self.conv2(y)
        y = self.bn2(y)
        x = self.downsample(x)  # [N, 16, (H + 1) // 2, (W + 1) // 2]
        return F.relu(x + y)


class BasicBlock3(nn.Module):
    """The basic block of a residual network.

    BasicBlock(width=16, stride=1) for C = 16.
    """

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)

    def forward(self, x):  # [N, 16, H, W]
        y = self.conv1(x)
        y = self.bn1(y)
        y = self.relu(y)
        y = self.conv2(y)
        y = self.bn2(y)
        return F.relu(x + y)


class Stage2(nn.Sequential):
    """Stage(width=16, depth=2, stride=2) for C = 8."""

    def __init__(self):
        super().__init__(BasicBlock2(), BasicBlock3())


class ResNet(nn.Module):
    """ResNet(widths=[8, 16], depth=2, classes=10)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.layer1 = Stage()
        self.layer2 = Stage2()
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(16, 10)

    def forward(self, image):  # [N, 3, H, W]
        x = self.conv1(image)  # [N, 8, (H + 1) // 2, (W + 1) // 2]
        x = self.bn1(x)
        x = self.relu(x)
        x = self.layer1(x)
        x = self.layer2(x)  # [N, 16, (H + 3) // 4, (W + 3) // 4]
        x = self.adaptive_avg_pool2d(x)  # [N, 16, 1, 1]
        x = self.flatten(x)  # [N, 16]
        logits = self.fc(x)  # [N, 10]
        return logits
