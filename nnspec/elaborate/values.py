"""What an expression of a spec can be while it is elaborated: numbers, recipes, layers, tensors, and the unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Span
from nnspec.dims import Dim, Size, show
from nnspec.elaborate.files import Namespace
from nnspec.layer import Function, Layer
from nnspec.syntax import ast
from nnspec.syntax.literals import Whole
from nnspec.types import TensorType


class Fault(Exception):
    """The author's mistake: the statement that holds it fails, the rest goes on."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Silent(Exception):
    """Something here failed before and was reported; say nothing more."""


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()
"""The value of what failed: whatever meets it stays silent."""


class Undecided:
    """A condition on symbols that is neither true nor false for all their values."""

    __slots__ = ("comparison", "symbols", "text")

    def __init__(self, text: str, symbols: frozenset[str], comparison: tuple[str, Size, Size] | None = None) -> None:
        self.text = text
        self.symbols = symbols
        self.comparison = comparison


class Inexact:
    """A number made of symbols that is no size, such as `1 / T`: known at run time, where it meets a tensor.

    Everywhere else it is the author's mistake that `fault` says (see `expressions.evaluate`).
    """

    __slots__ = ("fault", "left", "op", "right")

    def __init__(self, op: str, left: Any, right: Any, fault: Fault) -> None:
        self.op = op
        self.left = left
        self.right = right
        self.fault = fault


class DType(str):
    """An element type as a value: `dtype=float16`."""

    __slots__ = ()


class Record(dict[str, Any]):
    """`(every=500, keep=3)`."""


class Tensor:
    """A tensor of the graph being built."""

    __slots__ = ("id", "type")

    def __init__(self, id: int, type: TensorType) -> None:
        self.id = id
        self.type = type


class FunctionValue:
    """A library function, possibly with arguments that wait for the flowing value: `softmax(dim=-1)`."""

    __slots__ = ("arguments", "cls", "span")

    def __init__(self, cls: type[Function], span: Span, arguments: tuple[ast.Argument, ...] | None = None) -> None:
        self.cls = cls
        self.span = span
        self.arguments = arguments


class BlockFunction:
    """A lower-case block, possibly with arguments that wait for the flowing value."""

    __slots__ = ("arguments", "block", "span")

    def __init__(self, block: ast.Block, span: Span, arguments: tuple[ast.Argument, ...] | None = None) -> None:
        self.block = block
        self.span = span
        self.arguments = arguments


class Asked:
    """`parameters` or `macs` in an assert of the file: a question about a model, and who answers it."""

    __slots__ = ("answer", "question")

    def __init__(self, question: str, answer: Callable[[Any, str, ast.Call], Any]) -> None:
        self.question = question
        self.answer = answer


class ParamRef:
    """A parameter to tie with: at `path` in the body that owns it, or (`outer`) handed in as that hyperparameter."""

    __slots__ = ("outer", "path", "span", "type")

    def __init__(self, path: str, type: TensorType, span: Span, outer: str | None = None) -> None:
        self.path = path
        self.type = type
        self.span = span
        self.outer = outer


class Owned:
    """A `param` or `buffer` of the body: a tensor when it flows, a parameter when something is tied to it."""

    __slots__ = ("kind", "path", "span", "type")

    def __init__(self, path: str, type: TensorType, kind: str, span: Span) -> None:
        self.path = path
        self.type = type
        self.kind = kind
        self.span = span


class Recipe:
    """A description of a layer: a plain value, equal by content."""

    __slots__ = ("bare", "span")
    span: Span
    bare: bool

    @property
    def title(self) -> str:
        """What an automatic name is made from. Abstract: each kind of recipe says it."""
        raise NotImplementedError

    def key(self) -> tuple[Any, ...]:
        """Its content, hashable. Abstract: each kind of recipe says it."""
        raise NotImplementedError


class LayerRecipe(Recipe):
    """A library layer with its arguments bound; `spans` and `exprs` say where and how the author wrote them."""

    __slots__ = ("_key", "exprs", "inner", "layer", "ordered", "spans", "ties")

    def __init__(self, layer: Layer, span: Span, *, bare: bool = False) -> None:
        self.layer = layer
        self.span = span
        self.bare = bare
        self.spans: dict[str, Span] = {}
        self.exprs: dict[str, str] = {}
        self.ordered: tuple[str, ...] = ()
        """The arguments that were given by position."""
        self.inner: dict[str, LayerRecipe] = {}
        """The arguments that are layers."""
        self.ties: dict[str, ParamRef] = {}
        self._key: tuple[Any, ...] | None = None

    @property
    def title(self) -> str:
        return self.layer.title

    def key(self) -> tuple[Any, ...]:
        if self._key is None:
            self._key = ("layer", self.layer, tuple((n, p.outer, p.path) for n, p in self.ties.items()))
        return self._key


class BlockRecipe(Recipe):
    """A block of the author's with its hyperparameters bound."""

    __slots__ = ("_key", "arguments", "block", "exprs")

    def __init__(
        self, block: ast.Definition, arguments: dict[str, Any], exprs: dict[str, str], span: Span, *, bare: bool = False
    ) -> None:
        self.block = block
        self.arguments = arguments
        self.exprs = exprs
        self.span = span
        self.bare = bare
        self._key: tuple[Any, ...] | None = None

    @property
    def title(self) -> str:
        return self.block.name.id

    def key(self) -> tuple[Any, ...]:
        if self._key is None:
            self._key = ("block", id(self.block), tuple((n, content(v)) for n, v in self.arguments.items()))
        return self._key


class Link:
    """One item of a chain recipe: what to apply, under which label."""

    __slots__ = ("label", "span", "what")

    def __init__(self, label: str | None, what: Any, span: Span) -> None:
        self.label = label
        self.what = what
        self.span = span


class ChainRecipe(Recipe):
    """`{ A -> B }`."""

    __slots__ = ("links",)

    def __init__(self, links: tuple[Link, ...], span: Span) -> None:
        self.links = links
        self.span = span
        self.bare = False

    @property
    def title(self) -> str:
        return "Sequential"

    def key(self) -> tuple[Any, ...]:
        return ("chain", *((link.label, content(link.what)) for link in self.links))


class RepeatRecipe(Recipe):
    """`X * n`: a chain of n copies."""

    __slots__ = ("count", "of")

    def __init__(self, of: Recipe, count: int, span: Span) -> None:
        self.of = of
        self.count = count
        self.span = span
        self.bare = False

    @property
    def title(self) -> str:
        return self.of.title

    def key(self) -> tuple[Any, ...]:
        return ("repeat", self.of.key(), self.count)


def content(value: Any) -> Any:
    """A hashable stand-in for a compile-time value: equal when the values are (1, 1.0 and true differ)."""
    if isinstance(value, Recipe):
        return value.key()
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *map(content, value))
    if isinstance(value, dict):
        return ("record", *((k, content(v)) for k, v in value.items()))
    if isinstance(value, FunctionValue):
        return ("function", value.cls, _held(value.arguments))
    if isinstance(value, BlockFunction):
        return ("function", id(value.block), _held(value.arguments))
    if isinstance(value, ParamRef):
        return ("parameter", value.type)
    return (type(value).__name__, value)


def _held(arguments: tuple[ast.Argument, ...] | None) -> Any:
    """The arguments that a function was given, which are worked out; places do not count."""
    return tuple((a.name, content(a.value.value)) for a in arguments or () if isinstance(a.value, ast.Constant))


def is_number(value: Any) -> bool:
    """Whether it is a plain number (a bool is not, a symbolic size is not)."""
    return isinstance(value, (int, float, Fraction)) and not isinstance(value, bool)


def is_size(value: Any) -> bool:
    """Whether it is a whole number or a symbolic size."""
    return (isinstance(value, int) and not isinstance(value, bool)) or isinstance(value, Dim)


def kind_word(value: Any) -> str:
    """The kind of value that a name stays when it is bound again."""
    if is_number(value) or isinstance(value, (Dim, Inexact)):
        return "number"
    kinds: tuple[tuple[str, Any], ...] = (
        ("tensor", (Tensor, Owned)),
        ("layer", Recipe),
        ("list", (list, tuple)),
        ("function", (FunctionValue, BlockFunction)),
    )
    return next((word for word, cls in kinds if isinstance(value, cls)), type(value).__name__)


def describe(value: Any) -> str:
    """What a value is, for a sentence: `a tensor float[N, 8]`, `the number 3`."""
    if isinstance(value, Tensor):
        return f"a tensor {value.type}"
    if isinstance(value, bool) or value is None:
        return f"`{show_value(value)}`"
    if is_number(value):
        return f"the number {show_value(value)}"
    if isinstance(value, Dim):
        return f"the size `{show(value)}`"
    if isinstance(value, DType):
        return f"the element type `{value}`"
    if isinstance(value, str):
        return f"the string {show_value(value)}"
    if isinstance(value, Recipe):
        return f"a recipe for `{value.title}`"
    if isinstance(value, (FunctionValue, BlockFunction)):
        return "a function that waits for its input" if value.arguments else "a function"
    if isinstance(value, (Owned, ParamRef)):
        return f"a parameter {value.type}"
    names: Mapping[type, str] = {
        Namespace: "an imported file",
        list: "a list",
        tuple: "a tuple",
        Record: "a record",
        Undecided: "a condition",
        Inexact: "a number that is known at run time",
    }
    return names.get(type(value), "a layer")


def show_value(value: Any) -> str:
    """A compile-time value as the author would write it, shortened."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Whole):
        return str(float(value))
    if isinstance(value, Fraction):
        number = float(value)
        return str(number) if Fraction(str(number)) == value else f"{value.numerator}/{value.denominator}"
    if isinstance(value, str) and not isinstance(value, DType):
        text = value if len(value) <= 60 else value[:57] + "..."
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    if isinstance(value, (list, tuple)):
        inside = ", ".join(show_value(v) for v in value[:8]) + (", ..." if len(value) > 8 else "")
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, Dim):
        return show(value)
    if isinstance(value, Recipe):
        return value.title
    if isinstance(value, (Tensor, Owned)):
        return str(value.type)
    return str(value)


def plain(value: Any) -> Any:
    """A compile-time value as the IR stores it: exact fractions become floats, lists become tuples, recipes records."""
    if isinstance(value, (Fraction, Whole)):
        return float(value)
    if isinstance(value, DType):
        return str(value)
    if isinstance(value, (list, tuple)):
        return tuple(plain(v) for v in value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, LayerRecipe):
        return ir.Record(value.title, {k: plain(v) for k, v in value.layer.given()})
    if isinstance(value, BlockRecipe):
        return ir.Record(value.title, {k: plain(v) for k, v in value.arguments.items()})
    if isinstance(value, ChainRecipe):
        return ir.Record("chain", {str(i): plain(link.what) for i, link in enumerate(value.links)})
    if isinstance(value, RepeatRecipe):
        return ir.Record("repeat", {"of": plain(value.of), "count": value.count})
    if isinstance(value, FunctionValue):
        return ir.Record(value.cls.__name__, {})
    if isinstance(value, BlockFunction):
        return ir.Record(value.block.name.id, {})
    if isinstance(value, ParamRef):
        return ir.Record("parameter", {"type": str(value.type)})
    return value
