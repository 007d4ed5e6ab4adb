"""What a `train` section says, as the IR has it: objects in objects, `params`, transforms, records, the clock."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec import ir
from nnspec.backends.torch import training_functions
from nnspec.compiler import compile_text
from nnspec.diagnostics import Diagnostic, NnspecError
from nnspec.elaborate.overrides import Written
from nnspec.ir_json import dumps, loads
from nnspec.patterns import Found, applies, owned, trained
from nnspec.registry import FOLDERS
from nnspec.registry_pages import pages
from nnspec.training.runs.resolved import resolved
from nnspec.training.settings import Settings
from nnspec.verify import verify

ROOT = Path(__file__).parent.parent.parent
SPECS = sorted([*(ROOT / "examples").glob("*.nns"), *(ROOT / "examples" / "zoo").glob("*.nns")])

EVERYTHING = """
model Net(width = 8) {
  input image: float[N, 1, 8, 8]
  h = image -> Flatten -> enc: Linear(width) -> ReLU
  output scores: float[N, 10] = h -> head: Linear(10)
}

train Net(width=12) {
  data       = Digits()
  validation = Digits()
  transform  = (image=[Normalize(mean=0.5, std=0.25)])
  augment    = [RandomCrop(8, padding=1), RandomHorizontalFlip()]
  warm       = LinearLR(start_factor=0.01, total_iters=10)
  kl         = mean(scores * scores)
  loss       = cross_entropy(scores, label) + min(1.0, step / 5_000, epoch / 3) * kl
  optimizer  = AdamW(lr=6e-4, betas=(0.9, 0.95))
  params "*.bias" { weight_decay = 0 }
  params Linear.weight { lr = 1e-4 }
  params enc { freeze = true }
  params head.weight { optimizer = Muon(lr=0.02) }
  schedule   = SequentialLR([warm, CosineAnnealingLR(T_max=40)], milestones=[10])
  schedule_unit = "step"
  clip_grad_norm = 1
  clip_grad_value = 0.5
  accumulate = 2
  average    = EMA(decay=0.99)
  early_stopping = (patience=5, min_delta=0.001, monitor="val/accuracy")
  precision  = "bf16-mixed"
  checkpoint = (every=50, keep=2, best="val/loss")
  metrics    = [accuracy(scores, label)]
  steps      = 60
}
"""


def trained_by(text: str, **overrides: str) -> ir.Training:
    """The training of a spec, with settings from outside (`optimizer__lr` is `train.optimizer.lr`)."""
    outside = {f"train.{name.replace('__', '.')}": value for name, value in overrides.items()}
    training = compile_text(text, train=True, overrides=outside).program.training
    assert training is not None
    return training


def codes(text: str, **overrides: str) -> list[str]:
    try:
        trained_by(text, **overrides)
    except NnspecError as error:
        return [diagnostic.code for diagnostic in error.diagnostics]
    return []


def spec(*lines: str, loss: str = "cross_entropy(scores, label)", optimizer: str = "AdamW(lr=1e-3)") -> str:
    body = "\n".join(f"  {line}" for line in lines)
    return f"""
model A {{
  input features: float[N, 4]
  output scores: float[N, 3] = features -> hidden: Linear(8) -> ReLU -> head: Linear(3)
}}
train {{
  data = Iris()
  loss = {loss}
  optimizer = {optimizer}
{body}
}}
"""


def bare(value: Any) -> Any:
    """A part of the IR without places and hints."""
    if is_dataclass(value):
        kept = (f.name for f in fields(value) if f.name not in ("span", "hint", "places"))
        return (type(value).__name__, *((name, bare(getattr(value, name))) for name in kept))
    if isinstance(value, (tuple, list)):
        return tuple(map(bare, value))
    return {name: bare(each) for name, each in value.items()} if isinstance(value, dict) else value


# --- what is stored --------------------------------------------------------------------------------------------------


def test_a_section_says_all_of_it() -> None:
    training = trained_by(EVERYTHING)
    (update,) = training.updates
    warm = ir.Record("LinearLR", {"start_factor": 0.01, "total_iters": 10})
    wave = ir.Record("CosineAnnealingLR", {"T_max": 40})
    assert bare(update.schedule) == bare(ir.Record("SequentialLR", {"schedulers": (warm, wave), "milestones": (10,)}))
    assert bare(update.groups) == bare(
        (
            ir.Group("*.bias", "", {"weight_decay": 0.0}),
            ir.Group("weight", "Linear", {"lr": 1e-4}),
            ir.Group("enc.*", "", {"freeze": True}),
            ir.Group("head.weight", "", {}, ir.Record("Muon", {"lr": 0.02})),
        )
    )
    assert bare(training.transforms) == bare({"image": (ir.Record("Normalize", {"mean": 0.5, "std": 0.25}),)})
    assert [record.name for record in training.augment["image"]] == ["RandomCrop", "RandomHorizontalFlip"]
    assert training.validation is not None
    assert training.validation.name == "Digits"
    assert bare(training.average) == bare(ir.Record("EMA", {"decay": 0.99}))
    assert training.names == (("model", "scores"), ("data", "label"), ("clock", "step"), ("clock", "epoch"))
    wanted = {"steps": 60, "epochs": None, "accumulate": 2, "clip_grad_norm": 1.0, "precision": "bf16-mixed"}
    assert wanted.items() <= training.settings.items()
    assert training.settings["checkpoint"] == {"every": 50, "keep": 2, "best": "val/loss", "mode": None}
    assert training.settings["early_stopping"]["monitor"] == "val/accuracy"
    assert training.settings["split"] == 0.0
    assert training.settings.keys() == Settings.fields.keys()


def test_an_ordinary_section_has_every_default() -> None:
    training = trained_by(spec())
    assert training.settings["epochs"] == 10
    assert training.settings["split"] == 0.2
    assert training.settings["checkpoint"] == {"every": None, "keep": 3, "best": None, "mode": None}
    assert training.settings["early_stopping"] is None
    assert trained_by(spec("fold = (1, 4)")).settings["split"] == 0.0
    assert trained_by(spec("fold = none")).settings["split"] == 0.2


def test_a_transform_changes_what_the_model_sees() -> None:
    text = EVERYTHING.replace("8, 8]", "6, 6]").replace("RandomCrop(8, padding=1)", "RandomCrop(6, padding=1)")
    text = text.replace("Normalize(mean=0.5, std=0.25)", "CenterCrop(6)")
    assert str(trained_by(text).fields["image"]) == "float[batch, 1, 6, 6]"


def test_choices_and_names_stand_for_objects() -> None:
    text = spec("a = StepLR(3)", "b = StepLR(5)", "schedule = a if 1 > 2 else b")
    schedule = trained_by(text).updates[0].schedule
    assert schedule is not None
    assert schedule.arguments == {"step_size": 5}


def test_names_for_objects_do_not_multiply_without_bound() -> None:
    lines = ["s0 = StepLR(3)", *(f"s{i + 1} = ChainedScheduler([s{i}, s{i}, s{i}, s{i}])" for i in range(30))]
    assert codes(spec(*lines, "schedule = s30")) == ["NNS310"]


def test_every_new_kind_has_pages() -> None:
    assert {"scheduler", "transform", "average"} <= FOLDERS.keys()
    assert "a schedule of the learning rate" in pages("CosineAnnealingLR")[0]
    assert "a transform of a field" in pages("RandomCrop")[0]
    assert "an average of the weights" in pages("EMA")[0]


# --- the clock -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 2_500, 5_000, 100_000])
def test_a_loss_follows_the_clock(step: int) -> None:
    loss = "mean(scores) * min(1.0, step / 5_000) + max(epoch, 2, step / 1e4) + min(step, epoch, 9) / N"
    training = trained_by(spec(loss=loss))
    assert training.names == (("model", "scores"), ("clock", "step"), ("clock", "epoch"))
    scores, epoch = torch.randn(6, 3), 3.0
    ((function, *_), _) = training_functions(training)
    found = function(scores, torch.tensor(float(step)), torch.tensor(epoch))
    wanted = scores.mean() * min(1.0, step / 5_000) + max(epoch, 2, step / 1e4) + min(step, epoch, 9) / 6
    torch.testing.assert_close(found, wanted)


def test_the_clock_is_there_only_where_it_is_asked_for() -> None:
    assert trained_by(spec()).names == (("model", "scores"), ("data", "label"))
    hidden = spec("step = mean(scores)", loss="cross_entropy(scores, label) + step")
    assert trained_by(hidden).names == (("model", "scores"), ("data", "label"))
    assert codes("step = 5\n" + spec(loss="cross_entropy(scores, label) * step")) == []
    assert trained_by("step = 5\n" + spec(loss="cross_entropy(scores, label) * step")).names[-1] == ("data", "label")


# --- params ----------------------------------------------------------------------------------------------------------


def found_in(text: str) -> tuple[ir.Update, dict[str, Found]]:
    program = compile_text(text, train=True).program
    assert program.training is not None
    root = program.modules[program.main.module]
    return program.training.updates[0], {f.path: f for f in owned(program.modules, root.members, root.ties)}


def test_the_last_group_that_says_a_thing_counts() -> None:
    lines = (
        'params "*" { weight_decay = 0.5',
        "    lr = 0.1 }",
        'params "*.bias" { weight_decay = 0 }',
        "params hidden.bias { freeze = true }",
        'params "hidden.*" { freeze = false',
        "    eps = 1e-6 }",
        "params head.weight { optimizer = SGD(lr=1, momentum=0.5) }",
        "params head { lr = 2 }",
    )
    update, found = found_in(spec(*lines))
    told = {path: trained(update, each) for path, each in found.items()}
    assert not any(how.frozen for how in told.values())
    assert told["hidden.weight"].optimizer.arguments == {"lr": 0.1, "weight_decay": 0.5, "eps": 1e-6}
    assert told["hidden.bias"].optimizer.arguments == {"lr": 0.1, "weight_decay": 0.0, "eps": 1e-6}
    # An optimizer of its own begins anew: the weight decay was about the other one.
    assert told["head.weight"].optimizer.name == "SGD"
    assert told["head.weight"].optimizer.arguments == {"lr": 2.0, "momentum": 0.5}
    assert told["head.bias"].optimizer.arguments == {"lr": 2.0, "weight_decay": 0.0}


PATTERNS = ("*", "*.bias", "hidden.*", "head.weight", "*i*")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(PATTERNS), st.dictionaries(st.sampled_from(["lr", "weight_decay"]), st.just(0.25))),
        max_size=5,
    )
)
def test_groups_are_applied_one_after_the_other(said: list[tuple[str, dict[str, float]]]) -> None:
    groups = tuple(ir.Group(pattern, "", {k: v + i for k, v in each.items()}) for i, (pattern, each) in enumerate(said))
    update = ir.Update(ir.Graph((), (), (), ()), ir.Record("AdamW", {"lr": 9.0}), groups)
    for name in ("hidden.weight", "hidden.bias", "head.weight", "head.bias"):
        found = Found(name, ir.Member(name, "param", "auto"), (), name)
        wanted = {"lr": 9.0}
        for group in groups:
            if applies(group, found):
                wanted.update(group.settings)
        assert trained(update, found).optimizer.arguments == wanted


def test_muon_is_asked_about_what_it_gets() -> None:
    assert codes(spec('params "*.weight" { optimizer = Muon(lr=0.02) }')) == []
    assert codes(spec(optimizer="Muon(lr=0.02)")) == ["NNS627"]
    assert codes(spec('params "*.bias" { optimizer = SGD(lr=0.1) }', optimizer="Muon(lr=0.02)")) == []
    assert codes(spec('params "*.bias" { freeze = true }', optimizer="Muon(lr=0.02)")) == []


def test_lbfgs_may_freeze_and_nothing_else() -> None:
    assert codes(spec('params "*.bias" { freeze = true }', optimizer="LBFGS()")) == []
    assert codes(spec('params "*.bias" { lr = 0.5 }', optimizer="LBFGS()")) == ["NNS614"]


# --- from outside ----------------------------------------------------------------------------------------------------


def test_settings_are_set_from_outside() -> None:
    training = trained_by(
        EVERYTHING,
        optimizer__lr="1",
        schedule__schedulers__1__T_max="7",
        early_stopping__patience="3",
        checkpoint__best="val/accuracy",
        precision="16-mixed",
        weights="start.safetensors",
        average="SWA()",
        augment__image__0__padding="2",
    )
    (update,) = training.updates
    assert update.optimizer.arguments["lr"] == 1.0
    assert update.schedule is not None
    assert update.schedule.arguments["schedulers"][1].arguments == {"T_max": 7}
    assert training.settings["early_stopping"]["patience"] == 3
    assert training.settings["early_stopping"]["min_delta"] == 0.001
    assert training.settings["checkpoint"]["best"] == "val/accuracy"
    assert (training.settings["precision"], training.settings["weights"]) == ("16-mixed", "start.safetensors")
    assert training.average is not None
    assert training.average.name == "SWA"
    assert training.augment["image"][0].arguments["padding"] == 2


def test_what_is_not_there_can_be_set_from_outside() -> None:
    training = trained_by(spec(), schedule="StepLR(3)", early_stopping__patience="3", checkpoint__keep="9")
    assert training.updates[0].schedule is not None
    assert training.settings["early_stopping"] == {"patience": 3, "min_delta": 0.0, "monitor": None, "mode": None}
    assert training.settings["checkpoint"]["keep"] == 9


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schedul", "StepLR(3)"),
        ("schedule__gamma", "0.5"),
        ("optimizer__lrr", "0.5"),
        ("early_stopping__patiance", "3"),
        ("epochs__x", "3"),
        ("optimizer__betas__0", "3"),
    ],
)
def test_a_wrong_name_from_outside_is_refused(path: str, value: str) -> None:
    assert codes(spec(), **{path: value}) == ["NNS314"]


# --- written out -----------------------------------------------------------------------------------------------------


def again(
    text: str, base: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> tuple[ir.Program, ir.Program]:
    """A spec's program, and that of its resolved form."""
    first = compile_text(text, train=True, base=base, overrides=overrides).program
    return first, compile_text(resolved(first), train=True, base=base).program


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_resolved_example_trains_the_same(path: Path) -> None:
    text = path.read_text("utf-8")
    if any(d.code == "NNS601" for d in faults(text, path.parent)):
        pytest.skip("its data is not here")
    first, second = again(text, path.parent)
    assert bare(first.training) == bare(second.training)
    assert bare(first.main) == bare(second.main)


def faults(text: str, base: Path) -> tuple[Diagnostic, ...]:
    """What stands in the way of running a spec."""
    try:
        compile_text(text, train=True, base=base)
    except NnspecError as error:
        return tuple(error.diagnostics)
    return ()


def test_a_resolved_section_says_everything() -> None:
    first, second = again(EVERYTHING)
    assert bare(first.training) == bare(second.training)
    text = resolved(first)
    assert all(f"  {name} = " in text for name in Settings.fields)
    assert "weight_decay=0.01" in text
    assert "warm" not in text
    assert resolved(second).split("train ", 1)[1] == text.split("train ", 1)[1]


SEVERAL = """
model Generator(width = 8) {
  input z: float[N, 4]
  output y = z -> Linear(width) -> ReLU -> Linear(2)
}
model Discriminator {
  input x: float[N, 2]
  output score = x -> Linear(8) -> ReLU -> Linear(1)
}
train (G = Generator(width=6), D = Discriminator()) {
  data = Moons()
  fake = randn(N, 4) -> G
  update critic {
    params    = D
    loss      = mean(fake -> D) - mean(features -> D)
    optimizer = Adam(lr=2e-4, betas=(0.5, 0.999))
    clip_grad_norm = 2
    params "D.*.bias" { lr = 1e-3 }
  }
  update generator {
    params    = G
    loss      = -mean(fake -> D)
    optimizer = Adam(lr=2e-4, betas=(0.5, 0.999))
    schedule  = StepLR(5)
    every     = 2
  }
}
"""


def test_updates_are_written_out() -> None:
    first, second = again(
        SEVERAL, overrides={"train.critic.optimizer.lr": "0.5", "train.generator.schedule.gamma": "0.5"}
    )
    assert bare(first.training) == bare(second.training)
    assert "lr=0.5" in resolved(first)
    assert "gamma=0.5" in resolved(first)
    first, second = again(SEVERAL, overrides={"G.width": Written("5")})
    assert bare(first.training) == bare(second.training)
    assert bare(first.modules) == bare(second.modules)
    assert "(G = Generator(width=5), D = Discriminator())" in resolved(first)


def test_records_among_arguments_are_written_out(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,kind,place\n" + "1,2,a,p\n3,4,b,q\n" * 4, "utf-8")
    given = 'CSV("a.csv", target="kind", features=["x", "y"], columns=(where="place"))'
    for data in (given, 'CSV("a.csv", target="kind", features=["x", "y"])'):
        text = spec().replace("Iris()", data).replace("float[N, 4]", "float[N, 2]").replace("Linear(3)", "Linear(2)")
        first, second = again(text.replace("float[N, 3]", "float[N, 2]"), tmp_path)
        assert bare(first.training) == bare(second.training)


def test_what_was_set_from_outside_is_written_out() -> None:
    settings = {
        "train.optimizer.lr": "0.5",
        "train.loss": "cross_entropy(scores, label) * 2 + kl",
        "width": Written("5"),
    }
    first, second = again(EVERYTHING, overrides=settings)
    assert bare(first.training) == bare(second.training)
    assert bare(first.modules) == bare(second.modules)
    assert "train Net(width=5)" in resolved(first)
    assert "lr=0.5" in resolved(first)


@pytest.mark.parametrize("name", ['a"b.npz', "a\\b.npz", "{x}.npz", "tab\there.npz", "\u200bé.npz"])
def test_strings_are_quoted(name: str) -> None:
    first = compile_text(spec(), train=True).program
    assert first.training is not None
    data = ir.Record("NPZ", {"path": name})
    changed = replace(first, training=replace(first.training, data=data))
    assert trained_or_faults(resolved(changed)) == name


def trained_or_faults(text: str) -> str:
    """The path of the data that a spec names, which is not there."""
    with pytest.raises(NnspecError) as caught:
        compile_text(text, train=True)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "NNS601"
    return diagnostic.message.partition("`")[2].rpartition("`")[0]


# --- stored programs are not believed --------------------------------------------------------------------------------

BROKEN: dict[str, Callable[[Any], Any]] = {
    "there is no scheduler `Evil`": lambda t: t["updates"][0]["schedule"].update(name="Evil"),
    "there is no scheduler `SGD`": lambda t: part(t)[0].update(record="SGD", arguments={}),
    "`T_max` of scheduler `CosineAnnealingLR`": lambda t: part(t)[1]["arguments"].update(T_max="x"),
    "has 2 schedulers and 2 milestones": lambda t: t["updates"][0]["schedule"]["arguments"].update(milestones=[10, 20]),
    "a pattern holds names": lambda t: t["updates"][0]["groups"][0].update(pattern="a b"),
    "`nowhere` matches no parameter": lambda t: t["updates"][0]["groups"][0].update(pattern="nowhere"),
    "`freeze` is true or false": lambda t: t["updates"][0]["groups"][2]["settings"].update(freeze=1),
    "`Muon` trains matrices only": lambda t: t["updates"][0]["groups"][3].update(pattern="head.*"),
    "no parameter is left to train": lambda t: t["updates"][0]["groups"][2].update(pattern="*"),
    "`weight_decay` of optimizer `AdamW` must be": lambda t: group(t, 0, weight_decay="x"),
    "which `AdamW` has not": lambda t: group(t, 0, code="x"),
    "is random, and `transform`": lambda t: t["transforms"].update(
        image=[{"name": "RandomVerticalFlip", "arguments": {}}]
    ),
    "`augment` is of a field `pixels`": lambda t: t["augment"].update(pixels=[]),
    "there is no average `SGD`": lambda t: t["average"].update(name="SGD"),
    "there is no dataset `Evil`": lambda t: t["validation"].update(name="Evil"),
    "`early_stopping` follows `val/f1`": lambda t: record(t, "early_stopping", monitor="val/f1"),
    "`keep` of `checkpoint` must be": lambda t: record(t, "checkpoint", keep=0),
    "`checkpoint` has no argument `code`": lambda t: record(t, "checkpoint", code=1),
    "`precision` of `train` must be": lambda t: t["settings"].update(precision="8"),
    "there is no part 9 of 5": lambda t: t["settings"].update(fold=[9, 5]),
    "there is no `hour` in the clock": lambda t: t["names"][2].__setitem__(1, "hour"),
}


def part(training: Any) -> Any:
    return training["updates"][0]["schedule"]["arguments"]["schedulers"]


def group(training: Any, number: int, **settings: Any) -> None:
    training["updates"][0]["groups"][number]["settings"].update(settings)


def record(training: Any, name: str, **parts: Any) -> None:
    training["settings"][name]["dict"].update(parts)


@pytest.fixture(scope="module")
def everything() -> ir.Program:
    return compile_text(EVERYTHING, train=True).program


def test_a_stored_section_is_in_order(everything: ir.Program) -> None:
    read = loads(dumps(everything))
    assert read == everything
    assert verify(read) == []


@pytest.mark.parametrize("message", BROKEN)
def test_a_stored_section_is_not_believed(everything: ir.Program, message: str) -> None:
    document = json.loads(dumps(everything))
    BROKEN[message](document["training"])
    problems = verify(loads(json.dumps(document)))
    assert any(message in problem for problem in problems), problems


def test_checking_all_of_it_loads_nothing_heavy(tmp_path: Path) -> None:
    path = tmp_path / "all.nns"
    path.write_text(EVERYTHING, "utf-8")
    program = (
        "import sys\nfrom nnspec.compiler import check\n"
        "assert not check(open(sys.argv[1], encoding='utf-8').read()).diagnostics\n"
        "print(*{'torch', 'numpy', 'pydantic', 'onnx', 'sklearn'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


# --- what is switched off --------------------------------------------------------------------------------------------

OFF: dict[str, Any] = {
    "validation": None,
    "augment": {},
    "transform": {},
    "schedule": None,
    "clip_grad_norm": None,
    "clip_grad_value": None,
    "average": None,
    "early_stopping": None,
    "metrics": (),
}


def part_of(training: ir.Training, name: str) -> Any:
    """What the IR has of a setting."""
    elsewhere = {"schedule": training.updates[0].schedule, "transform": training.transforms}
    return elsewhere[name] if name in elsewhere else getattr(training, name, training.settings.get(name))


@pytest.mark.parametrize("name", OFF)
def test_what_may_be_absent_is_switched_off_by_none(name: str) -> None:
    text = EVERYTHING.replace('"val/accuracy"', '"val/loss"').replace("[warm,", "[LinearLR(),")
    text = re.sub(r"  warm .*\n", "", text)
    assert part_of(trained_by(text), name) != OFF[name]
    outside = compile_text(text, train=True, overrides={f"train.{name}": Written("none")}).program
    inside = trained_by(re.sub(rf"(?m)^  {name}( *)= .*$", rf"  {name}\1= none", text))
    assert outside.training is not None
    assert part_of(outside.training, name) == part_of(inside, name) == OFF[name]
    assert bare(trained_by(resolved(outside))) == bare(outside.training)


def test_no_validation_leaves_the_split_and_what_is_needed_cannot_be_none() -> None:
    assert trained_by(spec("validation = none")).settings["split"] == 0.2
    assert trained_by(spec("validation = none", "split = 0.1")).settings["split"] == 0.1
    assert codes(spec(optimizer="none")) == ["NNS201"]
    assert codes(spec("warm = 0", "schedule = StepLR(step_size=2) if warm > 0 else none")) == []
