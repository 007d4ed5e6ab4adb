"""Runs side by side: what `run.json` says of them, which is better, and the columns that tell them apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from nnspec.cli import nnspec as group
from nnspec.cli.runs import _columns, _fitting, _lines
from nnspec.compiler import compile_text
from nnspec.training.listener import Row
from nnspec.training.runs.about import about
from nnspec.training.runs.comparison import Summary, metric_names, options, spelled, summarize, telling
from tests.unit.trained import flowers, trained

GAN = (Path(__file__).parents[2] / "examples" / "gan.nns").read_text(encoding="utf-8")

RICH = """
model Net(width = 8, act = ReLU) {
  input features: float[N, 4]
  output scores: float[N, 3] = features -> Linear(width) -> act -> head: Linear(3)
}
train {
  data = Iris()
  loss = cross_entropy(scores, label)
  optimizer = AdamW(lr=1e-3)
  params "head.*" {
    lr = 0.5
    optimizer = SGD(lr=0.1)
  }
  schedule = StepLR(step_size=3)
  average = EMA(decay=0.5)
  checkpoint = (best="val/odd", mode="max")
  metrics = (error=mean_absolute_error(scores, scores), odd=mean(scores))
}
"""


def asked(text: str, **overrides: Any) -> dict[str, Any]:
    """What `run.json` would say."""
    program = compile_text(text, train=True, overrides=overrides).program
    assert program.training is not None
    found: dict[str, Any] = json.loads(json.dumps(about(program, program.training, overrides)))
    return found


def test_everything_that_was_asked_for_is_written_down_and_told_in_the_words_of_a_spec() -> None:
    content = asked(RICH, width=16)
    assert content["better"] == {"loss": "min", "error": "min", "odd": "max"}
    told = options(content)
    assert (told["width"], told["act"], told["train.batch_size"]) == ("16", "ReLU", "32")
    assert (told["train.optimizer"], told["train.optimizer.lr"]) == ("AdamW", "0.001")
    assert told["train.schedule"] == "StepLR(step_size=3, gamma=0.1)"
    assert told["train.average"] == "EMA(decay=0.5)"
    assert told['train.params "head.*"'].startswith("lr = 0.5, optimizer = SGD(lr=0.1, momentum=0.0")
    assert told["train.early_stopping"] == "none"
    assert told["train.data"] == "Iris"


def test_of_several_updates_all_are_written_down() -> None:
    content = asked(GAN)
    assert list(content["updates"]) == ["critic", "generator"]
    assert content["updates"]["critic"]["params"] == ["D.*"]
    assert content["better"] == {"critic": "min", "generator": "min"}
    told = options(content)
    assert told["G.latent"] == "8"
    assert told["train.critic.optimizer.betas"] == "(0.5, 0.999)"
    assert told["train.generator.schedule"] == "none"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "true"),
        ("bf16-mixed", "bf16-mixed"),
        ({"every": None, "best": "val/loss"}, '(every=none, best="val/loss")'),
        ([{"name": "RandomCrop", "size": 28}], "[RandomCrop(size=28)]"),
        ({"name": "Digits"}, "Digits"),
        ([0.9, 0.95], "(0.9, 0.95)"),
    ],
)
def test_values_are_spelled_as_in_a_spec(value: Any, text: str) -> None:
    assert spelled(value) == text


def test_what_is_nested_without_end_is_cut() -> None:
    value: Any = 1
    for _ in range(5_000):
        value = [value]
    assert spelled(value).count("(") < 30


# --- which is better -------------------------------------------------------------------------------------------------


def of(name: str, model: str = "Net", **changes: Any) -> Summary:
    standard: dict[str, Any] = {"best": {}, "options": {}}
    return Summary(Path(name), model, "finished", 1, 1.0, "", **(standard | changes))


def test_the_best_comes_first_and_what_has_no_number_last() -> None:
    better = {"accuracy": "max", "loss": "min"}
    values = {"a": 0.5, "b": 0.9, "c": float("nan"), "d": 0.7}
    found = [of(n, best={"val/accuracy": v, "val/loss": v}, better=better) for n, v in values.items()] + [of("e")]
    ranked = [each.path.name for each in sorted(found, key=lambda each: each.rank("val/accuracy"))]
    assert ranked[:3] == ["b", "d", "a"]
    ranked = [each.path.name for each in sorted(found, key=lambda each: each.rank("val/loss"))]
    assert ranked[:3] == ["a", "d", "b"]


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(each) for each in arguments], catch_exceptions=False)


def test_runs_are_sorted_by_what_their_metrics_say(tmp_path: Path) -> None:
    flowers(tmp_path)
    run = trained(tmp_path)
    for name, accuracy in (("low", 0.1), ("high", 0.99)):
        place = tmp_path / "runs" / name
        place.mkdir()
        (place / "run.json").write_text((run / "run.json").read_text())
        (place / "metrics.jsonl").write_text(json.dumps({"epoch": 1, "step": 1, "val/accuracy": accuracy}) + "\n")
    found = json.loads(cli("runs", run.parent, "--sort", "val/accuracy", "--output-format", "json").stdout)
    names = [each["name"] for each in found]
    assert names.index("high") < names.index("low")
    assert [each["best"]["val/accuracy"] for each in found] == sorted(
        (each["best"]["val/accuracy"] for each in found), reverse=True
    )
    help_of = cli("runs", "--help").stdout
    assert "--sort val/accuracy\n" in help_of


def test_an_unfinished_run_is_judged_by_the_number_that_it_follows(tmp_path: Path) -> None:
    document = {"settings": {"checkpoint": {"best": "val/odd"}}, "better": {"odd": "max"}}
    (tmp_path / "run.json").write_text(json.dumps(document))
    lines = [{"epoch": i, "step": i, "val/loss": i, "val/odd": value} for i, value in enumerate((1, 5, 3))]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert summarize(tmp_path).best["epoch"] == 1
    (tmp_path / "run.json").write_text("{}")
    assert summarize(tmp_path).best["epoch"] == 0


# --- columns ---------------------------------------------------------------------------------------------------------


def test_options_have_columns_where_runs_of_one_model_differ() -> None:
    adam = {"width": "8", "train.optimizer": "Adam", "train.optimizer.betas": "(0.9, 0.999)", "train.epochs": "1"}
    sgd = {"width": "16", "train.optimizer": "SGD", "train.optimizer.momentum": "0.0", "train.epochs": "1"}
    runs = [of("a", options=adam), of("b", options=sgd, overrides=("width",))]
    assert telling(runs) == ["width", "train.optimizer"]
    assert telling([*runs, of("c", "Other", options={"train.epochs": "90"})]) == ["width", "train.optimizer"]
    assert telling([of("a", options=adam), of("b", "Other", options=sgd)]) == []


def test_learning_rates_are_no_metrics() -> None:
    best = {"epoch": 1.0, "loss": 1.0, "lr": 0.1, "lr/*.bias": 0.1, "critic/lr": 0.1, "val/loss": 2.0}
    assert metric_names([of("a", best=best)]) == ["loss", "val/loss"]


@pytest.mark.parametrize("width", [40, 60, 100, 1000])
def test_a_table_fits_the_terminal_and_says_what_it_leaves_out(width: int) -> None:
    best = {"loss": 1.0, "val/loss": 2.0, "accuracy": 0.5, "val/accuracy": 0.5}
    many = [{f"train.option_{i}": str(i * run) for i in range(12)} | {"same": "1"} for run in range(3)]
    runs = [of(f"Net-{i}", best=best, options=each) for i, each in enumerate(many)]
    columns = _columns(runs, "accuracy")
    kept, omitted = _fitting(columns, width)
    assert max(map(len, _lines(kept))) <= width
    titles = [each.title for each in kept]
    assert {"run", "status", "accuracy"} <= set(titles)
    assert sorted([*titles, *omitted]) == sorted(each.title for each in columns)
    assert len([each for each in titles if each.startswith("train.")]) <= 8
    assert "same" not in [*titles, *omitted]
    assert ("val/loss" in titles) == (width > 20)


def test_several_models_have_a_column() -> None:
    titles = [each.title for each in _columns([of("a"), of("b", "Other")], None)]
    assert titles[:2] == ["run", "model"]
    assert "model" not in [each.title for each in _columns([of("a"), of("b")], None)]


def test_a_row_is_short_where_it_is_shown() -> None:
    row = Row(3, 90, {"loss": 0.12345678901234567}, {"loss": 1 / 3}, 1.23456789012, 100.0, {"lr": 1e-3})
    assert repr(row) == "Row(epoch=3, step=90, loss=0.123457, val/loss=0.333333, lr=0.001, seconds=1.23457)"
    assert row.json()["loss"] == 0.12345678901234567


def test_the_file_of_a_run_does_not_steer_the_terminal() -> None:
    runs = [of("a", "Net\x1b[2J"), of("b", "Other", options={"width": "8\r"}), of("c", "Other", options={"width": "9"})]
    text = "\n".join(_lines(_columns(runs, None)))
    assert "Net?[2J" in text
    assert text.replace("\n", "").isprintable()
