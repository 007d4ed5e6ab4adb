"""Python expressions over the arguments of an emitted class, with their values in each of its instances.

What the author wrote is read with nnspec's own parser, worked out here with Python's operators, and printed from the
names of the arguments and from numbers: no text of a spec reaches the source. A value is what the instances say: an
expression is used only where it gives exactly the values that are wanted.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from nnspec import ir
from nnspec.backends.source_text import ATOM, POSTFIX, PRODUCT, SUM, UNARY, number
from nnspec.diagnostics import Sink
from nnspec.syntax import ast
from nnspec.syntax.parse import parse

_LARGEST = 2**63
_MOST_NODES = 20_000
_MOST_VALUES = 2_000_000
"""How much of a block is looked at, and how much is worked out."""

_COMPARE, _NOT, _AND, _OR, _CHOICE = 6, 5, 4, 3, 1
_WORD = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?<![\w.])[A-Za-z_]\w*")

_ARITHMETIC: dict[str, tuple[Callable[[Any, Any], Any], int]] = {
    "+": (operator.add, SUM),
    "-": (operator.sub, SUM),
    "*": (operator.mul, PRODUCT),
    "/": (operator.truediv, PRODUCT),
    "//": (operator.floordiv, PRODUCT),
    "%": (operator.mod, PRODUCT),
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Unreadable(Exception):
    """An expression that says nothing about the arguments, or nothing that can be written in Python."""


class Formula:
    """An expression: its text, how tightly it binds, its value in each instance, and the arguments in it."""

    __slots__ = ("level", "names", "text", "values")

    def __init__(self, text: str, level: int, values: Sequence[Any], names: frozenset[str] = frozenset()) -> None:
        self.text, self.level, self.values, self.names = text, level, tuple(values), names

    def within(self, level: int) -> str:
        """The text where something that binds at least so tightly is needed."""
        return self.text if self.level >= level else f"({self.text})"

    def renamed(self, names: Mapping[str, str]) -> str:
        """The text with other names for the arguments."""
        return _WORD.sub(lambda m: names.get(m[0], m[0]) if m[0] in self.names else m[0], self.text)


def constant(value: Any, count: int) -> Formula:
    """A number, bool or None that is the same in all instances."""
    text = number(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else repr(value)
    return Formula(text, ATOM, (value,) * count)


def binary(op: str, left: Formula, right: Formula) -> Formula:
    """`left op right` for an arithmetic operator."""
    function, level = _ARITHMETIC[op]
    if op == "/" and all(_divides(a, b) for a, b in zip(left.values, right.values, strict=True)):
        # The language's division is exact, and a whole number stays one.
        op, function = "//", operator.floordiv
    values = [_bounded(function, a, b) for a, b in zip(left.values, right.values, strict=True)]
    for one, other in ((left, right), (right, left)):
        if op == "*" and not one.names and {*map(repr, one.values)} == {"1"}:
            return other
    return Formula(f"{left.within(level)} {op} {right.within(level + 1)}", level, values, left.names | right.names)


def _negative(of: Formula) -> Formula:
    values = [_bounded(operator.sub, 0, value) for value in of.values]
    return Formula(f"-{of.within(POSTFIX)}", UNARY, values, of.names)


def _divides(a: Any, b: Any) -> bool:
    return type(a) is type(b) is int and b != 0 and a % b == 0


def _bounded(function: Callable[[Any, Any], Any], a: Any, b: Any) -> Any:
    """A number, or Unreadable."""
    if type(a) not in (int, float) or type(b) not in (int, float):
        raise Unreadable
    try:
        value = function(a, b)
    except ArithmeticError:
        raise Unreadable from None
    if type(value) not in (int, float) or not -_LARGEST < value < _LARGEST:
        raise Unreadable
    return value


class BlockText:
    """What the spec says in one block: its node in the syntax tree, and the constants of its file."""

    def __init__(self, block: ast.Block, constants: Mapping[str, ast.Expr]) -> None:
        self.block = block
        self.constants = constants

    def defaults(self) -> dict[str, Any]:
        """The defaults of hyperparameters that are plain values."""
        found: dict[str, Any] = {}
        for hyper in self.block.hyperparameters:
            value = hyper.default
            if isinstance(value, ast.Number):
                found[hyper.name.id] = _plain(value.value)
            elif isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, bool)):
                found[hyper.name.id] = value.value
        return found

    def formulas(self, names: Mapping[str, Formula], count: int) -> Iterator[Formula]:
        """The expressions in the block over known names, in the order of the text."""
        reader = _Reader(dict(names), count)
        for name, value in self.constants.items():
            if name not in reader.known and isinstance(value, ast.Number):
                reader.known[name] = constant(_plain(value.value), count)
        assigned = Counter(_assigned(self.block.body))
        for name in assigned:
            reader.known.pop(name, None)
        for statement in self.block.body.statements:
            yield from reader.all_in(statement)
            if isinstance(statement, ast.Assign) and isinstance(statement.target, ast.Name):
                target = statement.target.id
                if assigned[target] == 1 and (formula := reader.read(statement.value)) is not None:
                    reader.known[target] = _simplest(formula, names.values())


def _simplest(formula: Formula, known: Iterable[Formula]) -> Formula:
    """A number, or an argument, that has the same values."""
    first = formula.values[0]
    if all(type(value) is type(first) and value == first for value in formula.values):
        return constant(first, len(formula.values)) if type(first) in (int, float, bool, type(None)) else formula
    same = (
        f for f in known if all(type(a) is type(b) and a == b for a, b in zip(f.values, formula.values, strict=True))
    )
    return next(same, formula)


class _Reader:
    """Reads expressions of the tree as formulas."""

    def __init__(self, known: dict[str, Formula], count: int) -> None:
        self.known = known
        self._count = count
        self._left = min(_MOST_NODES, _MOST_VALUES // count)

    def all_in(self, node: Any) -> Iterator[Formula]:
        """The formulas in a node, outer ones first."""
        for each in _walk(node):
            self._left -= 1
            if self._left < 0:
                return
            if isinstance(each, (ast.Binary, ast.Compare, ast.Unary, ast.Conditional)):
                formula = self.read(each)
                if formula is not None and formula.names:
                    yield formula

    def read(self, node: Any) -> Formula | None:
        """The formula of an expression, if it is one."""
        try:
            return self._read(node)
        except Unreadable:
            return None

    def _read(self, node: Any) -> Formula:
        if isinstance(node, ast.Number):
            return constant(_plain(node.value), self._count)
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool)):
            return constant(node.value, self._count)
        if isinstance(node, ast.Name) and node.id in self.known:
            return self.known[node.id]
        if isinstance(node, ast.Tuple) and len(node.items) == 1 and node.items[0].name is None:
            return self._read(node.items[0].value)
        if isinstance(node, ast.Binary):
            return self._binary(node)
        if isinstance(node, ast.Unary):
            inner = self._read(node.operand)
            if node.op == "not":
                return Formula(f"not {inner.within(_NOT)}", _NOT, [not v for v in _bools(inner)], inner.names)
            return _negative(inner)
        if isinstance(node, ast.Call) and isinstance(node.function, ast.Name):
            return self._call(node.function.id, [argument.value for argument in node.arguments])
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and node.ops[0] in _COMPARISONS:
            return self._compare(node)
        if isinstance(node, ast.Conditional):
            return self._choice(node)
        raise Unreadable

    def _binary(self, node: ast.Binary) -> Formula:
        left, right = self._read(node.left), self._read(node.right)
        if node.op in _ARITHMETIC:
            return binary(node.op, left, right)
        if node.op not in ("and", "or"):
            raise Unreadable
        level = _AND if node.op == "and" else _OR
        for one, other in ((left, right), (right, left)):
            if not one.names and set(_bools(one)) == {node.op == "and"} and _bools(other):
                return other  # `true and x`, `false or x`
        values = [(a and b) if node.op == "and" else (a or b) for a, b in zip(_bools(left), _bools(right), strict=True)]
        return Formula(
            f"{left.within(level)} {node.op} {right.within(level + 1)}", level, values, left.names | right.names
        )

    def _call(self, name: str, arguments: Sequence[Any]) -> Formula:
        """Rounded quotients, and the smaller or larger of two."""
        if name in ("ceil", "floor") and len(arguments) == 1 and isinstance(arguments[0], ast.Binary):
            quotient = arguments[0]
            if quotient.op == "/":
                left, right = self._read(quotient.left), self._read(quotient.right)
                return binary("//", left, right) if name == "floor" else _negative(binary("//", _negative(left), right))
        if name in ("min", "max") and len(arguments) == 2:
            left, right = (self._read(each) for each in arguments)
            values = [
                _bounded(min if name == "min" else max, *pair) for pair in zip(left.values, right.values, strict=True)
            ]
            return Formula(f"{name}({left.text}, {right.text})", POSTFIX, values, left.names | right.names)
        raise Unreadable

    def _compare(self, node: ast.Compare) -> Formula:
        left, right = (self._read(each) for each in node.operands)
        op = node.ops[0]
        values = []
        for a, b in zip(left.values, right.values, strict=True):
            numbers = type(a) in (int, float) and type(b) in (int, float)
            if not numbers and not (op in ("==", "!=") and type(a) is type(b)):
                raise Unreadable
            values.append(bool(_COMPARISONS[op](a, b)))
        text = f"{left.within(_COMPARE + 1)} {op} {right.within(_COMPARE + 1)}"
        return Formula(text, _COMPARE, values, left.names | right.names)

    def _choice(self, node: ast.Conditional) -> Formula:
        test = self._read(node.test)
        if len(set(_bools(test))) == 1:  # decided: the same in all instances
            return self._read(node.then if test.values[0] else node.orelse)
        then, orelse = self._read(node.then), self._read(node.orelse)
        values = [a if t else b for t, a, b in zip(_bools(test), then.values, orelse.values, strict=True)]
        text = f"{then.within(_CHOICE + 1)} if {test.within(_CHOICE + 1)} else {orelse.within(_CHOICE)}"
        return Formula(text, _CHOICE, values, test.names | then.names | orelse.names)


def _bools(formula: Formula) -> tuple[bool, ...]:
    if not all(isinstance(value, bool) for value in formula.values):
        raise Unreadable
    return formula.values


def _plain(value: int | Fraction) -> int | float:
    return value if isinstance(value, int) else float(value)


def _walk(node: Any) -> Iterator[Any]:
    """A node and all below it, in the order of the text."""
    stack = [node]
    while stack:
        each = stack.pop()
        if isinstance(each, tuple):
            stack.extend(reversed(each))
        elif isinstance(each, ast.Node):
            yield each
            slots = [name for cls in type(each).__mro__ for name in getattr(cls, "__slots__", ()) if name != "span"]
            stack.extend(getattr(each, name) for name in reversed(slots))


def _assigned(body: ast.Body) -> Iterator[str]:
    """The names that are bound in a body, each as often as it is bound; more often where nobody knows how often."""
    for node in _walk(body.statements):
        if isinstance(node, ast.Assign):
            yield from _names(node.target)
        elif isinstance(node, (ast.For, ast.Comprehension)):
            yield from (*_names(node.target), *_names(node.target))
        if isinstance(node, (ast.For, ast.If)):
            yield from (n for each in _walk(node) if isinstance(each, ast.Assign) for n in _names(each.target))


def _names(target: ast.Target) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    else:
        for item in target.items:
            yield from _names(item)


class Texts:
    """The blocks of a program's sources, each source parsed once and only when it is asked for."""

    def __init__(self, program: ir.Program) -> None:
        self._program = program
        self._files: dict[int, ast.File] = {}

    def block(self, module: ir.Module) -> BlockText | None:
        """The text of a block, if the program's sources hold it."""
        span = module.span
        if span is None or not 0 <= span.source < len(self._program.sources):
            return None
        file = self._files.get(span.source)
        if file is None:
            file = self._files[span.source] = parse(self._program.sources[span.source][1], Sink(), span.source)
        for each in file.declarations:
            if isinstance(each, ast.Block) and each.span == span and each.name.id == module.name:
                constants = [
                    d for d in file.declarations if isinstance(d, ast.Assign) and isinstance(d.target, ast.Name)
                ]
                return BlockText(each, {d.target.id: d.value for d in constants})  # type: ignore[union-attr]
        return None
