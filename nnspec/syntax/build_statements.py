"""The construction of statements and declarations; see `build.py` for expressions."""

from __future__ import annotations

import re
from typing import Any, Literal

from nnspec.diagnostics import Edit, Fix, Span, error
from nnspec.syntax import ast
from nnspec.syntax.build import VERSION, Builder, Expr, dotted
from nnspec.syntax.lexer import Token

_APPENDED = re.compile(r"([A-Za-z_]\w*)\.append\((.*)\)")
_FRAMEWORKS = ("torch", "torchvision", "tensorflow", "keras", "jax", "flax", "numpy", "math")

MAX_BRANCHES = 100


def _without_self(value: Expr) -> tuple[Fix, ...]:
    """The repair of `self.fc = ...`: a layer is bound to a plain name."""
    if not isinstance(value, ast.Attribute) or not isinstance(value.value, ast.Name) or value.value.id != "self":
        return ()
    prefix = Span(value.span.start, value.name_span.start, value.span.source)
    return (Fix("drop the `self.`: a layer is bound to a plain name", (Edit(prefix, ""),)),)


class StatementBuilder(Builder):
    """Makes statements, declarations and the file."""

    # --- the file ---

    def file(self, span: Span, version: int | None, *declarations: Any) -> ast.File:
        return ast.File(span, version, declarations)

    def version(self, span: Span, number: Token) -> int | None:
        if number.text == str(VERSION):
            return VERSION
        message = f"this file is written for version {number.text} of the language; this nnspec reads version {VERSION}"
        helps = (f"use a newer nnspec, or write `nnspec {VERSION}`",)
        self.report(error("NNS115", message, self.at(number), "not supported", helps=helps))
        return None

    def import_(self, span: Span, path: Any, alias: Token | None) -> ast.Import | ast.Broken:
        if not self._importable(path):
            return ast.Broken(span)
        return ast.Import(span, path, self.word(alias) if alias else None)

    def from_import(self, span: Span, path: Any, *names: Any) -> ast.FromImport | ast.Broken:
        if not self._importable(path):
            return ast.Broken(span)
        return ast.FromImport(span, path, names)

    def imported(self, span: Span, name: Token, alias: Token | None) -> tuple[ast.Name, ast.Name | None]:
        return self.word(name), self.word(alias) if alias else None

    def _importable(self, path: Any) -> bool:
        text = dotted(path)
        if text is None or text.split(".")[0] == "std":
            return not isinstance(path, ast.Broken)
        helps = ['`import "blocks/resnet.nns" as resnet` takes a file, `from std.norm import LayerNorm2d` the library']
        fixes = [Fix("import a file", (Edit(path.span, f'"{text.replace(".", "/")}.nns"'),))]
        if text.split(".")[0] in _FRAMEWORKS:
            helps, fixes = ["layers and functions need no import: `Linear(8)`, `relu(x)`"], []
        message = f"`{text}` cannot be imported: a spec imports other specs, no Python modules"
        self.report(error("NNS110", message, path.span, "expected a path in quotes", helps=helps, fixes=fixes))
        return False

    def block(self, span: Span, kind: Any, name: Token, params: Any, body: ast.Body) -> ast.Block | ast.Broken:
        if not name.text:
            return ast.Broken(span)
        head = Span(span.start, self._head_end(span.start, body), self.source)
        return ast.Block(span, kind.type, self.word(name), params or (), body, head, self._doc(span))

    def extern(self, span: Span, name: Token, params: Any, origin: Any, body: ast.Body) -> ast.Extern | ast.Broken:
        if isinstance(origin, ast.String):
            head = Span(span.start, self._head_end(span.start, body), self.source)
            return ast.Extern(span, self.word(name), params or (), origin, body, head, self._doc(span))
        if not isinstance(origin, ast.Broken):
            message = "an extern block names its Python class in quotes"
            label = 'expected a string such as "package.module:Class"'
            self.report(error("NNS102", message, origin.span, label))
        return ast.Broken(span)

    def train(self, span: Span, model: Expr | None, body: ast.Body) -> ast.Train:
        return ast.Train(span, model, body, Span(span.start, self._head_end(span.start, body), self.source))

    def hyperparameters(self, span: Span, *params: Any) -> tuple[ast.Hyperparameter, ...]:
        return tuple(p for p in params if p is not None)

    def hyperparameter(self, span: Span, name: Token, type_: Any, default: Expr | None) -> ast.Hyperparameter:
        if isinstance(type_, ast.Broken):
            type_ = None
        return ast.Hyperparameter(span, self.word(name), type_, default, self._doc(span))

    def _head_end(self, start: int, body: ast.Body) -> int:
        return start + len(self.text[start : body.span.start].rstrip())

    def _doc(self, span: Span) -> str:
        return self.docs.get(span.start, "") if self.docs else ""

    # --- statements ---

    def body(self, span: Span, *statements: Any) -> ast.Body:
        return ast.Body(span, tuple(s for s in statements if s is not None))

    def input(self, span: Span, name: Token, type_: Any, default: Expr | None) -> ast.Statement:
        if isinstance(type_, ast.Broken):
            return ast.Assign(span, self.word(name), None, ast.Broken(type_.span))
        return ast.Input(span, self.word(name), type_, default, self._doc(span))

    def output_flow(self, span: Span, value: Expr) -> ast.Output:
        if isinstance(value, ast.Name) and id(value) not in self.bracketed_nodes:
            return ast.Output(span, value, None, None)
        return ast.Output(span, None, None, value)

    def output_named(self, span: Span, name: Token, type_: Any, value: Expr | None) -> ast.Output:
        return ast.Output(span, self.word(name), None if isinstance(type_, ast.Broken) else type_, value)

    def output_value(self, span: Span, name: Token, value: Expr) -> ast.Output:
        return ast.Output(span, self.word(name), None, value)

    def param(self, span: Span, name: Token, type_: Any, value: Expr, *options: Any) -> ast.Statement:
        return self._parameter("param", span, name, type_, value, options)

    def buffer(self, span: Span, name: Token, type_: Any, value: Expr, *options: Any) -> ast.Statement:
        return self._parameter("buffer", span, name, type_, value, options)

    def _parameter(
        self, kind: Literal["param", "buffer"], span: Span, name: Token, type_: Any, value: Expr, options: Any
    ) -> ast.Statement:
        if isinstance(type_, ast.Broken):
            return ast.Assign(span, self.word(name), None, ast.Broken(type_.span))
        return ast.Parameter(span, kind, self.word(name), type_, value, options, self._doc(span))

    def flows(self, span: Span, *values: Expr) -> tuple[Expr, ...]:
        return values

    def assign(self, span: Span, targets: tuple[Expr, ...], value: Expr) -> ast.Statement:
        if len(targets) == 1:
            target = self._target(targets[0])
        else:
            place = targets[0].span.to(targets[-1].span)
            target = self._targets(place, targets)
        if target is None:
            return ast.Broken(span)
        return ast.Assign(span, target, None, value, self._doc(span))

    def checked(self, span: Span, name: Expr, type_: Any, value: Expr) -> ast.Statement:
        target = self._target(name)
        if target is None:
            return ast.Broken(span)
        if isinstance(target, ast.Targets):
            message = "a type stands behind one name, not behind several"
            self.report(error("NNS118", message, name.span, "bind the values first, then check each by its name"))
        if isinstance(type_, ast.Broken):
            return ast.Assign(span, target, None, ast.Broken(type_.span))
        return ast.Assign(span, target, type_, value, self._doc(span))

    def _target(self, value: Expr) -> ast.Target | None:
        """What stands in front of `=`, read as an expression, as the names that it binds."""
        if isinstance(value, ast.Name):
            return value
        if isinstance(value, ast.Tuple) and value.items and all(a.name is None for a in value.items):
            return self._targets(value.span, tuple(a.value for a in value.items))
        if not isinstance(value, ast.Broken):
            what = _KINDS.get(type(value), "an expression")
            message = f"`{self.quote(value.span)}` cannot be bound: it is {what}, not a name"
            fixes = _without_self(value)
            self.report(error("NNS118", message, value.span, "expected a name in front of `=`", fixes=fixes))
        return None

    def _targets(self, span: Span, values: tuple[Expr, ...]) -> ast.Targets | None:
        targets = [self._target(value) for value in values]
        known = tuple(t for t in targets if t is not None)
        return ast.Targets(span, known) if len(known) == len(targets) else None

    def targets(self, span: Span, *targets: Any) -> ast.Targets:
        return ast.Targets(span, targets)

    def bare(self, span: Span, values: tuple[Expr, ...]) -> ast.Statement:
        if any(isinstance(v, ast.Broken) for v in values):
            return ast.Broken(span)
        message = f"the result of `{self.quote(span)}` is not used"
        grown = _APPENDED.fullmatch(self.text[span.start : span.end])
        if grown:
            longer = f"{grown[1]} = {grown[1]} + [{grown[2]}]"
            fix = Fix("a list never changes; make a longer one", (Edit(span, longer),))
            self.report(error("NNS106", message, span, "this statement does nothing", fixes=(fix,)))
            return ast.Broken(span)
        front = Span(span.start, span.start, self.source)
        fixes = (
            Fix("give it a name", (Edit(front, "y = "),)),
            Fix("return it", (Edit(front, "output "),)),
        )
        helps = ("bind it (`y = ...`) or return it (`output ...`)",)
        self.report(error("NNS106", message, span, "this statement does nothing", helps=helps, fixes=fixes))
        return ast.Broken(span)

    def group(self, span: Span, value: Expr, body: ast.Body) -> ast.Statement:
        label = self.label(value.span, value)
        return ast.Group(span, label, body) if isinstance(label, ast.Label) else ast.Broken(span)

    def if_(self, span: Span, test: Expr, then: ast.Body, *rest: Any) -> ast.Statement:
        *branches, orelse = rest
        if len(branches) > MAX_BRANCHES:
            message = f"more than {MAX_BRANCHES} branches in one `if`"
            self.report(error("NNS114", message, branches[MAX_BRANCHES][0], "one branch too many"))
            return ast.Broken(span)
        for place, condition, body in reversed(branches):
            end = orelse.span.end if orelse else body.span.end
            inner = ast.If(Span(place.start, end, self.source), condition, body, orelse)
            orelse = ast.Body(inner.span, (inner,))
        return ast.Broken(span) if isinstance(test, ast.Broken) else ast.If(span, test, then, orelse)

    def else_if(self, span: Span, test: Expr, body: ast.Body) -> tuple[Span, Expr, ast.Body]:
        return span, test, body

    def for_(self, span: Span, target: Any, iterable: Expr, body: ast.Body) -> ast.Statement:
        if isinstance(iterable, ast.Broken) or isinstance(target, ast.Broken):
            return ast.Broken(span)
        return ast.For(span, target, iterable, body)

    def assert_(self, span: Span, test: Expr, message: Expr | None) -> ast.Assert:
        return ast.Assert(span, test, message)

    def yield_(self, span: Span, value: Expr) -> ast.Yield:
        return ast.Yield(span, value)

    def settings(self, span: Span, pattern: Any, body: ast.Body) -> ast.Statement:
        if isinstance(pattern, ast.Broken):
            return pattern
        text = dotted(pattern)
        return ast.Settings(span, pattern if text is None else ast.Name(pattern.span, text), body)

    def update(self, span: Span, name: Token, body: ast.Body) -> ast.Statement:
        return ast.Update(span, self.word(name), body) if name.text else ast.Broken(span)

    # --- scan ---

    def scan(self, span: Span, sequences: Any, options: Any, states: Any, body: ast.Body) -> ast.Scan:
        names = tuple((ast.Name(s.name_span, s.name), s.value) for s in states)
        return ast.Scan(span, sequences, options, names, body)

    def sequences(self, span: Span, *pairs: Any) -> tuple[Any, ...]:
        return pairs

    def options(self, span: Span, *options: Any) -> tuple[Any, ...]:
        return options

    states = options

    def each(self, span: Span, name: Token, value: Expr) -> tuple[ast.Name, Expr]:
        return self.word(name), value


_KINDS: dict[type[Any], str] = {
    ast.Call: "a call",
    ast.Attribute: "a member",
    ast.Index: "an element",
    ast.Number: "a number",
    ast.String: "a string",
    ast.Constant: "a constant",
    ast.List: "a list",
    ast.Flow: "a flow",
    ast.Chain: "a chain",
    ast.Tuple: "a record",
}
