"""Typed arguments: the base of everything a spec configures by `Name(...)` (layers, functions, optimizers, data).

A class lists its arguments as annotated fields, in torch's order:

    class Linear(Layer):
        out_features: int = arg(ge=1, doc="size of the output's last dimension")
        bias: bool = arg(True, doc="add a learned offset")
        in_features: int = inferred(axis=-1)

Instances are immutable and equal by content. This is a small cousin of `dataclasses` that costs nothing at import
(a spec that is only checked must start fast) and that reports faults by argument, so that a caller can show the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec import ir
from nnspec.dims import Dim
from nnspec.syntax.literals import Whole
from nnspec.types import REAL_DTYPES, canonical

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_: object) -> Any:
        """At run time the decorator does nothing."""
        return lambda cls: cls


OBJECTS = {
    "Layer": "layer",
    "Scheduler": "scheduler",
    "Transform": "transform",
    "Dataset": "dataset",
    "Optimizer": "optimizer",
}
"""Kinds of arguments that are library objects themselves (as records), and what the registry calls them."""

_REQUIRED: Any = type("Required", (), {"__repr__": lambda self: "<required>"})()


class Field:
    """One argument: its name, kind, default, bounds and description."""

    __slots__ = ("axis", "default", "doc", "ge", "gt", "inferred", "input", "keyword", "kind", "le", "lt", "name")

    def __init__(
        self,
        default: Any = _REQUIRED,
        *,
        doc: str = "",
        ge: float | None = None,
        gt: float | None = None,
        le: float | None = None,
        lt: float | None = None,
        inferred: bool = False,
        axis: int | None = None,
        input: int = 0,
        keyword: bool = False,
    ) -> None:
        self.name = ""
        self.kind = ""
        self.default = default
        self.doc = doc
        self.ge, self.gt, self.le, self.lt = ge, gt, le, lt
        self.inferred = inferred
        self.axis = axis
        self.input = input
        self.keyword = keyword or inferred

    @property
    def required(self) -> bool:
        """Whether the author must give it."""
        return self.default is _REQUIRED and not self.inferred

    def bound_fault(self, value: Any) -> str | None:
        """Why a number (or one of several) is out of bounds."""
        if isinstance(value, tuple):
            return next((f for v in value if (f := self.bound_fault(v))), None)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        if self.ge is not None and not value >= self.ge:
            return f"must be at least {self.ge}"
        if self.gt is not None and not value > self.gt:
            return f"must be greater than {self.gt}"
        if self.le is not None and not value <= self.le:
            return f"must be at most {self.le}"
        if self.lt is not None and not value < self.lt:
            return f"must be less than {self.lt}"
        return None


def arg(
    default: Any = _REQUIRED,
    *,
    doc: str,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    keyword: bool = False,
) -> Any:
    """An argument that the author gives: required unless it has a default; bounds hold for each number in a tuple."""
    return Field(default, doc=doc, ge=ge, gt=gt, le=le, lt=lt, keyword=keyword)


def inferred(*, axis: int | None = None, input: int = 0, doc: str = "") -> Any:
    """A size that the input decides (dimension `axis` of input number `input`); the author may still give it by name,
    and then it is checked. Without `axis` the class fills it in `complete`."""
    return Field(None, doc=doc or "inferred from the input", inferred=True, axis=axis, input=input)


@dataclass_transform(field_specifiers=(arg, inferred), frozen_default=True, kw_only_default=False)
class Arguments:
    """Immutable typed arguments; equal when class and values are equal."""

    fields: ClassVar[Mapping[str, Field]] = {}
    __dict__: dict[str, Any]

    def __init_subclass__(cls) -> None:
        fields = dict(cls.fields)
        for name, kind in cls.__dict__.get("__annotations__", {}).items():  # noqa: RUF063 - inspect is slow to import
            spec = cls.__dict__.get(name)
            if isinstance(spec, Field):
                spec.name, spec.kind = name, str(kind)
                fields[name] = spec
                delattr(cls, name)
        cls.fields = fields

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        names = [n for n, f in self.fields.items() if not f.keyword]
        values = dict(zip(names, args, strict=False)) | kwargs
        for name, spec in self.fields.items():
            value = values.get(name, spec.default)
            if value is _REQUIRED:
                raise TypeError(f"{type(self).__name__} needs {name}")
            self.__dict__[name] = value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    def _values(self) -> tuple[Any, ...]:
        return tuple(self.__dict__.values())

    def __eq__(self, other: object) -> bool:
        # 1 == 1.0 == True in Python; as arguments they differ.
        return type(other) is type(self) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash((type(self).__name__, repr(self._values())))

    def __repr__(self) -> str:
        inside = ", ".join(f"{k}={v!r}" for k, v in self.__dict__.items())
        return f"{type(self).__name__}({inside})"

    def replace(self, **changes: Any) -> Self:
        """A copy with other values."""
        return type(self)(**(self.__dict__ | changes))

    def given(self) -> Iterator[tuple[str, Any]]:
        """The arguments that differ from their defaults, in order, inferred ones included."""
        for name, spec in self.fields.items():
            value = self.__dict__[name]
            if spec.inferred or spec.required or value != spec.default or type(value) is not type(spec.default):
                yield name, value


# --- kinds: the annotation text decides what a value may be ----------------------------------------------------------

_TOKEN = re.compile(r"\s*(\.\.\.|[A-Za-z_]\w*|\"[^\"]*\"|'[^']*'|[\[\],|])")

Kind = tuple[str, tuple[Any, ...]]
"""A word and what stands in its brackets; of a union the word is `|`."""


@cache
def parse_kind(text: str) -> Kind:
    """The kind that an annotation's text spells."""
    tokens = _TOKEN.findall(text)
    position = 0

    def union() -> Kind:
        nonlocal position
        options = [single()]
        while position < len(tokens) and tokens[position] == "|":
            position += 1
            options.append(single())
        return options[0] if len(options) == 1 else ("|", tuple(options))

    def single() -> Kind:
        nonlocal position
        word = tokens[position]
        position += 1
        inside: list[Any] = []
        if position < len(tokens) and tokens[position] == "[":
            position += 1
            while tokens[position] != "]":
                if tokens[position] == ",":
                    position += 1
                    continue
                if tokens[position] == "..." or tokens[position][0] in "\"'":
                    inside.append(tokens[position].strip("\"'"))
                    position += 1
                else:
                    inside.append(union())
            position += 1
        return (word, tuple(inside))

    return union()


_MOST = 2**1023
"""A whole number beyond is none that a float holds."""


class Misfit(Exception):
    """A value is not of the kind that an argument wants."""


def convert(kind: str, value: Any) -> Any:
    """The value as an argument of this kind holds it; raises `Misfit` when it is of another kind.

    Kinds are the annotations of fields: `int`, `float`, `bool`, `str`, `None`, `Size` (an int or a symbolic Dim),
    `DType`, `Layer`, `Scheduler` and the other `OBJECTS` (a record of one), `Any`, `tuple[...]` (given as a list or
    tuple), `dict[str, ...]` (given as `(name=value)`), `Literal["a", "b"]`, and unions of them.
    """
    return _convert(parse_kind(kind), value)


def _convert(kind: Kind, value: Any) -> Any:
    word, inside = kind
    if word == "|":
        # An exact number that is not an int was written with a point: `2.0` is a float where both are welcome.
        written = isinstance(value, (Fraction, Whole))
        for option in sorted(inside, key=lambda k: bool(k[0] != "float")) if written else inside:
            try:
                return _convert(option, value)
            except Misfit:
                continue
        raise Misfit
    is_number = isinstance(value, (int, float, Fraction)) and not isinstance(value, bool)
    if word == "Any":
        return value
    if word == "None" and value is None:
        return None
    if word == "bool" and isinstance(value, bool):
        return value
    if word in ("int", "Size") and is_number and not isinstance(value, float) and value == int(value):
        return int(value)
    if word == "Size" and isinstance(value, Dim):
        return value
    if word == "float" and is_number and not (isinstance(value, int) and abs(value) > _MOST):
        return float(value)
    if word == "str" and isinstance(value, str):
        return value
    if word in OBJECTS and isinstance(value, ir.Record):
        return value
    if word == "DType" and isinstance(value, str) and canonical(value) in REAL_DTYPES:
        return canonical(value)
    if word == "Literal" and isinstance(value, str) and value in inside:
        return value
    if word == "tuple" and isinstance(value, (tuple, list)):
        if len(inside) == 2 and inside[1] == "...":
            return tuple(_convert(inside[0], v) for v in value)
        if len(inside) == len(value):
            return tuple(_convert(k, v) for k, v in zip(inside, value, strict=True))
    if word == "dict" and isinstance(value, (tuple, list)) and not value:
        return {}  # `()` is an empty record as well
    if word == "dict" and isinstance(value, dict):
        return {name: _convert(inside[1], each) for name, each in value.items()}
    raise Misfit


_WORDS = {
    "int": "a whole number",
    "Size": "a size",
    "float": "a number",
    "bool": "true or false",
    "str": "a string",
    "None": "none",
    "DType": "a real element type such as float16",
    "Any": "a value",
    "Layer": "a layer",
    "Scheduler": "a scheduler",
    "Transform": "a transform",
    "Dataset": "a data set",
    "Optimizer": "an optimizer",
}


def describe_kind(kind: str) -> str:
    """What an argument wants, for a sentence: `a whole number or a tuple of 2 whole numbers`."""
    return _describe(parse_kind(kind))


def parse_words(kind: str) -> frozenset[str]:
    """The words of a kind that stand in no brackets: `str` and `None` of `str | None`."""
    word, inside = parse_kind(kind)
    return frozenset(part[0] for part in inside) if word == "|" else frozenset((word,))


def words_of(kind: str) -> list[str]:
    """The strings that an argument may be."""

    def inside(kind: Kind) -> list[str]:
        word, parts = kind
        return list(parts) if word == "Literal" else [w for p in parts if isinstance(p, tuple) for w in inside(p)]

    return inside(parse_kind(kind))


def objects_of(kind: str) -> tuple[str, ...]:
    """The registry's kinds of the library objects that an argument may be, or hold."""

    def inside(kind: Kind) -> Iterator[str]:
        word, parts = kind
        if word in OBJECTS:
            yield OBJECTS[word]
        for part in parts:
            if isinstance(part, tuple):
                yield from inside(part)

    return tuple(dict.fromkeys(inside(parse_kind(kind))))


def _describe(kind: Kind) -> str:
    word, inside = kind
    if word == "|":
        return " or ".join(_describe(k) for k in inside)
    if word == "Literal":
        return " or ".join(f'"{w}"' for w in inside)
    if word == "dict":
        return f"a record `(name=...)`, each value {_describe(inside[1])}"
    if word == "tuple":
        one = _describe(inside[0])
        many = len(inside) == 2 and inside[1] == "..."
        if inside[0][0] == "|":
            return f"a tuple of values, each {one}" if many else f"a tuple of {len(inside)}, each {one}"
        if len(inside) == 1:
            return f"a tuple of {one}"
        if inside[0][0] == "tuple":
            tuples = one.replace("a tuple", "tuples", 1)
            return f"a tuple of {tuples}" if many else f"a tuple of {len(inside)} {tuples}"
        plural = one.split(" ", 1)[-1] + "s" if one.startswith(("a ", "an ")) else one
        return f"a tuple of {plural}" if many else f"a tuple of {len(inside)} {plural}"
    return _WORDS.get(word, word)
