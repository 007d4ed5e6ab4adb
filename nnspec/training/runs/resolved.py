"""A spec with its `train` section as it was trained: every default written out, and what was set from outside.

Written from the IR, so that it says what was done; the loss, metrics and bindings are the author's words. It reads as
the spec did, and is worked out to the same training.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nnspec import ir, registry
from nnspec.arguments import OBJECTS, Arguments
from nnspec.diagnostics import Sink, Span
from nnspec.elaborate.expressions import target_names
from nnspec.syntax import ast
from nnspec.syntax.parse import parse
from nnspec.training.settings import Settings
from nnspec.version import __version__

_OUTSIDE = "--set "
_WIDTH = 100


def resolved(program: ir.Program) -> str:
    """The text of a program's spec with its `train` section complete; the spec itself where it has none."""
    text = program.sources[0][1]
    if program.training is None:
        return text
    file = parse(text, Sink(), 0)
    node = next((d for d in file.declarations if isinstance(d, ast.Train)), None)
    if node is None:
        return text
    header = (
        f"# Written by nnspec {__version__}: the spec of a run with all settings of its `train` section, defaults and\n"
        "# what was set from outside included. The spec as its author wrote it is another file.\n\n"
    )
    section = _Writer(program, program.training, file, node).section()
    return header + text[: node.span.start] + section + text[node.span.end :]


class _Writer:
    """Writes one section; the author's words come from the spec, and from what was set outside."""

    def __init__(self, program: ir.Program, training: ir.Training, file: ast.File, node: ast.Train) -> None:
        self.program = program
        self.training = training
        self.file = file
        self.node = node
        start = _OUTSIDE
        named = (name.removeprefix(start).partition("=")[0] for name, _ in program.sources if name.startswith(start))
        texts = (text.removeprefix("value = ") for name, text in program.sources if name.startswith(start))
        self.outside = dict(zip(named, texts, strict=True))

    def section(self) -> str:
        lines = [f"  {line}" for line in self._lines()]
        return f"train{self._head()} {{\n" + "\n".join(lines) + "\n}"

    def _lines(self) -> Iterator[str]:
        training, body = self.training, self.node.body
        yield f"data = {_record('dataset', training.data)}"
        if training.validation is not None:
            yield f"validation = {_record('dataset', training.validation)}"
        if training.inputs and not training.models:
            yield f"inputs = ({', '.join(f'{name}={field}' for name, field in training.inputs.items())})"
        for title, records in (("transform", training.transforms), ("augment", training.augment)):
            if records:
                fields = (f"{name}=[{_records('transform', each)}]" for name, each in records.items())
                yield f"{title} = ({', '.join(fields)})"
        yield from self._bindings(body.statements, ("loss", "metrics"), "")
        updates = {s.name.id: s for s in body.statements if isinstance(s, ast.Update)}
        for update in training.updates:
            if update.name:
                node = updates[update.name]
                yield f"update {update.name} {{"
                for part in self._update(update, node.body, f"{update.name}."):
                    yield f"  {part}".replace("\n", "\n  ")
                yield "}"
            else:
                yield from self._update(update, body, "")
        yield from self._said(body.statements, "metrics", "")
        if training.average is not None:
            yield f"average = {_record('average', training.average)}"
        yield from (f"{name} = {_spell(training.settings.get(name))}" for name in Settings.fields)

    def _update(self, update: ir.Update, body: ast.Body, path: str) -> Iterator[str]:
        """What an update says, or a section that has none."""
        if path:
            yield from self._said(body.statements, "params", path)
            yield from self._bindings(body.statements, ("loss",), path)
        yield from self._said(body.statements, "loss", path)
        yield f"optimizer = {_record('optimizer', update.optimizer)}"
        nodes = [s for s in body.statements if isinstance(s, ast.Settings)]
        for group, node in zip(update.groups, nodes, strict=True):
            said = [f"{name} = {_spell(value)}" for name, value in group.settings.items()]
            if group.optimizer is not None:
                said.insert(0, f"optimizer = {_record('optimizer', group.optimizer)}")
            yield f"params {self._text(node.pattern.span)} {{"
            yield from (f"  {line}" for line in said)
            yield "}"
        if update.schedule is not None:
            yield f"schedule = {_record('scheduler', update.schedule)}"
        if path and update.every != 1:
            yield f"every = {update.every}"
        yield from (f"{name} = {_spell(value)}" for name, value in update.settings.items())

    # --- the author's words ------------------------------------------------------------------------------------------

    def _said(self, statements: Iterable[ast.Statement], name: str, path: str) -> Iterator[str]:
        """A setting that is an expression, in the words of whoever set it."""
        node = _setting(statements, name)
        outside = self.outside.get(f"train.{path}{name}")
        if outside is not None:
            yield f"{name} = {outside}"
        elif node is not None:
            yield f"{name} = {self._text(node.value.span)}"

    def _bindings(self, statements: Sequence[ast.Statement], users: Iterable[str], path: str) -> Iterator[str]:
        """The bindings that expressions use, in order; those that settings used are numbers by now."""
        known = {
            *Settings.fields,
            "data",
            "validation",
            "optimizer",
            "schedule",
            "average",
            "inputs",
            "metrics",
            "loss",
        }
        bindings = [s for s in statements if isinstance(s, ast.Assign) and not known.intersection(_targets(s))]
        wanted = {name for user in users for line in self._said(statements, user, path) for name in _words(line)}
        for update in (s for s in statements if isinstance(s, ast.Update)):
            wanted |= _words(self._text(update.span))
        kept = []
        for binding in reversed(bindings):
            if wanted.intersection(_targets(binding)):
                kept.append(self._text(binding.span))
                wanted |= _words(self._text(binding.value.span))
        yield from reversed(kept)

    def _text(self, span: Span) -> str:
        return self.program.sources[0][1][span.start : span.end]

    # --- the head ----------------------------------------------------------------------------------------------------

    def _head(self) -> str:
        """The model with its hyperparameters, or several of them by name."""
        node = self.node.model
        entry = self.program.entries[self.training.entry]
        if not isinstance(node, ast.Tuple):
            return f" {self._model(node, entry.module, '')}"
        modules = {m.name: m.module for m in self.program.modules[entry.module].members if m.module is not None}
        items = {item.name: item.value for item in node.items}
        models = [f"{name} = {self._model(items[name], modules[name], f'{name}.')}" for name in self.training.models]
        return f" ({', '.join(models)})"

    def _model(self, node: ast.Expr | None, module: int, path: str) -> str:
        """A model in the head; what was set from outside has its name behind `path`."""
        named = self.program.modules[module]
        arguments = named.arguments
        written = node.arguments if isinstance(node, ast.Call) else ()
        given = {a.name or name: self._text(a.value.span) for a, name in zip(written, [*arguments, ""], strict=False)}
        called = node.function if isinstance(node, ast.Call) else node
        block = next((b for b in self.file.declarations if isinstance(b, ast.Block) and b.name.id == named.name), None)
        defaults = {h.name.id: h.default for h in block.hyperparameters} if block is not None else {}
        parts = []
        for name, attr in arguments.items():
            said = self.outside.get(f"{path}{name}") or given.get(name)
            if said is None and _is_plain(attr.value) and isinstance(defaults.get(name), (ast.Number, ast.Constant)):
                said = _spell(attr.value)
            if said is not None:
                parts.append(f"{name}={said}")
        title = self._text(called.span) if called is not None else named.name
        bare = title if not path else f"{title}()"
        return f"{title}({', '.join(parts)})" if parts else bare


def _setting(statements: Iterable[ast.Statement], name: str) -> ast.Assign | None:
    return next((s for s in statements if isinstance(s, ast.Assign) and name in _targets(s)), None)


def _targets(node: ast.Assign) -> list[str]:
    return [name.id for name in target_names(node.target)]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))


# --- values ----------------------------------------------------------------------------------------------------------


def _record(kind: str, record: ir.Record) -> str:
    """An object with all of its arguments."""
    cls = registry.find(kind, record.name)
    assert cls is not None, f"there is no {kind} {record.name}"
    made: Arguments = cls(**record.arguments)
    given = {name: made.__dict__[name] for name, field in cls.fields.items() if not field.inferred}
    parts = [f"{name}={_spell(value)}" for name, value in given.items() if value != {}]
    if sum(len(part) + 2 for part in parts) <= _WIDTH:
        return f"{record.name}({', '.join(parts)})"
    return f"{record.name}(\n    {(',' + chr(10) + '    ').join(parts)}\n  )"


def _records(kind: str, records: Iterable[ir.Record]) -> str:
    return ", ".join(_record(kind, record) for record in records)


def _nested(record: ir.Record) -> str:
    """An object among the arguments of another one."""
    kinds = dict.fromkeys(OBJECTS.values())
    return _record(next(kind for kind in kinds if registry.find(kind, record.name) is not None), record)


def _spell(value: object) -> str:
    """A value in the language's notation, to the last digit."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        assert not math.isnan(value)
        return repr(value)
    if isinstance(value, ir.Record):
        return _nested(value)
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name}={_spell(each)}' for name, each in value.items())})"
    if isinstance(value, (tuple, list)):
        parts = list(map(_spell, value))
        if not parts or isinstance(value[0], ir.Record):
            return f"[{', '.join(parts)}]"
        return f"({', '.join(parts)}{',' * (len(parts) == 1)})"
    return str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    escaped = escaped.replace("\r", "\\r").replace("{", "{{").replace("}", "}}")
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
