"""Optimizers that learn how the loss bends, and look at it several times a step."""

from __future__ import annotations

from typing import Literal

from nnspec.arguments import arg
from nnspec.training.optimizer import Optimizer


class LBFGS(Optimizer):
    """Newton's method with a curvature guessed from the last gradients. For small models, and batches of all the data.

    A step computes the loss of its batch up to `max_eval` times: dropout is drawn anew each time, and batch norms count
    each. J. Nocedal, Updating Quasi-Newton Matrices with Limited Storage, 1980.
    """

    gradients = ("dense", "sparse")
    searches = True
    shards = False

    lr: float = arg(1.0, doc="learning rate: how far a step goes", ge=0)
    max_iter: int = arg(20, doc="the most moves of a step", ge=1)
    max_eval: int | None = arg(None, doc="the most computations of the loss in a step (none: max_iter * 5 / 4)", ge=1)
    tolerance_grad: float = arg(1e-7, doc="a step ends when no gradient is larger", ge=0)
    tolerance_change: float = arg(1e-9, doc="a step ends when weights or loss change less", ge=0)
    history_size: int = arg(100, doc="how many gradients the curvature is guessed from", ge=1)
    line_search_fn: Literal["strong_wolfe"] | None = arg(None, doc="how far to go is searched for (none: by lr)")

    def state(self) -> int:
        # The direction, the last gradient, and for each in the history how weights and gradients changed.
        return 2 + 2 * self.history_size

    def scratch(self) -> int:
        return 5 if self.line_search_fn is None else 8
