"""Schedules from a spec, against torch's own: learning rates and weights to the last bit, and what is refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler as torchs
from torch.testing._internal.common_optimizers import optim_db

from nnspec import ir, registry
from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.training.fault import Fault
from nnspec.training.updating.update import Update

CPU = torch.device("cpu")
LENGTH = 12

SPEC = """
model Net {
  input x: float[N, 2]
  output y: float[N, 2] = x -> Linear(4, bias=BIAS) -> Tanh -> Linear(2, bias=BIAS)
}

train {
  data      = Moons()
  inputs    = (x=features)
  loss      = mse_loss(y, features)
  optimizer = OPTIMIZER
  schedule  = SCHEDULE
  MORE
}
"""

Make = Callable[[torch.optim.Optimizer], Any]


def program(schedule: str, optimizer: str = "SGD(lr=0.5, momentum=0.9)", more: str = f"steps = {LENGTH}") -> ir.Program:
    bias = "false" if "Muon" in optimizer else "true"
    text = SPEC.replace("SCHEDULE", schedule).replace("OPTIMIZER", optimizer).replace("MORE", more)
    return compile_text(text.replace("BIAS", bias), "net.nns", train=True).program


def made(of: ir.Program, module: nn.Module, **options: Any) -> Update:
    assert of.training is not None
    names = dict(module.named_parameters())
    return Update(of.training.updates[0], of.training.settings, names, CPU, average=of.training.average, **options)


def module(bias: bool = True) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4, bias=bias), nn.Tanh(), nn.Linear(4, 2, bias=bias))


def losses(of: nn.Module, count: int = LENGTH) -> Iterator[torch.Tensor]:
    """The loss of one batch after the other."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        yield (of(torch.randn(5, 2, generator=generator)) - torch.randn(5, 2, generator=generator)).square().mean()


def mine(of: ir.Program, steps_per_epoch: int = 1, **options: Any) -> tuple[list[Any], list[torch.Tensor]]:
    """Options before each step, and weights after the last one."""
    bias = "Muon" not in str(of.training)
    net = module(bias)
    update = made(of, net, steps_per_epoch=steps_per_epoch, **options)
    seen = []
    for number, loss in enumerate(losses(net), 1):
        seen.append([moved(group) for optimizer in update.optimizers for group in optimizer.param_groups])
        update.zero_grad()
        update.backward(loss)
        assert update.step(loss, never)
        if number % steps_per_epoch == 0:
            update.epoch({"loss": plateau(number)})
    return seen, [p.detach() for p in net.parameters()]


def torch_loop(
    make: Make, optimizer: Callable[[Any], torch.optim.Optimizer], every: int = 1, bias: bool = True
) -> tuple[list[Any], list[torch.Tensor]]:
    """The same in a loop as one writes it."""
    net = module(bias)
    theirs = optimizer(net.parameters())
    schedule, seen = make(theirs), []
    for number, loss in enumerate(losses(net), 1):
        seen.append([moved(group) for group in theirs.param_groups])
        theirs.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        theirs.step()
        if number % every == 0 and number < LENGTH:
            if isinstance(schedule, torchs.ReduceLROnPlateau):
                schedule.step(plateau(number))
            else:
                schedule.step()
    return seen, [p.detach() for p in net.parameters()]


def never() -> torch.Tensor:
    """Only an optimizer that searches asks for the loss once more."""
    raise AssertionError


def moved(group: dict[str, Any]) -> tuple[Any, ...]:
    return group["lr"], group.get("momentum"), group.get("betas")


def plateau(number: int) -> float:
    """A loss that falls, rests, and falls again."""
    return 1.0 / min(number, 4) - 0.1 * (number > 9)


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.5, momentum=0.9, fused=True)


def sequence(optimizer: Any) -> Any:
    first, second = torchs.LinearLR(optimizer, 0.1, total_iters=3), torchs.CosineAnnealingLR(optimizer, 9)
    return torchs.SequentialLR(optimizer, [first, second], [3])


def long_sequence(optimizer: Any) -> Any:
    parts = [torchs.ConstantLR(optimizer, 0.5), torchs.ExponentialLR(optimizer, 0.8), torchs.StepLR(optimizer, 2)]
    return torchs.SequentialLR(optimizer, parts, [2, 7])


def chain(optimizer: Any) -> Any:
    return torchs.ChainedScheduler([torchs.LinearLR(optimizer), torchs.ExponentialLR(optimizer, 0.9)])


def chained_sequence(optimizer: Any) -> Any:
    return torchs.ChainedScheduler([sequence(optimizer), torchs.MultiplicativeLR(optimizer, lambda _: 0.9)])


BOTH: dict[str, Make] = {
    "StepLR(5)": lambda o: torchs.StepLR(o, 5),
    "StepLR(2, gamma=0.7)": lambda o: torchs.StepLR(o, 2, 0.7),
    "MultiStepLR([2, 3, 8])": lambda o: torchs.MultiStepLR(o, [2, 3, 8]),
    "MultiStepLR([4], 0.5)": lambda o: torchs.MultiStepLR(o, [4], 0.5),
    "ConstantLR()": torchs.ConstantLR,
    "ConstantLR(0.25, 4)": lambda o: torchs.ConstantLR(o, 0.25, 4),
    "LinearLR()": torchs.LinearLR,
    "LinearLR(1.0, end_factor=0.0, total_iters=12)": lambda o: torchs.LinearLR(o, 1.0, 0.0, 12),
    "ExponentialLR(0.9)": lambda o: torchs.ExponentialLR(o, 0.9),
    "PolynomialLR()": torchs.PolynomialLR,
    "PolynomialLR(10, power=2)": lambda o: torchs.PolynomialLR(o, 10, 2.0),
    "CosineAnnealingLR(4, eta_min=0.01)": lambda o: torchs.CosineAnnealingLR(o, 4, 0.01),
    "CosineAnnealingWarmRestarts(3)": lambda o: torchs.CosineAnnealingWarmRestarts(o, 3),
    "CosineAnnealingWarmRestarts(2, T_mult=2, eta_min=1e-3)": lambda o: torchs.CosineAnnealingWarmRestarts(
        o, 2, 2, 1e-3
    ),
    "LambdaLR([1.0, 0.5, 0.75])": lambda o: torchs.LambdaLR(o, lambda t: [1.0, 0.5, 0.75][min(t, 2)]),
    "LambdaLR([0.75 ** t for t in range(30)])": lambda o: torchs.LambdaLR(o, lambda t: 0.75**t),
    "MultiplicativeLR(0.95)": lambda o: torchs.MultiplicativeLR(o, lambda _: 0.95),
    "MultiplicativeLR([2, 0.5, 0.9])": lambda o: torchs.MultiplicativeLR(o, lambda t: [2, 0.5, 0.9][min(t, 2)]),
    "SequentialLR([LinearLR(0.1, total_iters=3), CosineAnnealingLR(9)], milestones=[3])": sequence,
    "SequentialLR([ConstantLR(0.5), ExponentialLR(0.8), StepLR(2)], [2, 7])": long_sequence,
    "ChainedScheduler([LinearLR(), ExponentialLR(0.9)])": chain,
    "ChainedScheduler([SequentialLR([LinearLR(0.1, 1, 3), CosineAnnealingLR(9)], [3]), MultiplicativeLR(0.9)])": (
        chained_sequence
    ),
}
STEPS: dict[str, Make] = {
    "CosineAnnealingLR()": lambda o: torchs.CosineAnnealingLR(o, LENGTH),
    "SequentialLR([LinearLR(0.1, total_iters=3), CosineAnnealingLR()], milestones=[3])": sequence,
    "CyclicLR(0.01, 0.5, 3)": lambda o: torchs.CyclicLR(o, 0.01, 0.5, 3),
    'CyclicLR(0.1, 0.5, 2, 4, mode="triangular2", cycle_momentum=false)': (
        lambda o: torchs.CyclicLR(o, 0.1, 0.5, 2, 4, "triangular2", cycle_momentum=False)
    ),
    'CyclicLR(0.1, 0.5, 2, mode="exp_range", gamma=0.9, base_momentum=0.7)': (
        lambda o: torchs.CyclicLR(o, 0.1, 0.5, 2, mode="exp_range", gamma=0.9, base_momentum=0.7)
    ),
    "CyclicLR(0.1, 0.5, 2, scale_fn=[1.0, 0.25])": (
        lambda o: torchs.CyclicLR(o, 0.1, 0.5, 2, scale_fn=lambda cycle: 1.0 if cycle == 1 else 0.25)
    ),
    'CyclicLR(0.1, 0.5, 2, scale_fn=[0.75 ** t for t in range(20)], scale_mode="iterations")': (
        lambda o: torchs.CyclicLR(o, 0.1, 0.5, 2, scale_fn=lambda t: 0.75**t, scale_mode="iterations")
    ),
    "OneCycleLR(0.7)": lambda o: torchs.OneCycleLR(o, 0.7, LENGTH),
    'OneCycleLR(0.7, total_steps=20, pct_start=0.5, anneal_strategy="linear", three_phase=true)': (
        lambda o: torchs.OneCycleLR(o, 0.7, 20, pct_start=0.5, anneal_strategy="linear", three_phase=True)
    ),
    "SequentialLR([LinearLR(), OneCycleLR(0.7)], [4])": (
        lambda o: torchs.SequentialLR(o, [torchs.LinearLR(o), torchs.OneCycleLR(o, 0.7, LENGTH - 4)], [4])
    ),
}
EPOCHS: dict[str, Make] = {
    "CosineAnnealingLR()": lambda o: torchs.CosineAnnealingLR(o, 6),
    "ReduceLROnPlateau(patience=1)": lambda o: torchs.ReduceLROnPlateau(o, patience=1),
    'ReduceLROnPlateau("max", 0.5, patience=0, threshold=0.2, threshold_mode="abs", cooldown=1, min_lr=0.1)': (
        lambda o: torchs.ReduceLROnPlateau(o, "max", 0.5, 0, 0.2, "abs", 1, 0.1)
    ),
}


def same(ours: tuple[list[Any], list[torch.Tensor]], theirs: tuple[list[Any], list[torch.Tensor]]) -> None:
    assert ours[0] == theirs[0]
    assert len({repr(each) for each in ours[0]}) > 1, "the schedule moves nothing"
    assert all(torch.equal(a, b) for a, b in zip(ours[1], theirs[1], strict=True))


def test_every_scheduler_of_torch_is_there() -> None:
    assert set(registry.index("scheduler")) == set(torchs.__all__) - {"LRScheduler"}


@pytest.mark.parametrize("name", sorted(registry.index("scheduler")))
def test_arguments_and_defaults_are_torchs(name: str) -> None:
    theirs = dict(inspect.signature(getattr(torchs, name)).parameters)
    for internal in ("optimizer", "last_epoch", *(("epochs", "steps_per_epoch") if name == "OneCycleLR" else ())):
        theirs.pop(internal, None)
    cls = registry.find("scheduler", name)
    assert cls is not None
    fields = {n: f for n, f in cls.fields.items() if n != "monitor"}
    assert list(fields) == list(theirs)
    for field in fields.values():
        assert field.doc
        default = theirs[field.name].default
        if field.required or (name, field.name) in {("CosineAnnealingLR", "T_max"), ("ReduceLROnPlateau", "mode")}:
            assert default in (inspect.Parameter.empty, "min")
        else:
            assert field.default == default


@pytest.mark.parametrize("schedule", [*BOTH, *STEPS], ids=str)
def test_a_schedule_by_steps_is_torchs_to_the_last_bit(schedule: str) -> None:
    same(mine(program(schedule)), torch_loop((BOTH | STEPS)[schedule], sgd))


@pytest.mark.parametrize("schedule", [*BOTH, *EPOCHS], ids=str)
@pytest.mark.parametrize("each", [1, 2])
def test_a_schedule_by_epochs_is_torchs_to_the_last_bit(schedule: str, each: int) -> None:
    if schedule == "CosineAnnealingLR()" and each == 1:
        pytest.skip("it is as long as the run, and this one has six epochs")
    of = program(schedule, more=f"epochs = {LENGTH // each}")
    theirs = torch_loop((BOTH | EPOCHS)[schedule], sgd, each)
    if len({repr(row) for row in theirs[0]}) == 1:
        assert mine(of, each)[0] == theirs[0]
        return
    same(mine(of, each), theirs)


@pytest.mark.parametrize("info", optim_db, ids=lambda info: info.optim_cls.__name__)
@pytest.mark.parametrize("schedule", ["ExponentialLR(0.8)", "OneCycleLR(0.05, cycle_momentum=CYCLE)"])
def test_every_optimizer_has_schedules(info: Any, schedule: str) -> None:
    cls = info.optim_cls
    if cls.__name__ in ("LBFGS", "SparseAdam"):
        pytest.skip("they need other losses; what a schedule does to them is the same")
    fields = registry.find("optimizer", cls.__name__).fields  # type: ignore[union-attr]
    cycle = bool({"momentum", "betas"} & fields.keys())
    of = program(schedule.replace("CYCLE", str(cycle).lower()), f"{cls.__name__}(lr=0.1)")
    implementation = next(({key: True} for key in ("fused", "foreach") if supported(info, key)), {})

    def make(optimizer: torch.optim.Optimizer) -> Any:
        if schedule.startswith("Exp"):
            return torchs.ExponentialLR(optimizer, 0.8)
        return torchs.OneCycleLR(optimizer, 0.05, LENGTH, cycle_momentum=cycle)

    theirs = torch_loop(make, lambda p: cls(p, lr=0.1, **implementation), bias=cls.__name__ != "Muon")
    same(mine(of), theirs)


def supported(info: Any, implementation: str) -> bool:
    """Whether torch's own table says that an optimizer has it on the CPU."""
    on_cpu = implementation != "fused" or "cpu" in info.supports_fused_on
    return implementation in info.supported_impls and on_cpu


def test_a_list_is_the_function_that_torch_asks_for() -> None:
    of = program("LambdaLR([min(1.0, (t + 1) / 8) for t in range(8)])", "SGD(lr=0.5)")
    seen, _ = mine(of)
    assert [row[0][0] for row in seen] == [0.5 * min(1.0, (t + 1) / 8) for t in range(LENGTH)]


def test_without_a_schedule_nothing_moves() -> None:
    text = SPEC.replace("  schedule  = SCHEDULE\n", "").replace("OPTIMIZER", "SGD(lr=0.5)").replace("BIAS", "true")
    of = compile_text(text.replace("MORE", ""), "net.nns", train=True).program
    assert {repr(row) for row in mine(of)[0]} == {"[(0.5, 0, None)]"}


def test_a_schedule_takes_its_length_from_a_run_of_epochs_too() -> None:
    seen, _ = mine(program("OneCycleLR(0.7)", more="epochs = 4"), 3)
    theirs, _ = torch_loop(lambda o: torchs.OneCycleLR(o, 0.7, LENGTH), sgd)
    assert seen == theirs


def test_the_number_that_is_watched_is_the_authors() -> None:
    def run(schedule: str, rising: tuple[str, ...] = ()) -> list[float]:
        net = module()
        update = made(program(schedule, more="epochs = 9\nmetrics = [mse_loss(y, features)]"), net, rising=rising)
        rates = []
        for epoch in range(4):
            rates.append(update.lr["lr"])
            for loss in losses(net, 1):
                update.backward(loss)
                update.step(loss, never)
            update.epoch({"loss": 1.0 - epoch, "val/loss": 1.0 + epoch, "val/mse_loss": 1.0 + epoch})
        return rates

    falling = [0.5, 0.5, 0.5 * 0.1, 0.5 * 0.1 * 0.1]
    assert run("ReduceLROnPlateau(patience=0)") == falling  # the loss of the validation part, where there is one
    assert run('ReduceLROnPlateau(patience=0, monitor="val/loss")') == falling
    assert run('ReduceLROnPlateau(patience=0, monitor="loss")') == [0.5] * 4
    assert run('ReduceLROnPlateau(patience=0, monitor="val/mse_loss")') == falling
    assert run('ReduceLROnPlateau(patience=0, monitor="val/mse_loss")', ("mse_loss",)) == [0.5] * 4
    assert run('ReduceLROnPlateau("min", patience=0, monitor="val/mse_loss")', ("mse_loss",)) == falling


def test_a_number_that_no_epoch_has_is_named() -> None:
    update = made(program('ReduceLROnPlateau(monitor="val/loss")', more="epochs = 9"), module())
    with pytest.raises(Fault, match="goes by `val/loss`, and an epoch has no such number") as caught:
        update.epoch({"loss": 1.0})
    assert caught.value.notes == ("there are `loss`",)


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "optimizer", "more", "words"),
    [
        ("OneCycleLR(0.1, total_steps=11)", "Adam()", "steps = 12", "ends after 11 steps, and there are 12"),
        ("OneCycleLR(0.1, pct_start=0.25)", "Adam()", "steps = 4", "the way up of `OneCycleLR` is a single step"),
        ("OneCycleLR(0.1)", "Adagrad()", "steps = 9", "changes the momentum as well, and `Adagrad` has neither"),
        ("ChainedScheduler([CyclicLR(0.1, 1)])", "Rprop()", "steps = 9", "`CyclicLR` changes the momentum as well"),
        ("MultiStepLR([5, 3])", "Adam()", "", "`milestones` must rise, and 3 comes after 5"),
        ("SequentialLR([StepLR(1), StepLR(2), StepLR(3)], [4, 4])", "Adam()", "", "must rise, and 4 comes after 4"),
        ("SequentialLR([StepLR(1), StepLR(2)], [])", "Adam()", "", "has 2 schedulers and 0 milestones"),
        ("SequentialLR([], [])", "Adam()", "", "is made of schedulers, and there is none"),
        ("ChainedScheduler([ReduceLROnPlateau()])", "Adam()", "", "cannot be a part of `ChainedScheduler`"),
        ("SequentialLR([StepLR(1), ChainedScheduler([StepLR(2)])], [3])", "Adam()", "", "torch cannot begin a"),
        ("LambdaLR([])", "Adam()", "", "`lr_lambda` is an empty list"),
        ("CyclicLR(0.1, 0.2, scale_fn=[])", "Adam()", "", "`scale_fn` is an empty list"),
        ("OneCycleLR(0.1)", "Adam()", 'schedule_unit = "epoch"', "counts steps, and schedule_unit says epochs"),
        ("ReduceLROnPlateau()", "Adam()", 'schedule_unit = "step"', "counts epochs, and schedule_unit says steps"),
        ("OneCycleLR(0.1)", "Adam()", 'params "*.bias" { lr = 1 }', "says the learning rates, and so does `params"),
    ],
)
def test_what_torch_refuses_or_does_in_silence_is_said(schedule: str, optimizer: str, more: str, words: str) -> None:
    with pytest.raises(Exception, match=words):
        made(program(schedule, optimizer, more), module())


@pytest.mark.parametrize(
    "schedule",
    [
        *("StepLR(0)", "StepLR(2, -1)", "ConstantLR(1.5)", "LinearLR(0)", "LinearLR(end_factor=2)"),
        *("ReduceLROnPlateau(factor=1)", "CosineAnnealingWarmRestarts(0)", "CosineAnnealingWarmRestarts(1, 0)"),
        *("OneCycleLR(0.1, pct_start=1.5)", 'OneCycleLR(0.1, anneal_strategy="sin")', "OneCycleLR(-1)"),
        *('CyclicLR(0.1, 1, mode="square")', "CosineAnnealingLR(0)", "StepLR(1.5)", "SequentialLR([Adam()], [])"),
    ],
)
def test_arguments_that_torch_refuses_are_refused(schedule: str) -> None:
    with pytest.raises(NnspecError) as caught:
        program(schedule)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code in ("NNS201", "NNS303", "NNS304", "NNS307", "NNS603")
