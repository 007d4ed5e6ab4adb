"""What happens between a loss and the next batch, against loops as one writes them: bit for bit, also when resumed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, get_ema_multi_avg_fn, update_bn

from nnspec import ir, registry
from nnspec.training.fault import Fault, SettingError
from nnspec.training.optimizer import Optimizer
from nnspec.training.updating.accumulate import lengths, steps_per_epoch, turns
from nnspec.training.updating.averaging import Averaging, average_of
from nnspec.training.updating.precision import Precision
from nnspec.training.updating.update import Update

CPU = torch.device("cpu")
NO_GRAPH = ir.Graph((), (), (), ())
STEPS = 12
KINDS = {
    f"{i}.{name}": ((kind, name),)
    for i, kind in ((0, "Linear"), (1, "BatchNorm1d"), (3, "Linear"))
    for name in ("weight", "bias")
}


def net(bias: bool = True, norm: bool = True) -> Any:
    torch.manual_seed(0)
    between = (nn.BatchNorm1d(5), nn.Tanh()) if norm else (nn.Tanh(), nn.Tanh())
    return nn.Sequential(nn.Linear(3, 5, bias=bias), *between, nn.Linear(5, 2, bias=bias))


def batches(count: int = STEPS, size: int = 6) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        yield torch.randn(size, 3, generator=generator), torch.randn(size, 2, generator=generator)


def loss_of(module: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    return nn.functional.mse_loss(module(batch[0]), batch[1])


def record(name: str, **arguments: Any) -> ir.Record:
    return ir.Record(name, arguments)


def group(pattern: str, optimizer: ir.Record | None = None, **settings: Any) -> ir.Group:
    layer, _, inside = pattern.rpartition(".") if pattern[0].isupper() else ("", "", pattern)
    return ir.Group(inside, layer, settings, optimizer)


def update_of(
    module: nn.Module,
    optimizer: ir.Record,
    *groups: ir.Group,
    schedule: ir.Record | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Update:
    update = ir.Update(NO_GRAPH, optimizer, groups, schedule)
    names = dict(module.named_parameters())
    return Update(update, {"steps": STEPS, **(settings or {})}, names, CPU, kinds=KINDS, **options)


def run(
    module: nn.Module, update: Update, count: int = STEPS, skip: int = 0, average: Averaging | None = None
) -> list[torch.Tensor]:
    """Train on batches from one on."""
    module.train()
    for number, batch in enumerate(batches(count)):
        if number < skip:
            continue

        def again(batch: Any = batch) -> torch.Tensor:
            update.zero_grad()
            loss = loss_of(module, batch)
            update.backward(loss)
            return loss

        loss = again()
        update.step(loss, again)
        if average is not None:
            average.step()
    return weights(module)


def by_hand(module: nn.Module, *optimizers: torch.optim.Optimizer, clip: Callable[[], object] | None = None) -> Any:
    for batch in batches():
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss_of(module, batch).backward()  # type: ignore[no-untyped-call]
        if clip is not None:
            clip()
        for optimizer in optimizers:
            optimizer.step()
    return weights(module)


def weights(module: nn.Module) -> list[torch.Tensor]:
    return [tensor.detach().clone() for tensor in module.state_dict().values()]


def equal(mine: list[torch.Tensor], theirs: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(mine, theirs, strict=True))


# --- groups ----------------------------------------------------------------------------------------------------------


def test_of_each_setting_the_last_pattern_that_says_it_counts() -> None:
    mine, theirs = net(), net()
    groups = (group("*.bias", weight_decay=0.0, lr=0.2), group("Linear.bias", lr=0.05), group("3.*", eps=1e-4))
    update = update_of(mine, record("AdamW", lr=0.01, weight_decay=0.1), *groups)
    parts: list[dict[str, Any]] = [
        {"params": [theirs[0].weight, theirs[1].weight]},
        {"params": [theirs[0].bias], "weight_decay": 0.0, "lr": 0.05},
        {"params": [theirs[1].bias], "weight_decay": 0.0, "lr": 0.2},
        {"params": [theirs[3].weight], "eps": 1e-4},
        {"params": [theirs[3].bias], "weight_decay": 0.0, "lr": 0.05, "eps": 1e-4},
    ]
    optimizer = torch.optim.AdamW(parts, lr=0.01, weight_decay=0.1, fused=True)
    assert equal(run(mine, update), by_hand(theirs, optimizer))
    assert update.lr == {
        "lr": 0.01,
        "lr/*.bias, Linear.bias": 0.05,
        "lr/*.bias": 0.2,
        "lr/3.*": 0.01,
        "lr/*.bias, Linear.bias, 3.*": 0.05,
    }


def test_another_optimizer_trains_what_its_pattern_means() -> None:
    mine, theirs = net(), net()
    update = update_of(
        *(
            mine,
            record("AdamW", lr=0.01),
            group("*.weight", weight_decay=0.3),
            group("Linear.weight", record("Muon", lr=0.02)),
        ),
        schedule=record("ExponentialLR", gamma=0.9),
    )
    matrices = [theirs[0].weight, theirs[3].weight]
    rest: list[dict[str, Any]] = [
        {"params": [theirs[0].bias, theirs[1].bias, theirs[3].bias]},
        {"params": [theirs[1].weight], "weight_decay": 0.3},
    ]
    two = [torch.optim.AdamW(rest, lr=0.01, fused=True), torch.optim.Muon(matrices, lr=0.02)]
    schedules = [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9) for optimizer in two]
    for number, batch in enumerate(batches(), 1):
        theirs.zero_grad()
        loss_of(theirs, batch).backward()  # type: ignore[no-untyped-call]
        for optimizer, schedule in zip(two, schedules, strict=True):
            optimizer.step()
            if number < STEPS:
                schedule.step()
    assert equal(run(mine, update), weights(theirs))
    assert update.lr == pytest.approx(
        {"lr": 0.01 * 0.9**11, "lr/*.weight": 0.01 * 0.9**11, "lr/Linear.weight": 0.02 * 0.9**11}
    )


def test_what_is_frozen_stays_and_needs_no_gradient() -> None:
    module = net()
    before = weights(module)
    update = update_of(module, record("SGD", lr=0.5), group("*", freeze=True), group("3.*", freeze=False))
    after = run(module, update)
    names = list(module.state_dict())
    changed = {name for name, a, b in zip(names, before, after, strict=True) if not torch.equal(a, b)}
    assert {name for name in changed if "running" not in name and "num" not in name} == {"3.weight", "3.bias"}
    assert not module[0].weight.requires_grad
    assert module[0].weight.grad is None
    assert [p.shape for p in update.trained] == [(2, 5), (2,)]


def alternatives(name: str) -> Iterator[tuple[str, Any]]:
    """An argument of an optimizer, and another value than its default."""
    optimizer = optimizer_class(name)
    for field in optimizer.fields.values():
        if field.name in ("foreach", "fused", "line_search_fn") or (name, field.name) == ("SGD", "nesterov"):
            continue
        if field.kind.startswith("Literal"):
            yield field.name, "match_rms_adamw"
        elif isinstance(field.default, bool):
            yield field.name, not field.default
        elif field.name in ("etas", "step_sizes"):
            yield field.name, {"etas": (0.4, 1.3), "step_sizes": (1e-5, 0.2)}[field.name]
        elif isinstance(field.default, tuple):
            yield field.name, tuple(None if each is None else each * 0.9 for each in field.default)
        elif isinstance(field.default, int):
            yield field.name, field.default + 1
        else:
            yield field.name, field.default * (0.5 if field.ge != 1 else 1.5) if field.default else 0.3


def optimizer_class(name: str) -> type[Optimizer]:
    found = registry.find("optimizer", name)
    assert found is not None
    return found


GROUPED = [n for n in sorted(registry.index("optimizer")) if n not in ("LBFGS", "SparseAdam")]


@pytest.mark.parametrize(("name", "argument", "value"), [(n, *a) for n in GROUPED for a in alternatives(n)], ids=str)
def test_an_argument_for_some_parameters_is_as_in_an_optimizer_of_their_own(
    name: str, argument: str, value: Any
) -> None:
    first = {"weight_decay": 0.1, "lr": 0.03} if "weight_decay" in optimizer_class(name).fields else {"lr": 0.03}
    first.pop(argument, None)
    pattern = group("0.*", **{argument: value})
    if argument in optimizer_class(name).whole:
        with pytest.raises(SettingError, match=f"`{argument}` of `{name}` is for all of its parameters"):
            update_of(net(False, False), record(name, **first), pattern)
        return
    mine, theirs = net(False, False), net(False, False)
    update = update_of(mine, record(name, **first), pattern)
    cls, own = getattr(torch.optim, name), optimizer_class(name)(**first).options("cpu")
    parts = cls([theirs[0].weight], **(own | {argument: value})), cls([theirs[3].weight], **own)
    assert equal(run(mine, update), by_hand(theirs, *parts))


# --- clipping and accumulation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("norm", "value"), [(0.05, None), (None, 0.01), (0.02, 0.01), (0, None)])
def test_gradients_are_clipped_as_torch_does(norm: float | None, value: float | None) -> None:
    mine, theirs = net(), net()
    groups = (group("*.bias", lr=0.3), group("Linear.weight", record("Adam", lr=0.01)))
    update = update_of(
        mine, record("SGD", lr=0.1), *groups, settings={"clip_grad_norm": norm, "clip_grad_value": value}
    )
    parts: list[dict[str, Any]] = [
        {"params": [theirs[1].weight]},
        {"params": [theirs[0].bias, theirs[1].bias, theirs[3].bias], "lr": 0.3},
    ]
    two = (
        torch.optim.SGD(parts, lr=0.1, fused=True),
        torch.optim.Adam([theirs[0].weight, theirs[3].weight], 0.01, fused=True),
    )

    def clip() -> None:
        if value is not None:
            nn.utils.clip_grad_value_(theirs.parameters(), value)
        if norm is not None:
            nn.utils.clip_grad_norm_(theirs.parameters(), norm)

    assert equal(run(mine, update), by_hand(theirs, *two, clip=clip))


def test_a_search_sees_clipped_gradients() -> None:
    mine, theirs = net(norm=False), net(norm=False)
    arguments: dict[str, Any] = {"lr": 0.5, "max_iter": 3}
    update = update_of(mine, record("LBFGS", **arguments), settings={"clip_grad_norm": 0.05})
    optimizer = torch.optim.LBFGS(theirs.parameters(), **arguments)
    for batch in batches():

        def closure(batch: Any = batch) -> float:
            optimizer.zero_grad()
            loss = loss_of(theirs, batch)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(theirs.parameters(), 0.05)
            return loss.item()

        optimizer.step(closure)  # type: ignore[no-untyped-call]
    assert equal(run(mine, update), weights(theirs))


@pytest.mark.parametrize(
    ("samples", "size", "accumulate"), [(24, 4, 3), (23, 4, 3), (13, 4, 3), (4, 4, 2), (1, 1, 5), (9, 2, 1)]
)
def test_a_step_of_several_batches_is_that_of_the_larger_batch(samples: int, size: int, accumulate: int) -> None:
    mine, theirs = net(norm=False), net(norm=False)
    update = update_of(mine, record("SGD", lr=0.5), settings={"accumulate": accumulate})
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.5, fused=True)
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(samples, 3, generator=generator), torch.randn(samples, 2, generator=generator)
    steps, begins = 0, True
    for (share, due), a, b in zip(
        turns(samples, size, accumulate), torch.split(x, size), torch.split(y, size), strict=True
    ):
        if begins:
            update.zero_grad()
        update.backward(loss_of(mine, (a, b)), share)
        begins = due
        if due:
            update.step(torch.zeros(()), lambda: torch.zeros(()))
            steps += 1
    for a, b in zip(torch.split(x, size * accumulate), torch.split(y, size * accumulate), strict=True):
        optimizer.zero_grad()
        loss_of(theirs, (a, b)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert steps == steps_per_epoch(samples, size, accumulate)
    torch.testing.assert_close(weights(mine), weights(theirs))


def test_without_shares_all_batches_of_a_step_count_alike() -> None:
    mine, theirs = net(), net()
    update = update_of(mine, record("SGD", lr=0.5), settings={"accumulate": 2})
    for batch in batches(2):
        update.backward(loss_of(mine, batch))
        (loss_of(theirs, batch) / 2).backward()  # type: ignore[no-untyped-call]
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))


def test_how_long_a_run_is() -> None:
    assert lengths({"epochs": 3}, 5) == {"step": 15, "epoch": 3}
    assert lengths({"epochs": None, "steps": 11}, 5) == {"step": 11, "epoch": 3}
    assert lengths({}, 5) == {"step": 5, "epoch": 1}


# --- precision -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "SGD"])  # one with a fused kernel that unscales, and one without
@pytest.mark.parametrize("norm", [None, 0.05])
def test_a_scaled_step_is_that_of_torchs_scaler(name: str, norm: float | None) -> None:
    mine, theirs = net(), net()
    settings = {"precision": "16-mixed", "clip_grad_norm": norm}
    update = update_of(mine, record(name, lr=0.05), schedule=record("ExponentialLR", gamma=0.9), settings=settings)
    precision = Precision("16-mixed", CPU)
    implementation = {"foreach": True} if name == "RMSprop" else {"fused": True}
    optimizer = getattr(torch.optim, name)(theirs.parameters(), lr=0.05, **implementation)
    schedule, scaler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9), torch.amp.GradScaler("cpu")
    made, wanted = [], []
    for number, batch in enumerate(batches()):
        factor = 1e6 if number in (3, 4) else 1.0  # too large for float16: such a step is left out
        update.zero_grad()
        with precision.autocast():
            loss = loss_of(mine, batch) * factor
        update.backward(loss)
        made.append(update.step(loss, lambda: torch.zeros(())))
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = loss_of(theirs, batch) * factor
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        if norm is not None:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(theirs.parameters(), norm)
        scale = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        wanted.append(scaler.get_scale() >= scale)
        if wanted[-1]:
            schedule.step()
    assert made == wanted
    assert [number for number in range(1, STEPS) if not made[number]] == [3, 4]
    assert equal(weights(mine), weights(theirs))
    assert update.lr["lr"] == optimizer.param_groups[0]["lr"] == pytest.approx(0.05 * 0.9 ** sum(made))
    assert update.state_dict()["scaler"] == scaler.state_dict()


def test_an_optimizer_without_gradients_is_no_trouble_for_a_scaler() -> None:
    module = net()
    unused = nn.Parameter(torch.ones(2, 2))
    module.register_parameter("unused", unused)
    update = update_of(module, record("Adam"), group("unused", record("SGD")), settings={"precision": "16-mixed"})
    run(module, update)
    assert torch.equal(unused, torch.ones(2, 2))


def test_half_precision_computes_what_autocast_does() -> None:
    for name, dtype in (("bf16-mixed", torch.bfloat16), ("16-mixed", torch.float16), ("32", torch.float32)):
        precision = Precision(name, CPU)  # type: ignore[arg-type]
        for _ in range(2):
            with precision.autocast():
                assert net()(torch.ones(2, 3)).dtype is dtype
        assert (precision.scaler() is not None) == (name == "16-mixed")


def test_tf32_is_for_the_run_only() -> None:
    before = torch.get_float32_matmul_precision()
    with Precision("tf32", CPU).applied():
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == before == "highest"
    with Precision("32", CPU).applied():
        assert torch.get_float32_matmul_precision() == before


def test_a_device_without_a_precision_says_so() -> None:
    for name in ("16-mixed", "bf16-mixed"):
        with pytest.raises(SettingError, match=f"meta cannot train in `{name}`") as caught:
            Precision(name, torch.device("meta"))
        assert caught.value.at == "precision"


# --- averages --------------------------------------------------------------------------------------------------------


def averaging(module: nn.Module, average: ir.Record, epochs: int = 6) -> Averaging:
    return average_of(average, dict(module.named_parameters()), module, steps_per_epoch=2, settings={"epochs": epochs})


def test_a_running_average_is_torchs() -> None:
    mine, theirs = net(), net()
    update = update_of(mine, record("SGD", lr=0.5), group("0.*", freeze=True))
    average = averaging(mine, record("EMA", decay=0.8))
    with average.applied(never):  # there is none yet
        assert equal(weights(mine), weights(theirs))
    theirs[0].requires_grad_(False)
    copy = AveragedModel(theirs, multi_avg_fn=get_ema_multi_avg_fn(0.8))  # type: ignore[no-untyped-call]
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.5, fused=True)
    for batch in batches():
        optimizer.zero_grad()
        loss_of(theirs, batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        copy.update_parameters(theirs)
    run(mine, update, average=average)
    assert average.active
    raw = weights(mine)
    assert equal(raw, weights(theirs))
    with average.applied(never):
        assert equal(weights(mine), weights(copy.module))
        kept = average.state_dict()
        assert all(torch.equal(kept["weights"][n], p) for n, p in mine.named_parameters() if n in kept["weights"])
    assert equal(weights(mine), raw)
    assert all(
        torch.equal(a, b)
        for a, b in zip(kept["weights"].values(), average.state_dict()["weights"].values(), strict=True)
    )


def never() -> None:
    raise AssertionError


def test_no_average_changes_nothing() -> None:
    module = net()
    average = average_of(None, {}, module, steps_per_epoch=1, settings={})
    before = weights(module)
    with average.applied(never):
        assert equal(weights(module), before)
    assert not average.active
    assert average.state_dict() == {}


@pytest.mark.parametrize("start", [3, 0.5])
def test_stochastic_averaging_is_the_recipe_of_torch(start: float) -> None:
    """The recipe of `torch.optim.swa_utils`: the schedule, then SWALR; means of weights; statistics of batch norms."""
    mine, theirs = net(), net()
    swa = record("SWA", swa_lr=0.02, start=start, anneal_epochs=2, anneal_strategy="linear")
    settings = {"steps": None, "epochs": 6}
    update = update_of(
        *(mine, record("SGD", lr=0.5)),
        schedule=record("StepLR", step_size=1, gamma=0.8),
        settings=settings,
        average=swa,
        steps_per_epoch=2,
    )
    average = averaging(mine, swa)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=0.5, fused=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.8)
    late, copy = SWALR(optimizer, 0.02, 2, "linear"), AveragedModel(theirs)
    data = list(batches(2))

    def replay() -> None:
        for x, _ in data:
            mine(x)

    for epoch in range(6):
        assert update.lr["lr"] == optimizer.param_groups[0]["lr"]
        for batch in data:
            optimizer.zero_grad()
            loss_of(theirs, batch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        if epoch >= 3:
            copy.update_parameters(theirs)
            if epoch < 5:
                late.step()
        else:
            schedule.step()
        mine.train()
        run(mine, update, 2)
        average.epoch()
        update.epoch({})
    raw = weights(mine)
    assert equal(raw, weights(theirs))
    update_bn([x for x, _ in data], copy)
    mine.eval()
    for again in (replay, never):  # the second time it is known
        with average.applied(again):
            assert equal(weights(mine), weights(copy.module))
            assert not mine.training
            assert mine[1].momentum == 0.1
        assert equal(weights(mine), raw)


def test_an_average_of_no_epoch_is_refused() -> None:
    with pytest.raises(SettingError, match="averages after 6 epochs, and the run has 6"):
        averaging(net(), record("SWA", start=6))
    assert averaging(net(), record("SWA"), epochs=1) is not None
    with pytest.raises(SettingError, match=r"must be below 1"):
        registry.find("average", "SWA")(start=1.5).check()  # type: ignore[misc]


# --- going on --------------------------------------------------------------------------------------------------------


def through_a_file(state: Mapping[str, Any]) -> Any:
    """As it is after it was written and read; nothing in it may need more than torch's safe reader."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


SCHEDULES: dict[str, dict[str, Any]] = {
    "none": {},
    "cosine": {"schedule": record("CosineAnnealingLR")},
    "milestones": {"schedule": record("MultiStepLR", milestones=(2, 5, 7))},
    "one cycle": {"schedule": record("OneCycleLR", max_lr=0.2)},
    "cyclic": {"schedule": record("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=2, mode="exp_range", gamma=0.9)},
    "restarts": {"schedule": record("CosineAnnealingWarmRestarts", T_0=2, T_mult=2)},
    "list": {"schedule": record("LambdaLR", lr_lambda=(1.0, 0.5, 0.25))},
    "sequence": {
        "schedule": record(
            "SequentialLR",
            schedulers=(record("LinearLR", total_iters=4), record("ExponentialLR", gamma=0.8)),
            milestones=(5,),
        )
    },
    "chain": {"schedule": record("ChainedScheduler", schedulers=(record("LinearLR"), record("PolynomialLR")))},
    "scaled": {"settings": {"precision": "16-mixed", "clip_grad_norm": 0.5}},
}
PATTERNS = (group("*.bias", lr=0.02), group("0.weight", record("Adam", betas=(0.5, 0.9))))


def resumed(make: Callable[[nn.Module], tuple[Update, Averaging]], module: Callable[[], nn.Module], at: int) -> bool:
    """Whether a run that is stopped goes on as if it had not been."""
    whole, first, second = module(), module(), module()
    update, average = make(whole)
    run(whole, update, average=average)
    wanted = through_a_file({"update": update.state_dict(), "average": average.state_dict()})
    update, average = make(first)
    run(first, update, at, average=average)
    kept = through_a_file(
        {"update": update.state_dict(), "average": average.state_dict(), "weights": first.state_dict()}
    )
    second.load_state_dict(kept["weights"])
    update, average = make(second)
    update.load_state_dict(kept["update"])
    average.load_state_dict(kept["average"])
    run(second, update, STEPS, at, average)
    assert identical(through_a_file({"update": update.state_dict(), "average": average.state_dict()}), wanted)
    return equal(weights(second), weights(whole))


def identical(a: Any, b: Any) -> bool:
    """Whether two states are the same, to the last bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(identical(value, b[key]) for key, value in a.items())
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(identical(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("name", sorted(registry.index("optimizer")))
@pytest.mark.parametrize("implementation", ["fused", "foreach", "plain"])
def test_every_optimizer_goes_on_as_if_it_had_not_stopped(name: str, implementation: str) -> None:
    if name == "SparseAdam":
        pytest.skip("it needs sparse gradients, for which there is a test of its own")
    fields = optimizer_class(name).fields
    chosen: dict[str, Any] = {"plain": {"foreach": False}}.get(implementation, {implementation: True})
    if not chosen.keys() <= fields.keys() and implementation != "plain":
        pytest.skip("there is no such implementation")
    chosen = {key: value for key, value in chosen.items() if key in fields} | (
        {"max_iter": 4} if name == "LBFGS" else {}
    )
    norm = name != "Muon"

    def make(module: nn.Module) -> tuple[Update, Averaging]:
        return update_of(module, record(name, lr=0.05, **chosen), schedule=record("LinearLR")), Averaging()

    for at in (1, 5):
        assert resumed(make, lambda: net(norm, norm), at)


@pytest.mark.parametrize("patterns", [(), PATTERNS], ids=["one group", "groups"])
@pytest.mark.parametrize("case", sorted(SCHEDULES))
def test_every_schedule_goes_on_as_if_it_had_not_stopped(case: str, patterns: tuple[ir.Group, ...]) -> None:
    if case == "one cycle":
        patterns = (group("0.weight", record("Adam", betas=(0.5, 0.9)), max_lr=0.01),) if patterns else ()
    if case == "cyclic":
        patterns = patterns[1:]

    def make(module: nn.Module) -> tuple[Update, Averaging]:
        average = average_of(
            record("EMA", decay=0.5),
            dict(module.named_parameters()),
            module,
            steps_per_epoch=1,
            settings={"steps": STEPS},
        )
        return update_of(module, record("SGD", lr=0.1, momentum=0.9), *patterns, **SCHEDULES[case]), average

    for at in (0, 1, 5, STEPS - 1):
        assert resumed(make, net, at)


def test_sparse_states_go_on() -> None:
    def make(module: nn.Module) -> Update:
        return update_of(module, record("SparseAdam", lr=0.1))

    def trained(module: nn.Module, update: Update, start: int, end: int) -> None:
        for number in range(start, end):
            update.zero_grad()
            loss = (module(torch.tensor([number % 3, 4])) - number).square().mean()
            update.backward(loss)
            update.step(loss, lambda: torch.zeros(()))

    modules = []
    for at in (8, 3):
        torch.manual_seed(0)
        module = nn.Embedding(5, 2, sparse=True)
        update = make(module)
        trained(module, update, 0, at)
        kept = through_a_file(update.state_dict())
        update = make(module)
        update.load_state_dict(kept)
        trained(module, update, at, 8)
        modules.append(module)
    assert torch.equal(modules[0].weight, modules[1].weight)


def test_what_a_plateau_has_seen_goes_on() -> None:
    def make() -> Update:
        settings = {"steps": None, "epochs": 20}
        return update_of(
            net(), record("SGD", lr=1.0), schedule=record("ReduceLROnPlateau", patience=2), settings=settings
        )

    whole, part = make(), make()
    for epoch in range(4):
        whole.epoch({"loss": 1.0})
        part.epoch({"loss": 1.0})
        if epoch == 1:
            state = through_a_file(part.state_dict())
            part = make()
            part.load_state_dict(state)
    assert whole.lr == part.lr == {"lr": 0.1}
    assert identical(whole.state_dict()["schedule"], part.state_dict()["schedule"])


def test_state_goes_by_names_and_not_by_places() -> None:
    first, second = net(), net()
    update = update_of(first, record("Adam", lr=0.1))
    run(first, update, 5)
    kept = through_a_file(update.state_dict())
    second.load_state_dict(first.state_dict())
    backwards = dict(reversed(list(second.named_parameters())))
    other = Update(ir.Update(NO_GRAPH, record("Adam", lr=0.1)), {"steps": STEPS}, backwards, CPU)
    other.load_state_dict(kept)
    assert equal(run(second, other, STEPS, 5), run(first, update, STEPS, 5))


def test_what_the_spec_says_otherwise_counts_when_a_run_goes_on() -> None:
    def kept(optimizer: ir.Record, schedule: ir.Record | None = None) -> Any:
        module = net()
        update = update_of(module, optimizer, schedule=schedule)
        run(module, update, 5)
        return through_a_file(update.state_dict())

    def after(state: Any, optimizer: ir.Record, *groups: ir.Group, schedule: ir.Record | None = None) -> Update:
        update = update_of(net(), optimizer, *groups, schedule=schedule)
        update.load_state_dict(state)
        return update

    falling = record("ExponentialLR", gamma=0.5)
    assert after(kept(record("SGD", lr=1.0)), record("SGD", lr=2.0)).lr == {"lr": 2.0}
    assert after(kept(record("SGD", lr=1.0), falling), record("SGD", lr=1.0), schedule=falling).lr == {"lr": 0.5**5}
    assert after(kept(record("SGD", lr=1.0), falling), record("SGD", lr=2.0), schedule=falling).lr == {"lr": 2 * 0.5**5}
    slower = record("ExponentialLR", gamma=0.75)
    assert after(kept(record("SGD", lr=1.0), falling), record("SGD", lr=1.0), schedule=slower).lr == {"lr": 0.75**5}
    assert after(kept(record("SGD", lr=1.0), falling), record("SGD", lr=1.0)).lr == {"lr": 1.0}
    assert after(kept(record("SGD", lr=1.0)), record("SGD", lr=1.0), schedule=falling).lr == {"lr": 1.0}
    grouped = after(
        kept(record("SGD", lr=1.0, momentum=0.9)), record("SGD", lr=1.0, momentum=0.9), group("*.bias", lr=3.0)
    )
    assert grouped.lr == {"lr": 1.0, "lr/*.bias": 3.0}
    assert len(grouped.state_dict()["optimizers"][0]["state"]) == 6
    assert (
        after(kept(record("SGD", lr=1.0, momentum=0.9)), record("Adam", lr=1.0)).state_dict()["optimizers"][0]["state"]
        == {}
    )


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("optimizer", "groups", "settings", "words"),
    [
        (record("SGD"), (group("*", freeze=True),), {}, "all parameters are frozen"),
        (record("SGD"), (group("0.*", fused=True),), {}, "`fused` of `SGD` is for all of its parameters"),
        (
            record("SGD"),
            (group("0.*", betas=(0.9, 0.9)),),
            {},
            r"`SGD` has no argument `betas`, which `params 0\.\*` gives",
        ),
        (record("SGD"), (group("0.*", lr=-0.5),), {}, "`lr` of `params .*` must be at least 0, and is -0.5"),
        (record("SGD"), (group("0.*", nesterov=True),), {}, "nesterov=true needs momentum"),
        (record("SGD"), (group("0.*", max_lr=1.0),), {}, "`SGD` has no argument `max_lr`"),
        (record("Muon"), (), {}, "`Muon` trains matrices only, and `0.bias` has 1 dimension"),
        (record("AdamW"), (group("*", record("Muon")),), {}, "`Muon` trains matrices only"),
        (record("LBFGS"), (group("0.*", lr=0.5),), {}, "`LBFGS` looks for one step of all parameters"),
        (record("LBFGS"), (group("0.*", record("SGD")),), {}, "`LBFGS` looks for one step of all parameters"),
        (record("SGD"), (group("0.*", record("LBFGS")),), {}, "`LBFGS` looks for one step of all parameters"),
        (record("LBFGS"), (), {"accumulate": 2}, "several times in a step"),
        (record("LBFGS"), (), {"precision": "16-mixed"}, "goes by the loss itself"),
    ],
)
def test_what_cannot_be_trained_is_said(
    optimizer: ir.Record, groups: tuple[ir.Group, ...], settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(Fault, match=words) as caught:
        update_of(net(), optimizer, *groups, settings=settings)
    assert caught.value.helps or "nesterov" in words or "at least" in words


def test_sparse_gradients_cannot_be_clipped() -> None:
    module = nn.Embedding(5, 2, sparse=True)
    update = update_of(module, record("SGD"), settings={"clip_grad_norm": 1.0})
    loss = module(torch.tensor([1])).sum()
    update.backward(loss)
    with pytest.raises(Fault, match="sparse gradients cannot be clipped, and that of `weight` is sparse") as caught:
        update.step(loss, lambda: loss)
    assert caught.value.code == "NNS627"


def test_a_model_without_parameters_has_nothing_to_train() -> None:
    with pytest.raises(Fault, match="the model has no parameters"):
        update_of(nn.Tanh(), record("SGD"))


def test_a_group_may_have_what_the_schedule_says() -> None:
    groups = (group("*.bias", max_lr=0.5),)
    update = update_of(net(), record("SGD", lr=0.1), *groups, schedule=record("OneCycleLR", max_lr=1.0, pct_start=0.5))
    assert update.lr == pytest.approx({"lr": 1 / 25, "lr/*.bias": 0.5 / 25})
    for number in range(6):
        assert number or deepcopy(update.lr)
        update.step(torch.zeros(()), lambda: torch.zeros(()))
    assert update.lr["lr"] == pytest.approx(2 * update.lr["lr/*.bias"])
