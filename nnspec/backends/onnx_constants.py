"""What closed graphs compute, and a checkpoint's weights under the names of the model: without torch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx.reference import ReferenceEvaluator

from nnspec import ir
from nnspec.backends.onnx import OnnxError, build
from nnspec.backends.onnx_weights import Weights


def constant(graph: ir.Graph) -> np.ndarray:
    """What a closed graph computes, by onnx's reference evaluator."""
    method = ir.Method(0, "both", (), ("value",), (), (), graph)
    entry = ir.Entry("Constant", 0, {"infer": 0})
    program = ir.Program((ir.Module("block", "Constant"),), (method,), (entry,))
    (found,) = ReferenceEvaluator(build(program, None, {})).run(None, {})
    return np.asarray(found)


def own_weights(program: ir.Program, entry: ir.Entry, state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of an entry by the names that own them; raises `OnnxError` where they do not fit."""
    weights = Weights(program, entry, state)
    if weights.faults:
        raise OnnxError(weights.faults)
    return weights.arrays()
