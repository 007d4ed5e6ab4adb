"""The syntax tree's construction: one method for each rule of the grammar, called while the text is parsed.

Each method takes the span of what was read and the kept children, in order. Some faults can be said better here than
by the grammar, which reads more than the language allows: such a node is reported and becomes `Broken`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import Diagnostic, Edit, Fix, Span, error
from nnspec.syntax import ast, literals
from nnspec.syntax.lexer import Token

Expr = ast.Expr

_OTHER_SPELLINGS = {"True": "true", "False": "false", "None": "none"}
_LAYER_KINDS = (ast.Name, ast.Attribute, ast.Call, ast.Index, ast.Chain, ast.Broken)
VERSION = 1
_DEEP = 5


class Builder:
    """Makes nodes; `report` takes what is wrong, `read` parses the expression in a range of the text."""

    def __init__(
        self,
        text: str,
        source: int,
        docs: dict[int, str],
        number: re.Pattern[str],
        report: Callable[[Diagnostic], None],
        read: Callable[[int, int], Expr],
    ) -> None:
        self.text = text
        self.source = source
        self.docs = docs
        self.strict_number = number
        self.report = report
        self.read = read
        # Expressions that stand in brackets, by identity; holding them keeps an identity from being used again.
        self.bracketed_nodes: dict[int, Expr] = {}
        # Whether an expression nests without brackets often enough that the tree's depth should be measured.
        self.deep = False
        self._nested: dict[int, tuple[int, Expr]] = {}

    def at(self, token: Token) -> Span:
        """The place of a token."""
        return Span(token.start, token.end, self.source)

    def word(self, token: Token) -> ast.Name:
        """A name that is being given, not looked up."""
        return ast.Name(self.at(token), token.text)

    def quote(self, span: Span) -> str:
        """The author's words, cut where they are many."""
        words = " ".join(self.text[span.start : min(span.end, span.start + 200)].split())
        return words if len(words) <= 40 else words[:37] + "..."

    def _nest(self, node: Expr, child: Expr) -> Expr:
        """Count how often nodes nest that need no brackets for it."""
        depth = self._nested.get(id(child), (0, child))[0] + 1
        self._nested[id(node)] = (depth, node)
        if depth > _DEEP:
            self.deep = True
        return node

    # --- expressions ---

    def name(self, span: Span, token: Token) -> Expr:
        text = token.text
        if text in _OTHER_SPELLINGS:
            right = _OTHER_SPELLINGS[text]
            fix = Fix(f"write `{right}`", (Edit(span, right),), safe=True)
            self.report(error("NNS110", f"`{text}` is written `{right}` here", span, f"write `{right}`", fixes=(fix,)))
            return ast.Broken(span)
        return ast.Name(span, text)

    def number(self, span: Span, token: Token) -> Expr:
        try:
            return ast.Number(span, literals.number(token.text, self.strict_number))
        except literals.LiteralError as fault:
            return self._bad_literal(span, fault)

    def string(self, span: Span, token: Token) -> Expr:
        try:
            parts = literals.string(token.text)
        except literals.LiteralError as fault:
            return self._bad_literal(span, fault)
        start = token.start
        return ast.String(
            span, tuple(p if isinstance(p, str) else self.read(start + p[0], start + p[1]) for p in parts)
        )

    def _bad_literal(self, span: Span, fault: literals.LiteralError) -> ast.Broken:
        end = span.end if fault.end is None else span.start + fault.end
        helps = (fault.help,) if fault.help else ()
        where = Span(span.start + fault.start, end, self.source)
        self.report(error(fault.code, fault.message, where, "here", helps=helps))
        return ast.Broken(span)

    def true(self, span: Span) -> Expr:
        return ast.Constant(span, True)

    def false(self, span: Span) -> Expr:
        return ast.Constant(span, False)

    def none(self, span: Span) -> Expr:
        return ast.Constant(span, None)

    def broken(self, span: Span, token: Token) -> Expr:
        return ast.Broken(span)

    def empty(self, span: Span) -> Expr:
        return ast.Tuple(span, ())

    def bracketed(self, span: Span, *arguments: ast.Argument) -> Expr:
        first = arguments[0]
        if len(arguments) > 1 or first.name is not None:
            return self.tuple_(span, *arguments)
        self.bracketed_nodes[id(first.value)] = first.value
        return first.value

    def tuple_(self, span: Span, *arguments: ast.Argument) -> Expr:
        return ast.Tuple(span, self._ordered(arguments))

    def record(self, span: Span, arguments: tuple[ast.Argument, ...]) -> Expr:
        return ast.Tuple(span, arguments)

    def list_(self, span: Span, *items: Expr | None) -> Expr:
        return ast.List(span, tuple(item for item in items if item is not None))

    def comprehension(self, span: Span, element: Expr, target: Any, iterable: Expr, test: Expr | None) -> Expr:
        return ast.Comprehension(span, element, target, iterable, test)

    def conditional(self, span: Span, then: Expr, test: Expr, orelse: Expr) -> Expr:
        return self._nest(ast.Conditional(span, test, then, orelse), orelse)

    def binary(self, span: Span, left: Expr, *rest: Any) -> Expr:
        for index in range(0, len(rest), 2):
            op, right = rest[index], rest[index + 1]
            left = ast.Binary(left.span.to(right.span), op.type, left, right, self.at(op))
        left.span = span
        if len(rest) > 2 * _DEEP:
            self.deep = True
        return self._nest(left, rest[-1])

    def compare(self, span: Span, *parts: Any) -> Expr:
        operands: list[Expr] = []
        ops: list[Any] = []
        for part in parts:
            if not isinstance(part, Token):
                operands.append(part)
            elif part.type == "in" and len(ops) == len(operands):
                ops[-1] = "not in"
            else:
                ops.append(part.type)
        return ast.Compare(span, tuple(operands), tuple(ops))

    def unary(self, span: Span, op: Any, operand: Expr) -> Expr:
        return self._nest(ast.Unary(span, op.type, operand), operand)

    def call(self, span: Span, function: Expr, arguments: tuple[ast.Argument, ...] | None) -> Expr:
        node = ast.Call(span, function, arguments or ())
        return node if type(function) is ast.Name else self._nest(node, function)

    def index(self, span: Span, value: Expr, items: tuple[Any, ...]) -> Expr:
        node = ast.Index(span, value, items)
        return node if type(value) is ast.Name else self._nest(node, value)

    def attribute(self, span: Span, value: Expr, name: Token) -> Expr:
        node = ast.Attribute(span, value, name.text, self.at(name))
        return node if type(value) is ast.Name else self._nest(node, value)

    def arguments(self, span: Span, *arguments: ast.Argument) -> tuple[ast.Argument, ...]:
        return self._ordered(arguments)

    def _ordered(self, arguments: tuple[ast.Argument, ...]) -> tuple[ast.Argument, ...]:
        named: ast.Argument | None = None
        for argument in arguments:
            if argument.name is not None:
                named = argument
            elif named is not None:
                helps = ("write the arguments without a name first",)
                message = f"an argument without a name after `{named.name}=`"
                self.report(error("NNS121", message, argument.span, "needs a name, or an earlier place", helps=helps))
                break
        return arguments

    def argument(self, span: Span, value: Expr) -> ast.Argument:
        return ast.Argument(span, None, value)

    def named_argument(self, span: Span, name: Token, value: Expr) -> ast.Argument:
        return ast.Argument(span, name.text, value, self.at(name))

    option = named_argument

    def subscripts(self, span: Span, *items: Any) -> tuple[Any, ...]:
        return items

    def slice_(self, span: Span, start: Expr | None, stop: Expr | None, step: Expr | None = None) -> ast.Slice:
        return ast.Slice(span, start, stop, step)

    def ellipsis(self, span: Span) -> ast.Ellipsis:
        return ast.Ellipsis(span)

    # --- flows ---

    def arrows(self, span: Span, *items: ast.Item) -> tuple[ast.Item, ...]:
        return items

    def pipe(self, span: Span, head: Expr, items: tuple[ast.Item, ...]) -> Expr:
        head = self._checked_head(head, items)
        return ast.Flow(span, head, items)

    def mixed(self, span: Span, *parts: Any) -> Span:
        return span

    mixing = mixed

    def mixed_pipe(self, span: Span, head: Expr, items: tuple[ast.Item, ...], rest: Span) -> Expr:
        whole = Fix("put the flow in brackets", _brackets(Span(span.start, items[-1].span.end, self.source)))
        fixes = [whole]
        if items[-1].label is None and "->" not in self.quote(rest):
            last = Span(items[-1].span.start, span.end, self.source)
            fixes.append(Fix("put the operation in brackets", _brackets(last)))
        self._report_mix(Span(rest.start, rest.start + 1, self.source), self.quote(rest).split()[0], tuple(fixes))
        return ast.Broken(span)

    def _checked_head(self, head: Expr, items: tuple[ast.Item, ...]) -> Expr:
        """What flows in front of an arrow is one thing: an operator beside it could mean two."""
        if id(head) in self.bracketed_nodes:
            return head
        place, word, last = self._operator(head)
        if not word:
            if isinstance(head, (ast.Number, ast.Constant, ast.String)):
                message = f"`{self.quote(head.span)}` cannot flow into a layer"
                self.report(error("NNS102", message, head.span, "a tensor was expected in front of `->`"))
                return ast.Broken(head.span)
            return head
        end = items[-1].span.end
        whole = Fix("put the operation in brackets", _brackets(head.span))
        only = Fix("put the flow in brackets", _brackets(Span(last.span.start, end, self.source)))
        self._report_mix(place, word, (whole, only))
        return head

    def _operator(self, head: Expr) -> tuple[Span, str, Expr]:
        """The operator at the top of an expression: its place, its spelling, and the operand next to the arrow."""
        place, word = head.span, ""
        last = head
        while id(last) not in self.bracketed_nodes or last is head:
            if isinstance(last, ast.Binary):
                found, spelled, last = last.op_span, str(last.op), last.right
            elif isinstance(last, ast.Unary):
                size = len(last.op)
                found, spelled, last = Span(last.span.start, last.span.start + size, self.source), last.op, last.operand
            elif isinstance(last, ast.Conditional):
                found, spelled, last = last.span, "if else", last.orelse
            elif isinstance(last, ast.Compare):
                gap = Span(last.operands[-2].span.end, last.operands[-1].span.start, self.source)
                found, spelled, last = gap, str(last.ops[-1]), last.operands[-1]
            else:
                break
            if not word:
                place, word = found, spelled
        return place, word, last

    def _report_mix(self, place: Span, word: str, fixes: tuple[Fix, ...]) -> None:
        self.report(
            error(
                "NNS105",
                f"`{word}` next to `->` can be read in two ways",
                place,
                "brackets must say which comes first",
                helps=("`->` takes what stands right in front of it; put brackets around one of the two",),
                fixes=fixes,
            )
        )

    def item(
        self, span: Span, label: ast.Label | ast.Broken | None, layer: Expr, count: Expr | None = None
    ) -> ast.Item:
        if not isinstance(layer, _LAYER_KINDS) and id(layer) not in self.bracketed_nodes:
            message = f"`{self.quote(layer.span)}` is not a layer"
            helps = ("an item of a flow is a name, a call, a chain `{ ... }`, or an expression in brackets",)
            self.report(error("NNS102", message, layer.span, "expected a layer or a function here", helps=helps))
            layer = ast.Broken(layer.span)
        return ast.Item(span, label if isinstance(label, ast.Label) else None, layer, count)

    def label(self, span: Span, value: Expr) -> ast.Label | ast.Broken:
        if isinstance(value, ast.String):
            return ast.Label(value.span, value)
        text = dotted(value)
        if text is not None:
            return ast.Label(value.span, text)
        if not isinstance(value, ast.Broken):
            message = f"`{self.quote(value.span)}` is not a name"
            helps = ('a label is a name, a dotted name, or a string such as `"layer{i}"`',)
            self.report(error("NNS119", message, value.span, "a label was expected in front of `:`", helps=helps))
        return ast.Broken(span)

    def chain(self, span: Span, *items: Any) -> Expr:
        return ast.Chain(span, items)

    # --- types ---

    def word_type(self, span: Span, name: Token) -> ast.Type:
        return ast.TensorType(span, name.text, None, span)

    def shaped_type(self, span: Span, name: Token, dims: tuple[Any, ...] | None) -> ast.Type | ast.Broken:
        dims = dims or ()
        if name.text == "list":
            element = self._element(dims[0]) if len(dims) == 1 else None
            if element is not None:
                return element if isinstance(element, ast.Broken) else ast.ListType(span, element)
            message = "`list` takes one type: what its elements are"
            self.report(error("NNS123", message, span, "write `list[float[N, 3]]`, for example"))
            return ast.Broken(span)
        later = next((dim for dim in dims[1:] if isinstance(dim, ast.Ellipsis)), None)
        if later is not None:
            self.report(error("NNS123", "`...` stands only in front of all other dimensions", later.span, "not first"))
            return ast.Broken(span)
        return ast.TensorType(span, name.text, dims, self.at(name))

    def dims(self, span: Span, *dims: Any) -> tuple[Any, ...]:
        return dims

    def _element(self, dim: Any) -> ast.Type | ast.Broken | None:
        """A type inside `list[...]`, which the grammar reads as an expression."""
        if isinstance(dim, ast.Broken):
            return dim
        if isinstance(dim, ast.Name):
            return ast.TensorType(dim.span, dim.id, None, dim.span)
        if not isinstance(dim, ast.Index) or not isinstance(dim.value, ast.Name):
            return None
        if any(isinstance(item, ast.Slice) for item in dim.items):
            return None
        token = Token("NAME", dim.value.id, dim.value.span.start, dim.value.span.end)
        return self.shaped_type(dim.span, token, dim.items)


def dotted(value: Any) -> str | None:
    """`a.b.0` as text, if that is what an expression is."""
    parts: list[str] = []
    while isinstance(value, ast.Attribute):
        parts.append(value.name)
        value = value.value
    if not isinstance(value, ast.Name):
        return None
    return ".".join([value.id, *reversed(parts)])


def _brackets(span: Span) -> tuple[Edit, ...]:
    start, end, source = span
    return Edit(Span(start, start, source), "("), Edit(Span(end, end, source), ")")
