"""Which operator sets there are to try: from the oldest that nnspec writes to the newest that ONNX Runtime serves."""

from __future__ import annotations

import onnx
import onnxruntime
from onnx import TensorProto, helper

from nnspec.backends.onnx import MIN_OPSET, max_opset


def _is_served(opset: int) -> bool:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=helper.find_min_ir_version_for(imports))
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:
        return False
    return True


NEWEST = next(opset for opset in range(max_opset(), MIN_OPSET, -1) if _is_served(opset))
"""ONNX Runtime 1.31 serves 26; onnx itself is ahead of it."""

OPSETS = range(MIN_OPSET, NEWEST + 1)
