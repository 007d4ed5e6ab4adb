"""Library objects as a stored program names them: found, given their arguments, and asked, without trusting either."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnspec import ir, registry
from nnspec.arguments import Arguments, Misfit, convert, describe_kind, objects_of
from nnspec.facts import Facts
from nnspec.initializers import Initializer
from nnspec.layer import Layer, Operation, ShapeError
from nnspec.layer_complex import refuse_complex
from nnspec.proof import Proof
from nnspec.training.average import Average
from nnspec.training.fault import SettingError
from nnspec.training.optimizer import Optimizer
from nnspec.training.scheduler import Scheduler
from nnspec.training.settings import Settings
from nnspec.training.transform import Transform
from nnspec.types import TensorType


class NotValid(Exception):
    """Something in a stored program cannot be; the message says what."""


def layer_of(module: ir.Module) -> Layer:
    """The layer that a module stores."""
    layer = _build(registry.find("layer", module.name), f"layer `{module.name[:80]}`", module.arguments)
    assert isinstance(layer, Layer)
    return layer


def function_of(node: ir.Op, kinds: tuple[str, ...] = ("function",)) -> Operation:
    """The function that a node applies, looked for among library classes of these kinds."""
    cls = next((found for kind in kinds if (found := registry.find(kind, node.function))), None)
    function = _build(cls, f"function `{node.function[:80]}`", node.attributes)
    assert isinstance(function, Operation)
    return function


def check_initializer(init: ir.Initializer, type: TensorType | None = None) -> None:
    """Whether torch has the initialiser, takes these arguments, and fills a tensor of that type with them."""
    made = _build(registry.find("initializer", init.function), f"initialiser `{init.function[:80]}`", init.arguments)
    assert isinstance(made, Initializer)
    try:
        if type is not None:
            made.check(type)
    except ShapeError as reason:
        raise NotValid(reason.message) from None


def check_record(kind: str, record: ir.Record) -> Arguments:
    """The library object of that kind and name; it is there, and takes these arguments."""
    made = _build(registry.find(kind, record.name), f"{kind} `{record.name[:80]}`", record.arguments)
    _check_together(made)
    return made


def check_parameters(optimizer: Arguments, parameters: Iterable[tuple[str, tuple[Any, ...]]]) -> None:
    """Whether an optimizer trains parameters of these names and shapes."""
    assert isinstance(optimizer, Optimizer)
    try:
        optimizer.check_parameters(parameters)
    except SettingError as reason:
        raise NotValid(reason.message) from None


def check_settings(settings: Mapping[str, Any]) -> None:
    """Whether `train` takes these plain settings, and they and records in them are complete."""
    _check_together(_build(Settings, "`train`", settings))
    missing = [name for name in Settings.fields if name not in settings]
    if missing:
        raise NotValid(f"`train` lacks its setting `{missing[0]}`")
    for name, cls in Settings.records.items():
        inside = settings[name]
        if inside is not None:
            made = _build(cls, f"`{name}`", inside) if isinstance(inside, Mapping) else None
            if made is None or set(made.__dict__) != set(inside):
                raise NotValid(f"`{name}` of `train` is not complete")


def build_settings(cls: type[Arguments], title: str, values: Mapping[str, Any]) -> None:
    """Whether some plain settings are what a class takes."""
    _build(cls, title, values)


def _check_together(made: Arguments) -> None:
    try:
        if isinstance(made, (Optimizer, Scheduler, Transform, Average, Settings)):
            made.check()
    except SettingError as reason:
        raise NotValid(reason.message) from None


def members_of(module: ir.Module) -> list[tuple[str, str, TensorType]]:
    """Name, kind and type of what a layer's class says it owns."""
    layer = layer_of(module)
    try:
        weights = layer.weights()
    # What a class does with sizes that no shape rule has seen is not known.
    except Exception as reason:
        raise NotValid(f"layer `{module.name}` cannot be built: {reason}") from None
    return [(n, "param" if w.trained else "buffer", TensorType(w.dtype, w.shape)) for n, w in weights.items()]


def infer(operation: Operation, facts: Facts, inputs: tuple[Any, ...]) -> Any:
    """What the shape rule gives for inputs of these types."""
    least, names = operation.required_inputs(), operation.input_names()
    most = len(inputs) if names and names[-1].startswith("*") else len(names)
    name = type(operation).__name__
    if not least <= len(inputs) <= most or any(x is None for x in inputs[:least]):
        raise NotValid(f"`{name}` takes other inputs than these {len(inputs)}")
    proof = Proof(facts)
    try:
        refuse_complex(operation, inputs)
        if isinstance(operation, Layer) and operation.complete(proof, *inputs) != operation:
            raise NotValid(f"`{name}` has other sizes than its inputs give it")
        return operation.infer(proof, *inputs)
    except ShapeError as reason:
        raise NotValid(reason.message) from None
    except NotValid:
        raise
    # Shape rules are written for operands that the elaborator has looked at: here they may be anything.
    except Exception as reason:
        raise NotValid(f"`{name}` cannot be applied: {type(reason).__name__}: {reason}") from None


def _build(cls: type[Arguments] | None, title: str, given: Mapping[str, Any]) -> Arguments:
    if cls is None:
        raise NotValid(f"there is no {title}")
    values = {}
    for name, value in given.items():
        field = cls.fields.get(name)
        if field is None:
            raise NotValid(f"{title} has no argument `{name[:80]}`")
        values[name] = _converted(title, field.kind, name, value.value if isinstance(value, ir.Attr) else value)
        kinds = objects_of(field.kind)
        for record in _records(values[name]) if kinds else ():
            _check_nested(kinds, record)
        fault = field.bound_fault(values[name])
        if fault:
            raise NotValid(f"`{name}` of {title} {fault}")
    missing = [name for name, field in cls.fields.items() if field.required and name not in values]
    if missing:
        raise NotValid(f"{title} lacks its argument `{missing[0]}`")
    return cls(**values)


def _records(value: Any) -> Iterator[ir.Record]:
    if isinstance(value, ir.Record):
        yield value
    elif isinstance(value, tuple):
        for part in value:
            yield from _records(part)


def _check_nested(kinds: tuple[str, ...], record: ir.Record) -> None:
    """An object among the arguments of another one."""
    if kinds == ("layer",):
        _build(registry.find("layer", record.name), f"layer `{record.name[:80]}`", record.arguments)
    else:
        check_record(next((kind for kind in kinds if registry.find(kind, record.name)), kinds[0]), record)


def _converted(title: str, kind: str, name: str, value: Any) -> Any:
    try:
        return convert(kind, value)
    except Misfit:
        raise NotValid(f"`{name}` of {title} must be {describe_kind(kind)}") from None
