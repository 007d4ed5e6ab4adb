"""ResNet in PyTorch."""

import torch.nn.functional as F
from torch import nn


class BasicBlock(nn.Module):
    """The basic block of a residual network.

    BasicBlock(C, width, stride=1) (line 4).
    """

    def __init__(self, C, width, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(C, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or C != width:
            self.downsample = nn.Sequential(
                nn.Conv2d(C, width, 1, stride=stride, bias=False),
                nn.BatchNorm2d(width),
            )

    def forward(self, x):
        y = self.conv1(x)  # line 7
        y = self.bn1(y)  # line 8
        y = self.relu(y)
        y = self.conv2(y)  # line 9
        y = self.bn2(y)  # line 10
        if self.downsample is not None:
            x = self.downsample(x)  # line 12
        return F.relu(x + y)


class Stage(nn.Sequential):
    """Stage(width, stride) (line 17)."""

    def __init__(self, width, stride):
        super().__init__(BasicBlock(8, width, stride=stride), BasicBlock(width, width))


class ResNet(nn.Module):
    """ResNet(widths=[8, 16], depth=2, classes=10) (line 23)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.layer1 = Stage(8, 1)
        self.layer2 = Stage(16, 2)
        self.adaptive_avg_pool2d = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(16, 10)

    def forward(self, image):  # [N, 3, H, W]
        x = self.conv1(image)  # line 25: [N, 8, (H + 1) // 2, (W + 1) // 2]
        x = self.bn1(x)
        x = self.relu(x)
        x = self.layer1(x)  # line 26
        x = self.layer2(x)  # [N, 16, (H + 3) // 4, (W + 3) // 4]
        x = self.adaptive_avg_pool2d(x)  # line 27: [N, 16, 1, 1]
        x = self.flatten(x)  # [N, 16]
        logits = self.fc(x)  # [N, 10]
        return logits
