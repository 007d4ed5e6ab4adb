"""Budgets: asserts of the file about the size and the cost of a model.

    assert parameters(ResNet()) == 11_689_512
    assert macs(ResNet(), N=1, H=224, W=224) < 2e9, "it runs on a phone"

They are for `check`. What a model costs is counted elsewhere, and handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Edit, Fix, error
from nnspec.dims import Size, symbols
from nnspec.elaborate.asserts import asserted
from nnspec.elaborate.blocks import complete_block
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.files import FileScope
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.names import walk
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import Asked, BlockRecipe, Fault, Silent, describe, is_number, is_size, show_value
from nnspec.suggest import suggest
from nnspec.syntax import ast

_QUESTIONS = ("parameters", "macs")
_MOST_PARTS = 3
"""How many parts of a model a note names."""


class Measured(NamedTuple):
    """A model in numbers: parameters (tied ones once), multiply-adds (None: too long an expression), both by part."""

    parameters: int
    macs: Size | None
    parts: tuple[tuple[str, int, Size | None], ...]


Measure = Callable[[ir.Entry, Mapping[str, int]], Measured]
"""Counts a model whose symbols have these sizes; raises ValueError for one that cannot be counted so."""

Elaborate = Callable[[BlockRecipe], "ir.Entry | None"]


def is_budget(scope: FileScope, node: ast.Assert) -> bool:
    """Whether an assert asks for the size of a model."""
    names = {n.id for n in walk(node.test) if isinstance(n, ast.Name)}
    return any(q in names and q not in scope.constants and q not in scope.blocks for q in _QUESTIONS)


def check_budgets(session: Session, elaborate: Elaborate, measure: Measure) -> None:
    """Report the budgets of the main file that do not hold."""
    scope = session.main
    for node in scope.file.declarations:
        if isinstance(node, ast.Assert) and is_budget(scope, node):
            try:
                _check(_Budget(session, elaborate, measure), node)
            except Fault as fault:
                session.sink.report(fault.diagnostic)
            except Silent:
                pass


class _Budget:
    """One assert: what is asked in it, and the answers."""

    def __init__(self, session: Session, elaborate: Elaborate, measure: Measure) -> None:
        self.frame = Frame(session, "a budget")
        self.frame.scope = dict(session.main.constants)
        for question in _QUESTIONS:
            if question not in session.main.blocks:
                self.frame.scope.setdefault(question, Asked(question, self._answer))
        self.parts: dict[str, list[tuple[str, int]]] = {}
        """What the numbers that were asked for are made of, the largest first, by question."""
        self._elaborate = elaborate
        self._measure = measure

    def _answer(self, frame: Frame, question: str, node: ast.Call) -> Any:
        named = [a for a in node.arguments if a.name is not None]
        models = [a for a in node.arguments if a.name is None]
        if len(models) != 1 or (named and question == "parameters"):
            more = ", and sizes by name: `macs(Net(), N=1)`" if question == "macs" else ": `parameters(Net())`"
            raise Fault(error("NNS321", f"`{question}` takes one model{more}", node.span, "not what it takes"))
        entry = self._entry(frame, question, models[0].value)
        asked = frame.session.text(node.span)
        sizes = {str(a.name): _size(frame, a) for a in named}
        _check_symbols(entry, frame.session, sizes, named)
        frame.session.step(node.span, "budgets", _work(frame.session, entry))
        try:
            measured = self._measure(entry, sizes)
        except ValueError as reason:
            raise Fault(error("NNS321", str(reason), node.span, "cannot be counted")) from None
        if question == "parameters":
            self._note(asked, [(name, count) for name, count, _ in measured.parts])
            return measured.parameters
        missing = sorted(symbols(measured.macs)) if measured.macs is not None else []
        if missing:
            raise _missing(entry, missing, node)
        if not isinstance(measured.macs, int):
            raise Fault(error("NNS310", f"what `{entry.name}` costs is too long an expression", node.span))
        self._note(asked, [(name, macs) for name, _, macs in measured.parts if isinstance(macs, int)])
        return measured.macs

    def _note(self, asked: str, parts: list[tuple[str, int]]) -> None:
        self.parts[asked] = sorted(((n, c) for n, c in parts if c), key=lambda part: -part[1])

    def _entry(self, frame: Frame, question: str, node: ast.Expr) -> ir.Entry:
        value = evaluate(frame, node)
        if not isinstance(value, BlockRecipe) or not isinstance(value.block, ast.Block) or value.block.kind != "model":
            is_block = isinstance(value, BlockRecipe)
            why = "a block is counted in a model that uses it" if is_block else "a model is named by a call: `Net()`"
            what = f"the block `{value.title}`" if isinstance(value, BlockRecipe) else describe(value)
            message = f"`{question}` takes a model, not {what}"
            raise Fault(error("NNS321", message, node.span, "not a model", notes=(why,)))
        if value.bare:
            value = complete_block(frame.session, value.block, {}, {}, node.span)
        entry = self._elaborate(value)
        if entry is None:
            raise Silent
        return entry


def _work(session: Session, entry: ir.Entry) -> int:
    """How much is looked at to answer a question: all that was elaborated so far, and the model written out."""
    sizes: list[int] = []
    for module in session.modules:  # what a module holds stands before it
        inner = (sizes[member.module] for member in module.members if member.module is not None)
        sizes.append(1 + len(module.members) + sum(inner))
    return len(sizes) + sum(len(method.graph.nodes) for method in session.methods) + sizes[entry.module]


def _size(frame: Frame, argument: ast.Argument) -> int:
    value = evaluate(frame, argument.value)
    if isinstance(value, Fraction) and value.denominator == 1:
        value = int(value)
    if not is_size(value) or not isinstance(value, int) or value < 1:
        message = f"`{argument.name}` is a size: a whole number of at least 1, not {describe(value)}"
        raise Fault(error("NNS321", message, argument.value.span, "not a size"))
    return value


def _check_symbols(entry: ir.Entry, session: Session, sizes: Mapping[str, int], named: list[ast.Argument]) -> None:
    known = [s.name for s in session.methods[entry.methods["infer"]].symbols]
    for argument in named:
        if argument.name not in known:
            assert argument.name is not None
            span = argument.name_span or argument.span
            close = suggest(argument.name, known)
            fixes = (Fix(f"write `{close}`", (Edit(span, close),)),) if close else ()
            helps = () if fixes else ((f"its symbols are {', '.join(known)}",) if known else ("it has none",))
            message = f"`{entry.name}` has no symbol `{argument.name}`"
            raise Fault(error("NNS321", message, span, "unknown symbol", helps=helps, fixes=fixes))


def _missing(entry: ir.Entry, missing: list[str], node: ast.Call) -> Fault:
    names = " and ".join(f"`{name}`" for name in missing)
    message = f"what `{entry.name}` costs depends on {names}"
    more = ", ".join(f"{name}=..." for name in missing)
    at = node.arguments[-1].span
    edit = Edit(type(at)(at.end, at.end, at.source), f", {more.replace('...', '1')}")
    label = f"no size for {names}"
    fix = Fix(f"say {'it' if len(missing) == 1 else 'them'}: `{more}`", (edit,))
    return Fault(error("NNS321", message, node.span, label, fixes=(fix,)))


def _check(budget: _Budget, node: ast.Assert) -> None:
    frame = budget.frame
    holds, message = asserted(frame, node)
    if holds is True:
        return
    if holds is not False:
        raise Fault(error("NNS303", f"an assert needs a condition, not {describe(holds)}", node.test.span))
    raise Fault(_exceeded(budget, node, message))


def _exceeded(budget: _Budget, node: ast.Assert, message: str) -> Diagnostic:
    """The diagnostic of a budget that does not hold: both numbers, and where they come from."""
    test = node.test
    label, fixes = "false", list[Fix]()
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        left, right = (evaluate(budget.frame, operand) for operand in test.operands)
        label = f"{_shown(left)} {test.ops[0]} {_shown(right)} is false"
        if test.ops[0] == "==" and isinstance(test.operands[1], ast.Number) and isinstance(left, int):
            fixes.append(Fix(f"write `{left:_}`", (Edit(test.operands[1].span, f"{left:_}"),)))
    asked = list(budget.parts.values())
    parts = [f"`{name}` ({_shown(count)})" for name, count in asked[0][:_MOST_PARTS]] if len(asked) == 1 else []
    notes = [f"most of it is in {', '.join(parts)}"] if parts else []
    helps = ("`nnspec summary` shows what each part counts",)
    said = f"this budget does not hold: {message}"
    return error("NNS320", said, test.span, label, notes=notes, helps=helps, fixes=fixes)


def _shown(value: Any) -> str:
    whole = is_number(value) and value == value // 1
    return f"{int(value):_}" if whole else show_value(value)
