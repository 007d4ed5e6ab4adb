"""The IR as JSON: versioned, validated, without loss, and laid out for people to read.

    {"format": "nnspec-ir", "version": 1, "modules": [...], "methods": [...], "entries": [...]}

Objects have the names of the dataclasses' fields, less those that hold their defaults. Sizes and types are text in the
language's words (`H // 2`, `float[N, 64]`), spans are `[source, start, end]`, nodes have a `kind`. Where a value may be
of any kind, plain JSON stands for itself (an array for a tuple) and the rest are objects with a tag:
`{"dim": "H // 2"}`, `{"ref": 3}`, `{"float": "inf"}`, `{"type": "int[N]"}`, `{"record": "SGD", "arguments": {...}}`,
`{"dict": {...}}`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Annotated, Any, Union, get_type_hints

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    TypeAdapter,
    ValidationError,
    with_config,
)
from typing_extensions import NotRequired, TypedDict

from nnspec import ir
from nnspec.diagnostics import Span
from nnspec.dims import Dim, DimTooLarge, Size, parse_dim, show
from nnspec.types import TensorType, canonical

FORMAT = "nnspec-ir"

_WIDTH = 110
_LIMIT = 2**63
_SHOWN = 10
"""How many faults of a file one error lists."""


class IRFormatError(Exception):
    """The text is not an IR of this version; each fault is a place in the JSON and what is wrong there."""

    def __init__(self, faults: Iterable[tuple[str, str]]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(f"{place}: {message}" if place else message for place, message in self.faults))


# --- to text ---------------------------------------------------------------------------------------------------------


def dumps(program: ir.Program) -> str:
    """The program as JSON text; equal programs give equal texts."""
    fields = _typed(program)
    fields.pop("version", None)
    return "\n".join(_lines({"format": FORMAT, "version": program.version, **fields})) + "\n"


_KINDS: dict[type[Any], str] = {ir.Call: "call", ir.Op: "op", ir.Read: "read", ir.Scan: "scan", ir.Foreign: "foreign"}


def _typed(value: Any) -> Any:
    """The JSON of a value whose kind the field that holds it tells."""
    if isinstance(value, Dim):
        return show(value)
    if isinstance(value, TensorType):
        return str(value)
    if isinstance(value, Span):
        return [value.source, value.start, value.end]
    if isinstance(value, tuple):
        return [_typed(part) for part in value]
    if dataclasses.is_dataclass(value):
        kind = _KINDS.get(type(value))
        return {**({"kind": kind} if kind else {}), **_fields(value)}
    return value


def _fields(value: Any) -> dict[str, Any]:
    fields = {}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if not _is_default(field, content):
            encode = _any if re.search(r"\b(Any|Operand)\b", str(field.type)) else _typed
            is_map = str(field.type).startswith("dict[")
            fields[field.name] = {k: encode(v) for k, v in content.items()} if is_map else encode(content)
    return fields


def _is_default(field: dataclasses.Field[Any], content: Any) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(content == field.default_factory())
    return field.default is not dataclasses.MISSING and bool(content == field.default)


def _any(value: Any) -> Any:
    """The JSON of a value that nothing else tells the kind of."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_any(part) for part in value]
    if isinstance(value, Dim):
        return {"dim": show(value)}
    if isinstance(value, ir.Ref):
        return {"ref": value.id}
    if isinstance(value, TensorType):
        return {"type": str(value)}
    if isinstance(value, ir.Record):
        return {"record": value.name, **{k: v for k, v in _fields(value).items() if k != "name"}}
    if isinstance(value, dict):
        return {"dict": {key: _any(part) for key, part in value.items()}}
    raise TypeError(f"the IR cannot hold {value!r}")


def _lines(value: Any) -> list[str]:
    """JSON text with every part on one line that fits on one."""
    if not isinstance(value, list | dict):
        return [json.dumps(value)]
    if isinstance(value, dict):
        parts = [_prefixed(f"{json.dumps(key)}: ", _lines(part)) for key, part in value.items()]
        opening, closing = "{}"
    else:
        parts = [_lines(part) for part in value]
        opening, closing = "[]"
    if all(len(part) == 1 for part in parts) and sum(len(part[0]) + 2 for part in parts) <= _WIDTH:
        return [opening + ", ".join(part[0] for part in parts) + closing]
    lines = [opening]
    for part in parts:
        lines += ["  " + line for line in part]
        lines[-1] += ","
    lines[-1] = lines[-1][:-1]
    return [*lines, closing]


def _prefixed(prefix: str, lines: list[str]) -> list[str]:
    return [prefix + lines[0], *lines[1:]]


# --- from text -------------------------------------------------------------------------------------------------------


def loads(text: str | bytes) -> ir.Program:
    """The program that `dumps` wrote; raises `IRFormatError` for any other text.

    What is returned has the right form. Whether it makes sense is for `nnspec.verify` to say.
    """
    try:
        header = _header().validate_json(text)
        if header.get("format") != FORMAT:
            raise IRFormatError([("format", f'this is not an IR of nnspec: `"format": "{FORMAT}"` is missing')])
        version = header.get("version")
        if version != ir.VERSION or isinstance(version, bool):
            found = json.dumps(version)[:40]
            raise IRFormatError([("version", f"this nnspec reads version {ir.VERSION} of the IR, not {found}")])
        program: ir.Program = _adapter().validate_json(text)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        raise IRFormatError(
            (_place(f["loc"]), f["msg"].removeprefix("Value error, ")) for f in faults[:_SHOWN]
        ) from None
    return program


def _place(location: tuple[int | str, ...]) -> str:
    # The tag of a node stands between its number and its field.
    steps = [
        step for i, step in enumerate(location) if not (i and step in _KINDS.values() and location[i - 2] == "nodes")
    ]
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


@cache
def _header() -> TypeAdapter[dict[str, Any]]:
    return TypeAdapter(dict[str, Any])


@cache
def _adapter() -> TypeAdapter[Any]:
    """Validates JSON straight into the dataclasses: the words of their annotations are read as wire types."""
    words: dict[str, Any] = {
        **vars(ir),
        "Any": Annotated[object, PlainValidator(_read_any)],
        "Operand": Annotated[object, PlainValidator(_read_any)],
        "Size": Annotated[object, PlainValidator(_read_size)],
        "TensorType": Annotated[object, PlainValidator(_read_type)],
        "Span": Annotated[object, PlainValidator(_read_span)],
        "int": Annotated[int, Field(ge=-_LIMIT, lt=_LIMIT)],
    }
    words["Graph"] = Annotated[object, _Later(words, "Graph")]
    for cls in _CLASSES:
        words[cls.__name__] = _wire(cls, words)
        if cls is ir.Foreign:
            nodes = tuple(Annotated[words[c.__name__], Tag(kind)] for c, kind in _KINDS.items())
            message = f"the kind of a node is {', '.join(_KINDS.values())}"
            tag = Discriminator(_kind_of, custom_error_type="node", custom_error_message=message)
            words["Node"] = Annotated[Union[nodes], tag]  # noqa: UP007 - built at run time
    return TypeAdapter(words["Program"])


# Each after those that its fields name.
_CLASSES: tuple[type[Any], ...] = (
    *(
        ir.Attr,
        ir.Initializer,
        ir.Symbol,
        ir.Requirement,
        ir.Value,
        ir.Call,
        ir.Op,
        ir.Read,
        ir.Scan,
        ir.Foreign,
        ir.Graph,
        ir.Member,
        ir.Tie,
        ir.Setting,
    ),
    *(ir.Module, ir.Method, ir.Form, ir.Entry, ir.Metric, ir.Record, ir.Group, ir.Update, ir.Training, ir.Program),
)


class _Later:
    """Stands for a class that comes later in the order: a scan holds a graph, and a graph holds scans."""

    def __init__(self, words: dict[str, Any], name: str) -> None:
        self.words = words
        self.name = name

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return handler.generate_schema(self.words[self.name])


def _wire(cls: type[Any], words: dict[str, Any]) -> Any:
    """The JSON form of a dataclass: an object of its fields and nothing else, that is made into an instance."""
    hints = get_type_hints(cls, globalns=words, include_extras=True)
    keys: dict[str, Any] = {}
    for field in dataclasses.fields(cls):
        optional = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        keys[field.name] = NotRequired[hints[field.name]] if optional else hints[field.name]
    extra = {ir.Program: {"format": str}}.get(cls, {"kind": str} if cls in _KINDS else {})
    form = TypedDict(cls.__name__, {**extra, **keys})  # type: ignore[misc]
    config = ConfigDict(extra="forbid", strict=True)

    def make(fields: dict[str, Any]) -> Any:
        return cls(**{name: content for name, content in fields.items() if name not in extra})

    return Annotated[with_config(config)(form), AfterValidator(make)]


def _kind_of(node: Any) -> str | None:
    kind = node.get("kind") if isinstance(node, dict) else None
    return kind if isinstance(kind, str) else None


def _read_size(value: Any) -> Size:
    if isinstance(value, str):
        return _parse_size(value)
    if isinstance(value, int) and not isinstance(value, bool) and -_LIMIT <= value < _LIMIT:
        return value
    raise ValueError("a size is a whole number of at most 64 bits or a text such as `H // 2`")


@lru_cache(maxsize=4096)
def _parse_size(text: str) -> Size:
    try:
        return parse_dim(text)
    except (DimTooLarge, RecursionError, ZeroDivisionError) as reason:
        raise ValueError(f"not a size: {reason}") from None


def _read_type(value: Any) -> TensorType:
    if not isinstance(value, str):
        raise ValueError("a type is a text such as `float[N, 64]`")
    return _parse_type(value)


@lru_cache(maxsize=4096)
def _parse_type(text: str) -> TensorType:
    match = re.fullmatch(r"(\w+)\[(.*)\]", text)
    dtype = canonical(match[1]) if match else None
    if match is None or dtype is None:
        raise ValueError(f"not a type, such as `float[N, 64]`: {text[:200]!r}")
    dims = tuple(map(_parse_size, _split(match[2])))
    if any(isinstance(dim, int) and not 0 <= dim < _LIMIT for dim in dims):
        raise ValueError(f"a size is out of range in {text[:200]!r}")
    return TensorType(dtype, dims)


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]] if text.strip() else []


def _read_any(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_read_any, value))
    if isinstance(value, dict):
        return _read_tagged(value)
    if isinstance(value, int) and not -_LIMIT <= value < _LIMIT:
        raise ValueError("a number of more than 64 bits")
    return value


def _read_tagged(value: dict[str, Any]) -> Any:
    if "record" in value:
        return _read_record(**value)
    tag, content = next(iter(value.items()), ("", None))
    read = _TAGS.get(tag)
    if read is None or len(value) > 1:
        raise ValueError(f"an object among values has one tag of {', '.join(_TAGS)} or is a record")
    return read(content)


def _read_float(value: Any) -> float:
    if value not in ("inf", "-inf", "nan"):
        raise ValueError("a tagged float is inf, -inf or nan")
    return float(value)


def _read_ref(value: Any) -> ir.Ref:
    if not _is_count(value):
        raise ValueError("the number of a value is a whole number of at least 0")
    return ir.Ref(value)


def _read_dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a tagged dict is an object")
    return {key: _read_any(part) for key, part in value.items()}


def _read_record(record: Any = None, arguments: Any = None, span: Any = None, **others: Any) -> ir.Record:
    if others or not isinstance(record, str):
        raise ValueError("a record among values has the name `record`, `arguments` and perhaps a `span`")
    return ir.Record(record, _read_dict(arguments), None if span is None else _read_span(span))


def _read_span(value: Any) -> Span:
    if not isinstance(value, list) or len(value) != 3 or not all(map(_is_count, value)):
        raise ValueError("a span is [source, start, end]")
    source, start, end = value
    return Span(start, end, source)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LIMIT


_TAGS: dict[str, Callable[[Any], Any]] = {
    "dim": _read_size,
    "ref": _read_ref,
    "float": _read_float,
    "type": _read_type,
    "dict": _read_dict,
}
