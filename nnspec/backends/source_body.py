"""Writing a graph as statements: names, nesting of short expressions, shapes in comments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from nnspec import ir
from nnspec.backends.source_choice import defaults_of
from nnspec.backends.source_inputs import Inputs
from nnspec.backends.source_line import Line, Pending, as_lists, function_class, shape
from nnspec.backends.source_lists import Growing, GrowingLists
from nnspec.backends.source_names import Names, identifier
from nnspec.backends.source_plan import Step
from nnspec.backends.source_text import POSTFIX, WIDTH, Piece, Printer, Slot, symbols_of
from nnspec.backends.source_turns import Turns
from nnspec.diagnostics import Span
from nnspec.layer import Code, Function

DEPTH = 3
"""How deep an expression may nest before it becomes several statements."""

MOST_WAITING = 8
"""How many expressions may wait at once: more of them would not fit into a line."""

INDENT = 12
"""The deepest a statement of a method stands; what is nested fits from there."""

CallCode = Callable[[Step, str, Sequence[Any]], Code]
"""How the layer of a step is called: the text that reaches it, and the operands."""


class Body(Turns):
    """The statements of one function; `write` fills `lines`, then `symbols` and `roots` are what they use."""

    def __init__(
        self,
        graph: ir.Graph,
        *,
        inputs: Inputs,
        symbols: Mapping[str, str],
        reserved: Iterable[str],
        uses: list[int],
        output_names: Sequence[str] = (),
        reach: Callable[[str], str] = str,
        through: Callable[[str], str] = lambda _: "",
        call: CallCode | None = None,
        wish: str = "",
        words: Callable[[Step], Sequence[str]] = lambda _: (),
    ) -> None:
        hints = [identifier(v.hint) for v in graph.values if v.hint] + [identifier(n) for n in output_names if n]
        self.lines: list[Line] = []
        self.symbols: set[str] = set()
        device = next(iter(inputs.texts.values()), None)
        parameters = inputs.variables
        self._inputs = inputs
        self._growing = GrowingLists((), (), words)
        self._takes_lists = True
        """Whether nested operands are lists of Python now: layers of torch's own take tuples."""
        self._print = Printer(symbols_of(symbols, self.symbols), f"{device}.device" if device else None)
        self._names = Names([*reserved, *symbols.values(), *inputs.lists], [*hints, *parameters.values()])
        self._graph = graph
        self._where = dict(parameters)
        self._parameters = frozenset(parameters.values())
        for name in parameters.values():
            self._names.take(name)
        self._forced: dict[int, str] = {}
        """Values whose variable a loop decided."""
        self._members: list[tuple[str, str]] = []
        """Members that a loop's variable stands for, outermost first."""
        self._deeper = 0
        self._inline = {value: Piece(text, POSTFIX) for value, text in inputs.elements.items()}
        self._pending: list[Pending] = []
        self._left = uses.copy()
        self._uses = uses
        self._reach = reach
        self._through = through
        self._call = call
        self._words = words
        """What the callee of a step calls its inputs."""
        self._wish = [""] * len(graph.values)
        for value in ir.refs(graph.outputs) if wish else ():
            self._wish[value] = identifier(wish)
        self._output_names = frozenset(identifier(name) for name in output_names if name)
        self._hints = [identifier(v.hint) if v.hint else "" for v in graph.values]
        for operand, name in zip(graph.outputs, output_names, strict=False):
            if name and isinstance(operand, ir.Ref) and not self._hints[operand.id]:
                self._hints[operand.id] = identifier(name)
        self._longest = max((4, *map(len, self._hints), *map(len, parameters.values())))
        """The most letters that a variable may come to have."""
        for value, name in parameters.items():
            if not uses[value]:
                self._names.release(name)

    @property
    def roots(self) -> set[str]:
        """The modules that the text names: torch, nn, F."""
        return self._print.roots

    # --- statements ---

    def write(self, steps: Sequence[Step]) -> None:
        """Write the steps; what is left over goes into `result` or `finish`."""
        self._make_wishes(steps)
        self._growing = GrowingLists(steps, self._graph.outputs, self._words)
        self._steps(steps)

    def _steps(self, steps: Sequence[Step]) -> None:
        for number, step in enumerate(steps):
            if step.kind == "loop":
                self._loop(step)
            elif step.kind == "scan":
                self._scan(step)
            elif isinstance(step.node, ir.Read):
                self._inline[step.node.outputs[0]] = Piece(self._reach(step.node.path), POSTFIX)
            else:
                following = steps[number + 1] if number + 1 < len(steps) else None
                self._apply(step, following, last=following is None and not self._deeper)

    def finish(self) -> None:
        """Write the `return`."""
        outputs = self._graph.outputs
        waited = bool(self._pending)
        piece, holds = self.result()
        note = self._note(tuple(ir.refs(outputs)), holds) if waited else ""
        self._line("return ", piece, "", note)

    def result(self) -> tuple[Piece, list[int]]:
        """The outputs as one expression (a tuple without brackets when there are several) and what it needs."""
        self._takes_lists = True
        outputs = self._graph.outputs
        if len(outputs) == 1:
            if len(self._pending) == 1 and outputs[0] == ir.Ref(self._pending[0].value):
                last = self._pending.pop()
                return last.piece, last.holds
            piece, holds, _ = self._express(lambda ops: ops[0], outputs, self._room - 8)
            return piece, holds
        piece, holds, _ = self._express(tuple, outputs, self._room - 8)
        return Piece(piece.text[1:-1], 0, head="(", items=piece.items), holds

    def _apply(self, step: Step, following: Step | None, *, last: bool) -> None:
        node, outputs = step.node, step.outputs
        value = outputs[0] if len(outputs) == 1 and isinstance(outputs[0], int) else None
        for grown in self._growing.starts.get(id(node), ()):
            self._start_list(grown)
        build = self._builder(step)
        self._takes_lists = not isinstance(node, ir.Call) or node.method is not None
        hint = self._hints[value] if value is not None else ""
        room = self._room - (len(hint) if hint else self._longest) - 3
        ends = last and isinstance(node, ir.Call) and value is not None and self._is_output(value)
        waits = value is not None and not self._hints[value] and self._uses[value] == 1
        is_call = isinstance(node, ir.Call)
        piece, holds, depth = self._express(build, step.inputs, room, is_call=is_call, function=self._function(node))
        if step.kind == "node" and isinstance(node, ir.Call):
            piece.words = self._words(step)
        if waits and value is not None and isinstance(node, ir.Call) and not ends:
            # `x + self.mlp(y)` lets go of what the layer gave, where a variable would keep it until it is bound again.
            waits = _joins(value, following) and not self._outlives(Pending(value, piece, depth, holds, node.span))
        waits = waits and value not in self._forced and value not in self._growing.appended
        if len(self._pending) == MOST_WAITING:
            self._flush()
        if waits and value is not None and len(piece.text) <= room:
            self._pending.append(Pending(value, piece, depth, holds, node.span))
            return
        self._flush()
        self._assign(outputs, piece, holds, node.span)

    def _is_output(self, value: int) -> bool:
        return value in ir.refs(self._graph.outputs)

    def _builder(self, step: Step) -> Callable[[list[Any]], Any]:
        node = step.node
        function = self._function(node)
        if function is not None:
            return lambda operands: function.torch(*as_lists(function, operands))
        assert self._call is not None
        call, text = self._call, self._text(step.path)
        return lambda operands: call(step, text, operands)

    @staticmethod
    def _function(node: ir.Node) -> Function | None:
        return function_class(node.function)(**node.attributes) if isinstance(node, ir.Op) else None

    def _printed(self, code: Any, function: Function | None) -> Piece:
        self._print.seen.clear()
        piece = self._print(code)
        if function is not None and isinstance(code, Code) and code.kind == "call":
            given = dict(piece.items)
            known = {f"{name}=": self._print(value) for name, value in defaults_of(function, code).items()}
            piece.defaults = {word: given.get(word, default) for word, default in known.items()}
        return piece

    def _express(
        self,
        build: Callable[[list[Any]], Any],
        inputs: Sequence[ir.Operand],
        room: int,
        *,
        is_call: bool = False,
        function: Function | None = None,
    ) -> tuple[Piece, list[int], int]:
        """An expression over operands: its text, the values that it needs, and its depth.

        Waiting expressions become part of it if Python would evaluate all in the order of the graph.
        """
        used = list(ir.refs(tuple(inputs)))
        waiting = {p.value for p in self._pending}.intersection(used)
        if is_call and any(self._outlives(p) for p in self._pending if p.value in waiting):
            self._flush()
            waiting = set()
        if waiting:
            tail = self._pending[-len(waiting) :]
            depth = 1 + max(p.depth for p in tail)
            piece = self._printed(build([self._operand(i) for i in inputs]), function)
            order = [v for v in self._print.seen if v in waiting]
            fits = depth <= DEPTH and len(piece.text) <= room and "_slot" not in piece.text
            if fits and order == [p.value for p in tail]:
                del self._pending[-len(waiting) :]
                holds = [v for p in tail for v in p.holds] + [v for v in used if v not in waiting]
                return piece, holds, depth
            self._flush()
        code = build([self._operand(i) for i in inputs])
        piece = self._printed(code, function)
        if len(piece.text) > room:
            piece = self._print(self._split(code))
        return piece, used, 1

    def _outlives(self, waiting: Pending) -> bool:
        """Whether a variable that is done with would keep its tensor during the call of a layer."""
        done = (v for v in waiting.holds if self._left[v] <= waiting.holds.count(v))
        return any(v in self._where and v not in self._inputs.texts for v in done)

    def _split(self, code: Any) -> Any:
        """A long expression of a single node with its nested parts moved to statements of their own."""
        if not isinstance(code, Code) or code.kind == "call":
            return code
        args = list(code.args)
        taken = []
        for at, arg in enumerate(args):
            if isinstance(arg, Code) and arg.kind != "attribute":
                piece = self._print(self._split(arg))
                name = self._names.temporary()
                taken.append(name)
                self._line(f"{name} = ", piece)
                args[at] = Slot(name, Piece(name), -1)
        for name in taken:
            self._names.release(name)
        return Code(code.kind, code.name, args, code.kwargs)

    def _operand(self, operand: ir.Operand) -> Any:
        if isinstance(operand, ir.Ref):
            return self._slot(operand.id)
        if isinstance(operand, tuple):
            grown = self._growing.name(operand) if self._takes_lists else None
            if grown is not None:
                return Slot(grown, Piece(grown, POSTFIX), -1)
            return self._inputs.written(operand, self._operand) if self._takes_lists else self._parts(operand)
        return operand

    def _start_list(self, grown: Growing) -> None:
        """`features = [x]`: a list of our own, to which others are appended."""
        self._flush()
        first = grown.items[: grown.length]
        written = self._inputs.written(first, self._operand)
        items = list(written) if isinstance(written, tuple) else [Slot(written, Piece(f"*{written}"), -1)]
        grown.name = self._names.take(identifier(grown.word))
        self._line(f"{grown.name} = ", self._print(items))

    def _parts(self, operand: tuple[ir.Operand, ...]) -> tuple[Any, ...]:
        return tuple(self._operand(part) for part in operand)

    def _slot(self, value: int) -> Slot:
        piece = self._inline.get(value)
        if piece is not None:
            return Slot(piece.text, piece, value)
        name = self._where.get(value)
        if name is not None:
            return Slot(name, Piece(name), value)
        waiting = next(p for p in reversed(self._pending) if p.value == value)
        return Slot(f"_slot{value}", waiting.piece, value)

    def _flush(self) -> None:
        """Write what waits as statements, in order."""
        waiting, self._pending = self._pending, []
        for each in waiting:
            self._assign((each.value,), each.piece, each.holds, each.span)

    def _assign(self, outputs: tuple[Any, ...], piece: Piece, holds: Sequence[int], span: Span | None) -> None:
        free = self._consume(holds)
        if not any(self._uses[v] for v in ir.flat(outputs)):
            self._line("", piece, span=span)
            return
        result = ir.result_of(outputs)
        if isinstance(result, int) and result in self._growing.appended:
            grown = self._growing.appended[result]
            self._inline[result] = Piece(f"{grown.name}[{grown.length}]", POSTFIX)
            grown.length += 1
            self._line(f"{grown.name}.append(", piece, ")", self._note(outputs, holds), span)
            return
        target = self._choose(result, free, holds) if isinstance(result, int) else self._targets(result, free)
        note = self._note(outputs, holds)
        self._line(f"{target} = ", piece, "", note, span)

    def _note(self, outputs: tuple[Any, ...], holds: Sequence[int]) -> str:
        """The new shapes; nothing to say where an operand has the same."""
        values = self._graph.values
        types = [values[v].type for v in ir.flat(outputs) if self._uses[v]]
        if len(types) == 1 and any(values[v].type.dims == types[0].dims for v in holds):
            return ""
        return ", ".join(map(shape, types)) if any(t.dims for t in types) else ""

    # --- names ---

    def _make_wishes(self, steps: Sequence[Step]) -> None:
        """For nameless values, the name that they flow into; outputs' names stay with the outputs."""
        wishes = self._wish
        for step in _innermost(steps):
            if isinstance(step.node, ir.Scan):
                self._wish_states(step.node)
                continue
            outputs = list(ir.flat(step.outputs))
            value = outputs[0]
            hint = self._hints[value]
            wish = hint if hint and hint not in self._output_names else wishes[value]
            for operand in ir.refs(step.inputs) if wish and len(outputs) == 1 else ():
                wishes[operand] = wish
            for operand, word in zip(step.inputs[1:], self._words(step)[1:], strict=False):
                if isinstance(operand, ir.Ref):
                    wishes[operand.id] = identifier(word)

    def _consume(self, holds: Sequence[int]) -> list[str]:
        """Count the uses of values down; the names of those that are needed no more."""
        free = []
        for value in holds:
            self._left[value] -= 1
            if not self._left[value] and value in self._where:
                name = self._where[value]
                self._names.release(name)
                free.append(name)
        return free

    def _choose(self, value: int, free: Sequence[str], holds: Sequence[int]) -> str:
        """The variable for a value: the author's name, else the one it flows into, else one that came free."""
        hint, wish = self._hints[value], self._wish[value]
        if value in self._forced:
            name = self._forced[value]
            if self._names.is_free(name):
                self._names.take(name)
        elif hint:
            name = self._names.take(hint)
        elif wish and self._names.is_free(wish):
            name = self._names.take(wish)
        else:
            first = self._where.get(holds[0]) if holds else None
            again = first is not None and first in free and (first not in self._parameters or len(first) <= 2)
            name = self._names.take(first) if again and first is not None else self._names.temporary()
        self._where[value] = name
        return name

    def _targets(self, outputs: Any, free: Sequence[str]) -> str:
        parts = []
        for part in outputs:
            if isinstance(part, int):
                parts.append(self._choose(part, free, ()) if self._uses[part] else "_")
            elif any(self._uses[v] for v in ir.flat(part)):
                parts.append(f"({self._targets(part, free)})")
            else:
                parts.append("_")
        return f"({parts[0]},)" if len(parts) == 1 else ", ".join(parts)

    def _line(self, prefix: str, piece: Piece, suffix: str = "", note: str = "", span: Span | None = None) -> None:
        self.lines.append(Line(prefix, piece, suffix, note, deeper=self._deeper, span=span))

    @property
    def _room(self) -> int:
        return WIDTH - INDENT - self._deeper


def _joins(value: int, following: Step | None) -> bool:
    """Whether a function takes a value at once, and not as the first: that is what flows on, line by line."""
    if following is None or not isinstance(following.node, ir.Op):
        return False
    return ir.Ref(value) in following.inputs[1:]


def _innermost(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps, last first, each loop in front of what it repeats."""
    for step in reversed(steps):
        yield step
        yield from _innermost(step.inner)
