"""Printing Python: expressions as data become text that reads and breaks as a formatter would have it."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from nnspec.dims import Dim, render
from nnspec.layer import Code, Ref

WIDTH = 100
"""The longest line, as for `ruff format --line-length 100`."""

ATOM, POSTFIX, POWER, UNARY, PRODUCT, SUM = 17, 16, 14, 13, 12, 11
_LEVELS = {"**": POWER, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT, "@": PRODUCT, "+": SUM, "-": SUM}
_LEVELS |= {"<<": 10, ">>": 10, "&": 9, "^": 8, "|": 7, "==": 6, "!=": 6, "<": 6, "<=": 6, ">": 6, ">=": 6}
_COMPARE = 6
_MODULES = frozenset(("torch", "nn", "F"))
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*\Z")
_SIMPLE_POWER = re.compile(r"-?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\Z|-?\d[\d.e+-]*\Z")
_SIMPLE_SLICE = re.compile(r"-?\w+\Z")


class Piece:
    """Printed code: its text on one line, how tightly it binds, and how it breaks when it is too long.

    What breaks has a `head` that ends in a bracket, `items` (each with what stands before it: `stride=`) and a `tail`.
    `dense` items may share one line of their own; `exploded` ones never share the line of the head.
    A call may know its `defaults` (`stride=` -> 1) and `words` for what it gets by position; a generator knows its
    `element` and `count`.
    """

    __slots__ = (
        "count",
        "defaults",
        "dense",
        "element",
        "exploded",
        "head",
        "items",
        "level",
        "operands",
        "tail",
        "text",
        "words",
    )

    exploded: bool

    def __init__(
        self,
        text: str,
        level: int = ATOM,
        *,
        head: str = "",
        items: Sequence[tuple[str, Piece]] = (),
        tail: str = ")",
        dense: bool = False,
        exploded: bool = False,
        operands: tuple[str, str] | None = None,
    ) -> None:
        self.text = text
        self.level = level
        self.head = head
        self.items = items
        self.tail = tail
        self.dense = dense
        self.exploded = exploded or any(piece.exploded for _, piece in items)
        self.operands = operands
        self.defaults: Mapping[str, Piece] = {}
        self.words: Sequence[str] = ()
        self.element: Piece | None = None
        self.count: Piece | None = None

    def within(self, level: int) -> str:
        """The text where something that binds at least so tightly is needed."""
        return self.text if self.level >= level else f"({self.text})"


def bracketed(head: str, items: Sequence[tuple[str, Piece]], tail: str, *, exploded: bool = False) -> Piece:
    """A call (`head` is `name(`), a list, a tuple or a dict."""
    inside = ", ".join(before + piece.text for before, piece in items)
    comma = "," if head == "(" and len(items) == 1 else ""
    level = POSTFIX if len(head) > 1 else ATOM
    dense = len(head) > 1
    return Piece(head + inside + comma + tail, level, head=head, items=items, tail=tail, dense=dense, exploded=exploded)


def generator(element: Piece, count: Piece) -> Piece:
    """`element for _ in range(count)`; breaks in front of `for`."""
    loop = f"for _ in range({count.text})"
    items = (("", element), ("", Piece(loop)))
    piece = Piece(f"{element.text} {loop}", 0, items=items, tail="")
    piece.element, piece.count = element, count
    return piece


def layout(prefix: str, piece: Piece, suffix: str = "", indent: int = 0) -> list[str]:
    """The lines of `prefix piece suffix`, broken at brackets where one line is too short."""
    pad, inner = " " * indent, indent + 4
    line = f"{pad}{prefix}{piece.text}{suffix}"
    if len(line) <= WIDTH and not piece.exploded:
        return [line]
    if not piece.items:
        return _bracket_infix(prefix, piece, suffix, indent) or [line]
    if not piece.head:
        return [text for before, part in piece.items for text in layout(before, part, "", indent)]
    lines = [f"{pad}{prefix}{piece.head}"]
    flat = ", ".join(before + item.text for before, item in piece.items)
    if piece.dense and not piece.exploded and inner + len(flat) <= WIDTH:
        lines.append(" " * inner + flat)
    else:
        comma = "" if piece.dense and len(piece.items) == 1 else ","
        for before, item in piece.items:
            lines += layout(before, item, comma, inner)
    return [*lines, f"{pad}{piece.tail}{suffix}"]


def _bracket_infix(prefix: str, piece: Piece, suffix: str, indent: int) -> list[str]:
    """Long operators after `=` or `return` get brackets of their own."""
    if piece.operands is None or not prefix.endswith(("= ", "return ")):
        return []
    pad, inner = " " * indent, " " * (indent + 4)
    body = [piece.text] if len(inner + piece.text) <= WIDTH else piece.operands
    return [f"{pad}{prefix}(", *(inner + text for text in body), f"{pad}){suffix}"]


# --- literals --------------------------------------------------------------------------------------------------------


def quote(text: str) -> str:
    """A string literal, in double quotes unless that needs more escapes; every other character is `repr`'s."""
    if text.count('"') <= text.count("'") or '"' not in text:
        return '"' + '\\"'.join(repr("'" + part)[2:-1] for part in text.split('"')) + '"'
    return "'" + "\\'".join(repr('"' + part)[2:-1] for part in text.split("'")) + "'"


def number(value: int | float) -> str:
    """A number: exact, and valid where it is infinite or none."""
    if type(value) is float and not math.isfinite(value):
        return 'float("nan")' if math.isnan(value) else f'{"-" if value < 0 else ""}float("inf")'
    return repr(value).replace("e+", "e")


def docstring(text: str, indent: int) -> list[str]:
    """The lines of a docstring; nothing in the text can end it."""
    room = WIDTH - indent
    lines: list[str] = []
    for raw in text.strip().splitlines() or [""]:
        clean = "".join(c if c.isprintable() else " " for c in raw.expandtabs()).rstrip()
        lines += _wrap(clean.replace("\\", "\\\\").replace('"""', '\\"\\"\\"'), room)
    if lines[0].startswith('"'):
        lines[0] = "\\" + lines[0]
    pad = " " * indent
    if len(lines) == 1 and len(lines[0]) + 6 <= room and not lines[0].endswith('"'):
        return [f'{pad}"""{lines[0]}"""']
    return [f'{pad}"""{lines[0]}', *((pad + line) if line else "" for line in lines[1:]), f'{pad}"""']


def comment(text: str, indent: int) -> list[str]:
    """Whole-line comments that say the text."""
    lines = []
    for raw in text.strip().splitlines():
        clean = "".join(c if c.isprintable() else " " for c in raw).strip()
        lines += [f"{' ' * indent}# {part}".rstrip() for part in _wrap(clean, WIDTH - indent - 2)]
    return lines


def _wrap(line: str, room: int) -> list[str]:
    """Lines of at most `room` characters, broken at spaces where there are any; a first line keeps room for quotes."""
    lines = []
    while len(line) > room - 3:
        at = line.rfind(" ", 1, room - 3)
        if at <= len(line) - len(line.lstrip()):
            break
        lines.append(line[:at].rstrip())
        line = line[at + 1 :].lstrip()
    return [*lines, line]


# --- expressions -----------------------------------------------------------------------------------------------------


class Slot(Ref):
    """An operand's place in an expression: printed as the piece that is there now."""

    __slots__ = ("piece", "value")

    piece: Piece
    value: int

    def __new__(cls, text: str, piece: Piece, value: int) -> Slot:
        """Named as the operand is; `value` is its number in the graph."""
        self = super().__new__(cls, text)
        self.piece, self.value = piece, value
        return self


@lru_cache(maxsize=4096)
def checked(name: str) -> str:
    """A name or a path to a member; anything else is refused, as it could be code that somebody smuggled in."""
    if not _DOTTED.match(name) and not _is_path(name):
        raise ValueError(f"not a name: {name!r}")
    return name


def _is_path(text: str) -> bool:
    try:
        node: ast.AST = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute) or (
            isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
        ):
            node = node.value
        elif _is_getattr(node):
            node = node.args[0]  # type: ignore[attr-defined]  # a call
        else:
            return False
    return True


def _is_getattr(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "getattr"
        and len(node.args) == 2
        and isinstance(node.args[1], ast.Constant)
        and not node.keywords
    )


class Printer:
    """Prints `Code`; remembers which modules were named (`roots`) and, in `seen`, the slots in order of evaluation.

    `device` is what `Ref("DEVICE")` stands for; None drops the argument that it is given to.
    """

    def __init__(self, symbol: Callable[[str], str], device: str | None) -> None:
        self.roots: set[str] = set()
        self.seen: list[int] = []
        self._symbol = symbol
        self._device = device

    def __call__(self, value: Any) -> Piece:
        """The value as Python would have it written."""
        if isinstance(value, Slot):
            self.seen.append(value.value)
            return value.piece
        if isinstance(value, Code):
            return getattr(self, f"_{value.kind}")(value)  # type: ignore[no-any-return]  # one method for each kind
        if isinstance(value, Ref):
            return Piece(self._name(value), POSTFIX)
        if isinstance(value, str):
            return Piece(quote(value))
        if isinstance(value, Dim):
            return self._dim(value)
        if isinstance(value, tuple):
            return bracketed("(", [("", self(v)) for v in value], ")")
        if isinstance(value, list):
            return bracketed("[", [("", self(v)) for v in value], "]")
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            text = number(value)
            return Piece(text, UNARY if text.startswith("-") else ATOM)
        if value is None or value is ... or isinstance(value, bool):
            return Piece("..." if value is ... else repr(value))
        raise TypeError(f"cannot be written as Python: {value!r}")

    def _name(self, name: str) -> str:
        if name == "DEVICE":
            assert self._device is not None
            name = self._device
        root = checked(name).partition(".")[0]
        if root in _MODULES:
            self.roots.add(root)
        return name

    def _dim(self, size: Dim) -> Piece:
        factors, coefficient = size.terms[0]
        text = render(size, self._symbol)
        if len(size.terms) > 1:
            return Piece(text, SUM)
        if len(factors) > 1 or coefficient not in (1, -1) or " // " in text:
            return Piece(text, PRODUCT)
        return Piece(text, ATOM if coefficient == 1 else UNARY)

    def _arguments(self, code: Code, skip: int) -> list[tuple[str, Piece]]:
        items = [("", self(arg)) for arg in code.args[skip:]]
        for key, value in code.kwargs.items():
            if not (self._device is None and type(value) is Ref and value == "DEVICE"):
                items.append((checked(key) + "=", self(value)))
        return items

    def _call(self, code: Code) -> Piece:
        name = self._name(code.name)
        return bracketed(f"{name}(", self._arguments(code, 0), ")")

    def _owner(self, value: Any) -> str:
        piece = self(value)
        is_number = isinstance(value, (int, float))
        return f"({piece.text})" if is_number else piece.within(POSTFIX)

    def _method(self, code: Code) -> Piece:
        owner = self._owner(code.args[0])
        return bracketed(f"{owner}.{checked(code.name)}(", self._arguments(code, 1), ")")

    def _attribute(self, code: Code) -> Piece:
        return Piece(f"{self._owner(code.args[0])}.{checked(code.name)}", POSTFIX)

    def _index(self, code: Code) -> Piece:
        owner = self._owner(code.args[0])
        items = [("", self._item(item)) for item in code.args[1:]]
        return bracketed(f"{owner}[", items, "]")

    def _item(self, item: Any) -> Piece:
        if not isinstance(item, slice):
            return self(item)
        parts = [None if part is None else self(part) for part in (item.start, item.stop, item.step)]
        if parts[2] is None:
            parts.pop()
        texts = [part.text if part else "" for part in parts]
        if all(_SIMPLE_SLICE.match(text) for text in texts if text):
            return Piece(":".join(texts))
        # A colon between terms is spaced like the loosest of operators.
        line = texts[0]
        for text in texts[1:]:
            line += (" :" if line and not line.endswith(":") else ":") + (f" {text}" if text else "")
        return Piece(line)

    def _prefix(self, code: Code) -> Piece:
        if code.name not in ("-", "+", "~"):
            raise ValueError(f"not an operator: {code.name!r}")
        return Piece(code.name + self(code.args[0]).within(POSTFIX), UNARY)

    def _infix(self, code: Code) -> Piece:
        op = code.name
        level = _LEVELS[op]
        left, right = self(code.args[0]), self(code.args[1])
        if op == "**":
            base, exponent = left.within(POSTFIX), right.within(UNARY)
            close = _SIMPLE_POWER.match(base) and _SIMPLE_POWER.match(exponent)
            return Piece(f"{base}{'**' if close else ' ** '}{exponent}", POWER, operands=(base, f"** {exponent}"))
        first = left.within(level + 1 if level == _COMPARE else level)
        second = f"{op} {right.within(level + 1)}"
        return Piece(f"{first} {second}", level, operands=(first, second))


def symbols_of(names: Mapping[str, str], used: set[str]) -> Callable[[str], str]:
    """How a symbol is written, given its variable; what is written is remembered in `used`."""

    def name(symbol: str) -> str:
        used.add(symbol)
        return names[symbol]

    return name
