"""The plain settings of a `train` section: numbers, words, and the records of `checkpoint` and `early_stopping`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from nnspec import ir
from nnspec.arguments import Arguments
from nnspec.diagnostics import error
from nnspec.elaborate.binding import check_value, decimal, unknown_argument
from nnspec.elaborate.expressions import evaluate
from nnspec.elaborate.overrides import parse_setting
from nnspec.elaborate.train_section import Section, is_given, is_none, translated, written
from nnspec.elaborate.values import Fault, Record, Silent
from nnspec.suggest import suggest
from nnspec.syntax import ast
from nnspec.training.metric_cut import cut
from nnspec.training.settings import Settings, Turn

_PLAIN = {**Turn.fields, **Settings.fields}

MONITORED = {"checkpoint": "best", "early_stopping": "monitor"}
"""The records that name a number to follow, and where."""


def plain_settings(section: Section) -> dict[str, Any]:
    """All plain settings, defaults filled in; faults are reported."""
    values = some_settings(section, Settings.fields)
    made = Settings(**values)
    translated(section, "settings", made.check)
    complete = made.complete()
    ways = [name for name in ("validation", "fold", "split") if is_given(section, name)]
    off = {"fold": "fold" not in values, "validation": is_none(written(section, "validation"))}
    ways = [name for name in ways if not off.get(name)]
    if ways and ways != ["split"]:
        _check_one_way(section, ways, values)
        complete["split"] = 0.0
    return complete


def some_settings(section: Section, names: Iterable[str]) -> dict[str, Any]:
    """Those of some plain settings that are set; faults are reported."""
    values: dict[str, Any] = {}
    for name in names:
        try:
            found = _setting(section, name)
            if found is not None:
                values[name] = found
        except Fault as fault:
            section.fail(fault)
        except Silent:
            section.frame.failed = True
    return values


def _check_one_way(section: Section, ways: list[str], values: dict[str, Any]) -> None:
    """What is validated on is said once."""
    if len(ways) > 1 and not (len(ways) == 2 and values.get("split") == 0):
        message = f"`{ways[0]}` and `{ways[1]}` both say what is validated on"
        span = section.spans.get(f"settings.{ways[1]}") or section.head
        raise Fault(error("NNS603", message, span, "says it again", helps=("give one of the two",)))


def _setting(section: Section, name: str) -> Any:
    spec = _PLAIN[name]
    cls = Settings.records.get(name)
    if cls is not None:
        return _record(section, name, cls)
    node = written(section, name, spec.kind)
    if node is None:
        return None
    section.spans[f"settings.{name}"] = node.span
    value = evaluate(section.frame, node)
    try:
        return check_value("train", spec, value, node.span, decimal(node))
    except Fault as fault:
        raise Fault(replace(fault.diagnostic, helps=_meant(name, value) or fault.diagnostic.helps)) from None


def _meant(name: str, value: Any) -> tuple[str, ...]:
    """What a value of the wrong kind most likely says."""
    if name == "fold" and _is_count(value) and value > 1:
        return (f"a part and the number of parts: `fold = (0, {value})` validates on the first of {value}",)
    if name == "precision" and _is_count(value) and value in (16, 32):
        return ('write "16-mixed"' if value == 16 else 'write "32"',)
    return ()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _record(section: Section, name: str, cls: type[Arguments]) -> dict[str, Any] | None:
    """A setting such as `(every=500, keep=3)`, complete; parts of it may be set from outside."""
    values: dict[str, Any] = {}
    node = written(section, name)
    if node is not None:
        section.spans[f"settings.{name}"] = node.span
        values = _given(section, name, cls, node)
    start = f"{name}."
    for path, text in section.overrides.items():
        if path.startswith(start):
            values |= _from_outside(section, path, cls, path.removeprefix(start), text)
    if not values and (node is None or name == "early_stopping"):
        return None
    missing = [n for n, f in cls.fields.items() if f.required and n not in values]
    if missing:
        span = section.spans.get(f"settings.{name}", section.head)
        notes = [f"`{n}`: {cls.fields[n].doc}" for n in missing]
        helps = (f"write `{name} = ({missing[0]}=..., ...)`",)
        raise Fault(error("NNS302", f"`{name}` needs `{missing[0]}`", span, "missing", notes=notes, helps=helps))
    return dict(cls(**values).__dict__)


def _given(section: Section, name: str, cls: type[Arguments], node: ast.Expr) -> dict[str, Any]:
    value = evaluate(section.frame, node)
    if value is None:
        return {}
    if not isinstance(value, Record):
        example = ", ".join(f"{n}=..." for n in list(cls.fields)[:2])
        message = f"`{name}` is a record: `{name} = ({example})`"
        fits = name == "early_stopping" and _is_count(value)
        helps = (f"say what the number is: `{name} = (patience={value})`",) if fits else ()
        raise Fault(error("NNS303", message, node.span, "not a record", helps=helps))
    items = {i.name: i for i in node.items} if isinstance(node, ast.Tuple) else {}
    values = {}
    for key, each in value.items():
        item = items.get(key)
        if key not in cls.fields:
            argument = item or ast.Argument(node.span, key, node)
            raise unknown_argument(name, cls.fields, argument)
        place = item.value if item is not None else node
        section.spans[f"settings.{name}.{key}"] = place.span
        values[key] = check_value(name, cls.fields[key], each, place.span, decimal(place))
    return values


def _from_outside(section: Section, path: str, cls: type[Arguments], key: str, text: Any) -> dict[str, Any]:
    spec = cls.fields.get(key)
    if spec is None:
        close = suggest(key, cls.fields)
        helps = [f"did you mean `{close}`?"] if close else [f"it has {', '.join(cls.fields)}"]
        name = path.partition(".")[0]
        raise Fault(error("NNS314", f"`{name}` has no part `{key}`", section.head, helps=helps))
    section.consumed.add(path)
    node = parse_setting(section.session, f"train.{path}", text, spec.kind)
    section.spans[f"settings.{path}"] = node.span
    return {key: check_value(path, spec, evaluate(section.frame, node), node.span, decimal(node))}


# --- the numbers that a run follows ----------------------------------------------------------------------------------


def check_monitored(
    section: Section, settings: dict[str, Any], metrics: Sequence[ir.Metric], losses: Sequence[str] = ()
) -> None:
    """Report names of numbers to follow that the run does not have, and those of which nobody knows which way is up.

    `losses` are those of several updates.
    """
    losses = losses or ("loss",)
    known = [*losses, *(metric.name for metric in metrics)]
    known += [f"val/{name}" for name in known]
    for name, key in MONITORED.items():
        found = settings[name]
        if name == "early_stopping" and found is not None and found[key] is None and len(losses) > 1:
            message = "there are several losses, and nothing says which number is to become better"
            helps = (f'say it: `{name} = (patience={found["patience"]}, {key}="val/{losses[0]}")`',)
            span = section.spans.get(f"settings.{name}") or section.head
            section.fail(Fault(error("NNS615", message, span, f"no `{key}`", helps=helps)))
        if found is None or found[key] is None:
            continue
        span = section.spans.get(f"settings.{name}.{key}") or section.head
        number = found[key]
        if number not in known:
            close = suggest(number, known)
            helps = (f'did you mean "{close}"?',) if close else (f"there are {', '.join(known)}",)
            message = f'there is no number "{number}" to follow'
            section.fail(Fault(error("NNS615", message, span, "neither the loss nor a metric", helps=helps)))
        elif found["mode"] is None and not _is_known(number, metrics):
            message = f'nothing says whether more or less of "{number}" is better'
            helps = (f'say it: `{name} = ({key}="{number}", mode="max", ...)`',)
            section.fail(Fault(error("NNS615", message, span, "an expression of its own", helps=helps)))


def _is_known(number: str, metrics: Sequence[ir.Metric]) -> bool:
    """Whether it is known if less or more of a number that a run follows is better."""
    name = number.removeprefix("val/")
    graphs = [metric.graph for metric in metrics if metric.name == name]
    return not graphs or cut(graphs[0]).higher_is_better() is not None
