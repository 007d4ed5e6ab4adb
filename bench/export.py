"""What one would run without nnspec: load weights into a module written by hand, and have torch export it to ONNX."""

from __future__ import annotations

import sys

import torch
from safetensors.torch import load_file

from bench.handwritten import Mlp


def main(weights: str, target: str) -> None:
    """Export the MLP, with any batch size."""
    model = Mlp().eval()
    model.load_state_dict(load_file(weights))
    batch = torch.export.Dim("N")
    torch.onnx.export(model, (torch.randn(2, 784),), target, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
