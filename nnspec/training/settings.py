"""The plain settings of a `train` section, as typed arguments: what is allowed, its bounds and its default."""

from __future__ import annotations

from nnspec.arguments import Arguments, arg
from nnspec.training.fault import SettingError

DEFAULT_EPOCHS = 10


class Settings(Arguments):
    """How long, in what portions, from where: all of a `train` section that is neither data nor expression."""

    epochs: int | None = arg(None, doc="how often to go through the data; 10 unless `steps` is given", ge=1)
    steps: int | None = arg(None, doc="how many batches to train on, instead of epochs", ge=1)
    batch_size: int = arg(32, doc="samples in a batch", ge=1)
    seed: int = arg(0, doc="seed of the weights, the split and the order of the samples", ge=0, lt=2**63)
    split: float = arg(0.2, doc="share of the samples to validate on, drawn at random by the seed", ge=0, lt=1)
    weights: str | None = arg(None, doc="a safetensors file to start from, relative to the spec")

    def check(self) -> None:
        """Raise `SettingError` for settings that do not go together."""
        if self.epochs is not None and self.steps is not None:
            raise SettingError(
                "`epochs` and `steps` both say how long to train", at="steps", helps=("give one of the two",)
            )

    def complete(self) -> dict[str, object]:
        """Every setting with its value, defaults filled in: what the IR stores."""
        length = self.epochs is None and self.steps is None
        return dict(self.__dict__) | ({"epochs": DEFAULT_EPOCHS} if length else {})
