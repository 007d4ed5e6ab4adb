"""IR and weights to ONNX, directly: the inference form of one entry, blocks inlined, weights under their own names.

Dimensions. A number is a number, and a symbol of the spec is a `dim_param` of that name, in inputs and outputs. An
output dimension that is computed from symbols (`H // 2`) stays open, as does one that the author left nameless with
`_`: a `dim_param` is a name, and the only names in the file are the author's. ONNX Runtime reports such a dimension
as None.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from nnspec import ir
from nnspec.backends import onnx_file
from nnspec.backends.onnx_graph import GraphBuilder, value_info
from nnspec.backends.onnx_lower import Lowering
from nnspec.backends.onnx_sizes import Place, Sizes
from nnspec.backends.onnx_weights import Weights, WeightsFileError, load_state
from nnspec.diagnostics import Diagnostic, Sink, error
from nnspec.dims import show
from nnspec.types import is_complex
from nnspec.version import __version__

__all__ = ["DEFAULT_OPSET", "MIN_OPSET", "OnnxError", "WeightsFileError", "build", "load_state", "max_opset", "write"]

DEFAULT_OPSET = 21
"""Served by every ONNX Runtime since 1.18 (May 2024), so that a file made by default runs wherever people deploy; it
has Gelu and the per-channel GroupNormalization, and later ones add nothing that a graph cannot do without."""

MIN_OPSET = 17
"""The first with LayerNormalization."""


class OnnxError(Exception):
    """The entry cannot be built; every reason is in `diagnostics`."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("; ".join(d.message for d in diagnostics))
        self.diagnostics = diagnostics


def max_opset() -> int:
    """The newest opset that the installed onnx knows."""
    return int(onnx.defs.onnx_opset_version())


def build(
    program: ir.Program,
    entry: ir.Entry | None,
    state: Mapping[str, np.ndarray],
    *,
    opset: int = DEFAULT_OPSET,
    given: Collection[str] = (),
) -> onnx.ModelProto:
    """The model of an entry (the main one by default) with all weights inside; raises `OnnxError`.

    It has those of the optional inputs that are `given`, as inputs that must be there: ONNX has no others.
    """
    model, arrays = _model(program, entry or program.main, state, opset, given)
    model.graph.initializer.extend(onnx_file.inline(name, array) for name, array in arrays.items())
    return model


def write(
    program: ir.Program,
    entry: ir.Entry | None,
    state: Mapping[str, np.ndarray],
    path: str | Path,
    *,
    opset: int = DEFAULT_OPSET,
    external: bool = False,
    given: Collection[str] = (),
) -> tuple[Path, ...]:
    """Write the model of an entry, with those of its optional inputs that are `given`; returns the files written.

    Large weights (any, when `external` is true) go to `<path>.data`, straight from the arrays. Files are complete when
    they appear: both are written under other names and moved into place.
    """
    model, arrays = _model(program, entry or program.main, state, opset, given)
    return onnx_file.write(model, arrays, Path(path), external=external)


def _model(
    program: ir.Program, entry: ir.Entry, state: Mapping[str, np.ndarray], opset: int, given: Collection[str]
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The model without its weights, and these."""
    if not MIN_OPSET <= opset <= max_opset():
        message = f"opset {opset} cannot be written: this onnx knows {MIN_OPSET} to {max_opset()}"
        raise OnnxError((error("NNS503", message, None),))
    for name in given:
        if name not in entry.optional:
            raise OnnxError((_not_optional(entry, name),))
    weights = Weights(program, entry, state)
    if weights.faults:
        raise OnnxError(weights.faults)
    method = program.methods[entry.methods_with(given)["infer"]]
    graph = GraphBuilder()
    inputs, places = _declare_inputs(graph, method)
    names = [graph.unique(name or "output") for name in method.output_names]
    lowering = Lowering(program, weights, graph, Sizes(graph, places), opset)
    results = lowering.entry(method, inputs)
    operands = zip(names, method.graph.outputs, results, strict=True)
    outputs = [part for operand in operands for part in _outputs(*operand)]
    values = method.graph.values
    lowering.faults += [_complex(name, values[n]) for name, _, n in outputs if is_complex(values[n].type.dtype)]
    if lowering.faults:
        sink = Sink()
        for fault in lowering.faults:
            sink.report(fault)
        raise OnnxError(sink.diagnostics)
    graph.finish([(name, value) for name, value, _ in outputs])
    infos = [value_info(name, method.graph.values[number].type) for name, _, number in outputs]
    proto = onnx.helper.make_graph(graph.nodes, entry.name, graph.inputs, infos)
    return _wrap(proto, entry, method, opset), graph.arrays


def _not_optional(entry: ir.Entry, name: str) -> Diagnostic:
    listed = ", ".join(f"`{each}`" for each in entry.optional)
    helps = (f"its optional inputs are {listed}",) if listed else ("it has no optional inputs",)
    return error("NNS512", f"`{entry.name}` has no optional input `{name}`", entry.span, helps=helps)


def _complex(name: str, value: ir.Value) -> Diagnostic:
    return error(
        "NNS501",
        f"the output `{name}` is {value.type}, and ONNX's operators take no complex numbers",
        value.span,
        "has no form in ONNX",
        helps=("give out `view_as_real(x)`, with real and imaginary part in a last dimension",),
    )


def _wrap(graph: onnx.GraphProto, entry: ir.Entry, method: ir.Method, opset: int) -> onnx.ModelProto:
    imports = [onnx.helper.make_opsetid("", opset)]
    model = onnx.helper.make_model(
        graph,
        opset_imports=imports,
        ir_version=onnx.helper.find_min_ir_version_for(imports),
        producer_name="nnspec",
        producer_version=__version__,
    )
    if entry.doc:
        model.doc_string = entry.doc
    if method.requires:
        # ONNX has no way to check them: they are kept for people and tools to read.
        texts = [f"{show(r.size)} {r.relation} 0: {r.message}" for r in method.requires]
        onnx.helper.set_model_props(model, {"nnspec.requires": json.dumps(texts)})
    return model


def _declare_inputs(graph: GraphBuilder, method: ir.Method) -> tuple[list[str | None], dict[str, Place]]:
    """The inputs of the graph (None for one that is not given), and where its symbols are read."""
    names: list[str | None] = []
    for wanted, value in zip(method.input_names, method.graph.inputs, strict=True):
        name = None if value is None else graph.unique(wanted)
        if name is not None and value is not None:
            graph.types[name] = method.graph.values[value].type
        names.append(name)
    places = {}
    for symbol in method.symbols:
        name = names[symbol.input]
        assert name is not None, symbol
        places[symbol.name] = Place(name, symbol.axis % graph.types[name].rank)
    graph.inputs = [value_info(name, graph.types[name]) for name in names if name is not None]
    return names, places


def _outputs(name: str, operand: ir.Operand, result: Any) -> list[tuple[str, str, int]]:
    """Name, tensor of the graph and value of the method, for each output; the parts of a list are numbered."""
    if isinstance(operand, tuple):
        parts = zip(operand, result, strict=True)
        return [output for i, part in enumerate(parts) for output in _outputs(f"{name}.{i}", *part)]
    return [(name, result, operand.id)]
