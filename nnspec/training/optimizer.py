"""What an optimizer is: torch's arguments as typed fields; `nnspec.training.build` makes torch's object of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, ClassVar

from nnspec.arguments import Arguments
from nnspec.training.fault import SettingError


class Optimizer(Arguments):
    """An optimizer of `torch.optim`: the class and its arguments are spelled, and default, as there.

    Less what is the loop's business: `capturable` is for steps recorded as a CUDA graph, and `differentiable` for
    gradients of the training itself.
    """

    fused_on: ClassVar[tuple[str, ...]] = ()
    """Kinds of devices on which torch updates all parameters in one kernel when asked to."""

    gradients: ClassVar[tuple[str, ...]] = ("dense",)
    """The layouts of gradients that it takes; an embedding makes sparse ones where its author asks for them."""

    searches: ClassVar[bool] = False
    """Whether one step of it looks at the loss of a batch at several places."""

    whole: ClassVar[tuple[str, ...]] = ("foreach", "fused")
    """Arguments that are for all of its parameters at once, and not for some of them."""

    shards: ClassVar[bool] = True
    """Whether torch can step where each process has a piece of a parameter (`strategy = "fsdp"`)."""

    shards_fused: ClassVar[bool] = False
    """Whether its fused kernels can."""

    since: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Arguments, or the class itself (""), that came with a newer torch than nnspec needs, and which one that is."""

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""
        chosen = dict(self.given())
        if chosen.get("foreach") and chosen.get("fused"):
            message = "`foreach` and `fused` are two ways to do the same step: only one of them can be true"
            raise SettingError(message, at="fused", helps=("leave both out: the fastest one that there is, is taken",))

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise `SettingError` for settings of a `train` section that it cannot go with."""
        name = type(self).__name__
        if self.searches and (settings.get("accumulate") or 1) > 1:
            message = f"`{name}` looks at the loss of one batch several times in a step, and cannot make one of several"
            raise SettingError(message, at="accumulate", helps=("a larger batch_size does the same",))
        if self.searches and settings.get("precision") == "16-mixed":
            message = f"`{name}` goes by the loss itself, and `16-mixed` scales it"
            raise SettingError(message, at="precision", helps=('write precision = "32", or "bf16-mixed"',))

        if not self.shards and settings.get("strategy") == "fsdp":
            message = f"`{name}` cannot train pieces of parameters, and `fsdp` leaves each process a piece"
            raise SettingError(message, at="strategy", helps=('strategy = "ddp" shares the batches only',))

    def check_parameters(self, parameters: Iterable[tuple[str, Sequence[int]]]) -> None:
        """Raise `SettingError` for parameters, of these names and shapes, that it cannot train."""

    def state(self) -> int:
        """How many numbers it keeps for each weight from step to step."""
        return 0

    def state_of(self, shape: Sequence[int]) -> int:
        """How many numbers it keeps for a parameter of that shape; what all parameters share is not counted."""
        return self.state() * prod(shape)

    def scratch(self) -> int:
        """How many numbers a step makes for each weight, and forgets."""
        return 0

    def fuses(self) -> bool:
        """Whether a step is one kernel, on devices that have it."""
        chosen = dict(self.given())
        return bool(chosen.get("fused", self.fused_on and "foreach" not in chosen))

    def options(self, device: str, *, fusible: bool = True) -> dict[str, Any]:
        """Keyword arguments of torch's class for a kind of device: the author's, and the fastest implementation.

        An implementation that the author chose (`foreach` or `fused`) stays; they differ in rounding at most. Not
        `fusible` are parameters whose gradients no fused kernel takes.
        """
        options = dict(self.given())
        if "foreach" in self.fields and options.keys().isdisjoint(("foreach", "fused")):
            options["fused" if fusible and device in self.fused_on else "foreach"] = True
        return options
