"""The library of blocks: documented, without a warning, and what each of its examples says it is."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from nnspec import registry, registry_std
from nnspec.backends.torch import build
from nnspec.cli import explain
from nnspec.compiler import check, compile_text
from nnspec.reference_std import example_spec, markdown
from nnspec.registry_std_pages import Page, entries, pages

from ..contract import judge
from ..zoo.libraries import is_there, torchvision, transformers

STD = sorted(registry_std.FOLDER.glob("*.nns"))
PAGES = {page.name: page for module in registry_std.modules() for page in entries(module)}
EXAMPLES = [
    pytest.param(example_spec(use, inputs), id=f"{page.name}-{number}")
    for page in PAGES.values()
    for number, (use, inputs) in enumerate(page.examples)
]


# --- what is said about them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_block_says_what_it_computes_its_source_and_an_example(page: Page) -> None:
    source = [part for part in page.paragraphs if part.startswith("Source: ")]
    assert len(source) == 1
    assert re.search(r"\(arXiv:\d{4}\.\d{4,5}\)", source[0])
    assert page.paragraphs[0] != source[0]
    assert page.examples
    assert re.search(r"\[[^\]]+\]", " ".join(page.paragraphs)), "from which shapes to which?"


def test_no_name_is_declared_twice_or_hides_one_of_torch() -> None:
    assert {name: homes for name, homes in registry_std.blocks().items() if len(homes) > 1} == {}
    library = {name for kind in ("layer", "function") for name in registry.index(kind)}
    assert library.isdisjoint(registry_std.blocks())


@pytest.mark.parametrize("module", registry_std.modules())
def test_a_module_says_what_it_holds(module: str) -> None:
    assert registry_std.about(module).endswith(".")
    assert registry_std.about(module) in " ".join(pages(module)[0].split())


@pytest.mark.parametrize("name", PAGES)
def test_a_block_has_a_page_in_the_terminal(name: str) -> None:
    page = PAGES[name]
    shown = CliRunner().invoke(explain.command, [f"{page.module}.{name}"]).output
    for part in (page.signature, page.text.splitlines()[-2], *(use for use, _ in page.examples), f"import {name}"):
        assert part in shown, part
    letters = "".join(shown.split())
    assert all("".join(part.split()) in letters for part in page.paragraphs)


def test_the_reference_is_written_from_the_files_as_they_are() -> None:
    written = (Path(__file__).parents[2] / "docs" / "std.md").read_text(encoding="utf-8")
    assert written == markdown(), "nnspec explain --markdown std > docs/std.md"
    assert CliRunner().invoke(explain.command, ["--markdown", "std"]).output == written
    headings = [line.removeprefix("### ") for line in written.splitlines() if line.startswith("### ")]
    assert sorted(headings) == sorted(PAGES)


@pytest.mark.parametrize("path", STD, ids=lambda path: path.stem)
def test_a_file_is_right_by_itself(path: Path) -> None:
    assert check(path.read_text(encoding="utf-8"), path.name).diagnostics == ()


def test_a_module_is_read_in_a_few_milliseconds() -> None:
    """That no file grows so large that importing a block from it is felt."""
    text = "from std.{} import {}\nmodel M {{\n  input x: float[N, 16]\n  output x -> Linear(8)\n}}\n"
    for module in registry_std.modules():
        name = next(name for name, homes in registry_std.blocks().items() if module in homes)
        spec = text.format(module.removeprefix("std."), name)
        check(spec)
        start = time.process_time()
        check(spec)
        assert time.process_time() - start < 0.15, module


# --- what they compute -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_means_the_same_everywhere(text: str) -> None:
    assert check(text).diagnostics == ()
    judge(compile_text(text).program)


def module(use: str, *inputs: str) -> nn.Module:
    """The module of a model that is one use of a block."""
    torch.manual_seed(0)
    return build(compile_text(example_spec(use, inputs)).program).eval()


def equal(got: Tensor, want: Tensor) -> None:
    """Same shape and element type, and close."""
    assert got.dtype == want.dtype
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-6)


LENGTHS = pytest.mark.parametrize("length", [1, 2, 9])


@LENGTHS
def test_a_causal_mask_is_the_lower_triangle(length: int) -> None:
    found = module("causal_mask(arange(T))", "x: float[T, 1]")(torch.zeros(length, 1))
    equal(found, torch.ones(1, 1, length, length, dtype=torch.bool).tril())


@LENGTHS
@pytest.mark.parametrize("window", [1, 3])
def test_a_sliding_mask_is_a_band(length: int, window: int) -> None:
    found = module(f"sliding_mask(arange(T), window={window})", "x: float[T, 1]")(torch.zeros(length, 1))
    full = torch.ones(1, 1, length, length, dtype=torch.bool)
    equal(found, full.tril() & full.triu(1 - window))


@LENGTHS
def test_a_padding_mask_hides_what_is_behind_the_end(length: int) -> None:
    lengths = [0, 1, length]
    found = module("padding_mask(lengths, arange(T))", "lengths: int[N]", "x: float[T, 1]")
    want = [[place < each for place in range(length)] for each in lengths]
    equal(found(torch.tensor(lengths), torch.zeros(length, 1)), torch.tensor(want)[:, None, None])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("biased", [False, True])
def test_attend_is_the_softmax_of_products(masked: bool, causal: bool, biased: bool) -> None:
    given = f"{', mask=m' if masked else ''}{', bias=b' if biased else ''}"
    inputs = ["q: float[N, 4, T, 8]", "k: float[N, 2, T, 8]", "v: float[N, 2, T, 6]"]
    inputs += ["m: bool[N, 1, 1, T]"] * masked + ["b: float[1, 4, T, T]"] * biased
    live = module(f"attend(q, k, v{given}, causal={str(causal).lower()}, scale=0.3)", *inputs)
    for n, t in ((1, 1), (3, 7)):
        q, k, v = torch.randn(n, 4, t, 8), torch.randn(n, 2, t, 8), torch.randn(n, 2, t, 6)
        mask = torch.rand(n, 1, 1, t) < 0.6
        mask[..., 0] = True
        bias = torch.randn(1, 4, t, t)
        scores = 0.3 * q @ k.repeat_interleave(2, 1).mT + (bias if biased else 0)
        if masked:
            scores = scores.masked_fill(~mask, -math.inf)
        if causal:
            scores = scores.masked_fill(torch.ones(t, t, dtype=torch.bool).triu(1), -math.inf)
        found = live(q, k, v, *[mask] * masked, *[bias] * biased)
        equal(found, scores.softmax(-1) @ v.repeat_interleave(2, 1))


@LENGTHS
def test_sinusoids_are_those_of_the_paper(length: int) -> None:
    found = module("sinusoids(arange(T), width=6)", "x: float[T, 1]")(torch.zeros(length, 1))
    want = [
        [(math.sin, math.cos)[i % 2](place / 10_000 ** (2 * (i // 2) / 6)) for i in range(6)] for place in range(length)
    ]
    equal(found, torch.tensor(want))


@LENGTHS
def test_rotary_positions_are_those_of_llama(length: int) -> None:
    if not is_there("transformers"):
        pytest.skip("it needs transformers, which is not installed")
    library, models = transformers(), __import__("transformers.models.llama.modeling_llama", fromlist=["apply"])
    config = library.LlamaConfig(hidden_size=32, num_attention_heads=4, rope_theta=500.0)
    live = module("rotate(q, rotary_angles(arange(T), width=8, theta=500))", "q: float[N, 4, T, 8]")
    for n in (1, 3):
        q = torch.randn(n, 4, length, 8)
        angles = models.LlamaRotaryEmbedding(config)(q, torch.arange(length)[None])
        equal(live(q), models.apply_rotary_pos_emb(q, q, *angles)[0])
    assert live.half()(q.half()).dtype == torch.float16


@pytest.mark.parametrize(("causal", "buckets", "furthest"), [(False, 32, 128), (True, 32, 128), (False, 8, 20)])
def test_relative_buckets_are_those_of_t5(causal: bool, buckets: int, furthest: int) -> None:
    if not is_there("transformers"):
        pytest.skip("it needs transformers, which is not installed")
    transformers()
    models = __import__("transformers.models.t5.modeling_t5", fromlist=["T5Attention"])
    named = f"buckets={buckets}, furthest={furthest}, causal={str(causal).lower()}"
    live = module(f"relative_buckets(d, {named})", "d: int[T, S]")
    for t, s in ((1, 1), (150, 170)):
        distance = torch.arange(s) - torch.arange(t)[:, None]
        bucket = models.T5Attention._relative_position_bucket
        equal(live(distance), bucket(distance, not causal, buckets, furthest))


@pytest.mark.parametrize("window", [1, 2, 7])
def test_relative_places_are_those_of_swin(window: int) -> None:
    if not is_there("torchvision"):
        pytest.skip("it needs torchvision, which is not installed")
    kind: Callable[..., nn.Module] = torchvision("torchvision.models.swin_transformer").ShiftedWindowAttention
    want = kind(4, [window, window], [0, 0], 2).relative_position_index
    table = torch.arange((2 * window - 1) ** 2, dtype=torch.float32)[:, None]
    found = module(f"t[relative_places(window={window})]", f"t: float[{len(table)}, 1]")(table)
    assert isinstance(want, Tensor)
    equal(found[:, 0].long(), want)


def test_windows_are_cut_row_by_row() -> None:
    x = torch.arange(2 * 4 * 6, dtype=torch.float32).reshape(2, 4, 6, 1)
    found = module("windows(x, size=2)", "x: float[N, 4, 6, 1]")(x)
    want = [[x[n, i : i + 2, j : j + 2].flatten() for i in (0, 2) for j in (0, 2, 4)] for n in range(2)]
    equal(found[..., 0], torch.stack([torch.stack(each) for each in want]))


def test_stochastic_depth_leaves_whole_samples_out_and_keeps_the_mean() -> None:
    live = module("x -> StochasticDepth(0.3)", "x: float[N, 4, 2, 2]")
    x = torch.rand(20_000, 4, 2, 2) + 0.5
    equal(live(x), x)
    torch.manual_seed(1)
    found = live.train()(x)
    kept = found[:, 0, 0, 0] > 0
    equal(found, torch.where(kept[:, None, None, None], x / 0.7, 0))
    assert abs(float(kept.float().mean()) - 0.7) < 4 * math.sqrt(0.3 * 0.7 / len(x))


def test_dropout_stands_where_it_is_asked_for() -> None:
    texts = {
        "x -> FeedForward(64, dropout=0.5)": "x: float[N, 16]",
        "x -> GatedFeedForward(64, dropout=0.5)": "x: float[N, 16]",
        "x -> Attention(4, dropout=0.5)": "x: float[N, 8, 16]",
        "x -> GroupedQueryAttention(4, 2, dropout=0.5)": "x: float[N, 8, 16]",
        "x -> EncoderLayer(4, 32, dropout=0.5)": "x: float[N, 8, 16]",
        "x -> VisionLayer(4, 32, attention_dropout=0.5)": "x: float[N, 8, 16]",
        "x -> DenseLayer(4, dropout=0.5)": "x: float[N, 8, 4, 4]",
        "x -> WindowAttention(2, window=2, dropout=0.5)": "x: float[N, 4, 4, 8]",
        "x -> ConvNeXtBlock(drop=0.5, scale=1)": "x: float[N, 8, 4, 4]",
        "x -> SwinBlock(2, window=2, drop=0.5)": "x: float[N, 4, 4, 8]",
        "x -> MBConv(8, drop=0.5)": "x: float[N, 8, 4, 4]",
    }
    for use, declared in texts.items():
        random, fixed = module(use, declared), module(re.sub(r", \w*drop\w*=0.5|\w*drop\w*=0.5, ", "", use), declared)
        fixed.load_state_dict(random.state_dict())
        x = torch.randn(*[int(n) for n in declared.replace("N", "5").partition("[")[2].rstrip("]").split(", ")])
        assert torch.equal(random(x), fixed(x)), use
        assert not torch.equal(random.train()(x), random(x)), use
        assert np.isfinite(random(x).detach().numpy()).all()
