"""Readable PyTorch source: what `compile` writes and what `load` runs is this one text, and torch is all it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nnspec import ir
from nnspec.backends.source_blocks import Blocks, header
from nnspec.backends.source_forward import function_lines
from nnspec.backends.source_live import joined
from nnspec.backends.source_names import IMPORTED, unique
from nnspec.backends.source_parts import with_parts
from nnspec.backends.source_text import docstring
from nnspec.training.metric_cut import cut


@dataclass(frozen=True, slots=True)
class Written:
    """A source file and the name in it that was asked for: a class, or functions in order."""

    text: str
    names: tuple[str, ...]


def emit(program: ir.Program, entry: ir.Entry | None = None) -> str:
    """The source of an entry's module: one class for each block in use, the entry's last."""
    return write_module(program, entry).text


def write_module(program: ir.Program, entry: ir.Entry | None = None, *, merged: bool = True) -> Written:
    """As `emit`, with the name of the entry's class; not `merged`, each instance of a block has a class of its own."""
    program, parts = with_parts(program, entry or program.main)
    blocks = Blocks(joined(program), entry or program.main, merged=merged, parts=parts)
    blocks.write()
    lines = [*docstring(f"{blocks.name} in PyTorch.", 0), *header(blocks.roots)]
    lines += ["", *blocks.imports] if blocks.imports else []
    for part in blocks.classes:
        lines += ["", "", *part]
    return Written("\n".join(lines) + "\n", (blocks.name,))


def emit_function(graph: ir.Graph, name: str, parameters: Sequence[str]) -> str:
    """The source of a plain function of tensors that computes a graph."""
    return _write_functions([(graph, name, parameters)]).text


def emit_training(training: ir.Training) -> str:
    """The source of `loss`, of a `metric_...` for each metric, and of a `finish_...` for those that have one."""
    return write_training(training).text


def write_training(training: ir.Training) -> Written:
    """As `emit_training`, with the functions' names: those of losses, then of metrics, then those that finish metrics.

    Losses and metrics take the same inputs. The function of a metric gives what its parts are updated with for a batch,
    the one that finishes it makes one number of those of an epoch (see `nnspec.training.metric_cut`).
    """
    parameters = [name for _, name in training.names]
    cuts = [(metric.name, cut(metric.graph)) for metric in training.metrics]
    functions = [(update.loss, f"loss_{update.name}".rstrip("_"), parameters) for update in training.updates]
    functions += [(each.gather, f"metric_{name}", parameters) for name, each in cuts]
    functions += [(each.finish, f"finish_{name}", each.names()) for name, each in cuts if each.finish is not None]
    return _write_functions(functions)


def write_finishing(training: ir.Training) -> Written:
    """The source of the `finish_...` alone, for models that gather their metrics themselves (see `source_parts`)."""
    cuts = [(metric.name, cut(metric.graph)) for metric in training.metrics]
    return _write_functions([(c.finish, f"finish_{n}", c.names()) for n, c in cuts if c.finish is not None])


def _write_functions(functions: Sequence[tuple[ir.Graph, str, Sequence[str]]]) -> Written:
    names = unique([name for _, name, _ in functions], set(IMPORTED))
    roots: set[str] = set()
    texts = []
    for (graph, _, parameters), name in zip(functions, names, strict=True):
        lines, used = function_lines(graph, name, unique(parameters, {*IMPORTED, *names}))
        texts.append(lines)
        roots |= used
    lines = header(roots)[1:]
    for part in texts:
        lines += ["", "", *part] if lines else part
    return Written("\n".join(lines) + "\n", tuple(names))
