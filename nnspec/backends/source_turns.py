"""Writing what is repeated: loops over the members of a container, and scans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec import ir
from nnspec.backends.source_line import Line
from nnspec.backends.source_names import Names, singular
from nnspec.backends.source_plan import Step
from nnspec.backends.source_text import Piece, Printer, Slot
from nnspec.diagnostics import Span
from nnspec.layer import Ref, call, index, method


class Turns:
    """The part of a function's body that writes loops: what it needs of the rest is declared here."""

    lines: list[Line]
    _deeper: int
    _reach: Callable[[str], str]
    """The text that reaches a member of the module."""
    _through: Callable[[str], str]
    """What stands behind a container so that a loop goes through its members."""
    _forced: dict[int, str]
    _hints: list[str]
    _left: list[int]
    _members: list[tuple[str, str]]
    _names: Names
    _parameters: frozenset[str]
    _print: Printer
    _uses: list[int]
    _where: dict[int, str]
    _wish: list[str]

    # What the body that this is mixed into brings; abstract here.

    def _choose(self, value: int, free: Sequence[str], holds: Sequence[int]) -> str:
        raise NotImplementedError  # the body's

    def _consume(self, holds: Sequence[int]) -> list[str]:
        raise NotImplementedError  # the body's

    def _express(self, build: Any, inputs: Sequence[ir.Operand], room: int) -> tuple[Piece, list[int], int]:
        raise NotImplementedError  # the body's

    def _flush(self) -> None:
        raise NotImplementedError  # the body's

    def _line(self, prefix: str, piece: Piece, suffix: str = "", note: str = "", span: Span | None = None) -> None:
        raise NotImplementedError  # the body's

    def _note(self, outputs: tuple[Any, ...], holds: Sequence[int]) -> str:
        raise NotImplementedError  # the body's

    def _slot(self, value: int) -> Slot:
        raise NotImplementedError  # the body's

    def _steps(self, steps: Sequence[Step]) -> None:
        raise NotImplementedError  # the body's

    @property
    def _room(self) -> int:
        raise NotImplementedError  # the body's

    # --- loops ---

    def _loop(self, step: Step) -> None:
        """`for layer in self.layers: x = layer(x, mask)`."""
        self._flush()
        turn = sum(max(1, len(each.covers)) for each in step.inner)
        made = {v for node in step.covers for v in ir.flat(node.outputs)}
        first, rest = (
            [v for node in nodes if not isinstance(node, ir.Read) for v in ir.refs(node.inputs) if v not in made]
            for nodes in (step.covers[:turn], step.covers[turn:])
        )
        start, result = next(ir.refs(step.inputs)), step.outputs[0]
        before, left, own = self._where.get(start), self._left[start], first.count(start)
        name = self._flow_name(start, result, dies=left == own)
        # What else comes from outside is used in the later turns too: its name is not free before the loop is over.
        self._left[start] = own
        self._where[start] = self._forced[step.inner[-1].outputs[0]] = name
        self._turns(step)
        self._left[start] = left - own
        if before is not None:
            self._where[start] = before
            if left == own:
                self._names.release(before)
        self._consume(rest)
        self._finish_loop(result, name)

    def _turns(self, step: Step) -> None:
        variable = self._names.take(singular(step.path.rpartition(".")[2]))
        first, last = step.part
        part = f"[{first or ''}:{last or ''}]" if first or last else ""
        container = Piece(self._text(step.path) + self._through(step.path) + part)
        self._line(f"for {variable} in ", container, ":", span=step.node.span)
        self._members.append((step.first, variable))
        self._deeper += 4
        self._steps(step.inner)
        self._deeper -= 4
        self._members.pop()
        self._names.release(variable)

    def _flow_name(self, start: int, result: int, *, dies: bool) -> str:
        """The variable that goes from turn to turn; where the first value has another, it is copied."""
        before = self._where.get(start)
        wish = self._hints[result] or self._wish[result]
        if before is not None and dies and (wish in ("", before) or before not in self._parameters):
            return before
        piece = self._slot(start).piece
        name = self._names.take(wish) if wish else self._names.temporary()
        self._line(f"{name} = ", piece)
        return name

    def _finish_loop(self, result: int, name: str) -> None:
        wanted = self._forced.get(result, name)
        if wanted != name:
            self._line(f"{wanted} = ", Piece(name))
            self._names.release(name)
        self._where[result] = wanted
        if not self._uses[result]:
            self._names.release(wanted)
        elif self._names.is_free(wanted):
            self._names.take(wanted)

    def _text(self, path: str) -> str:
        """The text that reaches a member, from a loop's variable where one holds it."""
        for first, variable in reversed(self._members):
            if path == first or path.startswith(f"{first}."):
                return variable + self._reach(path)[len(self._reach(first)) :]
        return self._reach(path) if path else "self"

    # --- scans ---

    def _wish_states(self, scan: ir.Scan) -> None:
        """A state is one variable, from where it starts to where a step leaves it."""
        inputs = scan.body.inputs[len(scan.sequences) :]
        results = scan.body.outputs[scan.yields :]
        for start, before, after in zip(scan.states, inputs, results, strict=False):
            for operand in (start, after):
                self._wish[operand.id] = self._hints[before]

    def _scan(self, step: Step) -> None:
        """`for x_t in x.unbind(1): h = cell(x_t, h); ys.append(h)`, and then `ys = torch.stack(ys, dim=1)`."""
        scan = step.node
        assert isinstance(scan, ir.Scan)
        self._flush()
        stacked, finals = scan.outputs[: scan.yields], scan.outputs[scan.yields :]
        inputs = scan.body.inputs[len(scan.sequences) :]
        states = [self._state(start.id, before) for start, before in zip(scan.states, inputs, strict=False)]
        lists = [self._names.take(self._hints[value] or self._wish[value] or "ys") for value in stacked]
        for name in lists:
            self._line(f"{name} = ", Piece("[]"))
        self._step_head(scan, step.node.span)
        self._deeper += 4
        before = len(self.lines)
        self._steps(step.inner)
        self._step_end(scan, states, lists)
        if len(self.lines) == before:
            self._line("pass", Piece(""))
        self._deeper -= 4
        self._consume(list(ir.refs(scan.captures)))
        for value, name in zip(finals, states, strict=True):
            self._keep(value, name)
        for value, name in zip(stacked, lists, strict=True):
            self._stack(scan, value, name)

    def _state(self, start: int, before: int) -> str:
        """The variable of a state, which holds what the state starts from."""
        name, wish = self._where.get(start), self._hints[before]
        mine = self._left[start] == 1 and name is not None and (name == wish or name not in self._parameters)
        if not mine or name is None or (wish and wish != name and self._names.is_free(wish)):
            piece = self._slot(start).piece
            self._consume([start])
            name = self._names.take(wish) if wish else self._names.temporary()
            if piece.text != name:
                self._line(f"{name} = ", piece)
        else:
            self._left[start] -= 1
        self._where[before] = name
        return name

    def _step_head(self, scan: ir.Scan, span: Span | None) -> None:
        parts = scan.body.inputs[: len(scan.sequences)]
        pieces = []
        for sequence in scan.sequences:
            code = method("unbind", self._slot(sequence.id), scan.axis)
            pieces.append(index(code, slice(None, None, -1)) if scan.reverse else code)
        piece = self._print(pieces[0] if len(pieces) == 1 else call("zip", *pieces))
        self._consume(list(ir.refs(scan.sequences)))
        names = [self._choose(part, (), ()) if self._uses[part] else "_" for part in parts]
        self._line(f"for {', '.join(names)} in ", piece, ":", span=span)
        for value in scan.body.inputs[len(parts) : len(parts) + len(scan.states)]:
            if not self._uses[value]:
                self._names.release(self._where[value])

    def _step_end(self, scan: ir.Scan, states: Sequence[str], lists: Sequence[str]) -> None:
        """The end of a step: its yields go into their lists, its states into their variables."""
        results = scan.body.outputs
        for operand, name in zip(results, lists, strict=False):
            piece, holds, _ = self._express(lambda given: given[0], (operand,), self._room - len(name) - 9)
            self._flush()
            self._consume(holds)
            self._line(f"{name}.append(", piece, ")")
        self._flush()
        moves = []
        for operand, name in zip(results[len(lists) :], states, strict=True):
            piece = self._slot(operand.id).piece
            if piece.text != name:
                moves.append((name, piece.text))
        self._consume(list(ir.refs(results[len(lists) :])))
        if moves:
            self._line(f"{', '.join(name for name, _ in moves)} = ", Piece(", ".join(text for _, text in moves)))

    def _keep(self, value: int, name: str) -> None:
        """The last state stays in its variable as long as it is needed."""
        self._where[value] = name
        if self._uses[value]:
            if self._names.is_free(name):
                self._names.take(name)
        else:
            self._names.release(name)

    def _stack(self, scan: ir.Scan, value: int, name: str) -> None:
        parts = index(Ref(name), slice(None, None, -1)) if scan.reverse else Ref(name)
        piece = self._print(call("torch.stack", parts, dim=scan.axis))
        self._names.release(name)
        target = self._choose(value, (name,), ())
        self._line(f"{target} = ", piece, "", self._note((value,), ()))
