"""The syntax tree: what a spec's text says, before anything is known about what it means.

Every node carries the `Span` of the text it came from. Nodes compare by identity (`eq=False`):
use `nnspec.syntax.ast.same` to compare what two trees say.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from nnspec.diagnostics import Span


@dataclass(slots=True, eq=False)
class Node:
    """Anything that has a place in the text."""

    span: Span


# --- expressions -----------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Number(Node):
    """`64`, `1_000`, `1e-3`: an int, or the exact fraction that the decimal says."""

    value: int | Fraction


@dataclass(slots=True, eq=False)
class String(Node):
    """`"layer{i + 1}"`: literal parts and interpolated expressions in order; `{{` and `}}` are braces."""

    parts: tuple[str | Expr, ...]


@dataclass(slots=True, eq=False)
class Constant(Node):
    """`true`, `false`, `none`; and, made by elaboration, any value that was worked out before."""

    value: Any


@dataclass(slots=True, eq=False)
class Name(Node):
    """`x`, `Linear`, `_`."""

    id: str


@dataclass(slots=True, eq=False)
class Attribute(Node):
    """`wte.weight`."""

    value: Expr
    name: str
    name_span: Span


@dataclass(slots=True, eq=False)
class Slice(Node):
    """`a:b:c` inside an index, each part optional."""

    start: Expr | None
    stop: Expr | None
    step: Expr | None


@dataclass(slots=True, eq=False)
class Ellipsis(Node):
    """`...` inside an index."""


@dataclass(slots=True, eq=False)
class Index(Node):
    """`x[0, :T, ..., none]`."""

    value: Expr
    items: tuple[Expr | Slice | Ellipsis, ...]


@dataclass(slots=True, eq=False)
class Argument(Node):
    """`stride=2` or `64`; `name_span` is the place of the name."""

    name: str | None
    value: Expr
    name_span: Span | None = None


@dataclass(slots=True, eq=False)
class Call(Node):
    """`Conv2d(64, 3, padding=1)`."""

    function: Expr
    arguments: tuple[Argument, ...]


@dataclass(slots=True, eq=False)
class Unary(Node):
    """`-x`, `not x`."""

    op: Literal["-", "not"]
    operand: Expr


@dataclass(slots=True, eq=False)
class Binary(Node):
    """Arithmetic, `and` and `or`; `op_span` is the place of the operator."""

    op: Literal["+", "-", "*", "/", "//", "%", "@", "**", "and", "or"]
    left: Expr
    right: Expr
    op_span: Span


@dataclass(slots=True, eq=False)
class Compare(Node):
    """`a < b`, `a in b`, `a not in b`; chained comparisons have several operators."""

    operands: tuple[Expr, ...]
    ops: tuple[Literal["==", "!=", "<", "<=", ">", ">=", "in", "not in"], ...]


@dataclass(slots=True, eq=False)
class Conditional(Node):
    """`then if test else orelse`."""

    test: Expr
    then: Expr
    orelse: Expr


@dataclass(slots=True, eq=False)
class List(Node):
    """`[a, b]`."""

    items: tuple[Expr, ...]


@dataclass(slots=True, eq=False)
class Tuple(Node):
    """`(a, b)`, `(x, mask=m)`, and records such as `(every=500)`: positional items first, then named ones."""

    items: tuple[Argument, ...]


@dataclass(slots=True, eq=False)
class Comprehension(Node):
    """`[f(i) for i, w in pairs if test]`."""

    element: Expr
    target: Target
    iterable: Expr
    test: Expr | None


@dataclass(slots=True, eq=False)
class Label(Node):
    """`conv1:`, `"layer{i}":`, `attention.self:`: a name or a string in front of an item."""

    value: str | String


@dataclass(slots=True, eq=False)
class Item(Node):
    """One step of a flow or chain: `[label:] layer [* count]`."""

    label: Label | None
    layer: Expr
    count: Expr | None


@dataclass(slots=True, eq=False)
class Chain(Node):
    """`{ A -> name: B * 2 -> relu }`."""

    items: tuple[Item, ...]


@dataclass(slots=True, eq=False)
class Flow(Node):
    """`head -> item -> item`."""

    head: Expr
    items: tuple[Item, ...]


@dataclass(slots=True, eq=False)
class Scan(Node):
    """`scan x_t in x over dim=1 with h = zeros(N, D) { ... }`; only as the right side of an assignment."""

    sequences: tuple[tuple[Name, Expr], ...]
    options: tuple[Argument, ...]
    states: tuple[tuple[Name, Expr], ...]
    body: Body


@dataclass(slots=True, eq=False)
class Broken(Node):
    """Text that could not be read and was reported: silent from here on."""


Expr = (
    Number
    | String
    | Constant
    | Name
    | Attribute
    | Index
    | Call
    | Unary
    | Binary
    | Compare
    | Conditional
    | List
    | Tuple
    | Comprehension
    | Chain
    | Flow
    | Scan
    | Broken
)


@dataclass(slots=True, eq=False)
class Targets(Node):
    """`y, (h, c)`: names and nested targets on the left of `=` or after `for`."""

    items: tuple[Target, ...]


Target = Name | Targets


# --- types -----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class TensorType(Node):
    """`float[N, 3, ..., _]`; a dim is an expression, `Name("_")`, or a leading `Ellipsis`; `dims` is None for a bare
    word such as `float`, `int`, `parameter` (a hyperparameter's type)."""

    dtype: str
    dims: tuple[Expr | Ellipsis, ...] | None
    dtype_span: Span


@dataclass(slots=True, eq=False)
class ListType(Node):
    """`list[float[N, _, H, W]]`."""

    element: Type


Type = TensorType | ListType


# --- statements ------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Input(Node):
    """`input x: float[N, C]` with an optional default (`= none`)."""

    name: Name
    type: Type
    default: Expr | None
    doc: str = ""


@dataclass(slots=True, eq=False)
class Output(Node):
    """`output logits: float[N, 10] = flow`, `output flow`, `output name`."""

    name: Name | None
    type: Type | None
    value: Expr | None


@dataclass(slots=True, eq=False)
class Parameter(Node):
    """`param cls: float[1, 1, D] = normal(std=0.02)` or `buffer index: int[64] = ...`."""

    kind: Literal["param", "buffer"]
    name: Name
    type: Type
    value: Expr
    options: tuple[Argument, ...]
    doc: str = ""


@dataclass(slots=True, eq=False)
class Assign(Node):
    """`x = ...`, `y, (h, c) = ...`, `x: float[N, D] = ...`; also a file's constants and the settings of `train`."""

    target: Target
    type: Type | None
    value: Expr
    doc: str = ""


@dataclass(slots=True, eq=False)
class Group(Node):
    """`mlp: { statements }`: what it holds is named `mlp.*`."""

    label: Label
    body: Body


@dataclass(slots=True, eq=False)
class If(Node):
    """`if test { } else { }`; `else if` is an `If` alone in `orelse`."""

    test: Expr
    then: Body
    orelse: Body | None


@dataclass(slots=True, eq=False)
class For(Node):
    """`for i, w in enumerate(widths) { }`."""

    target: Target
    iterable: Expr
    body: Body


@dataclass(slots=True, eq=False)
class Assert(Node):
    """`assert H % 32 == 0, "message"`."""

    test: Expr
    message: Expr | None


@dataclass(slots=True, eq=False)
class Yield(Node):
    """`yield h`, in a scan."""

    value: Expr


@dataclass(slots=True, eq=False)
class Settings(Node):
    """`params "*.bias" { init = zeros() }`, `params Linear.weight { ... }`: pattern is a String, or a dotted Name."""

    pattern: Expr
    body: Body


@dataclass(slots=True, eq=False)
class Update(Node):
    """`update critic { ... }` in `train`."""

    name: Name
    body: Body


@dataclass(slots=True, eq=False)
class Body(Node):
    """`{ statements }`."""

    statements: tuple[Statement, ...]


Statement = Input | Output | Parameter | Assign | Group | If | For | Assert | Yield | Settings | Update | Broken


# --- declarations ----------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Hyperparameter(Node):
    """`hidden: int = 512`."""

    name: Name
    type: Type | None
    default: Expr | None
    doc: str = ""


@dataclass(slots=True, eq=False)
class Block(Node):
    """`block Name(hyperparameters) { }` or `model ...`; `head` spans the words before the body."""

    kind: Literal["block", "model"]
    name: Name
    hyperparameters: tuple[Hyperparameter, ...]
    body: Body
    head: Span
    doc: str = ""


@dataclass(slots=True, eq=False)
class Extern(Node):
    """`extern block Name(args) from "package.module:Class" { input ... output ... }`; `head` spans all but the body."""

    name: Name
    hyperparameters: tuple[Hyperparameter, ...]
    origin: String
    body: Body
    head: Span
    doc: str = ""

    @property
    def kind(self) -> Literal["extern"]:
        """Beside the kinds of a `Block`."""
        return "extern"


Definition = Block | Extern
"""What has a name, hyperparameters, inputs and outputs."""


@dataclass(slots=True, eq=False)
class Import(Node):
    """`import "blocks/resnet.nns" as resnet`."""

    path: String | Expr
    alias: Name | None


@dataclass(slots=True, eq=False)
class FromImport(Node):
    """`from "file.nns" import A, B as C`, `from std.unet import Up`."""

    path: String | Expr
    names: tuple[tuple[Name, Name | None], ...]


@dataclass(slots=True, eq=False)
class Train(Node):
    """`train M(depth=6) { }`, `train (G = A(), D = B()) { }`, `train { }`: `model` is the expression of the head."""

    model: Expr | None
    body: Body
    head: Span


Declaration = Block | Extern | Import | FromImport | Train | Assign | Assert | Broken


@dataclass(slots=True, eq=False)
class File(Node):
    """A whole file: the language version it asks for and its declarations."""

    version: int | None
    declarations: tuple[Declaration, ...]


def same(a: Any, b: Any) -> bool:
    """Whether two trees say the same, wherever they stand."""
    if isinstance(a, Node) and isinstance(b, Node):
        if type(a) is not type(b):
            return False
        names = [
            n for c in type(a).__mro__ for n in getattr(c, "__slots__", ()) if not n.endswith("span") and n != "head"
        ]
        return all(same(getattr(a, n), getattr(b, n)) for n in names)
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and bool(a == b)
