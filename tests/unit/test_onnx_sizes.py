"""Sizes computed inside ONNX graphs."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from nnspec.backends.onnx_graph import GraphBuilder
from nnspec.backends.onnx_sizes import Place, Sizes
from nnspec.dims import evaluate, parse_dim
from tests.unit.onnx_harness import run

SIZES = [
    "N", "2 * N - T", "N * T + 3", "T // 2", "(H - 1) // 2 + 1", "(N - H) // 4", "N * T * H // 4", "(T + 5) // N",
    "min(N, T - 4)", "max(2 * H, 7)", "(N if N >= T else T)", "(1 if H == 8 else H * (H // 3))", "-(T // 2)", "12",
]  # fmt: skip


@pytest.mark.parametrize("text", SIZES)
def test_sizes_are_computed_as_python_does(text: str) -> None:
    size = parse_dim(text)
    graph = GraphBuilder()
    sizes = Sizes(graph, {"N": Place("x", 0), "T": Place("x", 1), "H": Place("y", 2)})
    graph.finish([("scalar", sizes.scalar(size)), ("shape", sizes.vector((size, 4, parse_dim("N"), parse_dim("T"))))])
    float_, int_ = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
    proto = onnx.helper.make_graph(
        graph.nodes, "g",
        [
            onnx.helper.make_tensor_value_info("x", float_, ["N", "T"]),
            onnx.helper.make_tensor_value_info("y", float_, [1, 1, "H"]),
        ],
        [
            onnx.helper.make_tensor_value_info("scalar", int_, []),
            onnx.helper.make_tensor_value_info("shape", int_, [4]),
        ],
        [onnx.numpy_helper.from_array(a, n) for n, a in graph.arrays.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(proto, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)
    # Inputs that no size needs are dropped by ONNX Runtime's optimiser, but are still inputs.
    for n, t, h in ((1, 1, 1), (2, 5, 8), (7, 3, 2), (1, 9, 4)):
        scalar, shape = run(model, np.zeros((n, t), np.float32), np.zeros((1, 1, h), np.float32))
        expected = evaluate(size, {"N": n, "T": t, "H": h})
        assert (scalar.item(), shape.tolist()) == (expected, [expected, 4, n, t])


def test_neighbouring_dimensions_are_read_by_one_node() -> None:
    graph = GraphBuilder()
    sizes = Sizes(graph, {"N": Place("x", 0), "T": Place("x", 1)})
    sizes.vector([parse_dim("N"), parse_dim("T"), 3, 4])
    assert [n.op_type for n in graph.nodes] == ["Shape", "Concat"]
    assert sizes.vector([parse_dim("N"), parse_dim("T"), 3, 4]) == "size/[N, T, 3, 4]"
