"""Writing `__init__`: what a block owns, in state-dict order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

from nnspec import ir
from nnspec.backends.source_body import Body
from nnspec.backends.source_inputs import Inputs
from nnspec.backends.source_line import Line
from nnspec.backends.source_live import count_uses, live_nodes
from nnspec.backends.source_names import plain
from nnspec.backends.source_plan import Layout
from nnspec.backends.source_series import by_rule, named_by_rule
from nnspec.backends.source_settings import Settings, filling
from nnspec.backends.source_steps import single_steps
from nnspec.backends.source_text import Piece, Printer, bracketed, generator, quote
from nnspec.layer import Code, call, torch_dtype
from nnspec.types import TensorType, is_float

EXPLODE = 3
"""So many members of a container stand on lines of their own."""


class Constructor:
    """The statements of one `__init__`, after `super().__init__()`.

    `construct` gives the expression that builds a block or a library layer by its number.
    """

    def __init__(self, layout_: Layout, construct: Callable[[int, Printer], Piece], reserved: frozenset[str]) -> None:
        self.lines: list[Line] = []
        self._layout = layout_
        self._program = layout_.program
        self._construct = construct
        self._print = Printer(str, None)
        self._reserved = reserved
        self.roots = self._print.roots

    def write(self) -> None:
        """Write all members, the ties between them, and how parameters start."""
        base = self._layout.base
        if base == "Module":
            self._add_piece("", Piece("super().__init__()"))
            self._members("self", "", self._layout.module)
        else:
            self._add_piece("super().", self._container("", self._layout.module, base, "__init__"))
        for tie in self._layout.module.ties:
            owner, _, name = tie.alias.rpartition(".")
            target = self._layout.access(owner) if owner else "self"
            self._set(target, name, Piece(self._layout.access(tie.owner)))
        if self._layout.module.settings:
            self.lines += Settings(self._layout, self._print, self._constant, self._construct).lines()

    def _add_piece(self, prefix: str, piece: Piece) -> None:
        self.lines.append(Line(prefix, piece))

    def _set(self, owner: str, name: str, piece: Piece) -> None:
        if plain(name):
            self._add_piece(f"{owner}.{name} = ", piece)
        else:
            self._add_piece("", bracketed("setattr(", [("", Piece(owner)), ("", Piece(quote(name))), ("", piece)], ")"))

    def _members(self, owner: str, path: str, module: ir.Module) -> None:
        for member in module.members:
            at = f"{path}.{member.name}" if path else member.name
            first = len(self.lines)
            if member.kind == "param":
                self._param(owner, at, member)
            elif member.kind == "buffer":
                value = self._tensor(member)
                self._add_piece(
                    "", bracketed(f"{owner}.register_buffer(", [("", Piece(quote(member.name))), ("", value)], ")")
                )
            else:
                self._module(owner, at, member)
            self.lines[first].lead = member.doc

    def _module(self, owner: str, path: str, member: ir.Member) -> None:
        assert member.module is not None
        module = self._program.modules[member.module]
        is_container = module.kind not in ir.CALLED
        bare = is_container and self._layout.holder(path, module) == "Module"
        piece = self._empty() if bare else self._expression(path, member.module)
        if plain(member.name):
            self._add_piece(f"{owner}.{member.name} = ", piece)
        else:
            name = Piece(quote(member.name))
            self._add_piece("", bracketed(f"{owner}.add_module(", [("", name), ("", piece)], ")"))
        if bare:
            self._members(self._layout.access(path), path, module)

    def _empty(self) -> Piece:
        self.roots.add("nn")
        return Piece("nn.Module()")

    # --- containers ---

    def _expression(self, path: str, number: int) -> Piece:
        module = self._program.modules[number]
        if module.kind in ir.CALLED:
            return self._construct(number, self._print)
        holder = self._layout.holder(path, module)
        self.roots.add("nn")
        return self._container(path, module, holder, f"nn.{holder}")

    def _container(self, path: str, module: ir.Module, holder: str, name: str) -> Piece:
        members = []
        for member in module.members:
            assert member.module is not None
            members.append((member, self._expression(f"{path}.{member.name}" if path else member.name, member.module)))
        exploded = len(members) >= EXPLODE
        if self._layout.numbered(module):
            return self._sequence(members, holder, name, is_repeat=module.kind == "repeat")
        ruled = named_by_rule([member.name for member, _ in members], [piece for _, piece in members])
        if ruled is not None:
            return self._by_rule(ruled, holder, name)
        if holder == "ModuleDict":
            entries = [(f"{quote(m.name)}: ", piece) for m, piece in members]
            return bracketed(f"{name}(", [("", bracketed("{", entries, "}", exploded=exploded))], ")")
        self.roots.add("OrderedDict")
        if all(plain(m.name) for m, _ in members):
            named = [(f"{m.name}=", piece) for m, piece in members]
            ordered = _members_apart(bracketed("OrderedDict(", named, ")", exploded=exploded))
        else:
            entries = [(f"{quote(m.name)}: ", piece) for m, piece in members]
            ordered = bracketed("OrderedDict(", [("", bracketed("{", entries, "}", exploded=exploded))], ")")
        return bracketed(f"{name}(", [("", ordered)], ")")

    def _by_rule(self, entries: Piece, holder: str, name: str) -> Piece:
        if holder != "ModuleDict":
            self.roots.add("OrderedDict")
            entries = bracketed("OrderedDict(", [("", entries)], ")")
        return bracketed(f"{name}(", [("", entries)], ")")

    def _sequence(self, members: list[tuple[ir.Member, Piece]], holder: str, name: str, *, is_repeat: bool) -> Piece:
        """`nn.Sequential(a, b)` or `nn.ModuleList([a, b])`; equal members of a repeat are a generator."""
        items: list[tuple[str, Piece]] = []
        single: list[Piece] = []
        for _, run in groupby(members, key=lambda each: (each[0].module, each[1].text)):
            pieces = [piece for _, piece in run]
            if len(pieces) >= (2 if is_repeat else EXPLODE):
                items += [
                    *(("", piece) for piece in by_rule(single)),
                    ("", generator(pieces[0], Piece(str(len(pieces))))),
                ]
                single = []
            else:
                single += pieces
        items += [("", piece) for piece in by_rule(single)]
        listed = holder == "ModuleList"
        if listed and len(items) == 1 and len(members) > 1:
            return bracketed(f"{name}(", items, ")")
        starred = [("", bracketed("*(", [("", p)], ")") if not p.level else p) for _, p in items]
        exploded = len(items) >= EXPLODE
        if not listed:
            return _members_apart(bracketed(f"{name}(", starred, ")", exploded=exploded))
        inner = bracketed("[", starred, "]", exploded=exploded)
        return bracketed(f"{name}(", [("", inner)] if items else [], ")")

    # --- parameters and buffers ---

    def _param(self, owner: str, path: str, member: ir.Member) -> None:
        assert member.type is not None
        self.roots.add("nn")
        start, fill = self._start(member)
        items = [("", start)]
        if not is_float(member.type.dtype):
            items.append(("requires_grad=", Piece("False")))
        parameter = bracketed("nn.Parameter(", items, ")")
        if plain(member.name):
            self._add_piece(f"{owner}.{member.name} = ", parameter)
        else:
            entries = [("", Piece(quote(member.name))), ("", parameter)]
            self._add_piece("", bracketed(f"{owner}.register_parameter(", entries, ")"))
        if fill is not None:
            self._add_piece("", filling(self._print, self._layout.access(path), fill))

    def _start(self, member: ir.Member) -> tuple[Piece, ir.Initializer | None]:
        """What a parameter holds first, and how it is filled after."""
        if member.value is not None:
            return self._tensor(member), None
        assert member.type is not None
        init = member.init
        if init is not None and init.function in ("zeros", "ones") and not init.arguments:
            return self._print(_allocate(f"torch.{init.function}", member.type)), None
        return self._print(_allocate("torch.empty", member.type)), init

    def _constant(self, value: ir.Graph) -> Piece:
        return self._tensor(ir.Member("value", "buffer", "auto", value=value))

    def _tensor(self, member: ir.Member) -> Piece:
        """A closed graph as an expression, with statements in front where it is long."""
        graph = member.value
        assert graph is not None
        nodes = live_nodes(graph)
        uses = count_uses(graph, nodes)
        body = Body(
            graph,
            inputs=Inputs((), ()),
            symbols={},
            reserved=self._reserved,
            uses=uses,
            reach=self._layout.access,
            wish=member.name,
        )
        body.write(single_steps(nodes))
        piece, _ = body.result()
        self.lines += body.lines
        self.roots |= body.roots
        return piece


def _members_apart(piece: Piece) -> Piece:
    """Members never share a line with each other once the brackets are broken."""
    piece.dense = len(piece.items) == 1
    return piece


def _allocate(name: str, type_: TensorType) -> Code:
    options: dict[str, Any] = {} if type_.dtype == "float32" else {"dtype": torch_dtype(type_.dtype)}
    sizes: tuple[Any, ...] = type_.dims or ((),)
    return call(name, *sizes, **options)
