"""The grammar's LALR tables: built by Lark from `grammar/nnspec.lark`, kept in a cache that only the user can write.

Lark and its table construction cost more CPU than checking a spec, so a warm start reads the tables from the cache
and imports no Lark. The cache is JSON, never code, and is believed only if it stems from this very grammar text.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# Count up whenever what `_build` returns changes its form.
FORMAT = 4
STARTS = ("file", "flow")


@dataclass(frozen=True, slots=True)
class Rule:
    """One production: how many symbols it takes, what it makes, and which method builds it from which symbols.

    `keep` holds the kept symbols in order: `(index, spliced)`, where -1 stands for an absent optional.
    `method` is empty for helper rules (a list for the rule around them) and for rules that pass their one child on.
    """

    size: int
    origin: str
    method: str
    keep: tuple[tuple[int, bool], ...]


@dataclass(frozen=True, slots=True)
class Tables:
    """An automaton: rows map a symbol to a state to go to, or to the complement (`~n`) of a rule to reduce by."""

    rows: tuple[dict[str, int], ...]
    rules: tuple[Rule, ...]
    starts: dict[str, int]
    ends: dict[str, int]
    literals: tuple[str, ...]
    patterns: dict[str, str]


def rule_symbol(name: str) -> str:
    """What a rule is called in the rows, where the word `block` is a token and `<block>` what is made of it."""
    return f"<{name}>"


def grammar_path() -> str:
    """Where the grammar lies: inside an installed package, else beside the package of a checkout."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    inside = os.path.join(package, "grammar", "nnspec.lark")
    return inside if os.path.exists(inside) else os.path.join(os.path.dirname(package), "grammar", "nnspec.lark")


def load() -> Tables:
    """The tables of the grammar, from the cache where it is warm and trusted."""
    with open(grammar_path(), encoding="utf-8") as file:
        grammar = file.read()
    path = _cache_path()
    tables = _read(path, grammar) if path else None
    if tables is None:
        data = _build(grammar)
        tables = _unpack(data)
        if path:
            _write(path, {"grammar": grammar, "tables": data})
    return tables


# --- the cache -------------------------------------------------------------------------------------------------------


def _cache_path() -> str | None:
    base = os.environ.get("XDG_CACHE_HOME") or (os.environ.get("LOCALAPPDATA") if os.name == "nt" else None)
    home = os.path.expanduser("~")
    if not base and not os.path.isabs(home):
        return None
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return os.path.join(base or os.path.join(home, ".cache"), "nnspec", f"grammar-{FORMAT}-py{version}.json")


def _private(status: os.stat_result, kind: Callable[[int], bool]) -> bool:
    """Whether a path is of a kind, belongs to this user, and can be written by nobody else."""
    if not kind(status.st_mode):
        return False
    return os.name == "nt" or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def _read(path: str, grammar: str) -> Tables | None:
    """The cached tables of this grammar; None if there are none, or if someone else could have written them."""
    try:
        if not _private(os.lstat(os.path.dirname(path)), stat.S_ISDIR):
            return None
        with open(path, encoding="utf-8") as file:
            if not _private(os.fstat(file.fileno()), stat.S_ISREG):
                return None
            data = json.load(file)
        return _unpack(data["tables"]) if data["grammar"] == grammar else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(path: str, data: dict[str, Any]) -> None:
    """Keep tables for the next start, all or nothing; a cache that cannot be written is no fault."""
    folder = os.path.dirname(path)
    partial = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        if not os.path.lexists(folder):
            os.mkdir(folder, 0o700)
        if not _private(os.lstat(folder), stat.S_ISDIR):
            return
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, separators=(",", ":"))
        os.replace(partial, path)
    except OSError:
        return


def _unpack(data: Any) -> Tables:
    name = data["symbols"].__getitem__
    return Tables(
        tuple(dict(zip(map(name, row[::2]), row[1::2])) for row in data["rows"]),  # noqa: B905 - no speed to spare
        tuple(Rule(size, origin, method, tuple(map(tuple, keep))) for size, origin, method, keep in data["rules"]),
        data["starts"],
        data["ends"],
        tuple(data["literals"]),
        data["patterns"],
    )


# --- building --------------------------------------------------------------------------------------------------------


def _build(grammar: str) -> dict[str, Any]:
    """Have Lark compute the automaton, in the form that the cache keeps.

    Token types are what stands in the text for literals (`->`, `model`), and the terminal's name for all others.
    """
    from lark import Lark  # the one import here: a warm start must not pay for it

    lark = Lark(grammar, parser="lalr", lexer="basic", start=list(STARTS))
    table = lark.parser.parser._parse_table
    names = {t.name: t.pattern.value if t.pattern.type == "str" else t.name for t in lark.terminals}
    order = list(table.start_states.values())
    numbers = {state: number for number, state in enumerate(order)}
    rules: dict[Any, int] = {}
    symbols: dict[str, int] = {}
    rows = []
    # Lark numbers its states differently each time: here they are numbered in the order in which symbols reach them.
    for state in order:
        row: list[int] = []
        for symbol, (action, target) in sorted(table.states[state].items()):
            if action.name == "Shift" and target not in numbers:
                numbers[target] = len(order)
                order.append(target)
            goal = numbers[target] if action.name == "Shift" else ~rules.setdefault(target, len(rules))
            name = symbol if symbol.isupper() else rule_symbol(symbol)
            row += [symbols.setdefault(names.get(symbol, name), len(symbols)), goal]
        rows.append(row)
    return {
        "symbols": list(symbols),
        "rows": rows,
        "rules": [_rule(rule) for rule in rules],
        "starts": {name: numbers[state] for name, state in table.start_states.items()},
        "ends": {name: numbers[state] for name, state in table.end_states.items()},
        "literals": sorted(t.pattern.value for t in lark.terminals if t.pattern.type == "str"),
        "patterns": {t.name: t.pattern.value for t in lark.terminals if t.pattern.type == "re"},
    }


def _rule(rule: Any) -> list[Any]:
    options = rule.options
    # Lark marks absent optionals between the symbols: True for one that is absent, False for each symbol.
    marks = options.empty_indices or (False,) * len(rule.expansion)
    keep: list[tuple[int, bool]] = []
    index = 0
    for absent in marks:
        if absent:
            keep.append((-1, False))
            continue
        symbol = rule.expansion[index]
        if options.keep_all_tokens or not (symbol.is_term and symbol.filter_out):
            keep.append((index, not symbol.is_term and symbol.name.startswith("_")))
        index += 1
    origin = str(rule.origin.name)
    method = str(rule.alias or origin)
    if origin.startswith("_") or (options.expand1 and not rule.alias and len(keep) == 1):
        method = ""
    return [len(rule.expansion), rule_symbol(origin), method, keep]
