"""What a checked program becomes: PyTorch source, live modules, ONNX models."""
