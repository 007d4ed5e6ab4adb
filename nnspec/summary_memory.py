"""The memory of a model in words and in JSON: what it takes at given sizes, and what fits into a limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from textwrap import wrap
from typing import Any

from nnspec import ir, registry
from nnspec.memory import Measure, Memory, batch_symbol, largest, measurer
from nnspec.summary import SizeError, Summary, check_sizes
from nnspec.training.optimizer import Optimizer

DEFAULT_OPTIMIZER = "AdamW"
"""What training is worked out for where nothing says how."""

_MOST_SKIPPED = 1000
"""So many numbers of samples are skipped that a model does not take: too few, or not divided by what it needs."""

_LINE = 80
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether training, and inference, stay within so many bytes: here, and up to how many samples.

    None stands for what is not known: the sizes leave the number of samples open, or nothing is the number of samples.
    """

    limit: int
    symbol: str
    samples: int | None
    least: int
    """The smallest number of samples that the model takes; 0 where there is none, or none near 1."""
    training: bool | None
    most_training: int | None
    inference: bool | None
    most_inference: int | None


@dataclass(frozen=True, slots=True)
class MemoryReport:
    """What a model takes, trained with an optimizer; `memory` is None where sizes are open, or it was too much work."""

    optimizer: str
    memory: Memory | None
    fit: Fit | None = None


def optimizer_named(record: ir.Record | None) -> Optimizer:
    """The optimizer of a record, or the default one."""
    cls = registry.find("optimizer", DEFAULT_OPTIMIZER if record is None else record.name)
    assert cls is not None
    found: Optimizer = cls(**(record.arguments if record is not None else {}))
    return found


def report_memory(
    program: ir.Program, summary: Summary, sizes: Mapping[str, int], optimizer: Optimizer, limit: int | None = None
) -> MemoryReport | None:
    """What the main model takes; None where its sizes are open and no limit was given. Raises `SizeError`."""
    measure = measurer(program, program.main, optimizer)
    memory = None if summary.symbols else measure(sizes)
    title = type(optimizer).__name__
    if limit is None:
        return None if summary.symbols else MemoryReport(title, memory)
    symbol = batch_symbol(program, program.main)
    missing = [name for name in summary.symbols if name != symbol]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        raise SizeError(f"what fits depends on {names}: say `--size {','.join(f'{name}=...' for name in missing)}`")
    least, trained, infers = _most(program, sizes, symbol, measure, limit) if symbol else (0, None, None)
    now = None if memory is None else (memory.training <= limit, memory.inference <= limit)
    fit = Fit(limit, symbol, sizes.get(symbol), least, now and now[0], trained, now and now[1], infers)
    return MemoryReport(title, memory, fit)


def _most(
    program: ir.Program, sizes: Mapping[str, int], symbol: str, measure: Measure, limit: int
) -> tuple[int, int | None, int | None]:
    """The smallest number of samples that the model takes, and the largest that fit in training and in inference."""

    @cache
    def accepts(samples: int) -> bool:
        try:
            check_sizes(program, {**sizes, symbol: samples})
        except SizeError:
            return False
        return True

    @cache
    def found(samples: int) -> Memory | None:
        return measure({**sizes, symbol: samples})

    def accepted(samples: int) -> int:
        return next(filter(accepts, range(samples, max(samples - _MOST_SKIPPED, 0), -1)), 0)

    def most(part: Callable[[Memory], int]) -> int:
        def needs(samples: int) -> int | None:
            if samples < least:
                return 0
            memory = found(accepted(samples)) if accepted(samples) else None
            return None if memory is None else part(memory)

        return accepted(largest(needs, limit))

    least = next(filter(accepts, range(1, _MOST_SKIPPED + 1)), 0)
    if not least or found(least) is None:
        return least, None, None
    return least, most(lambda memory: memory.training), most(lambda memory: memory.inference)


def memory_lines(report: MemoryReport, parameters: int) -> list[str]:
    """Totals for people; `parameters` are the bytes of what is trained."""
    memory = report.memory
    lines = []
    if memory is not None:
        base = [("weights", memory.weights), ("inputs", memory.inputs)]
        rest = memory.inference - memory.weights - memory.inputs
        lines += _spelled("inference", memory.inference, "", [*base, ("activations", rest)])
        if parameters:
            rest = memory.training - memory.weights - memory.inputs - memory.optimizer
            parts = [*base, (report.optimizer, memory.optimizer), ("activations and gradients", rest)]
            lines += _spelled("training", memory.training, f" with {report.optimizer}", parts)
    elif report.fit is None:
        lines = ["memory      too many operators to follow"]
    if report.fit is not None:
        lines += _fit_lines(report, report.fit, parameters)
    return lines


def _spelled(what: str, total: int, how: str, parts: Sequence[tuple[str, int]]) -> list[str]:
    """A total and its parts, on a second line where one does not hold them."""
    text = f"{what:<11} {spell_bytes(total)} at most{how}: "
    # Neither a part nor a number and its unit are torn apart.
    text += ", ".join(f"{name} {spell_bytes(size)}".replace(" ", "\xa0") for name, size in parts if size)
    return [line.replace("\xa0", " ") for line in wrap(text, _LINE, subsequent_indent=" " * 12)]


def _fit_lines(report: MemoryReport, fit: Fit, parameters: int) -> list[str]:
    cases = [("inference", fit.inference, fit.most_inference)]
    if parameters:
        cases.append((f"training with {report.optimizer}", fit.training, fit.most_training))
    return [f"{'memory' if not at else '':<11} {_fits(*case, fit)}" for at, case in enumerate(cases)]


def _fits(what: str, now: bool | None, most: int | None, fit: Fit) -> str:
    limit = spell_bytes(fit.limit).replace(".0 ", " ")
    here = f" at {fit.symbol} = {fit.samples:,}" if fit.symbol and fit.samples else ""
    reach = f"at most {fit.symbol} = {most:,}" if most else f"not even {fit.symbol} = {fit.least:,}"
    reach = "" if most is None else reach
    if now is None:
        return f"{what} in {limit}: {reach or 'not known'}"
    return f"{what} {'fits' if now else 'does not fit'} in {limit}{here}" + (f"; {reach}" if reach else "")


def memory_json(report: MemoryReport) -> dict[str, Any]:
    """The fields that stand in the JSON of a summary; `None` where something is not known."""
    memory, fit = report.memory, report.fit
    found: dict[str, Any] = {"optimizer": report.optimizer}
    for name in ("weights", "inputs", "inference", "optimizer", "training"):
        found[f"{name}_bytes"] = None if memory is None else getattr(memory, name)
    found["kept_bytes"] = None if memory is None else memory.kept.get("", 0)
    if fit is not None:
        found["limit_bytes"] = fit.limit
        found["batch"] = fit.symbol or None
        found["fits"] = {"inference": fit.inference, "training": fit.training}
        found["most"] = {"inference": fit.most_inference, "training": fit.most_training}
    return found


def spell_bytes(size: int) -> str:
    """A number of bytes with a unit: 1 GB is 10^9 bytes."""
    power = min((len(str(size)) - 1) // 3, len(_UNITS) - 1)
    if not power:
        return f"{size} B"
    unit = 1000**power
    if size >= 1000 * unit:
        return f"{size // unit:,} {_UNITS[power]}"
    tenths = (size * 10 + unit // 2) // unit
    if tenths >= 10_000 and power < len(_UNITS) - 1:
        return f"1.0 {_UNITS[power + 1]}"
    return f"{tenths // 10}.{tenths % 10} {_UNITS[power]}"
