"""The part of the intermediate representation that a `train` section becomes; `nnspec.ir` has its names as well."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nnspec.diagnostics import Span
    from nnspec.ir import Graph, Record
    from nnspec.types import TensorType


@dataclass(frozen=True, slots=True)
class Metric:
    """A number to watch: a scalar graph over the same inputs as the loss."""

    name: str
    graph: Graph


@dataclass(frozen=True, slots=True)
class Group:
    """`params PATTERN { lr = ... }` in a `train` section: how the parameters are trained that the pattern means.

    `settings` are arguments of the optimizer by name, and `freeze`; `optimizer` is another one in its place. Of several
    groups that mean a parameter, the last one that says a thing counts for that thing (see `nnspec.patterns`).
    """

    pattern: str
    layer: str = ""
    """The layer or block that the pattern is relative to; empty for the model."""
    settings: dict[str, Any] = field(default_factory=dict)
    optimizer: Record | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """How parameters are updated: the loss, and what makes it smaller. Nameless where a section has only this one."""

    loss: Graph
    optimizer: Record
    groups: tuple[Group, ...] = ()
    schedule: Record | None = None
    name: str = ""
    span: Span | None = None
    params: tuple[str, ...] = ()
    """Patterns of the parameters that it trains; none: all of them."""
    every: int = 1
    """It is taken in every so manieth step."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the section that are others here: `clip_grad_norm`, ..."""
    held: Graph | None = None
    """The loss in inference, where it calls a model that computes something else there."""


@dataclass(frozen=True, slots=True)
class Training:
    """A `train` section: everything that `nnspec run` needs besides the model.

    Inputs of the loss and metric graphs are named by `names`: `("model", output)`, `("data", field)`, or
    `("clock", "step" | "epoch")`: how many steps or epochs are done, as a float32 without dimensions.

    Several `models` are members of the one module of the entry. Its methods work out what is bound once a batch, and
    the graphs of losses and metrics (these in inference) call layers of it.
    """

    entry: int
    data: Record
    fields: dict[str, TensorType]
    """Fields of the data, transformed, with their types; the batch is the first dimension (symbol `batch`)."""
    inputs: dict[str, str]
    """Model input -> field of the data."""
    names: tuple[tuple[Literal["model", "data", "clock"], str], ...]
    updates: tuple[Update, ...]
    """What is done with every batch, in order."""
    metrics: tuple[Metric, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    """epochs, batch_size, seed, weights, split, ...: each with its default filled in."""
    span: Span | None = None
    validation: Record | None = None
    """Data of its own to validate on, of the same fields."""
    transforms: dict[str, tuple[Record, ...]] = field(default_factory=dict)
    """What is done to a field, always and in order."""
    augment: dict[str, tuple[Record, ...]] = field(default_factory=dict)
    """What is done to a field in training only, after its transforms but before those that bring numbers to scale."""
    average: Record | None = None
    """The average of the weights that is validated, kept and used in the place of the last ones."""
    models: tuple[str, ...] = ()
    """The members that are models, where the section trains several."""
    places: dict[str, Span] = field(default_factory=dict)
    """Where settings are written, by name; `train` is the section's head."""
