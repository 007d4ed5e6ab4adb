"""Operators: exact arithmetic on numbers and sizes, library functions on tensors, three-valued logic on conditions."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import error
from nnspec.elaborate import arithmetic
from nnspec.elaborate.expressions import evaluate, handles, operand_value, tensor_condition
from nnspec.elaborate.frame import Frame
from nnspec.elaborate.operands import OPERATORS, apply_named
from nnspec.elaborate.values import Fault, Inexact, Owned, Tensor, Undecided, describe
from nnspec.syntax import ast


@handles(ast.Unary)
def _unary(frame: Frame, node: ast.Unary) -> Any:
    value = operand_value(frame, node.operand)
    if node.op == "not":
        if isinstance(value, Undecided):
            return Undecided(f"not ({value.text})", value.symbols)
        if isinstance(value, (Tensor, Owned)):
            raise tensor_condition(node.span)
        if not isinstance(value, bool):
            raise Fault(error("NNS309", f"`not` needs true or false, not {describe(value)}", node.span))
        return not value
    if isinstance(value, (Tensor, Owned)):
        return apply_named(frame, "neg", (value,), node.span)
    return arithmetic.binary(frame, "-", 0, value, node.span)


@handles(ast.Binary)
def _binary(frame: Frame, node: ast.Binary) -> Any:
    if node.op in ("and", "or"):
        return _logic(frame, node)
    # Long sums lean to the left: walk down instead of recursing.
    spine = [node]
    while isinstance(spine[-1].left, ast.Binary) and spine[-1].left.op not in ("and", "or"):
        spine.append(spine[-1].left)
    value = operand_value(frame, spine[-1].left)
    for part in reversed(spine):
        value = _operate(frame, part, value, operand_value(frame, part.right))
    return value


def _operate(frame: Frame, node: ast.Binary, left: Any, right: Any) -> Any:
    if isinstance(left, (Tensor, Owned)) or isinstance(right, (Tensor, Owned)):
        return apply_named(frame, OPERATORS[node.op], (left, right), node.span, node.op_span)
    return arithmetic.binary(frame, node.op, left, right, node.span)


_COMPARISONS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


def _logic(frame: Frame, node: ast.Binary) -> Any:
    left = evaluate(frame, node.left)
    decisive = node.op == "or"
    if left is decisive:
        return left
    right = evaluate(frame, node.right)
    for value, part in ((left, node.left), (right, node.right)):
        if isinstance(value, (Tensor, Owned)):
            raise tensor_condition(part.span)
        if not isinstance(value, (bool, Undecided)):
            raise Fault(error("NNS309", f"`{node.op}` needs true or false, not {describe(value)}", part.span))
    if right is decisive:
        return right
    if isinstance(left, Undecided):
        if isinstance(right, Undecided):
            return Undecided(f"{left.text} {node.op} {right.text}", left.symbols | right.symbols)
        return left
    return right


@handles(ast.Compare)
def _compare(frame: Frame, node: ast.Compare) -> Any:
    values = [operand_value(frame, operand) for operand in node.operands]
    result: Any = True
    for op, left, right in zip(node.ops, values, values[1:], strict=False):
        if isinstance(left, (Tensor, Owned)) or isinstance(right, (Tensor, Owned)):
            if left is None or right is None:
                answer: Any = (left is right) == (op == "==")
            elif op in _COMPARISONS and len(node.ops) == 1:
                return apply_named(frame, _COMPARISONS[op], (left, right), node.span)
            else:
                raise tensor_condition(node.span)
        else:
            for value in (left, right):
                if isinstance(value, Inexact):
                    raise value.fault
            answer = arithmetic.compare(frame, op, left, right, node.span)
        if answer is False:
            return False
        if isinstance(answer, Undecided):
            result = answer
    return result
