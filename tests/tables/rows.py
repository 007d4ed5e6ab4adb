"""What the samples of one class or function came to."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

from nnspec.backends.onnx import DEFAULT_OPSET

from . import functions, modules, own
from .classes import said_as
from .judge import Sample, judge
from .reasons import reason_for

COLUMNS = ("samples", "literal", "said", "symbolic", "equal", "ONNX", "refused", "by reference")
"""What is counted."""


@dataclass
class Row:
    """Counts, the exceptions with their reasons, and what has no reason."""

    name: str
    form: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    exceptions: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    opset: int = DEFAULT_OPSET

    def line(self) -> str:
        """As a line of the table."""
        numbers = " | ".join(str(self.counts[column]) for column in COLUMNS)
        return f"| `{self.name}` | {self.form} | {numbers} |"

    def reasons(self) -> Counter[str]:
        """The exceptions, and how many samples each is about; those without a reason stand out."""
        return self.exceptions + Counter(f"**no reason known**: {fault}" for fault in self.faults)

    def fill(self, samples: Iterable[Sample]) -> bool:
        """Judge samples, whatever torch warns of while they are made; whether there were any."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for sample in samples:
                self.add(sample)
        return bool(self.counts["samples"])

    def add(self, sample: Sample) -> None:
        """Judge one more sample."""
        try:
            verdict = judge(sample, self.opset)
        except Exception as crash:
            self.faults.append(f"crash: {type(crash).__name__}: {str(crash).splitlines()[0]}")
            return
        onnx, _, why = verdict.onnx.partition(": ")
        self.counts["samples"] += 1
        self.counts["literal"] += sample.literal
        self.counts["said"] += not verdict.unsaid
        self.counts["symbolic"] += verdict.symbolic
        self.counts["equal"] += not verdict.unsaid and not verdict.differs
        self.counts["ONNX"] += onnx == "agrees"
        self.counts["refused"] += onnx == "refused"
        self.counts["by reference"] += verdict.reference
        if verdict.unsaid:
            self._except("not said", verdict.unsaid)
        if verdict.differs:
            self._except("differs", verdict.differs)
        if onnx == "differs":
            self._except("ONNX differs", why)
        if onnx == "refused":
            self.exceptions[f"no ONNX: {why}"] += 1

    def _except(self, kind: str, what: str) -> None:
        reason = reason_for(self.name, what)
        if reason:
            self.exceptions[f"{kind}: {reason}"] += 1
        else:
            self.faults.append(f"{kind}: {what}")


@cache
def row_of_class(name: str, opset: int = DEFAULT_OPSET) -> Row:
    """Of a class of `torch.nn`: the samples of `module_db`, or our own where it has none."""
    form = said_as(name)
    row = Row(name, form if form == "layer" else f"`{form}`", opset=opset)
    if not row.fill(modules.samples(name)):
        row.fill(own.samples(name))
        row.form += ", own cases"
    return row


@cache
def row_of_function(name: str, opset: int = DEFAULT_OPSET) -> Row:
    """Of a function, from `op_db`."""
    row = Row(name, opset=opset)
    row.form = ", ".join(dict.fromkeys(f"`{entry.info.name}`" for entry in functions.entries(name)))
    row.fill(functions.samples(name))
    return row
