"""The arguments of a class that several instances of a block share: which there are, and what follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from nnspec import ir, registry
from nnspec.backends.source_fill import ANY, Differs
from nnspec.backends.source_formula import BlockText, Formula, Unreadable, binary, constant
from nnspec.backends.source_names import identifier, unique
from nnspec.backends.source_text import POSTFIX, Piece, Printer, bracketed
from nnspec.layer import Ref

MOST_OWN = 4
"""So many arguments a class may have that the block has not: with more of them the blocks are not alike."""

_COMPARE = 6
_LONGEST = 24
"""A longer name says less than its last part."""
_FEW = 8
_LARGE = 8
"""Numbers from here on are hardly by chance those of an argument."""
_SCALARS = (int, float, bool, str, type(None), Ref)


class Arguments:
    """What the constructor of a class takes, found while its statements are written.

    Candidates are the block's hyperparameters and the sizes that its symbols have. A value that differs between the
    instances is a candidate, or an expression over candidates that the author wrote, or a simple multiple; when it is
    none of these, it becomes an argument of its own. Whatever is chosen has the right value in every instance.
    """

    def __init__(self, modules: Sequence[ir.Module], text: BlockText | None, taken: set[str]) -> None:
        self._count = len(modules)
        self._taken = taken
        taken.add("_")
        self._printer = Printer(str, None)
        sizes = {name: [module.sizes.get(name) for module in modules] for name in modules[0].sizes}
        common = [name for name in modules[0].arguments if all(name in module.arguments for module in modules)]
        hypers = {name: [_scalar(module.arguments[name].value) for module in modules] for name in common}
        written = [*sizes, *hypers]
        names = dict(zip(written, unique(written, taken), strict=True))
        self._sizes = [self._candidate(names[n], v) for n, v in sizes.items() if _is_candidate(v)]
        self._hypers = [self._candidate(names[n], v) for n, v in hypers.items() if _is_candidate(v)]
        self._own: list[Formula] = []
        self._open: dict[str, list[Any]] = {}
        """The values of our own arguments, `ANY` where nothing needs one yet."""
        self._used: set[str] = set()
        defaults = text.defaults() if text is not None else {}
        self._defaults = {names[n]: v for n, v in defaults.items() if n in names}
        known = {n: self._known(names[n], v) for n, v in {**sizes, **hypers}.items()}
        self._pool = list(self._author(text, {n: f for n, f in known.items() if f is not None}))
        self._by_values: dict[object, Formula] = {}
        """The first of the pool that has these values: blocks are long."""
        for formula in self._pool:
            self._by_values.setdefault(_distinct(formula.values), formula)

    @staticmethod
    def _candidate(name: str, values: Sequence[Any]) -> Formula:
        return Formula(name, POSTFIX, values, frozenset((name,)))

    def _known(self, name: str, values: Sequence[Any]) -> Formula | None:
        if _is_candidate(values):
            return self._candidate(name, values)
        value = values[0]
        return constant(value, self._count) if type(value) in (int, float, bool, type(None)) and _same(values) else None

    @staticmethod
    def _author(text: BlockText | None, known: Mapping[str, Formula]) -> Iterator[Formula]:
        """Expressions of the author's whose values differ."""
        if text is not None and known:
            count = len(next(iter(known.values())).values)
            yield from (f for f in text.formulas(known, count) if not _same(f.values))

    # --- filling places ---

    def fill(self, values: tuple[Any, ...], word: str, *, own: bool = True, test: bool = False) -> Formula:
        """An expression that has these values; `word` names the place: `conv1.stride`. See `Fill`."""
        if test:
            return self.condition(values, word)
        last = word.rpartition(".")[2]
        named = [f for f in (*self._hypers, *self._sizes) if f.text == last]
        if _same([value for value in values if value is not ANY]):
            # One value in all instances that have the place: a number, unless its name or its size says more.
            known = next(value for value in values if value is not ANY)
            usual = [f for f in named if f.text in self._defaults and _equal(known, self._defaults[f.text])]
            telling = [*self._hypers, *self._sizes] if type(known) is int and known >= _LARGE else named
            telling = [f for f in telling if f not in usual]
            found = next((f for f in telling if _fits(f, values)), None)
            if found is None:
                raise Differs
            return self._use(found)
        for found in chain(
            named, self._hypers, self._sizes, self._own, self._written(values), self._simple(last == "count")
        ):
            fits = self._takes if found.text in self._open else _fits
            if fits(found, values):
                return self._use(found)
        for found in self._hypers:
            if found.text not in self._used and _fits(_floats(found), values):
                # `drop = 0` beside `drop = 0.1`: where it is used, it is a float.
                found.values = _floats(found).values
                return self._use(found)
        if not own or any(isinstance(value, Ref) for value in values):
            raise Differs
        return self._use(self._add(values, word))

    def _written(self, values: tuple[Any, ...]) -> Sequence[Formula]:
        """Those of the author's expressions that may have these values."""
        if any(value is ANY for value in values):
            return self._pool
        found = self._by_values.get(_distinct(values))
        return () if found is None else (found,)

    def condition(self, values: tuple[Any, ...], word: str) -> Formula:
        """An expression that is true in just these instances."""
        opposite = tuple(value if value is ANY else not value for value in values)
        for found in (*self._hypers, *self._own, *self._pool):
            fits = self._takes if found.text in self._open else _fits
            if fits(found, values):
                return self._use(found)
            if fits(found, opposite):
                self._use(found)
                negated = [not value for value in found.values]
                return Formula(f"not {found.within(_COMPARE)}", _COMPARE - 1, negated, found.names)
        for found in (*self._hypers, *self._sizes):
            for comparison in self._comparisons(found):
                if _fits(comparison, values):
                    return self._use(comparison)
        return self._use(self._add(values, word))

    def _use(self, formula: Formula) -> Formula:
        self._used |= formula.names
        return formula

    def _add(self, values: tuple[Any, ...], word: str) -> Formula:
        if len(self._own) == MOST_OWN:
            raise Differs
        parts = [part for part in word.split(".") if part.strip("_") and not part.isdecimal()]
        word = "_".join(parts) or "number"
        if len(word) > _LONGEST and parts[-1] not in self._taken:
            word = parts[-1]
        name = unique([identifier(word)], self._taken)[0]
        self._open[name] = list(values)
        own = self._candidate(name, _closed(values))
        self._own.append(own)
        return own

    def _takes(self, own: Formula, values: Sequence[Any]) -> bool:
        """Whether an argument of our own has these values, or can take them where nothing needed one before."""
        pairs = list(zip(self._open[own.text], values, strict=True))
        both = sum(a is not ANY and b is not ANY for a, b in pairs)
        few = min(sum(a is not ANY for a, _ in pairs), sum(b is not ANY for _, b in pairs))
        if 2 * both <= few or not all(a is ANY or b is ANY or _equal(a, b) for a, b in pairs):
            return False
        self._open[own.text] = [b if a is ANY else a for a, b in pairs]
        own.values = tuple(_closed(self._open[own.text]))
        return True

    def _simple(self, is_count: bool) -> Iterator[Formula]:
        """Products and quotients of candidates and small numbers; for counts, what is left after the first few."""
        numbers = [f for f in (*self._hypers, *self._sizes) if all(type(v) is int and v > 0 for v in f.values)]
        for found in numbers:
            for small in range(1, _FEW + 1):
                step = constant(small, self._count)
                if is_count and small < 4:
                    yield from _tried("-", found, step)
                if small > 1:
                    yield from _tried("*", step, found)
                    yield from _tried("//", found, step)
        for left in numbers[:_FEW]:
            for right in numbers[:_FEW]:
                if left is not right:
                    yield from _tried("*", left, right)
                    yield from _tried("//", left, right)

    def _comparisons(self, found: Formula) -> Iterator[Formula]:
        """`stride != 1` and `act is None` for the values that there are."""
        values = list(dict.fromkeys(found.values))
        if len(values) > _FEW:
            return
        for value in values:
            same, other = ("is", "is not") if value is None or isinstance(value, Ref) else ("==", "!=")
            for op, equal in ((same, True), (other, False)):
                text = f"{found.text} {op} {self._printer(value).text}"
                yield Formula(text, _COMPARE, [_python_equal(v, value) is equal for v in found.values], found.names)

    # --- the constructor and its calls ---

    @property
    def _parameters(self) -> list[Formula]:
        """The arguments in order: sizes, what the block does not know, hyperparameters."""
        return [f for f in (*self._sizes, *self._own, *self._hypers) if f.text in self._used]

    def _optional(self) -> set[str]:
        """Those that have a default: the last ones, up to one that has none."""
        found: set[str] = set()
        for each in reversed(self._parameters):
            if each.text not in self._defaults:
                break
            found.add(each.text)
        return found

    def signature(self) -> list[tuple[str, Piece]]:
        """The parameters of `__init__` after `self`."""
        optional = self._optional()
        values = {name: f"={self._printer(self._defaults[name]).text}" for name in optional}
        return [("", Piece(f.text + values.get(f.text, ""))) for f in self._parameters]

    def call(self, name: str, instance: int) -> Piece:
        """The call that makes an instance."""
        optional = self._optional()
        items, options = [], {}
        for parameter in self._parameters:
            value = parameter.values[instance]
            piece = self._printer(value)
            if parameter.text not in optional:
                items.append(("", piece))
                continue
            options[f"{parameter.text}="] = piece
            if not _equal(value, self._defaults[parameter.text]):
                items.append((f"{parameter.text}=", piece))
        made = bracketed(f"{name}(", items, ")")
        made.defaults = options
        made.words = [f.text for f in self._parameters if f.text not in optional]
        return made


def _scalar(value: Any) -> Any:
    """A value that an argument can be: plain ones, and classes of torch that need no arguments; else ANY."""
    if isinstance(value, ir.Record) and not value.arguments:
        layer = registry.find("layer", value.name)
        return Ref(f"nn.{value.name}") if layer is not None and not layer.definition else ANY
    return value if _is_plain(value) else ANY


def _floats(formula: Formula) -> Formula:
    """Numbers of which some are no whole ones: all of them as floats."""
    if {type(value) for value in formula.values} != {int, float}:
        return formula
    return Formula(formula.text, formula.level, [float(value) for value in formula.values], formula.names)


def _is_plain(value: Any) -> bool:
    """Whether an argument can hold it: a number, word or class, or a few of them."""
    if isinstance(value, tuple):
        return 0 < len(value) <= _FEW and all(_is_plain(part) for part in value)
    return type(value) in _SCALARS


def _is_candidate(values: Sequence[Any]) -> bool:
    return all(map(_is_plain, values)) and not _same(values)


def _same(values: Sequence[Any]) -> bool:
    return all(_equal(value, values[0]) for value in values)


def _equal(a: Any, b: Any) -> bool:
    """Whether Python could not tell them apart: 1, 1.0 and True are three values."""
    return type(a) is type(b) and repr(a) == repr(b)


def _distinct(values: Sequence[Any]) -> object:
    """What values have in common that are equal one by one."""
    return tuple((type(value), repr(value)) for value in values)


def _python_equal(a: Any, b: Any) -> bool:
    """What `==` says, or `is` where one is a class or None."""
    return isinstance(a, Ref) == isinstance(b, Ref) and bool(a == b)


def _closed(values: Sequence[Any]) -> list[Any]:
    """Values of which those that do not matter are like one that does."""
    known = next(value for value in values if value is not ANY)
    return [known if value is ANY else value for value in values]


def _fits(formula: Formula, values: Sequence[Any]) -> bool:
    return all(value is ANY or _equal(value, own) for value, own in zip(values, formula.values, strict=True))


def _tried(op: str, left: Formula, right: Formula) -> Iterator[Formula]:
    try:
        yield binary(op, left, right)
    except Unreadable:
        return
