"""Writing classes: one for each block in use, callees first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from nnspec import ir, registry
from nnspec.backends.source_classes import Class, Draft, classes
from nnspec.backends.source_docs import Places, describe
from nnspec.backends.source_extern import Externs
from nnspec.backends.source_formula import Texts
from nnspec.backends.source_forward import Forward, Variant, absent_inputs, forward_lines, written_forward
from nnspec.backends.source_groups import block_of, groups
from nnspec.backends.source_init import Constructor
from nnspec.backends.source_line import Line, as_lists
from nnspec.backends.source_live import count_uses, live_nodes
from nnspec.backends.source_names import IMPORTED, identifier
from nnspec.backends.source_parts import Part
from nnspec.backends.source_plan import Layout, Step
from nnspec.backends.source_serving import closing, definitions, laid_out, packed, packs, root_names, train_method
from nnspec.backends.source_steps import Finder
from nnspec.backends.source_text import Piece, Printer, bracketed, docstring
from nnspec.ir_nodes import nodes_of
from nnspec.layer import Code, Layer, Ref, call

MODES: tuple[ir.Mode, ...] = ("infer", "train")
_PLAIN = (int, float, bool, str, type(None), tuple)


class Blocks:
    """Writes the classes of an entry into `classes`; `name` is the entry's, `roots` the modules that they use.

    `parts` are methods of the entry's class besides `forward`.
    """

    def __init__(
        self, program: ir.Program, entry: ir.Entry, *, merged: bool = True, parts: Sequence[Part] = ()
    ) -> None:
        self.classes: list[list[str]] = []
        self.roots: set[str] = set()
        self._program = program
        self._merged = merged
        self._entry = entry
        self._parts = parts
        self._titles = {number: part.name for part in parts for number in part.methods.values()}
        self._order = _callees_first(program, entry.module)
        self._blocks = [n for n in self._order if program.modules[n].kind == "block"]
        self._layers = {n: _layer(program.modules[n]) for n in self._order if program.modules[n].kind == "layer"}
        self._externs = Externs(program, self._order, {*IMPORTED, *self._defined})
        self._possible = self._name_classes()
        """The names that the classes of each block may have."""
        self._reserved = frozenset(name for names in self._possible.values() for name in names)
        self._names: dict[int, str] = {}
        self._calls: dict[int, Piece] = {}
        """How the module of a block is made."""
        self._texts = Texts(program)
        self._places = Places(program)
        self._reached = {mode: self._reach(mode) for mode in MODES}
        self._layouts: dict[int, Layout] = {}
        self._variants: dict[tuple[ir.Mode, int], str] = {}
        """Mode and method -> the name of the Python method that does it."""
        self._ways: dict[Any, str] = {}
        self._optional: dict[int, dict[str, Piece]] = {}

    @property
    def imports(self) -> list[str]:
        """Statements that import the classes of externs."""
        return self._externs.imports()

    @property
    def name(self) -> str:
        """The class of the entry."""
        return self._names[self._entry.module]

    def write(self) -> None:
        """Write all classes."""
        self.classes += [text.strip("\n").split("\n") for text in self._defined.values()]
        self.roots |= root_names(self._defined)
        for group in groups(self._program, self._blocks):
            self._write_group(group)

    # --- what there is ---

    @cached_property
    def _defined(self) -> dict[str, str]:
        return definitions(self._entry, self._layers.values())

    def _name_classes(self) -> dict[Any, list[str]]:
        """Names for classes, by their block: its own; further specialisations are numbered."""
        taken = {*IMPORTED, *self._defined, *self._externs.names.values()}
        wanted = {n: identifier(self._program.modules[n].name) for n in self._blocks}
        reserved = set(wanted.values())
        counts: dict[str, int] = {}
        names: dict[Any, list[str]] = {}
        for number in self._blocks:
            base = name = wanted[number]
            while name in taken or (name != base and name in reserved):
                counts[base] = counts.get(base, 1) + 1
                name = f"{base}{'_' if base[-1].isdigit() else ''}{counts[base]}"
            taken.add(name)
            names.setdefault(block_of(self._program.modules[number]), []).append(name)
        return names

    def _reach(self, mode: ir.Mode) -> dict[int, list[int]]:
        """The methods that an entry's method of this mode comes to, by module, in order of calls."""
        starts = [form.methods.get(mode, form.methods["infer"]) for form in self._entry.choices]
        starts += [part.methods[mode] for part in self._parts if mode in part.methods]
        found: dict[int, list[int]] = {}
        seen = set(starts)
        stack = starts[::-1]
        while stack:
            number = stack.pop()
            method = self._program.methods[number]
            found.setdefault(method.module, []).append(number)
            for node in reversed(list(nodes_of(method.graph.nodes))):
                if isinstance(node, ir.Call) and node.method is not None and node.method not in seen:
                    seen.add(node.method)
                    stack.append(node.method)
        return found

    # --- a class ---

    def _write_group(self, group: Sequence[int]) -> None:
        """Write the classes of some modules of one block."""
        first = self._program.modules[group[0]]
        drafts = [self._draft(number) for number in group]
        for made in classes(drafts, lambda: self._texts.block(first), self._reserved, merged=self._merged):
            name = self._possible[block_of(first)].pop(0)
            for instance, draft in enumerate(made.drafts):
                self._names[draft.number] = name
                self._calls[draft.number] = made.call(name, instance)
            self.classes.append(self._class(made, name))

    def _draft(self, number: int) -> Draft:
        layout = self._layouts[number] = Layout(self._program, number, self._layouts)
        variants = self._forwards(number, layout)
        constructor = Constructor(layout, self._construct, self._reserved)
        if layout.module.members:
            constructor.write()
        self.roots |= {"nn"} | constructor.roots
        methods = [forward_lines(variant) for variant in variants] if layout.base != "Sequential" else []
        if number == self._entry.module and self._entry.serving is not None:
            if not constructor.lines:
                constructor.write()
            lines, roots = closing(self._entry)
            constructor.lines += lines
            self.roots |= roots
            methods.append(train_method())
        return Draft(number, layout.module, layout.base, constructor.lines, methods)

    def _class(self, made: Class, name: str) -> list[str]:
        first = made.drafts[0].module
        doc = (self._entry.doc if made.drafts[0].number == self._entry.module else "") or first.doc
        parameters = [piece.text for _, piece in made.signature]
        lines = [f"class {name}(nn.{made.drafts[0].base}):"]
        text = describe([d.module for d in made.drafts], doc, self._places.words(first.span), parameters)
        lines += docstring(text, 4)
        start = Line("", bracketed("def __init__(", [("", Piece("self")), *made.signature], ")"), ":")
        for head, body in [*([(start, made.init)] if made.init else []), *made.methods]:
            self._places.note(body, first.span)
            lines += ["", *head.render(4), *(text for line in body for text in line.render(8))]
        return lines

    def _construct(self, number: int, printer: Printer) -> Piece:
        layer = self._layers.get(number)
        if number in self._externs.modules:
            return printer(self._externs.construct(number))
        if layer is None:
            return self._calls[number]
        piece = printer(packed(layer) if packs(self._entry, layer) else layer.torch())
        piece.words = [name for name, spec in layer.fields.items() if spec.inferred or spec.required]
        piece.defaults = self._options(number, printer)
        return piece

    def _options(self, number: int, printer: Printer) -> dict[str, Piece]:
        """The arguments of a layer that may be left out, as they are."""
        found = self._optional.get(number)
        if found is None:
            layer = self._layers[number]
            free = [name for name, spec in layer.fields.items() if not spec.inferred and not spec.required]
            values = {name: getattr(layer, name) for name in free}
            found = {f"{n}=": printer(v) for n, v in values.items() if isinstance(v, _PLAIN)}
            self._optional[number] = found
        return found

    # --- forward ---

    def _forwards(self, number: int, layout: Layout) -> list[Variant]:
        """The Python methods of a class: bodies of equal text are one; those for training find their place beside."""
        wanted = [(mode, m) for mode in MODES for m in self._reached[mode].get(number, ())]
        methods = {m for _, m in wanted}
        layout.only_body = len(methods) == 1 and number != self._entry.module
        plans: dict[tuple[ir.Mode, int], tuple[list[Step], list[int]]] = {}
        for mode, m in wanted:
            if ("infer", m) in plans:
                plans[mode, m] = plans["infer", m]
                continue
            graph = self._program.methods[m].graph
            nodes = live_nodes(graph)
            uses = count_uses(graph, nodes)
            finder = Finder(graph, layout, self._way_in(layout, mode), uses)
            plans[mode, m] = finder.steps(nodes), uses
        if layout.base == "Sequential":
            self._variants.update(dict.fromkeys(wanted, "forward"))
            return []
        variants: list[Variant] = []
        titled: dict[str, list[Variant]] = {}
        texts: dict[int, Forward] = {}
        for mode, m in wanted:
            if m not in texts or self._program.methods[m].mode != "both":
                texts[m] = self._forward(m, mode, layout, *plans[mode, m])
            title = self._titles.get(m, "")
            alike = titled.setdefault(title, []) if title else variants
            at = _place(alike, mode, texts[m])
            self._variants[mode, m] = alike[at].name = title or self._forward_name(layout, at)
        variants += [variant for (variant,) in titled.values()]
        for variant in variants:
            self.roots |= variant.roots
        return variants

    def _forward_name(self, layout: Layout, at: int) -> str:
        name = f"forward{at + 1}" if at else "forward"
        while any(m.name == name for m in layout.module.members):
            name += "_"
        return name

    def _forward(self, number: int, mode: ir.Mode, layout: Layout, steps: list[Step], uses: list[int]) -> Forward:
        method = self._program.methods[number]
        is_entry = any(number in form.methods.values() for form in self._entry.choices)
        requires = method.requires if is_entry else ()
        reserved = self._reserved
        absent = absent_inputs(method, reserved)

        def express(step: Step, text: str, operands: Sequence[Any]) -> Code:
            words = self._input_words(step)
            given = [Ref(absent[w]) if o is None and w in absent else o for o, w in zip(operands, words, strict=False)]
            return self._call(layout, mode, step, text, given or operands)

        return written_forward(
            method,
            steps,
            uses,
            requires,
            reserved,
            reach=layout.access,
            through=layout.values,
            call=express,
            words=self._input_words,
            served=lambda names: laid_out(self._entry, method, names, self._plain(method)) if is_entry else [],
        )

    def _plain(self, method: ir.Method) -> set[str]:
        """The layers of a body that do not convolve images."""
        calls = [node for node in method.graph.nodes if isinstance(node, ir.Call) and node.method is None]
        layers = {node.path: self._layers.get(self._program.module_at(method.module, node.path)) for node in calls}
        return {path for path, layer in layers.items() if layer is None or not layer.channels_last}

    def _input_words(self, step: Step) -> Sequence[str]:
        node = step.node
        called = isinstance(node, ir.Call) and node.method is not None
        return self._program.methods[node.method].input_names if called else ()  # type: ignore[union-attr, index]

    def _call(self, layout: Layout, mode: ir.Mode, step: Step, text: str, operands: Sequence[Any]) -> Code:
        """How the layer or container of a step is called; `text` reaches it."""
        node = step.node
        assert isinstance(node, ir.Call)
        if step.kind == "run":
            return call(text, *operands)
        number = self._program.module_at(layout.number, node.path)
        layer = self._layers.get(number)
        if number in self._externs.modules:
            return self._externs.call(text, operands)
        if layer is not None:
            return layer.forward(Ref(text), *as_lists(layer, operands))
        assert node.method is not None
        name = self._variants[mode, node.method]
        given = [list(o) if isinstance(o, tuple) else o for o in operands]
        while given and given[-1] is None:
            given.pop()
        return call(text if name == "forward" else f"{text}.{name}", *given)

    def _way_in(self, layout: Layout, mode: ir.Mode) -> Any:
        def way(node: ir.Call) -> str:
            number = self._program.module_at(layout.number, node.path)
            layer = self._layers.get(number)
            if number in self._externs.modules:
                return ""
            if layer is None:
                assert node.method is not None
                name = self._variants[mode, node.method]
                return "" if name == "forward" else name
            operands = tuple(None if each is None else Ref(f"x{i}") for i, each in enumerate(node.inputs))
            key = (number, operands)
            if key not in self._ways:
                self._ways[key] = _way(layer, operands)
            return self._ways[key]

        return way


def _way(layer: Layer, operands: tuple[Any, ...]) -> str:
    """How a layer is called; "" for plain `layer(x0, x1)`."""
    text = Printer(str, "x0.device")(layer.forward(Ref("layer"), *operands)).text
    return "" if text == f"layer({', '.join(map(str, operands))})" else text


def _place(variants: list[Variant], mode: ir.Mode, forward: Forward) -> int:
    """The variant that holds this body in this mode, made or filled where there is none."""
    for at, variant in enumerate(variants):
        if variant.take(mode, forward):
            return at
    variants.append(Variant(mode, forward))
    return len(variants) - 1


def _layer(module: ir.Module) -> Layer:
    found = registry.find("layer", module.name)
    if found is None:
        raise ValueError(f"no layer is called {module.name!r}")
    layer: Layer = found(**{name: attr.value for name, attr in module.arguments.items()})
    return layer


def _callees_first(program: ir.Program, start: int) -> list[int]:
    """The modules below one and itself, each after those that it owns."""
    order: list[int] = []
    seen = {start}
    stack: list[tuple[int, Iterator[ir.Member]]] = [(start, iter(program.modules[start].members))]
    while stack:
        number, members = stack[-1]
        inner = next((m.module for m in members if m.module is not None and m.module not in seen), None)
        if inner is None:
            order.append(number)
            stack.pop()
        else:
            seen.add(inner)
            stack.append((inner, iter(program.modules[inner].members)))
    return order


def header(roots: set[str]) -> list[str]:
    """The imports that a file needs."""
    lines = ["from collections import OrderedDict"] if "OrderedDict" in roots else []
    lines += ["from fnmatch import fnmatchcase"] if "fnmatchcase" in roots else []
    lines += [""] if lines else []
    lines += ["import torch"] if "torch" in roots else []
    lines += ["import torch.nn.functional as F"] if "F" in roots else []
    lines += ["from torch import nn"] if "nn" in roots else []
    return ["", *lines] if lines else []
