"""Compares an ONNX model in ONNX Runtime with another implementation of the same entry, at several sizes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from nnspec import ir
from nnspec.backends.onnx_inputs import random_inputs, trial_sizes
from nnspec.diagnostics import Diagnostic, error
from nnspec.types import is_float

Reference = Callable[[dict[str, np.ndarray]], Sequence[np.ndarray]]
"""Inputs by name to the outputs in order."""

TOLERANCE = {"float64": 1e-9, "float32": 1e-5, "float16": 1e-2, "bfloat16": 5e-2}
"""Largest difference that counts as equal, relative to the largest magnitude in the output where that exceeds 1."""


class VerifyError(Exception):
    """The comparison could not be made; the reason is in `diagnostic`."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True)
class Difference:
    """How one output compares at one assignment of sizes."""

    output: str
    absolute: float
    relative: float
    """Of the largest absolute difference to the largest magnitude."""
    problem: str = ""
    """Why it fails; empty when it agrees."""


@dataclass(frozen=True, slots=True)
class Case:
    """One run: the sizes of the symbols and what came out."""

    sizes: Mapping[str, int]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All runs."""

    cases: tuple[Case, ...]

    @property
    def ok(self) -> bool:
        """Whether all outputs agree everywhere."""
        return not any(d.problem for case in self.cases for d in case.differences)

    def __str__(self) -> str:
        return "\n".join(_line(case, d) for case in self.cases for d in case.differences)


def _line(case: Case, d: Difference) -> str:
    sizes = ", ".join(f"{name} = {size}" for name, size in case.sizes.items())
    where = f"{d.output} at {sizes}" if sizes else d.output
    return f"{where}: {d.problem or f'max difference {d.absolute:.2g} (relative {d.relative:.2g})'}"


def verify(
    model: onnx.ModelProto | str | Path,
    reference: Reference,
    program: ir.Program,
    entry: ir.Entry,
    *,
    sizes: Sequence[Mapping[str, int]] = (),
    tolerance: Mapping[str, float] = TOLERANCE,
    seed: int = 0,
    given: Collection[str] = (),
) -> Report:
    """Run a model (or a file of one) and the reference on the same random inputs.

    `sizes` are assignments to the entry's symbols; by default three small ones that satisfy its requirements, the first
    with batch 1. `given` are the optional inputs that the model has. Raises `VerifyError` when ONNX Runtime is missing
    or refuses the model.
    """
    method = program.methods[entry.methods_with(given)["infer"]]
    chosen = list(sizes) or trial_sizes(method)
    if not chosen:
        raise VerifyError(error("NNS506", f"no small sizes satisfy what `{entry.name}` requires", entry.span))
    run = _session(model)
    generator = np.random.default_rng(seed)
    cases = []
    for assignment in chosen:
        inputs = random_inputs(program, method, assignment, generator)
        expected = [np.asarray(array) for array in reference(inputs)]
        found = run(inputs)
        pairs = zip(found.items(), expected, strict=True)
        differences = tuple(_compare(name, got, want, tolerance) for (name, got), want in pairs)
        cases.append(Case(dict(assignment), differences))
    return Report(tuple(cases))


def _session(model: onnx.ModelProto | str | Path) -> Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    try:
        # Only a comparison needs it, and it may be absent.
        import onnxruntime
    except ImportError:
        message = "comparing with ONNX Runtime needs the package `onnxruntime`, which is not installed"
        raise VerifyError(error("NNS504", message, None, helps=("pip install onnxruntime",))) from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    source = str(model) if isinstance(model, str | Path) else model.SerializeToString()
    # Its exceptions have no base class of their own: any of them means that the model cannot be run.
    try:
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as reason:
        raise VerifyError(error("NNS506", f"ONNX Runtime refuses the model: {_first_line(reason)}", None)) from reason
    names = [output.name for output in session.get_outputs()]

    def run(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        try:
            return dict(zip(names, session.run(None, inputs), strict=True))
        except Exception as reason:
            shapes = ", ".join(f"{name}: {list(array.shape)}" for name, array in inputs.items())
            message = f"ONNX Runtime fails for {shapes}: {_first_line(reason)}"
            raise VerifyError(error("NNS506", message, None)) from reason

    return run


def _first_line(reason: Exception) -> str:
    return str(reason).strip().split("\n", 1)[0][:500]


def _compare(name: str, got: np.ndarray, want: np.ndarray, tolerance: Mapping[str, float]) -> Difference:
    if got.dtype != want.dtype or got.shape != want.shape:
        kinds = [f"{array.dtype}{list(array.shape)}" for array in (got, want)]
        return Difference(name, np.inf, np.inf, f"is {kinds[0]} in ONNX Runtime and {kinds[1]} in torch")
    if not is_float(got.dtype.name):
        count = int(np.count_nonzero(got != want))
        problem = f"{count} of {got.size} elements differ" if count else ""
        return Difference(name, float(count > 0), float(count > 0), problem)
    a, b = got.astype(np.float64), want.astype(np.float64)
    # Equal infinities have no difference, and neither have two numbers that are both undefined.
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        gaps = np.where(same, 0.0, np.abs(a - b))
    absolute = float(np.nan_to_num(gaps, nan=np.inf).max(initial=0.0))
    magnitude = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    limit = tolerance[got.dtype.name] * max(1.0, magnitude)
    relative = absolute / magnitude if magnitude else absolute
    problem = (
        "" if absolute <= limit else f"max difference {absolute:.2g} (relative {relative:.2g}) exceeds {limit:.2g}"
    )
    return Difference(name, absolute, relative, problem)
