"""Asserts: decided ones vanish or fail; the others are facts from there on, checked when the model is entered."""

from __future__ import annotations

from typing import Any

from nnspec import ir
from nnspec.diagnostics import Span, error
from nnspec.dims import mod
from nnspec.elaborate.expressions import evaluate, tensor_condition
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.values import Fault, Tensor, Undecided, describe, is_size, show_value
from nnspec.syntax import ast


def run_assert(frame: Frame, node: ast.Assert) -> None:
    """An assert that is true vanishes, one that is false is a fault, and an undecided one becomes a fact."""
    test, message = asserted(frame, node)
    if isinstance(test, Tensor):
        raise tensor_condition(node.test.span)
    if test is False:
        raise Fault(error("NNS315", f"this assertion fails: {message}", node.test.span, _numbers(frame, node.test)))
    if isinstance(test, Undecided):
        _require(frame, node.test, message)
    elif not isinstance(test, bool):
        raise Fault(error("NNS303", f"an assert needs a condition, not {describe(test)}", node.test.span))


def asserted(frame: Frame, node: ast.Assert) -> tuple[Any, str]:
    """The value of what is asserted, and the sentence for when it is false."""
    test = evaluate(frame, node.test)
    text = frame.session.text(node.test.span)
    message = f"it must hold that {text}"
    if node.message is not None:
        said = evaluate(frame, node.message)
        if not isinstance(said, str):
            raise Fault(error("NNS303", f"an assert's message is a string, not {describe(said)}", node.message.span))
        message = said
    return test, message


def _numbers(frame: Frame, node: ast.Expr) -> str:
    """The two sides of a comparison that failed."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        left, right = (show_value(evaluate(frame, operand)) for operand in node.operands)
        return f"{left} {node.ops[0]} {right} is false"
    return "false"


def _require(frame: Frame, node: ast.Expr, message: str) -> None:
    """An undecided assert is a fact from here on, checked when the model is entered."""
    if isinstance(node, ast.Binary) and node.op == "and":
        for part in (node.left, node.right):
            value = evaluate(frame, part)
            if isinstance(value, Undecided):
                _require(frame, part, message)
        return
    if not isinstance(node, ast.Compare) or any(op in ("!=", "in", "not in") for op in node.ops):
        raise Fault(
            error(
                "NNS308",
                "this assertion cannot be used as a fact",
                node.span,
                "not an equality or an inequality of sizes",
                helps=("a fact is `a == b`, `a >= b`, `a % n == 0`, or several joined by `and`",),
            )
        )
    for op, left, right in zip(node.ops, node.operands, node.operands[1:], strict=False):
        _fact(frame, op, left, right, message, node.span)


def _fact(frame: Frame, op: str, left: ast.Expr, right: ast.Expr, message: str, span: Span) -> None:
    a, b = evaluate(frame, left), evaluate(frame, right)
    if not is_size(a) or not is_size(b) or frame.facts.compare(op, a, b):
        return
    facts = frame.facts
    if op == "==":
        if isinstance(left, ast.Binary) and left.op == "%":
            whole, part = evaluate(frame, left.left), evaluate(frame, left.right)
            size = mod(whole, part) - b
            consistent = facts.assume_divisible(whole - b, part) if isinstance(part, int) else facts.assume_equal(a, b)
        else:
            size = a - b
            consistent = facts.assume_equal(a, b)
        frame.requires.append(ir.Requirement(size, "==", message, span))
    else:
        larger, smaller = (a, b) if op in (">", ">=") else (b, a)
        strict = 1 if op in (">", "<") else 0
        frame.requires.append(ir.Requirement(larger - smaller - strict, ">=", message, span))
        consistent = facts.assume_at_least(larger, smaller + strict)
    if not consistent:
        raise Fault(error("NNS315", f"this assertion contradicts what is known: {message}", span, "can never hold"))
