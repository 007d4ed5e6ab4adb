"""Models by themselves: elaborated for both modes, and for every choice of the optional inputs that may be given.

What a model owns is what its fullest form uses: in training, with all optional inputs. Every other form (in inference,
without a mask) computes with a part of that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from nnspec import ir
from nnspec.diagnostics import Diagnostic, error
from nnspec.elaborate.blocks import Elaborated, elaborate_body
from nnspec.elaborate.frame import Frame, GraphBuilder
from nnspec.elaborate.freeze import documentation
from nnspec.elaborate.inputs import free_type, input_statements, symbol_names
from nnspec.elaborate.matching import default_of, note_absent
from nnspec.elaborate.session import MAX_OPTIONAL, Session
from nnspec.elaborate.values import UNKNOWN, BlockRecipe, Fault, Silent
from nnspec.facts import Facts
from nnspec.syntax import ast
from nnspec.types import TensorType


def entry_of(session: Session, recipe: BlockRecipe) -> ir.Entry | None:
    """All forms of a model; None when one of them has a fault, which is reported."""
    block = recipe.block
    optional = [s.name.id for s in input_statements(block) if s.default is not None]
    if len(optional) > MAX_OPTIONAL:
        session.sink.report(_too_many(block, optional))
        return None
    choices = [tuple(n for n, given in zip(optional, bits, strict=True) if given) for bits in _bits(len(optional))]
    full = _form(session, recipe, optional, choices[-1], None)
    if full is None:
        return None
    methods, module = full
    forms = [ir.Form(choices[-1], methods)]
    for given in reversed(choices[:-1]):
        found = _form(session, recipe, optional, given, module)
        if found is None:
            return None
        forms.append(ir.Form(given, found[0]))
    *others, plain = forms
    return ir.Entry(block.name.id, module, plain.methods, documentation(block), block.head, tuple(reversed(others)))


def _bits(count: int) -> list[tuple[bool, ...]]:
    """All choices of so many, the first of them changing fastest."""
    return [bits[::-1] for bits in product((False, True), repeat=count)]


def _too_many(block: ast.Definition, optional: Sequence[str]) -> Diagnostic:
    statement = [s for s in input_statements(block) if s.default is not None][MAX_OPTIONAL]
    return error(
        "NNS310",
        f"model `{block.name.id}` has {len(optional)} optional inputs, and at most {MAX_OPTIONAL} are compiled",
        statement.span,
        "one too many",
        notes=("a model is worked out for every choice of them",),
        helps=("make two models of it, or let one input hold what belongs together",),
    )


def _form(
    session: Session, recipe: BlockRecipe, optional: Sequence[str], given: tuple[str, ...], expected: int | None
) -> tuple[dict[str, int], int] | None:
    """The methods of one choice of optional inputs, by mode, and the module that they belong to."""
    absent = " and ".join(f"`{name}`" for name in optional if name not in given)
    session.form = f"where {absent} is not given" if absent else ""
    first = _elaborate(session, recipe, "train", given, expected)
    if first.failed:
        return None
    if not first.uses_training:
        return {"infer": first.method}, first.module
    session.form = f"in inference {session.form}".rstrip()
    second = _elaborate(session, recipe, "infer", given, first.module)
    return None if second.failed else ({"infer": second.method, "train": first.method}, first.module)


def _elaborate(
    session: Session, recipe: BlockRecipe, mode: ir.Mode, given: tuple[str, ...], expected: int | None
) -> Elaborated:
    block = recipe.block
    frame = Frame(session, f"`{block.name.id}`", file=session.home(block), facts=Facts(), mode=mode)
    frame.root_kind = "model"
    frame.block = block
    frame.graph = GraphBuilder()
    for name, value in recipe.arguments.items():
        frame.scope[name] = value
        frame.fixed[name] = "hyperparameter"
    types: list[TensorType | None] = []
    for number, statement in enumerate(input_statements(block)):
        name = statement.name.id
        try:
            if statement.default is not None and default_of(frame, statement) is None and name not in given:
                frame.scope[name] = None
                types.append(None)
                continue
            type_ = free_type(frame, statement, number)
            tensor = frame.graph.value(type_, statement.span)
            frame.graph.hint(tensor, name)
            frame.bind(name, tensor, statement.name.span)
            types.append(type_)
        except (Fault, Silent) as fault:
            frame.failed = True
            if isinstance(fault, Fault):
                frame.report(fault.diagnostic)
            frame.scope[name] = UNKNOWN
            for symbol in symbol_names(statement):
                frame.scope.setdefault(symbol, UNKNOWN)
    note_absent(frame, block)
    return elaborate_body(frame, recipe, types, expected)
