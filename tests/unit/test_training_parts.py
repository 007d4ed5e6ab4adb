"""What training is made of: optimizers and metrics, settings, devices, checks of the data, random inputs, progress."""

from __future__ import annotations

import inspect
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnspec import ir, registry
from nnspec.dims import Size, symbol
from nnspec.facts import Facts
from nnspec.layer import Function, ShapeError
from nnspec.proof import Proof
from nnspec.training import build, device
from nnspec.training.dataset import Array, Loaded, field_type
from nnspec.training.fault import Fault, SettingError
from nnspec.training.feeding.check import check_fields
from nnspec.training.inputs import choose_sizes, index_bounds, random_batch
from nnspec.training.optimizer import Optimizer
from nnspec.training.running.wiring import Wiring, wire
from nnspec.training.runs.directory import RunDirectory, environment
from nnspec.training.settings import Settings
from nnspec.types import TensorType

CPU = torch.device("cpu")
OPTIMIZERS = sorted(registry.index("optimizer"))
NO_GRAPH = ir.Graph((), (), (), ())


def optimizer_class(name: str) -> type[Optimizer]:
    cls = registry.find("optimizer", name)
    assert cls is not None
    return cls


# --- optimizers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arguments_and_defaults_are_torchs(name: str) -> None:
    theirs = dict(inspect.signature(getattr(torch.optim, name)).parameters)
    for internal in ("params", "capturable", "differentiable"):
        theirs.pop(internal, None)
    mine = optimizer_class(name).fields
    assert {n: f.default for n, f in mine.items()} == {n: p.default for n, p in theirs.items()}
    positional = [n for n, f in mine.items() if not f.keyword]
    assert positional == list(theirs)[: len(positional)]
    assert all(field.doc for field in mine.values())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_fast_implementation_is_taken_unless_the_author_chose_one(name: str) -> None:
    def chosen(**arguments: Any) -> tuple[bool, bool]:
        weight = {"weight": torch.nn.Parameter(torch.zeros(1, 1))}
        described = build.described(ir.Record(name, arguments))
        group = build.optimizer(described, [(weight, {})], CPU).param_groups[0]
        return bool(group.get("fused")), bool(group.get("foreach"))

    cls = optimizer_class(name)
    fused = "cpu" in cls.fused_on
    assert fused == ("fused" in cls.fields)
    if "foreach" not in cls.fields:
        assert chosen() == (False, False)
        return
    assert chosen() == ((True, False) if fused else (False, True))
    assert not chosen(foreach=False)[1]
    assert cls().options("xpu") == {"foreach": True}


def test_nesterov_needs_momentum() -> None:
    sgd = optimizer_class("SGD")
    sgd(nesterov=True, momentum=0.9).check()
    for arguments in ({"nesterov": True}, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}):
        with pytest.raises(SettingError) as caught:
            sgd(**arguments).check()
        assert caught.value.at == "nesterov"


def test_optimizers_and_settings_are_checked_without_torch() -> None:
    program = (
        "import sys; from nnspec import registry; import nnspec.training.settings\n"
        "[registry.find('optimizer', n)() for n in registry.index('optimizer')]\n"
        "[registry.find('metric', n) for n in registry.index('metric')]\n"
        "print(*{'numpy', 'torch'} & set(sys.modules))\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert result.stdout.strip() == ""


def test_settings_have_their_defaults_filled_in() -> None:
    def settings(**values: Any) -> Any:
        cls: Any = Settings
        return cls(**values)

    assert settings().complete()["epochs"] == 10
    assert settings(steps=5).complete()["epochs"] is None
    with pytest.raises(SettingError):
        settings(steps=5, epochs=1).check()


# --- metrics ---------------------------------------------------------------------------------------------------------


def metric(name: str, **arguments: Any) -> Function:
    cls = registry.find("metric", name)
    assert cls is not None
    made = cls(**arguments)
    assert isinstance(made, Function)
    return made


@pytest.mark.parametrize(
    ("name", "scores", "target", "message"),
    [
        ("accuracy", ("float32", 3), ("float32", 3), "cannot tell what is right or wrong"),
        ("accuracy", ("float32", 3), ("float32",), "needs class numbers"),
        ("accuracy", ("float32", 1), ("int64",), "finds a single class"),
        ("accuracy", ("int64", 3), ("int64",), "float"),
        ("accuracy", ("float32", 3, 8), ("int64", 7), "needs a target of shape"),
        ("accuracy", ("float32", 3, 8), ("int64",), "cannot compare"),
        ("binary_accuracy", ("float32", 2), ("int64",), "cannot compare"),
        ("binary_accuracy", ("float32", 2), ("int64", 3), "needs a target of shape"),
    ],
)
def test_metrics_refuse_what_they_would_compute_wrongly(name: str, scores: Any, target: Any, message: str) -> None:
    types = [TensorType(dtype, (symbol("N"), *dims)) for dtype, *dims in (scores, target)]
    with pytest.raises(ShapeError, match=message):
        metric(name).infer(Proof(Facts()), *types)


# --- the data against the spec ---------------------------------------------------------------------------------------


def section(**fields: TensorType) -> ir.Training:
    """A section whose model takes `x` and whose loss compares 3 scores with `label`."""
    values = (ir.Value(TensorType("float32", (symbol("N"), 3))), ir.Value(TensorType("int64", (symbol("N"),))))
    out = ir.Value(TensorType("float32", ()))
    loss = ir.Graph((0, 1), (*values, out), (ir.Op("cross_entropy", (ir.Ref(0), ir.Ref(1)), {}, (2,)),), (ir.Ref(2),))
    names = (("model", "scores"), ("data", "label"))
    types = {"x": field_type("float32", 2), "label": field_type("int64")} | fields
    return ir.Training(0, ir.Record("NPZ", {}), types, {"x": "x"}, names, (ir.Update(loss, ir.Record("SGD", {})),))  # type: ignore[arg-type]


def good() -> Loaded:
    fields: dict[str, Array] = {"x": np.zeros((4, 2), "float32"), "label": np.array([0, 1, 2, 0])}
    return Loaded(fields, origins={"label": "column `kind` of t.csv"})


def test_good_data_passes() -> None:
    check_fields(section(), good())


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("x", None, "the data has no field `x`"),
        ("x", np.zeros((4, 2)), "field `x` is float64[batch, 2], and the spec was checked with float[batch, 2]"),
        ("x", np.zeros((4, 3), "float32"), "field `x` is float[batch, 3], and the spec"),
        ("x", np.zeros(4, "float32"), "field `x` is float[batch], and the spec"),
        ("x", np.zeros((5, 2), "float32"), "`batch` is 5 in field `x` and 4 in field `label` (column `kind` of t.csv)"),
        ("x", np.array([[0, 0], [0, np.nan]] * 2, "float32"), "field `x` is not finite in sample 1"),
        (
            "label",
            np.array([0, 1, 3, 0]),
            "field `label` (column `kind` of t.csv) goes up to 3, and the loss",
        ),
        ("label", np.array([0, 1, -1, 0]), "field `label` (column `kind` of t.csv) goes down to -1"),
    ],
)
def test_data_that_does_not_fit_is_refused(name: str, array: np.ndarray | None, message: str) -> None:
    loaded = good()
    if array is None:
        del loaded.fields[name]
    else:
        loaded.fields[name] = array
    with pytest.raises(Fault) as caught:
        check_fields(section(), loaded)
    assert caught.value.message.startswith(message)


def test_targets_that_the_loss_ignores_may_be_any_number() -> None:
    loaded = good()
    loaded.fields["label"] = np.array([0, -100, 2, 0])
    check_fields(section(), loaded)
    loaded.fields["label"] = np.full(4, -100)
    check_fields(section(), loaded)


def test_classes_stand_where_the_loss_says() -> None:
    made = section()
    scores = ir.Value(TensorType("float32", (symbol("N"), 2, 3)))
    op = ir.Op("cross_entropy", (ir.Ref(0), ir.Ref(1)), {"dim": -1}, (2,))
    loss = made.updates[0].loss
    update = replace(made.updates[0], loss=replace(loss, values=(scores, *loss.values[1:]), nodes=(op,)))
    made = replace(made, updates=(update,))
    check_fields(made, good())
    loaded = good()
    loaded.fields["label"] = np.array([0, 3, 2, 0])
    with pytest.raises(Fault, match="has scores for 3 classes"):
        check_fields(made, loaded)


def test_data_without_samples_is_refused() -> None:
    loaded = Loaded({"x": np.zeros((0, 2), "float32"), "label": np.zeros(0, "int64")})
    with pytest.raises(Fault, match="no samples"):
        check_fields(section(), loaded)


# --- random inputs ---------------------------------------------------------------------------------------------------

N, T, H = symbol("N"), symbol("T"), symbol("H")


def program(*requires: tuple[Size, str], rows: int = 5) -> ir.Program:
    """A model of tokens [N, T], which it looks up through a block, an image [N, 1, H, H] and a mask."""
    types = (TensorType("int64", (N, T)), TensorType("float32", (N, 1, H, H)), TensorType("bool", (T,)))
    values = (*(ir.Value(t) for t in types), ir.Value(TensorType("float32", (N, T, 4))))
    symbols = (ir.Symbol("N", 0, 0), ir.Symbol("T", 0, 1), ir.Symbol("H", 1, 2))
    needs = tuple(ir.Requirement(size, relation, "a reason") for size, relation in requires)  # type: ignore[arg-type]
    outer = ir.Graph((0, 1, 2), values, (ir.Call("inner", (ir.Ref(0),), (3,), method=1),), (ir.Ref(3),))
    inner = ir.Graph((0,), (values[0], values[3]), (ir.Call("wte", (ir.Ref(0),), (1,)),), (ir.Ref(1),))
    methods = (
        ir.Method(0, "both", ("tokens", "image", "mask"), ("y",), symbols, needs, outer),
        ir.Method(1, "both", ("x",), ("",), symbols[:2], (), inner),
    )
    modules = (
        ir.Module("block", "Net", members=(ir.Member("inner", "module", "label", module=1),)),
        ir.Module("block", "Inner", members=(ir.Member("wte", "module", "label", module=2),)),
        ir.Module("layer", "Embedding", {"num_embeddings": ir.Attr(rows), "embedding_dim": ir.Attr(4)}),
    )
    return ir.Program(modules, methods, (ir.Entry("Net", 0, {"infer": 0}),))


def test_random_integers_that_nothing_is_known_of_stay_small() -> None:
    made = program()
    method = made.methods[0]
    alone = ir.Graph(method.graph.inputs, method.graph.values, (), (ir.Ref(0),))
    methods = (ir.Method(0, "both", method.input_names, ("y",), method.symbols, (), alone), made.methods[1])
    bare = ir.Program(made.modules, methods, made.entries)
    assert set(random_batch(bare, bare.main, {"N": 20})["tokens"].flatten().tolist()) == {0, 1}


def test_random_inputs_have_the_types_and_stay_within_embeddings() -> None:
    made = program(rows=3)
    batch = random_batch(made, made.main)
    assert {name: (str(x.dtype), x.dim()) for name, x in batch.items()} == {
        "tokens": ("torch.int64", 2),
        "image": ("torch.float32", 4),
        "mask": ("torch.bool", 1),
    }
    assert set(batch["tokens"].flatten().tolist()) == {0, 1, 2}
    assert batch["image"].shape[2] == batch["image"].shape[3]
    assert index_bounds(made, made.main) == {"tokens": 3}
    assert all(torch.equal(x, random_batch(made, made.main)[name]) for name, x in batch.items())


@pytest.mark.parametrize(
    ("requires", "holds"),
    [
        ([(H - 200, ">=")], lambda s: s["H"] >= 200),
        ([(H % 7, "=="), (H - 10, ">=")], lambda s: s["H"] % 7 == 0 and s["H"] >= 10),
        ([(H - T - 1, ">="), (T - 20, ">=")], lambda s: s["H"] > s["T"] >= 20),
        ([(N - 1, "==")], lambda s: s["N"] == 1),
    ],
)
def test_sizes_meet_the_requirements(requires: list[tuple[Size, str]], holds: Callable[[dict[str, int]], bool]) -> None:
    assert holds(choose_sizes(program(*requires).methods[0]))


def test_given_sizes_stay_and_impossible_ones_are_a_fault() -> None:
    method = program((H - 30, ">=")).methods[0]
    assert choose_sizes(method, {"H": 33, "T": 9}) == {"H": 33, "T": 9, "N": 4}
    with pytest.raises(Fault) as caught:
        choose_sizes(method, {"H": 5})
    assert caught.value.helps == ("give them: N=..., T=...",)
    with pytest.raises(Fault):
        choose_sizes(program((-1 - H, ">=")).methods[0])


# --- wiring ----------------------------------------------------------------------------------------------------------


def test_optional_inputs_that_no_field_feeds_are_none() -> None:
    wiring = Wiring(("x", None, "y"), (("data", "y"), ("model", "b")), ("a", "b"), ("b",))
    batch = {"x": torch.ones(1), "y": torch.zeros(1)}
    called = wiring.call(lambda *args: args, batch)  # type: ignore[arg-type]
    assert called == (batch["x"], None, batch["y"])
    outputs = (torch.ones(1), torch.zeros(1))
    assert wiring.reader(training=True)(outputs, batch) == [batch["y"], outputs[1]]
    assert wiring.reader(training=False)(outputs[0], batch) == [batch["y"], outputs[0]]


def test_a_program_is_wired_by_its_names() -> None:
    training = ir.Training(
        0,
        ir.Record("NPZ", {}),
        {},
        {"mask": "m", "tokens": "t"},
        (("model", "y"),),
        (ir.Update(NO_GRAPH, ir.Record("SGD", {})),),
    )
    assert wire(training, program()) == Wiring(("t", None, "m"), (("model", "y"),), ("y",), ("y",))


# --- device, run directory, progress ---------------------------------------------------------------------------------


def test_devices_that_are_not_there_are_listed_against_those_that_are() -> None:
    assert device.resolve("cpu") == CPU
    assert device.resolve("auto").type in device.available()[-1]
    for name, message in (("cuda:99", "device `cuda:99` is not there"), ("gpu", "`gpu` is not the name of a device")):
        with pytest.raises(Fault) as caught:
            device.resolve(name)
        assert caught.value.message == message
        assert "cpu" in caught.value.notes[0]


def test_runs_are_numbered_after_those_that_are_there(tmp_path: Path) -> None:
    for name in ("net-2", "net-10", "net-x", "other-50", "net-3-old"):
        (tmp_path / name).mkdir()
    assert settled(tmp_path, "net").name == "net-11"
    assert settled(tmp_path / "new", "../a b") == tmp_path / "new" / "a_b-1"


def settled(root: Path, name: str) -> Path:
    run = RunDirectory.create(root, name)
    run.write_text("a", "")
    run.settle()
    assert (run.path / "a").exists()
    return run.path


def test_a_run_that_is_not_settled_leaves_nothing_behind(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "net")
    run.write_text("a", "")
    run.forget()
    assert not list(tmp_path.iterdir())
    run = RunDirectory.create(tmp_path, "net")
    os.utime(run.path, (0, 0))  # of a run that was killed, long ago
    RunDirectory.create(tmp_path, "net").settle()
    assert [path.name for path in tmp_path.iterdir()] == ["net-1"]


def test_a_file_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDirectory(tmp_path)
    run.write_json("a.json", {"x": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(Fault) as caught:
        run.write_json("a.json", {"x": 2})
    assert caught.value.code == "NNS623"
    assert "no space left on device" in caught.value.message
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="it asks what only Windows insists on")
def test_files_are_open_for_writing_when_they_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    seen = []

    def sync(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            seen.append(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE)

    monkeypatch.setattr("os.fsync", sync)
    RunDirectory(tmp_path).write_json("a.json", {})
    assert seen == [os.O_RDWR]


def test_a_place_that_is_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(Fault, match="cannot be written"):
        RunDirectory.create(tmp_path / "runs", "net")


def test_the_environment_is_json() -> None:
    assert json.loads(json.dumps(environment(CPU)))["torch"] == torch.__version__
