"""Writing how parameters start: the end of an `__init__`, as one would write what `params` says in the spec.

Settings stand in the spec's order, so that later ones win; they become loops over `self.modules()` and
`self.named_parameters()`. Whether such loops do what the spec says depends on the module: a tied parameter has several
owners, and a class of torch may have parts of its own. So their effect is worked out first, and where it would be
another one, every parameter is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from itertools import groupby
from typing import Any

from nnspec import ir, registry
from nnspec.backends.source_line import Line
from nnspec.backends.source_names import plain
from nnspec.backends.source_plan import Layout
from nnspec.backends.source_text import Piece, Printer, bracketed, checked, quote
from nnspec.initializers import way
from nnspec.layer import ShapeError
from nnspec.patterns import kinds, matches, named, winners

FEW = 3
"""So many parameters are named one by one; more are a loop over their names."""


class Settings:
    """The lines for the settings of a block that has some.

    `tensor` writes a constant tensor (and what it needs in front of it), `construct` is the call of a block's class.
    """

    def __init__(
        self,
        layout: Layout,
        printer: Printer,
        tensor: Callable[[ir.Graph], Piece],
        construct: Callable[[int, Printer], Piece],
    ) -> None:
        self._layout = layout
        self._print = printer
        self._construct = construct
        self._modules = layout.program.modules
        module = layout.module
        self._settings = module.settings
        self._values = [None if s.value is None else tensor(s.value) for s in module.settings]
        self._found = [f for f in named(self._modules, module.members, module.ties) if f.member.kind == "param"]
        self._wanted = winners(module.settings, (f for f in self._found if f.owner == f.path))

    def lines(self) -> list[Line]:
        """The statements, in order."""
        runs = [list(run) for _, run in groupby(range(len(self._settings)), self._style)]
        effect: dict[str, int] = {}
        for run in runs:
            touched = self._effect(run)
            if touched is None:
                return self._each()
            effect |= touched
        if {p: self._content(n) for p, n in effect.items()} != {p: self._content(n) for p, n in self._wanted.items()}:
            return self._each()
        return [line for run in runs for line in self._run(run)]

    # --- what a setting is written as, and what that does ---

    def _style(self, number: int) -> str:
        setting = self._settings[number]
        if setting.layer:
            return "layers"
        few = setting.pattern.count("*") <= setting.pattern.endswith(".*") and len(self._direct(number)) <= FEW
        return "direct" if few else "names"

    def _direct(self, number: int) -> list[str]:
        pattern = self._settings[number].pattern
        return [f.path for f in self._found if f.owner == f.path and matches(pattern, f.path)]

    def _effect(self, run: Sequence[int]) -> dict[str, int] | None:
        """What the statements for a run of settings fill last, by canonical name; None when torch would refuse."""
        style = self._style(run[0])
        touched: list[tuple[str, int]] = []
        if style == "layers" and self._has_parts and (self._has_wrapped or self._is_inside(run)):
            return None
        if style == "direct":
            touched = [(path, number) for number in run for path in self._direct(number)]
        elif style == "layers":
            for found in self._found:
                for kind, path in found.within:
                    number = self._of_kind(run, kind, path)
                    if number is not None:
                        touched.append((found.owner, number))
        else:
            seen: set[str] = set()
            for found in self._found:
                number = next((n for n in reversed(run) if matches(self._settings[n].pattern, found.path)), None)
                if number is not None and found.owner not in seen:
                    touched.append((found.owner, number))
                seen.add(found.owner)
        types = {f.path: f.member.type for f in self._found}
        for path, number in touched:
            init, type_ = self._settings[number].init, types[path]
            assert type_ is not None
            try:
                if init is not None:
                    way(init).check(type_)
            except ShapeError:
                return None
            if init is None and self._wanted.get(path) != number:
                return None
        return dict(touched)

    def _of_kind(self, run: Sequence[int], kind: str, path: str) -> int | None:
        """The last setting of a run about a kind of layer that matches a path inside it."""
        about = (n for n in reversed(run) if self._settings[n].layer == kind)
        return next((n for n in about if matches(self._settings[n].pattern, path)), None)

    def _content(self, number: int) -> object:
        setting = self._settings[number]
        return (setting.init.function, repr(setting.init.arguments)) if setting.init is not None else number

    # --- statements ---

    def _run(self, run: Sequence[int]) -> list[Line]:
        style = self._style(run[0])
        if style == "direct":
            return [line for n in run for path in self._direct(n) for line in self._fill(n, self._layout.access(path))]
        return self._by_layer(run) if style == "layers" else self._by_name(run)

    def _fill(self, number: int, target: str, deeper: int = 0) -> list[Line]:
        init, value = self._settings[number].init, self._values[number]
        span = self._settings[number].span
        if init is None:
            assert value is not None
            self._print.roots.add("torch")
            copy = bracketed(f"{target}.copy_(", [("", value)], ")")
            return [
                Line("with torch.no_grad()", Piece(""), ":", deeper=deeper, span=span),
                Line("", copy, deeper=deeper + 4, span=span),
            ]
        return [Line("", filling(self._print, target, init), deeper=deeper, span=span)]

    def _by_name(self, run: Sequence[int]) -> list[Line]:
        """A loop over all names; the last pattern is asked first."""
        needed = list(reversed(run))
        conditions = [self._condition(self._settings[n].pattern) for n in needed]
        if "" in conditions:
            needed = needed[: conditions.index("") + 1]
        if conditions[0] == "":
            return [_head("for parameter in self.parameters()"), *self._fill(needed[0], "parameter", 4)]
        lines = [_head("for name, parameter in self.named_parameters()")]
        for word, number, condition in zip(_words(), needed, conditions, strict=False):
            lines.append(_head(f"{word} {condition}" if condition else "else", 4))
            lines += self._fill(number, "parameter", 8)
        return lines

    def _condition(self, pattern: str) -> str:
        """Whether `name` matches, in Python; "" where every name does."""
        parts = pattern.split("*")
        if not any(parts):
            return ""
        if len(parts) == 1:
            return f"name == {quote(pattern)}"
        if len(parts) == 2 and not parts[0]:
            return f"name.endswith({quote(parts[1])})"
        if len(parts) == 2 and not parts[1]:
            return f"name.startswith({quote(parts[0])})"
        if len(parts) == 3 and not parts[0] and not parts[2]:
            return f"{quote(parts[1])} in name"
        self._print.roots.add("fnmatchcase")
        return f"fnmatchcase(name, {quote(pattern)})"

    def _by_layer(self, run: Sequence[int]) -> list[Line]:
        """A loop over all modules, one branch for each class."""
        lines = [_head("for module in self.modules()")]
        layers = dict.fromkeys(self._settings[n].layer for n in run)
        for word, layer in zip(_words(), layers, strict=False):
            classes = self._classes(layer)
            shown = f"({', '.join(classes)})" if len(classes) > 1 else classes[0]
            exact = self._has_parts and classes[0].startswith("nn.")
            test = f"type(module) is {shown}" if exact else f"isinstance(module, {shown})"
            lines.append(_head(f"{word} {test}", 4))
            lines += self._parameters(run, layer)
        return lines

    def _parameters(self, run: Sequence[int], layer: str) -> list[Line]:
        """What happens to the parameters of one kind of layer."""
        instances: dict[str, list[str]] = {}
        for found in self._found:
            for kind, path in found.within:
                if kind == layer:
                    instances.setdefault(found.path.removesuffix(path), []).append(path)
        paths = dict.fromkeys(path for inner in instances.values() for path in inner)
        fills = {path: n for path in paths if (n := self._of_kind(run, layer, path)) is not None}
        if len(fills) == len(paths) > 1 and len({self._content(n) for n in fills.values()}) == 1:
            number = next(iter(fills.values()))
            return [_head("for parameter in module.parameters()", 8), *self._fill(number, "parameter", 12)]
        lines = []
        for path, number in fills.items():
            if all(path in inner for inner in instances.values()) and len(instances) == self._count(layer):
                lines += self._fill(number, _reached("module", path), 8)
            elif path in ("weight", "bias"):
                lines += [_head(f"if module.{path} is not None", 8), *self._fill(number, f"module.{path}", 12)]
            else:
                lines.append(_head("for name, parameter in module.named_parameters()", 8))
                lines += [_head(f"if name == {quote(path)}", 12), *self._fill(number, "parameter", 16)]
        return lines

    def _each(self) -> list[Line]:
        """Every parameter by its name."""
        lines = []
        for number in dict.fromkeys(self._wanted[path] for path in self._wanted):
            paths = [path for path, n in self._wanted.items() if n == number]
            if len(paths) <= FEW:
                lines += [line for path in paths for line in self._fill(number, self._layout.access(path))]
                continue
            names = bracketed("(", [("", Piece(quote(path))) for path in paths], ")")
            lines.append(Line("for name in ", names, ":"))
            lines += self._fill(number, "self.get_parameter(name)", 4)
        return lines

    # --- classes ---

    def _below(self) -> Iterable[int]:
        """The modules below the block, each as often as it is there."""
        stack = [m.module for m in self._layout.module.members if m.module is not None]
        while stack:
            number = stack.pop()
            yield number
            stack += [m.module for m in self._modules[number].members if m.module is not None]

    def _count(self, layer: str) -> int:
        return sum(layer in kinds(self._modules[number]) for number in self._below())

    def _classes(self, layer: str) -> list[str]:
        """The classes that a kind of layer is in the source."""
        found: set[str] = set()
        for number in set(self._below()):
            module = self._modules[number]
            names = kinds(module)
            if names[:1] == (layer,):
                found.add(self._construct(number, self._print).text.partition("(")[0])
            elif layer in names:
                record = module.arguments["layer"].value
                while record.name != layer:
                    record = record.arguments["layer"]
                cls = registry.find("layer", layer)
                assert cls is not None
                found.add(cls(**record.arguments).torch().name)
        return sorted(found)

    @property
    def _has_parts(self) -> bool:
        """Whether a library layer is made of modules that are no layers of the spec."""
        found = (self._modules[number] for number in set(self._below()))
        layers = (module for module in found if module.kind == "layer" and len(kinds(module)) == 1)
        return any("." in member.name for module in layers for member in module.members)

    def _is_inside(self, run: Sequence[int]) -> bool:
        """Whether a library layer is made of layers, some of a kind that these settings are about."""
        about = {self._settings[number].layer for number in run}
        modules = [self._modules[number] for number in set(self._below())]
        return any(
            _is_made_of(m.name, {n: a.value for n, a in m.arguments.items()}, about)
            for m in modules
            if m.kind == "layer"
        )

    @property
    def _has_wrapped(self) -> bool:
        return any(len(kinds(self._modules[number])) > 1 for number in set(self._below()))


def _is_made_of(name: str, arguments: Mapping[str, Any], kinds: Set[str]) -> bool:
    """Whether torch's module of a layer holds modules of these kinds of layers."""
    cls = registry.find("layer", name)
    parts = [] if cls is None else cls(**arguments).parts().values()
    return any(type(part).__name__ in kinds or _is_made_of(type(part).__name__, vars(part), kinds) for part in parts)


def filling(printer: Printer, target: str, init: ir.Initializer) -> Piece:
    """The call that fills a tensor: `nn.init.normal_(self.cls, std=0.02)`."""
    printer.roots.add("nn")
    fields = way(init).fields
    items = [("", Piece(target))]
    items += [("" if fields[n].required else f"{checked(n)}=", printer(v)) for n, v in init.arguments.items()]
    return bracketed(f"nn.init.{checked(init.function)}_(", items, ")")


def _words() -> Iterable[str]:
    yield "if"
    while True:
        yield "elif"


def _head(text: str, deeper: int = 0) -> Line:
    return Line(text, Piece(""), ":", deeper=deeper)


def _reached(owner: str, path: str) -> str:
    text = owner
    for name in path.split("."):
        text = f"{text}.{name}" if plain(name) else f"getattr({text}, {quote(name)})"
    return text
