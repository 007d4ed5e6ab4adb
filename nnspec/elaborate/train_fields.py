"""The data against the model: which field feeds which input, and whether their types fit."""

from __future__ import annotations

from nnspec import ir
from nnspec.diagnostics import Label, error
from nnspec.dims import Dim, Size, show, substitute
from nnspec.elaborate.frame import name_of
from nnspec.elaborate.train_section import Section, translated, written
from nnspec.elaborate.values import Fault
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.training.dataset import Dataset
from nnspec.types import TensorType, show_dtype


def schema(section: Section, name: str, data: Dataset, to_run: bool) -> dict[str, TensorType] | None:
    """Types of the data's fields; None when a file that is missing would have to tell, which is a fault `to_run`."""
    return translated(section, name, lambda: (data.types if to_run else data.schema)(section.base))


def match_inputs(section: Section, fields: dict[str, TensorType]) -> tuple[dict[str, str], dict[str, Size]]:
    """Which field feeds which input, and the sizes that the model's symbols get."""
    renamed = input_names(section, fields)
    section.method = _method_for(section, {n for n in section.entry.optional if renamed.get(n, n) in fields})
    sizes: dict[str, Size] = {}
    inputs: dict[str, str] = {}
    for name, value in zip(section.method.input_names, section.method.graph.inputs, strict=True):
        if value is None:
            continue
        field = renamed.get(name, name)
        if field not in fields:
            close = suggest(name, fields)
            example = close or next(iter(fields))
            raise Fault(
                error(
                    "NNS607",
                    f"nothing in the data feeds the input `{name}`",
                    section.spans["data"],
                    f"its fields are {', '.join(f'`{f}` {t}' for f, t in fields.items())}",
                    helps=(f"say which field it is: `inputs = ({name}={example})`",),
                )
            )
        _match_field(section, name, section.method.graph.values[value], field, fields[field], sizes)
        inputs[name] = field
    _check_requirements(section, sizes)
    return inputs, sizes


def _method_for(section: Section, given: set[str]) -> ir.Method:
    """The training form of the model for the optional inputs that fields feed."""
    methods = section.entry.methods_with(given)
    return section.session.methods[methods.get("train", methods["infer"])]


def input_names(section: Section, fields: dict[str, TensorType] | None) -> dict[str, str]:
    """The fields that `inputs` names for inputs of the model; whether they are there is asked if they are known."""
    node = written(section, "inputs")
    if node is None:
        return {}
    if not isinstance(node, ast.Tuple) or any(a.name is None for a in node.items):
        raise Fault(error("NNS607", "`inputs` names fields: `inputs = (image=pixels)`", node.span, "not a record"))
    names: dict[str, str] = {}
    for item in node.items:
        field = name_of(item.value)
        assert item.name is not None
        if item.name not in section.method.input_names:
            listed = ", ".join(section.method.input_names)
            raise Fault(
                error("NNS607", f"the model has no input `{item.name}`", item.span, helps=(f"it has {listed}",))
            )
        if field is None or (fields is not None and field not in fields):
            helps = (f"its fields are {', '.join(fields)}",) if fields is not None else ()
            raise Fault(error("NNS607", "the data has no such field", item.value.span, helps=helps))
        names[item.name] = field
    return names


def _match_field(
    section: Section, name: str, value: ir.Value, field: str, actual: TensorType, sizes: dict[str, Size]
) -> None:
    wanted = value.type
    others = (Label(value.span, f"`{name}` is declared as {wanted}"),) if value.span else ()
    message = f"the field `{field}` is {actual}, and the input `{name}` is {wanted}"

    def misfit(words: str) -> Fault:
        data = section.data
        notes = () if data is None else translated(section, "data", lambda: data.made_of(section.base, field))
        return Fault(error("NNS608", message, section.spans["data"], words, others=others, notes=notes))

    if wanted.dtype != actual.dtype:
        words = f"{show_dtype(actual.dtype)} instead of {show_dtype(wanted.dtype)}"
        raise misfit(words)
    if wanted.rank != actual.rank:
        words = f"{actual.rank} dimensions instead of {wanted.rank}"
        raise misfit(words)
    for axis, (want, have) in enumerate(zip(wanted.dims, actual.dims, strict=True)):
        if isinstance(want, Dim) and show(want).isidentifier() and show(want) not in sizes:
            sizes[show(want)] = have
            continue
        size = substitute(want, sizes)
        if axis == 0 and isinstance(size, int):
            words = f"its first dimension is the batch, and `{name}` fixes it to {size}"
            raise misfit(words)
        elif size != have:
            words = f"dimension {axis} is {show(have)} instead of {show(size)}"
            raise misfit(words)


def _check_requirements(section: Section, sizes: dict[str, Size]) -> None:
    """What the model checks on entry, where the data already tells that it fails."""
    for requirement in section.method.requires:
        size = substitute(requirement.size, sizes)
        if isinstance(size, int) and (size < 0 or (requirement.relation == "==" and size != 0)):
            known = ", ".join(f"{name} = {fixed}" for name, fixed in sizes.items() if isinstance(fixed, int))
            others = (Label(requirement.span, "required here"),) if requirement.span else ()
            message = f"the data does not have the sizes that the model requires: {requirement.message}"
            raise Fault(error("NNS608", message, section.spans["data"], f"gives {known}", others=others))


def sized(graph: ir.Graph, operand: ir.Ref, sizes: dict[str, Size]) -> TensorType:
    """The type of a model's output for the sizes of the data."""
    type_ = graph.values[operand.id].type
    return TensorType(type_.dtype, tuple(substitute(d, sizes) for d in type_.dims))
