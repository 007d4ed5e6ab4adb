"""Training loops in Python: one as tutorials write it, one tuned by hand, and Lightning's; each says what it took."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.zoo.libraries import is_there, torchvision


@dataclass(frozen=True)
class Task:
    """What a loop has to do: Adam on a module in place, over samples that are in memory."""

    make: Callable[[], nn.Module]
    """A module with the weights that training starts from."""
    given: Tensor
    wanted: Tensor
    loss: Callable[[Tensor, Tensor], Tensor]
    batch_size: int
    epochs: int
    seed: int = 0
    lr: float = 1e-3
    device: str = "cpu"

    @property
    def steps(self) -> int:
        """All batches of all epochs."""
        return self.epochs * -(-len(self.given) // self.batch_size)

    def half(self) -> AbstractContextManager[object]:
        """What a forward pass runs in: bfloat16 where a GPU computes."""
        return nullcontext() if self.device == "cpu" else torch.autocast(self.device, torch.bfloat16)


def now(device: str) -> float:
    """Seconds: of CPU time of this process, or on the wall once a GPU has done all that it was asked for."""
    if device == "cpu":
        return process_time()
    torch.cuda.synchronize()
    return perf_counter()


def tutorial(task: Task) -> float:
    """A `DataLoader` over a `TensorDataset`, Adam as it comes, and the loss summed up as a number."""
    torch.manual_seed(task.seed)
    module = task.make().to(task.device).train()
    optimizer = torch.optim.Adam(module.parameters(), lr=task.lr)
    loader = DataLoader(TensorDataset(task.given, task.wanted), batch_size=task.batch_size, shuffle=True)
    start = now(task.device)
    for _ in range(task.epochs):
        total = 0.0
        for batch in loader:
            given, wanted = batch[0].to(task.device), batch[1].to(task.device)
            optimizer.zero_grad()
            loss = task.loss(module(given), wanted)
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own has no types
            optimizer.step()
            total += loss.item()
    return now(task.device) - start


def tuned(task: Task) -> tuple[float, list[float]]:
    """Batches picked by index where the module is, a fused optimizer, and no number read before the end: all losses.

    The order of the samples is the one that nnspec draws for the same seed.
    """
    module = task.make().to(task.device).train()
    given, wanted = task.given.to(task.device), task.wanted.to(task.device)
    optimizer = torch.optim.Adam(module.parameters(), lr=task.lr, fused=True)
    losses: list[Tensor] = []
    torch.manual_seed(task.seed)
    start = now(task.device)
    for order in orders(task):
        for at in range(0, len(order), task.batch_size):
            picked = order[at : at + task.batch_size]
            with task.half():
                loss = task.loss(module(given.index_select(0, picked)), wanted.index_select(0, picked))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch's own has no types
            optimizer.step()
            losses.append(loss.detach())
    taken = now(task.device) - start
    return taken, torch.stack(losses).tolist()


def orders(task: Task) -> Iterator[Tensor]:
    """The order of the samples in each epoch, as nnspec draws it by the seed where nothing is split off."""
    generator = torch.Generator().manual_seed(task.seed)
    for _ in range(task.epochs):
        yield torch.randperm(len(task.given), generator=generator).to(task.device)


def lightning(task: Task) -> float:
    """A `LightningModule` and a `Trainer` without loggers and files, with the data as a tutorial has it."""
    pl = _lightning()
    made, watch = task.make(), _Watch(task.device)

    class Net(pl.LightningModule):  # type: ignore[misc, name-defined]  # a package that need not be there
        """The module with its loss and its optimizer."""

        def __init__(self) -> None:
            super().__init__()
            self.net = made

        def training_step(self, batch: list[Tensor], index: int) -> Tensor:
            """The loss of a batch."""
            loss = task.loss(self.net(batch[0]), batch[1])
            self.log("train_loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            """Adam as it comes."""
            return torch.optim.Adam(self.parameters(), lr=task.lr)

        def on_train_start(self) -> None:
            """All is set up."""
            watch.start()

        def on_train_end(self) -> None:
            """The last step is done."""
            watch.end()

    torch.manual_seed(task.seed)
    loader = DataLoader(TensorDataset(task.given, task.wanted), batch_size=task.batch_size, shuffle=True)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    with _silent():
        trainer = pl.Trainer(
            accelerator="cpu" if task.device == "cpu" else "gpu",
            devices=1,
            max_epochs=task.epochs,
            precision="32-true" if task.device == "cpu" else "bf16-mixed",
            enable_model_summary=False,
            **quiet,
        )
        trainer.fit(Net(), loader)
    return watch.taken


def has_lightning() -> bool:
    """Whether there is a Lightning to compare with."""
    return is_there("lightning") or is_there("pytorch_lightning")


class _Watch:
    """Takes the time between two calls."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._started = 0.0
        self.taken = 0.0

    def start(self) -> None:
        self._started = now(self._device)

    def end(self) -> None:
        self.taken = now(self._device) - self._started


def _lightning() -> Any:
    if is_there("torchvision"):
        torchvision()  # torchmetrics, which Lightning needs, imports it
    with _silent():
        return importlib.import_module("lightning.pytorch" if is_there("lightning") else "pytorch_lightning")


@contextmanager
def _silent() -> Iterator[None]:
    """Lightning advises: on workers, logging intervals, other products."""
    names = ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "lightning_fabric")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
