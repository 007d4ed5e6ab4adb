"""Several files in one program: whose names a block sees, what is read, and where things are said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import nnspec
from nnspec import ir_json, registry_std, registry_std_pages
from nnspec.compiler import Checked, Compiled, check, compile_text
from nnspec.compiler_files import Files
from nnspec.compiler_run import train
from nnspec.diagnostics import NnspecError
from nnspec.elaborate import imports
from nnspec.elaborate.files import Unreadable
from nnspec.render import render
from nnspec.verify import verify

ROOT = Path(__file__).parent.parent.parent


class Texts:
    """Files that are only in memory; counts how often each is read."""

    main = "main.nns"

    def __init__(self, texts: Mapping[str, str]) -> None:
        self.texts = texts
        self.read_keys: list[str] = []

    def locate(self, path: str, importer: str) -> str:
        found = os.path.normpath(os.path.join(os.path.dirname(importer), path))
        if found not in self.texts:
            raise Unreadable("NNS218", "there is no such file")
        return found

    def locate_library(self, name: str) -> str:
        return Files().locate_library(name)

    def read(self, key: str) -> str:
        self.read_keys.append(key)
        return registry_std.text_of(key) if key.startswith("std.") else self.texts[key]


def checked(main: str, **others: str) -> Checked:
    files = {name.replace("__", "/") + ".nns": text for name, text in others.items()}
    return check(main, "main.nns", reader=Texts({"main.nns": main, **files}))


def compiled(main: str, *, model: str | None = None, train: bool = False, **others: str) -> Compiled:
    files = {name.replace("__", "/") + ".nns": text for name, text in others.items()}
    return compile_text(main, "main.nns", model=model, train=train, reader=Texts({"main.nns": main, **files}))


def codes(found: Checked) -> list[str]:
    return [diagnostic.code for diagnostic in found.diagnostics]


def model(body: str) -> str:
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().splitlines())
    return f"model Net {{\n  input x: float[N, 8]\n{lines}\n}}\n"


MLP = """
width = 4
scale = width / 2

block times {
  input x: float[...]
  output x * scale
}

block Part(size) {
  input x: float[N, D]
  output x -> fc: Linear(size) -> times
}

## Two layers.
block Mlp(hidden = 2 * width) {
  input x: float[N, D]
  output x -> a: Part(hidden) -> b: Part(width)
}
"""


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_block_sees_the_names_of_its_own_file() -> None:
    main = """
    from "mlp.nns" import Mlp
    width = 99
    scale = 1000
    block Part(size) {
      input x: float[N, D]
      output x -> ReLU
    }
    """ + model("output y: float[N, 4] = x -> Part(1) -> mlp: Mlp -> own: Part(2)")
    found = compiled(main, mlp=MLP)
    assert [v.type.dims[1] for v in found.program.methods[found.program.main.methods["infer"]].graph.values][-1] == 4
    live = nnspec_module(found)
    assert [tuple(p.shape) for p in live.parameters()] == [(8, 8), (8,), (4, 8), (4,)]
    x = torch.randn(3, 8)
    names = dict(live.named_parameters())
    hidden = 2 * (x.relu() @ names["mlp.a.fc.weight"].T + names["mlp.a.fc.bias"])
    expected = 2 * (hidden @ names["mlp.b.fc.weight"].T + names["mlp.b.fc.bias"])
    assert torch.allclose(live(x), expected.relu(), atol=1e-6)


def nnspec_module(found: Compiled) -> Any:
    from nnspec.compiler_output import build_module

    return build_module(found, seed=0)


def test_a_file_can_have_a_name() -> None:
    main = 'import "lib/mlp.nns" as lib\n\n' + model(
        """
        for i in range(2) { x = x -> "part{i}_{lib.width}": lib.Part(lib.width * 2) }
        x = lib.times(x) -> lib.times -> Linear(lib.width)
        output y: float[N, lib.width] = x -> lib.Mlp
        """
    )
    state = nnspec_module(compiled(main, lib__mlp=MLP)).state_dict()
    assert list(state)[:4] == ["part0_4.fc.weight", "part0_4.fc.bias", "part1_4.fc.weight", "part1_4.fc.bias"]
    assert "mlp.a.fc.weight" in state


def test_a_layer_that_got_the_name_of_a_file_by_itself_does_not_hide_it() -> None:
    main = 'import "mlp.nns" as mlp\nfrom "mlp.nns" import Mlp\n\n' + model("output y = x -> Mlp -> mlp.Mlp")
    assert checked(main, mlp=MLP).diagnostics == ()


def test_names_may_be_changed_on_the_way_in() -> None:
    main = 'from "mlp.nns" import Mlp as Body, width as size, times as twice\n\n' + model(
        "h = x -> Body(size)\noutput y: float[N, 4] = twice(h) -> Body"
    )
    found = compiled(main, mlp=MLP)
    assert list(nnspec_module(found).state_dict())[:2] == ["mlp.a.fc.weight", "mlp.a.fc.bias"]


def test_a_block_of_another_file_is_a_value_like_any() -> None:
    twice = "block Twice(body: layer) {\n  input x: float[N, D]\n  output x -> body * 2\n}\n"
    main = f'import "mlp.nns" as m\n{twice}' + model(
        "output y = x -> { m.Mlp(3) -> m.times } -> Twice(m.Mlp) -> Twice(body=m.Part(5))"
    )
    state = nnspec_module(compiled(main, mlp=MLP)).state_dict()
    assert state["sequential.0.a.fc.weight"].shape == (3, 8)
    assert [state[name].shape for name in state if name.startswith("twice_1") and "weight" in name] == [(5, 4), (5, 5)]


def test_defaults_are_worked_out_in_the_file_of_their_block() -> None:
    main = 'from "mlp.nns" import Mlp\nwidth = 1\n' + model("output y = x -> Mlp")
    (arguments,) = [m.arguments for m in compiled(main, mlp=MLP).program.modules if m.name == "Mlp"]
    assert arguments["hidden"].value == 8


def test_imported_models_are_blocks_and_can_be_trained_and_named() -> None:
    other = (
        "model Head(classes = 3) {\n  input features: float[N, 4]\n  output scores = features -> Linear(classes)\n}\n"
    )
    train = """
    train {HEAD} {
      data      = Iris()
      loss      = cross_entropy(scores, label)
      optimizer = Adam(lr=1e-2)
    }
    """
    for head, line in (("Head", 'from "head.nns" import Head'), ("h.Head(classes=3)", 'import "head.nns" as h')):
        text = line + train.replace("{HEAD}", head)
        assert checked(text, head=other).diagnostics == ()
        found = compiled(text, head=other, train=True)
        assert found.program.main.name == "Head"
        assert found.program.training is not None
    assert compiled('from "head.nns" import Head\n', model="Head", head=other).program.main.name == "Head"
    inner = 'from "head.nns" import Head\n' + model("output y = x -> Linear(4) -> Head")
    assert compiled(inner, head=other).program.main.name == "Net"


def test_what_a_file_says_about_itself_is_not_repeated_where_it_is_imported() -> None:
    other = MLP + 'assert width == 5, "never"\ntrain {\n  nonsense = 1\n}\n'
    assert checked('from "mlp.nns" import Mlp\n' + model("output y = x -> Mlp"), mlp=other).diagnostics == ()


def test_a_name_of_the_user_hides_one_of_the_library_and_an_import_does_too() -> None:
    other = "block Linear(n) {\n  input x: float[N, D]\n  output x * n\n}\n"
    main = 'from "own.nns" import Linear\n' + model("output y: float[N, 8] = x -> Linear(3)")
    assert nnspec_module(compiled(main, own=other)).state_dict() == {}


def test_blocks_of_one_name_in_two_files_stay_apart() -> None:
    first = "block Block {\n  input x: float[N, D]\n  output x -> Linear(4)\n}\n"
    second = "block Block {\n  input x: float[N, D]\n  output x -> Linear(4) -> ReLU\n}\n"
    main = 'import "a.nns" as a\nimport "b.nns" as b\n' + model("output y = x -> a.Block -> b.Block -> last: a.Block")
    found = compiled(main, a=first, b=second)
    assert [m.name for m in found.program.modules].count("Block") == 3  # for 8 features, then twice for 4
    live = nnspec_module(found)
    x = torch.randn(5, 8)
    assert type(live.block) is not type(live.block_1)
    assert torch.equal(live(x), live.last(live.block_1(live.block(x))))
    assert bool((live.block_1(live.block(x)) >= 0).all())


def test_a_name_is_not_passed_on() -> None:
    between = 'from "mlp.nns" import Mlp\n\nblock Own {\n  input x: float[N, D]\n  output x -> Mlp\n}\n'
    wrong = checked('from "between.nns" import Mlp\n' + model("output y = x -> Mlp"), between=between, mlp=MLP)
    assert codes(wrong) == ["NNS220"]
    assert "take it from the file that declares it" in wrong.diagnostics[0].helps[0]
    right = checked('from "between.nns" import Own\n' + model("output y = x -> Own"), between=between, mlp=MLP)
    assert codes(right) == []


def test_a_name_that_failed_there_is_silent_here() -> None:
    other = "width = nonsense\nheight = 3\n"
    found = checked('from "other.nns" import width\n' + model("output y = x -> Linear(width)"), other=other)
    assert [(d.code, found.sources[d.span.source].name) for d in found.diagnostics] == [("NNS201", "other.nns")]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_file_is_read_once_however_many_import_it() -> None:
    left = 'from "base.nns" import Part\nblock Left {\n  input x: float[N, D]\n  output x -> Part(4)\n}\n'
    right = left.replace("Left", "Right").replace('"base.nns"', '"sub/../base.nns"')
    main = 'from "left.nns" import Left\nfrom "right.nns" import Right\nimport "base.nns" as base\n'
    main += model("output y = x -> Left -> Right -> base.Mlp")
    reader = Texts({"main.nns": main, "left.nns": left, "right.nns": right, "base.nns": MLP})
    found = compile_text(main, "main.nns", reader=reader)
    assert sorted(reader.read_keys) == ["base.nns", "left.nns", "right.nns"]
    assert [name for name, _ in found.program.sources] == ["main.nns", "left.nns", "base.nns", "right.nns"]


def test_places_point_into_the_right_file_also_in_a_stored_program() -> None:
    main = 'from "lib/mlp.nns" import Mlp\n' + model("output y = x -> Mlp")
    program = ir_json.loads(ir_json.dumps(compiled(main, lib__mlp=MLP).program))
    assert verify(program) == []
    names = [name for name, _ in program.sources]
    assert names == ["main.nns", "lib/mlp.nns"]
    (mlp,) = [m for m in program.modules if m.name == "Mlp"]
    assert mlp.span is not None
    text = program.sources[mlp.span.source][1][mlp.span.start : mlp.span.end]
    assert text.startswith("block Mlp(hidden = 2 * width) {")
    assert mlp.doc == "Two layers."


def test_chains_of_files_and_their_number_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep = {f"f{i}": f'import "f{i + 1}.nns" as next\n' for i in range(imports.MAX_NESTING + 5)}
    found = checked('import "f0.nns" as f\n' + model("output y = x -> ReLU"), **deep)
    assert codes(found) == ["NNS310"]
    assert "more than 32 deep" in found.diagnostics[0].message
    monkeypatch.setattr(imports, "MAX_FILES", 4)
    wide = {f"f{i}": f"c{i} = 1\n" for i in range(6)}
    lines = "".join(f'import "f{i}.nns" as f{i}\n' for i in range(6))
    found = checked(lines + model("output y = x -> ReLU"), **wide)
    assert codes(found) == ["NNS310"] * 3
    monkeypatch.setattr(imports, "MAX_TEXT", 300)
    found = checked('import "f0.nns" as f0\n' + model("output y = x -> ReLU"), f0="# " + "x" * 300 + "\n")
    assert codes(found) == ["NNS310"]


def test_a_longer_circle_is_shown_whole() -> None:
    main = 'from "a.nns" import A\n' + model("output y = x -> A")
    files = {"a": 'import "b.nns" as b\n', "b": 'import "c.nns" as c\n', "c": 'from "main.nns" import Net\n'}
    found = checked(main, **files)
    assert "NNS221" in codes(found)
    (circle,) = [d for d in found.diagnostics if d.code == "NNS221"]
    assert circle.message == "files import each other: main.nns -> a.nns -> b.nns -> c.nns -> main.nns"
    assert [found.sources[label.span.source].name for label in circle.labels] == [
        "c.nns",
        "main.nns",
        "a.nns",
        "b.nns",
    ]


def test_the_version_line_of_an_imported_file_counts() -> None:
    main = 'from "mlp.nns" import Mlp\n' + model("output y = x -> Mlp")
    assert codes(checked(main, mlp="nnspec 1\n" + MLP)) == []
    found = checked(main, mlp="nnspec 7\n" + MLP)
    assert codes(found) == ["NNS115"]
    page = render(found.diagnostics[0], found.sources)
    assert "mlp.nns:1:8" in page
    assert "imported here" in page


def test_an_import_that_nobody_uses_is_a_warning() -> None:
    main = 'from "mlp.nns" import Mlp, Part as P, width\nimport std.feedforward as ff\n'
    found = checked(main + model("output y = x -> Mlp"), mlp=MLP)
    assert [(d.code, d.severity) for d in found.diagnostics] == [("NNS230", "warning")] * 3
    assert [found.sources.text(d.span) for d in found.diagnostics] == ["P", "width", "ff"]
    uses = "h = x -> Mlp -> { P(width) }\nif false { h = h -> ff.FeedForward(3) }\noutput y = h"
    assert checked(main + model(uses), mlp=MLP).diagnostics == ()


def test_names_in_front_of_an_arrow_are_checked_in_branches_not_taken() -> None:
    assert codes(checked(model("if false { x = missing -> ReLU }\noutput y = x -> Linear(2)"))) == ["NNS201"]


def test_a_run_keeps_the_files_that_it_was_made_of(tmp_path: Path) -> None:
    main = """
    from "head.nns" import Head
    train Head {
      data      = Iris()
      loss      = cross_entropy(scores, label)
      optimizer = Adam(lr=1e-2)
      epochs    = 1
    }
    """
    head = "model Head {\n  input features: float[N, 4]\n  output scores = features -> Linear(3)\n}\n"
    found = compiled(main, head=head, train=True)
    _, result = train(found, base=tmp_path, root=tmp_path / "runs")
    assert result.directory is not None
    assert (result.directory / "spec.nns").read_text() == main
    assert json.loads((result.directory / "imports.json").read_text()) == {"head.nns": head}


# --- the disk --------------------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a root, a main file in a folder, and something outside."""
    (tmp_path / "outside.nns").write_text(MLP)
    root = tmp_path / "project"
    (root / "nets" / "blocks").mkdir(parents=True)
    (root / "pyproject.toml").write_text("")
    (root / "shared.nns").write_text(MLP)
    (root / "nets" / "blocks" / "mlp.nns").write_text(MLP)
    return root


def said(root: Path, line: str) -> list[tuple[str, str]]:
    path = root / "nets" / "main.nns"
    path.write_text(f"{line}\n" + model("output y = x -> Mlp"))
    return [(d.code, d.message) for d in nnspec.check(path)]


def test_files_below_the_root_of_the_project_are_read(project: Path) -> None:
    for path in ("blocks/mlp.nns", "./blocks/mlp.nns", "../shared.nns", "../nets/blocks/../blocks/mlp.nns"):
        assert said(project, f'from "{path}" import Mlp') == []
    assert nnspec.load(project / "nets" / "main.nns")(torch.randn(2, 8)).shape == (2, 4)


def test_without_marks_the_folder_of_the_main_file_is_the_root(project: Path, tmp_path: Path) -> None:
    if any((folder / mark).exists() for folder in tmp_path.parents for mark in ("pyproject.toml", ".git")):
        pytest.skip("the folder for temporary files lies in a project")
    (project / "pyproject.toml").unlink()
    assert [code for code, _ in said(project, 'from "../shared.nns" import Mlp')] == ["NNS219"]
    assert said(project, 'from "blocks/mlp.nns" import Mlp') == []


@pytest.mark.parametrize("path", ["../../outside.nns", "link.nns", "folder/outside.nns", "../../missing.nns"])
def test_no_way_leads_out_of_the_project(project: Path, path: str) -> None:
    (project / "nets" / "link.nns").symlink_to(project.parent / "outside.nns")
    (project / "nets" / "folder").symlink_to(project.parent)
    ((code, message),) = said(project, f'from "{path}" import Mlp')
    assert code == "NNS219"
    assert "outside of the project" in message


def test_a_link_inside_of_the_project_is_followed_and_the_file_read_once(project: Path) -> None:
    (project / "nets" / "link.nns").symlink_to(project / "shared.nns")
    assert said(project, 'from "link.nns" import Mlp') == []
    line = 'from "link.nns" import Mlp\nfrom "../shared.nns" import Mlp as Other'
    path = project / "nets" / "main.nns"
    path.write_text(f"{line}\n" + model("output y = x -> Mlp -> Other"))
    assert len(compile_text(path.read_text(), "main.nns", base=path.parent).sources.items) == 2


def test_what_is_no_text_is_refused(project: Path) -> None:
    nets = project / "nets"
    (nets / "binary.nns").write_bytes(b"width = 4\xff\n")
    (nets / "folder.nns").mkdir()
    os.mkfifo(nets / "pipe.nns")
    (nets / "large.nns").write_bytes(b"#" * (17 * 1024 * 1024))
    (nets / "windows.nns").write_bytes(b"\xef\xbb\xbf" + MLP.replace("\n", "\r\n").encode())
    wanted = {
        "binary.nns": "not UTF-8 text (byte 9)",
        "folder.nns": "a folder",
        "pipe.nns": "not an ordinary file",
        "large.nns": "more than 16 MiB",
        "blocks/mlq.nns": "there is no such file",
        "nowhere/mlp.nns": "there is no such file",
        "main.nns/mlp.nns": "there is no such file",
    }
    for path, why in wanted.items():
        ((code, message),) = said(project, f'from "{path}" import Mlp')
        assert (code, why in message) == ("NNS218", True), message
    assert said(project, 'from "windows.nns" import Mlp') == []


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/etc/passwd.nns", "NNS219"),
        ("C:/nets/mlp.nns", "NNS219"),
        ("~/mlp.nns", "NNS219"),
        ("blocks\\\\mlp.nns", "NNS218"),
        ("blocks/mlp", "NNS218"),
        ("blocks/mlp.NNS", "NNS218"),
        ("", "NNS218"),
        ("blocks/mlp.nns/", "NNS218"),
        ("blocks/\\tmlp.nns", "NNS218"),
        ("x" * 2000 + ".nns", "NNS218"),
        ("x" * 500 + ".nns", "NNS218"),
        ("../" * 300 + "mlp.nns", "NNS219"),
    ],
)
def test_paths_that_are_none_are_refused(project: Path, path: str, code: str) -> None:
    assert [found for found, _ in said(project, f'from "{path}" import Mlp')] == [code]


def test_a_text_without_a_folder_imports_from_the_library_only(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "nets")
    text = 'from "blocks/mlp.nns" import Mlp\n' + model("output y = x -> Mlp")
    (only,) = nnspec.check_text(text)
    assert only.code == "NNS218"
    assert "imports from `std` only" in only.message
    with pytest.raises(NnspecError, match="NNS218"):
        nnspec.loads(text)
    own = "from std.feedforward import FeedForward\n" + model("output y = x -> FeedForward(3)")
    assert nnspec.check_text(own) == ()
    assert check(text, base=project / "nets").diagnostics == ()


def test_standard_input_imports_from_the_current_folder(project: Path) -> None:
    text = 'from "blocks/mlp.nns" import Mlp\n' + model("output y = x -> Mlp")
    command = [sys.executable, "-m", "nnspec", "check", "-"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, input=text, cwd=project / "nets", env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "-: ok\n"), done.stderr


def test_messages_call_files_as_one_gets_to_them(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "nets" / "blocks" / "mlp.nns").write_text("width = nonsense\n")
    (project / "nets" / "main.nns").write_text('import "blocks/mlp.nns" as m\n' + model("output y = x -> ReLU"))
    monkeypatch.chdir(project)
    found = nnspec.check("nets/main.nns")
    assert [d.code for d in found] == ["NNS201"]
    with pytest.raises(NnspecError, match=r"^nets/blocks/mlp\.nns:1:9: error\[NNS201\]"):
        nnspec.source("nets/main.nns")


# --- the library -----------------------------------------------------------------------------------------------------


def test_a_name_that_only_the_library_has_is_offered_for_import() -> None:
    (only,) = check(model("output y = x -> FeedForward(3)")).diagnostics
    assert only.helps == ("the library has one to import: `from std.feedforward import FeedForward`",)
    assert only.fixes == ()


def test_every_block_of_the_library_has_a_page() -> None:
    for name, homes in registry_std.blocks().items():
        pages = registry_std_pages.pages(name)
        assert len(pages) == len(homes)
        for page, home in zip(pages, homes, strict=True):
            assert page.startswith((f"{name}(", f"{name} "))
            assert f"from {home} import {name}" in page
            assert registry_std_pages.pages(f"{home}.{name}") == [page]
            (whole,) = registry_std_pages.pages(home)
            assert f"  {name}" in whole
    assert registry_std_pages.pages("std.nothing") == registry_std_pages.pages("std.feedforward.Nothing") == []


def test_the_page_of_a_block_has_all_that_its_declaration_says(monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
    ## Does much.
    ##
    ## And more of it.
    block Much(
      ## How wide it is.
      width: int,
      act: layer = GELU,
    ) {
      ## What flows in.
      input x: float[N, D]
      input mask: bool[N] = none
      output y: float[N, width] = x -> Linear(width) -> act
    }
    """
    monkeypatch.setattr("nnspec.registry_std.text_of", lambda module: text)
    monkeypatch.setattr("nnspec.registry_std.blocks", lambda: {"Much": ("std.feedforward",)})
    (page,) = registry_std_pages.pages("Much")
    for part in (
        "Much(width: int, act: layer = GELU)    (a block of std.feedforward)\n\nDoes much.\n\nAnd more of it.",
        "  width: int\n      How wide it is.\n  act: layer = GELU\n",
        "  x: float[N, D]\n      What flows in.\n  mask: bool[N] = none\n",
        "Outputs:\n  y: float[N, width]\n",
    ):
        assert part in page, page


def test_feed_forward_is_what_a_transformer_has() -> None:
    main = "from std.feedforward import FeedForward\n" + model("output y = x -> mlp: FeedForward(32)")
    live = nnspec_module(compile_text(main)).eval()
    reference = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 8))
    names = {"0.weight": "fc1.weight", "0.bias": "fc1.bias", "2.weight": "fc2.weight", "2.bias": "fc2.bias"}
    reference.load_state_dict({name: live.state_dict()[f"mlp.{own}"] for name, own in names.items()})
    for n in (1, 5):
        x = torch.randn(n, 8)
        assert torch.allclose(live(x), reference(x), atol=1e-6)


def test_warnings_inside_of_the_library_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "block Odd(n) {\n  input x: float[N, D]\n  h = relu(x)\n  output x -> Linear(4) -> BatchNorm1d\n}\n"
    main = "from std.feedforward import Odd\n" + model("output y = x -> Odd(3)")
    monkeypatch.setattr("nnspec.registry_std.text_of", lambda module: text)
    assert check(main).diagnostics == ()
    own = check('from "odd.nns" import Odd\n' + model("output y = x -> Odd(3)"), reader=Texts({"odd.nns": text}))
    assert {d.code for d in own.diagnostics} == {"NNS230", "NNS430"}


def test_a_fault_inside_of_the_library_is_one_of_its_user() -> None:
    text = "from std.feedforward import FeedForward\n" + model("output y = x -> FeedForward(3)").replace("8", "T")
    (only,) = check(text).diagnostics
    assert only.code == "NNS405"
    assert only.span.source == 0
    assert text[only.span.start : only.span.end] == "FeedForward(3)"
    assert only.fixes == ()


def test_reading_the_library_is_quick() -> None:
    main = "from std.feedforward import FeedForward\n" + model("output y = x -> FeedForward(3)")
    check(main)
    start = time.process_time()
    for _ in range(10):
        check(main)
    assert (time.process_time() - start) / 10 < 0.05


def test_checking_files_that_import_loads_nothing_heavy(project: Path) -> None:
    (project / "nets" / "main.nns").write_text(
        'from "blocks/mlp.nns" import Mlp\nfrom std.feedforward import FeedForward\n'
        + model("output y = x -> Mlp -> FeedForward(3)")
    )
    program = "import json, sys, nnspec\nnnspec.check(sys.argv[1])\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(project / "nets" / "main.nns")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert not {"torch", "numpy", "onnx", "pydantic"} & set(json.loads(done.stdout))
