"""`docs/layers.md` is what the classes say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from nnspec import registry, registry_std
from nnspec.cli import explain
from nnspec.codes import all_codes
from nnspec.elaborate.train_statements import SECTION
from nnspec.reference import markdown
from nnspec.registry_pages import STATEMENTS
from nnspec.training.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "layers.md"


def test_the_page_is_written_from_the_classes_as_they_are() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == markdown(), "nnspec explain --markdown > docs/layers.md"


def test_every_name_has_an_entry_and_every_example_a_result() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    entries = [line.removeprefix("#### ") for line in lines if line.startswith("#### ")]
    assert sorted(entries) == sorted(name for kind in registry.FOLDERS for name in registry.index(kind))
    assert "| `Conv2d(8, 3)` | `x: float[N, 3, 16, 16]` | `float[N, 8, 14, 14]` |" in lines


def completion(*names: str) -> Any:
    result = CliRunner().invoke(explain.command, ["--json", *names])
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_completion_data_is_what_the_classes_say() -> None:
    found = {(e["kind"], e["name"]): e for e in completion()["entries"]}
    classes = {(kind, name) for kind in registry.FOLDERS for name in registry.index(kind)}
    assert {key for key in found if key[0] not in ("block", "section")} == classes
    assert {key[1] for key in found if key[0] == "block"} == set(registry_std.blocks())
    for kind, name in classes:
        cls, entry = registry.find(kind, name), found[kind, name]
        assert cls is not None
        assert [a["name"] for a in entry["arguments"]] == list(cls.fields)
        assert [a["required"] for a in entry["arguments"]] == [field.required for field in cls.fields.values()]
        assert entry["examples"] == [example.text for example in getattr(cls, "examples", ())]


def test_completion_data_of_some_names() -> None:
    (entry,) = completion("Conv2d")["entries"]
    assert entry["inputs"] == [{"name": "x", "optional": False}]
    arguments = {a["name"]: a for a in entry["arguments"]}
    assert arguments["stride"] == {
        "name": "stride",
        "type": "a whole number or a tuple of 2 whole numbers",
        "default": "1",
        "required": False,
        "keyword": False,
        "inferred": False,
        "doc": arguments["stride"]["doc"],
        "ge": 1,
    }
    assert arguments["in_channels"]["inferred"]
    assert arguments["out_channels"]["default"] is None
    assert {e["kind"] for e in completion("FeedForward", "dropout", "Dropout")["entries"]} == {
        "block",
        "layer",
        "function",
    }


def test_completion_data_of_a_block_is_what_it_declares() -> None:
    (entry,) = completion("std.feedforward.FeedForward")["entries"]
    assert [(a["name"], a["type"], a["default"], a["required"]) for a in entry["arguments"]] == [
        ("hidden", "int", None, True),
        ("act", "layer", "GELU", False),
        ("dropout", "float", "0.0", False),
    ]
    assert entry["inputs"] == [{"name": "x", "optional": False, "type": "float[..., D]", "doc": ""}]
    assert {e["name"] for e in completion("std.feedforward")["entries"]} >= {"FeedForward"}


def test_completion_data_is_of_what_was_asked_for() -> None:
    asked = completion("NNS403")
    assert [each["code"] for each in asked["codes"]] == ["NNS403"]
    assert asked["entries"] == []
    assert set(asked) == {"version", "codes", "entries"}
    assert set(completion("Linear")) == {"version", "entries"}
    everything = completion()
    assert set(everything) == {"version", "words", "codes", "entries"}
    assert len(everything["codes"]) == len(all_codes())
    (attention,) = completion("MultiheadAttention")["entries"]
    assert {i["name"]: i["optional"] for i in attention["inputs"]}["attn_mask"]


def test_completion_data_of_the_section() -> None:
    (entry,) = completion("train")["entries"]
    assert entry["kind"] == "section"
    arguments = {a["name"]: a for a in entry["arguments"]}
    assert set(arguments) == {*STATEMENTS, *Settings.fields}
    assert all(each["doc"] for each in arguments.values())
    assert arguments["batch_size"]["default"] == "32"
    assert [name for name, each in arguments.items() if each["required"]] == ["data", "loss", "optimizer"]


def test_every_statement_of_the_section_has_a_page() -> None:
    assert {*SECTION, "params", "update"} == {*STATEMENTS, *Settings.fields}
    for name in (*STATEMENTS, *Settings.fields):
        result = CliRunner().invoke(explain.command, [name])
        assert result.exit_code == 0, name
        assert "`train`" in result.output, name
        assert name in CliRunner().invoke(explain.command, ["train"]).output
    page = CliRunner().invoke(explain.command, ["early_stopping"]).output
    assert all(f"  {name}" in page for name in ("patience", "min_delta", "monitor", "mode"))
    near = CliRunner().invoke(explain.command, ["early_stoping"])
    assert "did you mean `early_stopping`?" in near.output


def test_what_torch_has_and_we_do_not_is_explained_by_what_is_there_instead() -> None:
    result = CliRunner().invoke(explain.command, ["Sequential"])
    assert result.exit_code == 1
    assert "layers follow each other by arrows" in result.output
