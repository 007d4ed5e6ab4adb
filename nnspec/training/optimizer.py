"""What an optimizer is: torch's arguments as typed fields; `nnspec.training.build` makes torch's object of it."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.arguments import Arguments


class Optimizer(Arguments):
    """An optimizer of `torch.optim`: the class and its arguments are spelled, and default, as there."""

    fused_on: ClassVar[tuple[str, ...]] = ()
    """Kinds of devices on which torch updates all parameters in one kernel when asked to."""

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""

    def state(self) -> int:
        """How many numbers it keeps for each weight from step to step."""
        return 0

    def scratch(self) -> int:
        """How many numbers a step makes for each weight, and forgets."""
        return 0

    def options(self, device: str) -> dict[str, Any]:
        """Keyword arguments of torch's class for a kind of device: the author's, and the fastest implementation.

        An implementation that the author chose (`foreach` or `fused`) stays; they differ in rounding at most.
        """
        options = dict(self.given())
        if options.keys().isdisjoint(("foreach", "fused")):
            options["fused" if device in self.fused_on else "foreach"] = True
        return options
