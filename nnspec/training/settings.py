"""The plain settings of a `train` section, as typed arguments: what is allowed, its bounds and its default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from nnspec.arguments import Arguments, arg
from nnspec.training.fault import SettingError

DEFAULT_EPOCHS = 10

NOTED = ("epoch", "step", "lr", "seconds", "samples_per_second")
"""What a run notes down about each epoch beside losses and metrics, none of which has such a name."""

_BEST = "the number whose best value counts (none: the loss, of the part to validate on if there is one)"


class Checkpoint(Arguments):
    """When a run is saved, and which of what was saved is kept: `checkpoint = (every=500, keep=3)`."""

    every: int | None = arg(
        None, doc="steps from one checkpoint to the next (none: each epoch, at most every 10 seconds)", ge=1
    )
    keep: int = arg(3, doc="how many of the latest checkpoints are kept, besides the best one", ge=1)
    best: str | None = arg(None, doc=_BEST)
    mode: Literal["min", "max"] | None = arg(None, doc="whether less or more is better (none: as the metric says)")


class EarlyStopping(Arguments):
    """When a run stops before its length: `early_stopping = (patience=5)`."""

    patience: int = arg(doc="epochs without an improvement after which the training stops", ge=1)
    min_delta: float = arg(0.0, doc="what is less than this is no improvement", ge=0)
    monitor: str | None = arg(None, doc=_BEST)
    mode: Literal["min", "max"] | None = arg(None, doc="whether less or more is better (none: as the metric says)")


class Settings(Arguments):
    """How long, in what portions, from where: all of a `train` section that is neither object nor expression."""

    records: ClassVar[Mapping[str, type[Arguments]]] = {"checkpoint": Checkpoint, "early_stopping": EarlyStopping}
    """Settings that are records, and what may stand in them."""

    epochs: int | None = arg(None, doc="how often to go through the data; 10 unless `steps` is given", ge=1)
    steps: int | None = arg(None, doc="how many steps to make, instead of epochs", ge=1)
    batch_size: int = arg(32, doc="samples in a batch", ge=1)
    accumulate: int = arg(1, doc="batches whose gradients make one step", ge=1)
    seed: int = arg(0, doc="seed of the weights, the split and the order of the samples", ge=0, lt=2**63)
    split: float = arg(0.2, doc="share of the samples to validate on, drawn at random by the seed", ge=0, lt=1)
    fold: tuple[int, int] | None = arg(
        None, doc="`(i, k)`: validate on part `i`, from 0, of `k` equal ones, drawn at random by the seed", ge=0
    )
    weights: str | None = arg(None, doc="a run, a checkpoint or a safetensors file to start from, relative to the spec")
    strict: bool = arg(
        True, doc="whether `weights` must be those of this very model (false: what fits by name and shape is taken)"
    )
    schedule_unit: Literal["step", "epoch"] | None = arg(
        None, doc='what the schedule counts (none: what the length is given in, `"step"` or `"epoch"`)'
    )
    clip_grad_norm: float | None = arg(None, doc="the most that the norm of all gradients may be", gt=0)
    clip_grad_value: float | None = arg(None, doc="the most that any number of a gradient may be", gt=0)
    precision: Literal["32", "tf32", "bf16-mixed", "16-mixed"] = arg("32", doc="the numbers that are computed with")
    compile: bool = arg(False, doc="let torch.compile make a program of the model")
    deterministic: bool = arg(False, doc="take only algorithms that give the same numbers each time")
    workers: int | None = arg(
        None, doc="processes that read data which does not fit in memory (none: as many as help)", ge=0, le=1024
    )
    strategy: Literal["ddp", "fsdp"] = arg("ddp", doc="what several devices share: the batches, or the weights as well")
    early_stopping: dict[str, Any] | None = arg(None, doc="when to stop before the end")
    checkpoint: dict[str, Any] | None = arg(None, doc="when the run is saved, and how much of it is kept")

    def check(self) -> None:
        """Raise `SettingError` for settings that do not go together."""
        if self.epochs is not None and self.steps is not None:
            raise SettingError(
                "`epochs` and `steps` both say how long to train", at="steps", helps=("give one of the two",)
            )
        if self.fold is not None:
            self._check_fold(*self.fold)

    def _check_fold(self, part: int, parts: int) -> None:
        if parts < 2:
            message = f"`fold` needs two parts or more, and this is {parts}"
            raise SettingError(message, at="fold", helps=("fold = (0, 5) validates on the first of five parts",))
        if part >= parts:
            message = f"there is no part {part} of {parts}: they are counted from 0"
            raise SettingError(message, at="fold", helps=(f"the last one is `fold = ({parts - 1}, {parts})`",))

    def complete(self) -> dict[str, Any]:
        """Every setting with its value, defaults filled in: what the IR stores."""
        values = dict(self.__dict__)
        if self.epochs is None and self.steps is None:
            values["epochs"] = DEFAULT_EPOCHS
        if self.fold is not None:
            values["split"] = 0.0
        if self.checkpoint is None:
            values["checkpoint"] = {name: field.default for name, field in Checkpoint.fields.items()}
        return values


class Turn(Arguments):
    """When an `update` is taken, where a section has several."""

    every: int = arg(1, doc="it is taken in every step whose number, from 1, is a multiple of this", ge=1)
