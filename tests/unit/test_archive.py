"""A run's directory, read again: which run is meant, its checkpoints, its files when they are missing or damaged."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

import nnspec
from nnspec.backends.torch import load_weights
from nnspec.compiler_trained import open_run
from nnspec.training.fault import Fault
from nnspec.training.runs.archive import Archive
from nnspec.training.runs.comparison import metric_names, summarize, telling
from nnspec.training.runs.listing import RunError, find_run, runs_in
from tests.unit.trained import FLOWERS, copied, flowers, trained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four epochs."""
    folder = tmp_path_factory.mktemp("flowers")
    flowers(folder)
    return trained(folder)


@pytest.fixture(scope="module")
def second(run: Path) -> Path:
    """Another run of the same spec, with other settings."""
    spec = run.parents[1] / "net.nns"
    overrides = {"hidden": 4, "train.epochs": 2}
    found = nnspec.train(spec, out=run.parent, progress=False, overrides=overrides).directory
    assert found is not None
    return found


# --- which run -------------------------------------------------------------------------------------------------------


def test_a_run_is_found_by_its_path_a_checkpoint_or_its_name(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = next((run / "checkpoints").glob("step-*"))
    assert find_run(run) == (run, None)
    assert find_run(checkpoint) == (run, checkpoint.name)
    assert find_run(run / "checkpoints") == (run, None)
    monkeypatch.chdir(run.parents[1])
    assert find_run(run.name) == (Path("runs") / run.name, None)


def test_a_name_without_a_number_is_enough_for_the_only_run(tmp_path: Path) -> None:
    for name in ("deep-net-1", "net-3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    assert find_run("net", tmp_path) == (tmp_path / "net-3", None)
    (tmp_path / "net-12").mkdir()
    (tmp_path / "net-12" / "run.json").write_text("{}")
    assert [each.name for each in runs_in(tmp_path)] == ["deep-net-1", "net-3", "net-12"]
    with pytest.raises(RunError, match="several runs are called `net`") as caught:
        find_run("net", tmp_path)
    assert caught.value.helps == (f"name one: `{tmp_path / 'net-3'}`, `{tmp_path / 'net-12'}`",)


def test_what_is_no_run_says_what_there_is(tmp_path: Path, run: Path) -> None:
    with pytest.raises(RunError, match="there is no run") as caught:
        find_run(run.with_name("Nett-1"))
    assert caught.value.helps == (f"there is `{run}`",)
    with pytest.raises(RunError, match="is not the directory of a run") as caught:
        find_run(run.parent)
    assert str(run) in caught.value.helps[0]
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        find_run(tmp_path / "file")
    with pytest.raises(RunError, match="cannot be looked for: file name too long"):
        find_run("x" * 5000)


# --- checkpoints -----------------------------------------------------------------------------------------------------


def test_the_best_checkpoint_is_the_default_and_others_go_by_step(run: Path, tmp_path: Path) -> None:
    run = copied(run, tmp_path)
    place = run / "checkpoints" / "index.json"
    index = json.loads(place.read_text())
    copytree(place.parent / index["last"], place.parent / "step-00000005")
    index["best"] = "step-00000005"
    place.write_text(json.dumps(index))
    assert Archive.open(run).checkpoint == index["best"]
    assert Archive.open(run, checkpoint="last").checkpoint == index["last"]
    steps = int(index["last"].removeprefix("step-"))
    assert Archive.open(run, checkpoint=str(steps)).done == (steps, 4)
    assert Archive.open(run / "checkpoints" / index["last"]).checkpoint == index["last"]
    with pytest.raises(RunError, match="has no checkpoint `7`") as caught:
        Archive.open(run, checkpoint="7")
    assert str(steps) in caught.value.helps[0]
    with pytest.raises(RunError, match="is a checkpoint itself"):
        Archive.open(run / "checkpoints" / index["last"], checkpoint="best")


def test_without_an_index_the_last_checkpoint_is_used(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path)
    last = Archive.open(run, checkpoint="last").checkpoint
    (copy / "checkpoints" / "index.json").write_text("{torn")
    assert Archive.open(copy).checkpoint == last


def test_a_run_that_was_killed_at_once_has_nothing_to_give(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(RunError, match=r"has no `program\.json`"):
        Archive.open(tmp_path)
    (tmp_path / "program.json").write_text("{}")
    with pytest.raises(RunError, match="has no checkpoint"):
        Archive.open(tmp_path)


# --- damaged files: a run may come from anybody ----------------------------------------------------------------------


def damaged(run: Path, to: Path, **changes: Any) -> Path:
    """A copy whose `data.json` has other contents."""
    copy = copied(run, to)
    content = json.loads((copy / "data.json").read_text())
    (copy / "data.json").write_text(json.dumps(content | changes))
    return copy


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"dataset": {"name": "os", "arguments": {}}}, "there is no dataset `os`"),
        ({"dataset": {"name": "CSV", "arguments": {"path": 3}}}, ""),
        ({"dataset": {"name": "CSV", "arguments": {"paths": "x"}}}, "`CSV` has no argument `paths`"),
        ({"dataset": None}, ""),
        ({"transforms": {"features": [{"name": "Net", "arguments": {}, "state": {}}]}}, "there is no transform `Net`"),
        ({"transforms": {"features": 3}}, ""),
        ({"divisor": {"features": "x"}}, ""),
        ({"stored": {"features": {"dtype": "float32"}}}, "there is no 'shape'"),
        ({"classes": []}, ""),
        ({"dataset": {"name": "CSV", "arguments": {"path": "t.csv", "fill": 10**400}}}, ""),
    ],
)
def test_a_damaged_description_of_the_data_is_a_fault(
    run: Path, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    archive = Archive.open(damaged(run, tmp_path, **changes))
    with pytest.raises(RunError, match="does not say how to read data") as caught:
        _ = archive.preparation
    assert why in "".join(caught.value.notes)


def test_numbers_that_do_not_fit_their_field_are_a_fault(run: Path, tmp_path: Path) -> None:
    state = {"mean": [1.0, 2.0, 3.0], "deviation": [1.0, 1.0, 1.0]}
    copy = damaged(run, tmp_path, transforms={"features": [{"name": "Standardize", "arguments": {}, "state": state}]})
    with pytest.raises(nnspec.NnspecError, match="what is done to `features` does not fit it"):
        nnspec.predict(copy, {"features": torch.zeros(2, 4).numpy()})


@pytest.mark.parametrize("mean", [["x", 0, 0], [[1], 0, 0], [None, 0, 0], [10**400, 0, 0], {}, "x", None, []])
def test_what_was_measured_is_tried_before_it_is_used(run: Path, tmp_path: Path, mean: Any) -> None:
    content = json.loads((run / "data.json").read_text())
    changed = content["transforms"]
    changed["features"][0]["state"]["mean"] = mean
    with pytest.raises(RunError, match="what is done to `features` does not fit it"):
        _ = Archive.open(damaged(run, tmp_path, transforms=changed)).preparation


@pytest.mark.parametrize(("dtype", "shape"), [("object", [3]), ("U5", [3]), ("float32", [-3]), ("float32", [10**12])])
def test_samples_that_cannot_be_are_not_asked_for(run: Path, tmp_path: Path, dtype: str, shape: list[int]) -> None:
    copy = damaged(run, tmp_path, stored={"features": {"dtype": dtype, "shape": shape}})
    with pytest.raises(RunError, match="what is done to `features` does not fit it"):
        _ = Archive.open(copy).preparation


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": ', b"\xff\xfe", b"[" * 100_000])
def test_a_torn_document_is_a_fault(run: Path, tmp_path: Path, content: bytes) -> None:
    copy = copied(run, tmp_path)
    (copy / "data.json").write_bytes(content)
    with pytest.raises(RunError, match="is damaged"):
        _ = Archive.open(copy).preparation
    (copy / "data.json").unlink()
    with pytest.raises(RunError, match="is not there"):
        _ = Archive.open(copy).preparation


@pytest.mark.parametrize("name", ["program.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_program_or_weights_are_an_error(run: Path, tmp_path: Path, name: str, content: bytes) -> None:
    copy = copied(run, tmp_path)
    archive = Archive.open(copy)
    place = archive.program_path if name == "program.json" else archive.weights_path
    place.write_bytes(content)
    with pytest.raises(nnspec.NnspecError) as caught:
        nnspec.load(copy)
    assert caught.value.diagnostics[0].code in ("NNS507", "NNS505", "NNS502", "NNS628", "NNS640")


def test_a_program_of_other_shapes_is_refused(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path)
    text = (copy / "program.json").read_text()
    (copy / "program.json").write_text(text.replace('"float[N, 3]"', '"float[N, 5]"'))
    with pytest.raises(nnspec.NnspecError) as caught:
        nnspec.load(copy)
    assert caught.value.diagnostics[0].code == "NNS507"


# --- weights, wherever they are taken --------------------------------------------------------------------------------


def test_a_runs_directory_stands_for_its_weights(run: Path, tmp_path: Path) -> None:
    archive = Archive.open(run)
    expected = load_weights(archive.weights_path)
    for place in (run, archive.weights_path.parent):
        found = load_weights(place)
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    module = nnspec.load(run.parents[1] / "net.nns", weights=run)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in module.state_dict().items())
    with pytest.raises(Exception, match="not that of a run"):
        load_weights(tmp_path)


def test_a_run_can_begin_with_the_weights_of_another(run: Path, tmp_path: Path) -> None:
    flowers(tmp_path)
    spec = tmp_path / "next.nns"
    spec.write_text(FLOWERS.replace("epochs     = 4", f'epochs = 1\n  weights = "{run}"').replace("2e-2", "0.0"))
    model = nnspec.train(spec, out=None, progress=False).model
    expected = load_weights(run)
    assert torch.equal(model.state_dict()["fc1.weight"], expected["fc1.weight"])


def test_load_gives_the_trained_model_in_eval_mode(run: Path) -> None:
    module = nnspec.load(run, device="cpu")
    assert not module.training
    expected = Archive.open(run).weights()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in module.state_dict().items())
    x = torch.randn(5, 4)
    optimized = nnspec.load(run, optimize=True)
    torch.testing.assert_close(optimized(x), module(x))
    with pytest.raises(nnspec.NnspecError, match="no model `Other`"):
        nnspec.load(run, "Other")


def test_opening_a_run_needs_leave_for_python_code(run: Path) -> None:
    assert open_run(run).compiled.program.training is not None
    with pytest.raises(Fault):
        Archive.open(run, checkpoint="first")


# --- several runs ----------------------------------------------------------------------------------------------------


def test_runs_are_compared_by_what_differs(run: Path, second: Path) -> None:
    summaries = [summarize(each) for each in runs_in(run.parent)]
    assert [each.path for each in summaries] == [run, second]
    assert [(each.status, each.epochs) for each in summaries] == [("finished", 4), ("finished", 2)]
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert summaries[0].best["val/loss"] == min(each["val/loss"] for each in rows)
    assert telling(summaries) == ["hidden", "train.epochs"]
    assert metric_names(summaries) == ["loss", "accuracy", "val/loss", "val/accuracy"]


def test_an_unfinished_run_is_summed_up_from_its_lines(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path)
    (copy / "result.json").unlink()
    (copy / "run.json").write_text("{torn")
    lines = (copy / "metrics.jsonl").read_text()
    (copy / "metrics.jsonl").write_text(lines + '{"epoch": 5')
    found = summarize(copy)
    assert (found.status, found.epochs, found.model) == ("unfinished", 4, "")
    assert found.best == summarize(run).best
    assert found.seconds > 0
