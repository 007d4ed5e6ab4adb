"""What flows into a block against the inputs that it declares: tensors and lists of them; symbols are bound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Label, Span, error
from nnspec.dims import Size, show, substitute, symbol
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.inputs import declared, input_statements, known, list_words, same, size_of, symbol_names
from nnspec.elaborate.shape_faults import from_origin
from nnspec.elaborate.values import Fault, Tensor, describe
from nnspec.syntax import ast
from nnspec.types import TensorType, show_dtype


def bind_inputs(
    frame: Frame, callee: Frame, block: ast.Definition, inputs: dict[str, Any], span: Span, *, inline: bool = False
) -> list[Any]:
    """Match what flows in against the declared types, and bind the names of the inputs and the symbols of the callee.

    Gives the types in the callee's symbols: nested in tuples for lists, None for an optional input without a value.
    With `inline` the callee is part of the caller's graph: its values and symbols are the caller's.
    """
    types: list[Any] = []
    for number, statement in enumerate(input_statements(block)):
        name, value = statement.name.id, inputs[statement.name.id]
        if value is None:
            types.append(None)
            callee.scope[name] = None
        else:
            match = _Match(frame, callee, statement, number, span, block.name.id, inline)
            type_, callee.scope[name] = match.value(statement.type, value, ())
            types.append(type_)
    note_absent(callee, block)
    return types


def note_absent(callee: Frame, block: ast.Definition) -> None:
    """Remember what is left out, which symbols nothing has bound, and the input that would (also an empty list)."""
    statements = input_statements(block)
    callee.left_out = tuple(s.name.id for s in statements if callee.scope.get(s.name.id) is None)
    for statement in statements:
        if callee.scope.get(statement.name.id) in (None, []):
            for name in symbol_names(statement):
                if not known(callee, name):
                    callee.absent[name] = statement.name.id


@dataclass(slots=True)
class _Match:
    """One input of a callee; `number` is its position. Faults stand at the call."""

    frame: Frame
    callee: Frame
    statement: ast.Input
    number: int
    span: Span
    title: str
    inline: bool

    def value(self, node: ast.Type, value: Any, element: tuple[int, ...]) -> tuple[Any, Any]:
        """The type of what flows in, in the callee's symbols, and its value there; `element` leads to it in a list."""
        if isinstance(node, ast.ListType):
            return self._list(node, value, element)
        declared(self.callee, node)
        if not isinstance(value, Tensor):
            helps = ("the tensors of a list flow in one by one: `xs[0] -> ...`",) if _is_list(value) else ()
            raise self._kind(element, "a tensor", value, "not a tensor", helps)
        try:
            type_ = self._tensor(node, value.type, element)
        except Fault as fault:
            raise Fault(from_origin(self.frame, fault.diagnostic, value)) from None
        if self.inline:
            return type_, value
        builder = self.callee.builder(self.span)
        tensor = builder.value(type_, self.statement.span)
        if not element:
            builder.hint(tensor, self.statement.name.id)
        return type_, tensor

    def _list(self, node: ast.ListType, value: Any, element: tuple[int, ...]) -> tuple[Any, Any]:
        if not _is_list(value):
            helps = ("a list of one is written `[x] -> ...`",) if isinstance(value, Tensor) else ()
            raise self._kind(element, list_words(node), value, "not a list", helps)
        parts = [self.value(node.element, part, (*element, i)) for i, part in enumerate(value)]
        return tuple(type_ for type_, _ in parts), [inner for _, inner in parts]

    def _kind(self, element: tuple[int, ...], wanted: str, value: Any, label: str, helps: tuple[str, ...]) -> Fault:
        message = f"{self._what(element)} of `{self.title}` is {wanted}, not {describe(value)}"
        others = (Label(self.statement.span, "declared here"),)
        return Fault(error("NNS311", message, self.span, label, others=others, helps=helps))

    def _what(self, element: tuple[int, ...]) -> str:
        name = self.statement.name.id
        return f"`{name}{''.join(f'[{i}]' for i in element)}`" if element else f"input `{name}`"

    def _tensor(self, node: ast.TensorType, actual: TensorType, element: tuple[int, ...]) -> TensorType:
        dtype, dims = declared(self.callee, node)
        place = "".join(f"[{i}]" for i in element)
        wants = f"`{self.title}` takes `{self.statement.name.id}{place}` as {self.callee.session.text(node.span)}"
        others = (Label(self.statement.span, "declared here"),)
        if dtype != actual.dtype:
            words = f"{show_dtype(actual.dtype)} instead of {show_dtype(dtype)}"
            raise Fault(error("NNS406", f"{wants}, but {actual} flows in", self.span, words, others=others))
        start = 1 if dims and isinstance(dims[0], ast.Ellipsis) else 0
        fixed = len(dims) - start
        if actual.rank < fixed or (not start and actual.rank != fixed):
            words = f"{actual.rank} dimension{'s' if actual.rank != 1 else ''} instead of {fixed}"
            raise Fault(error("NNS402", f"{wants}, but {actual} flows in", self.span, words, others=others))
        free = actual.rank - fixed
        local: list[Size] = self._rest_before(actual.dims[:free], wants) if start else []
        for axis, size in list(enumerate(actual.dims))[len(local) :]:
            expr = dims[axis - free + start] if axis >= free else None
            where = ir.Symbol("", self.number, axis - actual.rank if start else axis, None, element)
            local.append(self._dim(expr, size, where, wants, actual))
        if start and self.callee.rest is None:
            self.callee.rest = tuple(local[:free])
        return TensorType(dtype, tuple(local))

    def _rest_before(self, dims: tuple[Size, ...], wants: str) -> list[Size]:
        """What `...` stood for in an earlier tensor, which is what it stands for here; nothing before the first."""
        if self.callee.rest is None:
            return []
        before = [self._outside(size) for size in self.callee.rest]
        if same(self.frame, before, dims):
            return list(self.callee.rest)
        shown = [f"[{', '.join(map(show, sizes))}]" for sizes in (dims, before)]
        message = f"{wants}, and `...` is {shown[0]} here and {shown[1]} in an input before"
        raise Fault(error("NNS402", message, self.span, "`...` stands for the same dimensions throughout a body"))

    def _outside(self, size: Size) -> Size:
        """A size of the callee in the caller's symbols."""
        return size if self.inline else substitute(size, self.callee.facts.binding)

    def _dim(
        self, expr: ast.Expr | ast.Ellipsis | None, size: Size, where: ir.Symbol, wants: str, actual: TensorType
    ) -> Size:
        if expr is None or isinstance(expr, ast.Ellipsis) or (isinstance(expr, ast.Name) and expr.id == "_"):
            return size if self.inline else self._anonymous(size, where)
        if isinstance(expr, ast.Name) and expr.id[:1].isupper() and not known(self.callee, expr.id):
            return self._bind_symbol(expr, size, where)
        expected = size_of(self.callee, expr)
        outside = self._outside(expected)
        answer = self.frame.proof.equal(outside, size)
        if answer:
            return expected
        others = (Label(self.statement.span, "declared here"),)
        text = self.callee.session.text(expr.span)
        means = text if text == show(outside) else f"{text} = {show(outside)}"
        position = f"dimension {where.axis}" if where.axis >= 0 else f"dimension {where.axis} from the end"
        message = f"{wants}, but {actual} flows in: {position} is {show(size)}, not {means}"
        if answer is None:
            label = f"cannot show that {show(size)} == {show(outside)}"
            helps = (f"if it always holds, say so before: `assert {show(size)} == {show(outside)}`",)
            raise Fault(error("NNS410", message, self.span, label, others=others, helps=helps))
        raise Fault(error("NNS401", message, self.span, f"{show(size)} instead of {means}", others=others))

    def _bind_symbol(self, expr: ast.Name, size: Size, where: ir.Symbol) -> Size:
        callee, name = self.callee, expr.id
        callee.fixed[name] = "symbol"
        if isinstance(size, int) or self.inline:
            callee.scope[name] = size
            if isinstance(size, int):
                callee.sizes[name] = size
            return size
        local = symbol(name)
        callee.scope[name] = local
        callee.facts.binding[name] = size
        callee.symbols.append(ir.Symbol(name, where.input, where.axis, expr.span, where.element))
        return local

    def _anonymous(self, size: Size, where: ir.Symbol) -> Size:
        if isinstance(size, int):
            return size
        for name, bound in self.callee.facts.binding.items():
            if bound == size:
                return symbol(name)
        name = f"_{len(self.callee.symbols) + 1}"
        self.callee.facts.binding[name] = size
        self.callee.symbols.append(ir.Symbol(name, where.input, where.axis, None, where.element))
        return symbol(name)


def default_of(frame: Frame, statement: ast.Input) -> Any:
    """What an optional input is when nothing flows in: `none`, or an empty list."""
    assert statement.default is not None
    value = evaluate(frame, statement.default)
    if value is None or (value == [] and isinstance(statement.type, ast.ListType)):
        return value
    message = f"an input that is left out is `none`, not {describe(value)}"
    helps = ("test it in the body: `if x == none { ... }`",)
    raise Fault(error("NNS303", message, statement.default.span, "not `none`", helps=helps))


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))
