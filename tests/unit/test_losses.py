"""Losses against torch's own modules: values, gradients through the emitted module, ONNX Runtime, and refusals."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nnspec import registry
from nnspec.backends.torch import build
from nnspec.compiler import compile_text
from nnspec.layer import Example
from nnspec.suggest import suggest
from nnspec.training.running.run import Wanted, train

from .function_harness import method_of, program_of, refusal, run_onnx, same, session

WORDS = {torch.float32: "float", torch.float64: "float64", torch.int64: "int", torch.int32: "int32"}
BATCH = 5
"""A size that stands for a symbol in the spec; no other size of a test equals it."""
NEWEST = 26

Case = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors by the names of the function's inputs, and its options."""

Draw = random.Random


def floats(*shape: int) -> Tensor:
    return 2 * torch.randn(shape)


def signs(*shape: int) -> Tensor:
    return 2.0 * torch.randint(0, 2, shape) - 1


def some(draw: Draw, **options: Any) -> dict[str, Any]:
    """Some of the options, and a reduction."""
    options["reduction"] = draw.choice(["mean", "sum", "none"])
    return {name: value for name, value in options.items() if draw.random() < 0.6}


def any_shape(draw: Draw) -> list[int]:
    """A shape of any rank, also none."""
    return [draw.choice([1, BATCH]), *(draw.choice([1, 2, 3]) for _ in range(draw.randint(0, 2)))][draw.randint(0, 1) :]


def rows(draw: Draw, width: int) -> list[int]:
    """The shape of vectors of some width: several, one of several, or one by itself."""
    return draw.choice([[BATCH, width], [1, width], [width]])


def maybe(draw: Draw, name: str, tensor: Tensor) -> dict[str, Tensor]:
    return {name: tensor} if draw.random() < 0.5 else {}


def pair(draw: Draw, **options: Any) -> Case:
    shape = any_shape(draw)
    return {"x": floats(*shape), "target": floats(*shape)}, some(draw, **options)


def signed(draw: Draw, **options: Any) -> Case:
    shape = any_shape(draw)
    target = draw.choice([signs(*shape), signs(*shape).long()])
    return {"x": floats(*shape), "target": target}, some(draw, **options)


def classes(draw: Draw) -> Case:
    width, behind = draw.choice([2, 3]), [draw.choice([1, 2, 4]) for _ in range(draw.randint(0, 2))]
    samples = draw.choice([[], [BATCH, *behind], [1, *behind]])
    x = floats(*samples[:1], width, *samples[1:])
    tensors = {"x": x, "target": torch.randint(0, width, samples)} | maybe(draw, "weight", torch.rand(width))
    return tensors, some(draw, ignore_index=draw.choice([0, 1, -1]))


def smoothed(draw: Draw) -> Case:
    tensors, options = classes(draw)
    if draw.random() < 0.4:
        options.pop("ignore_index", None)
        tensors["target"] = floats(*tensors["x"].shape).softmax(min(1, tensors["x"].dim() - 1))
    return tensors, options | some(draw, label_smoothing=draw.choice([0.1, 0.7]))


def probabilities(draw: Draw) -> Case:
    shape = any_shape(draw)
    tensors = {"x": floats(*shape).sigmoid(), "target": torch.rand(shape)}
    return tensors | maybe(draw, "weight", torch.rand(shape[draw.randint(0, len(shape)) :])), some(draw)


def scores(draw: Draw) -> Case:
    tensors, options = probabilities(draw)
    shape = tensors["x"].shape
    return tensors | {"x": floats(*shape)} | maybe(draw, "pos_weight", torch.rand(shape[1:])), options


def distributions(draw: Draw) -> Case:
    shape = any_shape(draw)
    target = torch.rand(shape) * (torch.rand(shape) < 0.8)
    if draw.random() < 0.5:
        return {"x": floats(*shape), "target": target}, {"reduction": draw.choice(["batchmean", "sum", "none"])}
    return {"x": floats(*shape), "target": floats(*shape)}, {"reduction": "batchmean", "log_target": True}


def counts(draw: Draw) -> Case:
    shape = any_shape(draw)
    target = torch.randint(0, 7, shape)
    x = torch.rand(shape) + 0.1
    tensors = {"x": x, "target": draw.choice([target, 1.3 * target])}
    return tensors, some(draw, full=True, log_input=False, eps=1e-3)


def uncertain(draw: Draw) -> Case:
    tensors, options = pair(draw, full=True, eps=0.3)
    shape = list(tensors["x"].shape)
    narrow = [*shape[:-1], 1] if shape else shape
    return tensors | {"var": torch.rand(draw.choice([shape, shape[:-1], narrow]))}, options


def ranked(draw: Draw) -> Case:
    shape = any_shape(draw)
    return {"x1": floats(*shape), "x2": floats(*shape), "target": signs(*shape)}, some(draw, margin=0.7)


def right_class(draw: Draw) -> Case:
    shape = rows(draw, 3)
    tensors = {"x": floats(*shape), "target": torch.randint(0, 3, shape[:-1])} | maybe(draw, "weight", torch.rand(3))
    return tensors, some(draw, p=2, margin=0.3)


def right_classes(draw: Draw) -> Case:
    shape = rows(draw, 4)
    return {"x": floats(*shape), "target": torch.randint(-1, 4, shape)}, some(draw)


def labels(draw: Draw) -> Case:
    shape = rows(draw, 3)
    tensors = {"x": floats(*shape), "target": torch.randint(0, 2, shape).float()}
    return tensors | maybe(draw, "weight", torch.rand(draw.choice([[3], shape]))), some(draw)


def angles(draw: Draw) -> Case:
    shape = rows(draw, 3)
    target = torch.randint(-1, 2, shape[:-1])
    return {"x1": floats(*shape), "x2": floats(*shape), "target": target}, some(draw, margin=0.2)


def triplets(draw: Draw, **options: Any) -> Case:
    shape = rows(draw, 3)
    return {name: floats(*shape) for name in ("anchor", "positive", "negative")}, some(draw, margin=2.0, **options)


def steps(draw: Draw) -> Case:
    """As many labels as the targets hold, where these have no batch dimension or stand one behind the other."""
    form = draw.choice(["rows", "one behind the other", "unbatched"])
    batch, length = (1 if form == "unbatched" else draw.choice([1, 4])), draw.choice([3, 6])
    blank = draw.choice([0, 2])
    targets = [t for t in range(4) if t != blank]
    target = torch.tensor([[draw.choice(targets) for _ in range(3)] for _ in range(batch)])
    given = torch.tensor([draw.randint(0, length) for _ in range(batch)])
    said = torch.tensor([draw.randint(1, 3) for _ in range(batch)])
    x = floats(length, batch, 4).log_softmax(-1)
    if form != "rows":
        target = torch.cat([row[:count] for row, count in zip(target, said, strict=True)])
    if form == "unbatched":
        x, given, said = x[:, 0], given[0], said[0]
    tensors = {"log_probs": x, "targets": target, "input_lengths": given, "target_lengths": said}
    return tensors, some(draw, zero_infinity=True) | ({"blank": blank} if blank else {})


LOSSES: dict[str, tuple[type[nn.Module], Callable[[Draw], Case]]] = {
    "cross_entropy": (nn.CrossEntropyLoss, smoothed),
    "nll_loss": (nn.NLLLoss, classes),
    "binary_cross_entropy": (nn.BCELoss, probabilities),
    "binary_cross_entropy_with_logits": (nn.BCEWithLogitsLoss, scores),
    "kl_div": (nn.KLDivLoss, distributions),
    "mse_loss": (nn.MSELoss, pair),
    "l1_loss": (nn.L1Loss, pair),
    "smooth_l1_loss": (nn.SmoothL1Loss, lambda draw: pair(draw, beta=draw.choice([0.0, 0.5]))),
    "huber_loss": (nn.HuberLoss, lambda draw: pair(draw, delta=0.5)),
    "poisson_nll_loss": (nn.PoissonNLLLoss, counts),
    "gaussian_nll_loss": (nn.GaussianNLLLoss, uncertain),
    "hinge_embedding_loss": (nn.HingeEmbeddingLoss, lambda draw: signed(draw, margin=0.4)),
    "soft_margin_loss": (nn.SoftMarginLoss, signed),
    "margin_ranking_loss": (nn.MarginRankingLoss, ranked),
    "multi_margin_loss": (nn.MultiMarginLoss, right_class),
    "multilabel_margin_loss": (nn.MultiLabelMarginLoss, right_classes),
    "multilabel_soft_margin_loss": (nn.MultiLabelSoftMarginLoss, labels),
    "cosine_embedding_loss": (nn.CosineEmbeddingLoss, angles),
    "triplet_margin_loss": (nn.TripletMarginLoss, lambda draw: triplets(draw, p=3.0, eps=1e-3, swap=True)),
    "triplet_margin_with_distance_loss": (nn.TripletMarginWithDistanceLoss, lambda draw: triplets(draw, swap=True)),
    "ctc_loss": (nn.CTCLoss, steps),
}

OPTIONAL = ("weight", "pos_weight")


def written(name: str, tensors: Mapping[str, Tensor], options: Mapping[str, Any]) -> Example:
    """The call as a spec's author writes it."""
    types = {}
    for n, x in tensors.items():
        sizes = ("N" if size == BATCH else str(size) for size in x.shape)
        types[n] = f"{WORDS[x.dtype]}[{', '.join(sizes)}]"
    said = {True: "true", False: "false"}
    given = [f"{n}={n}" if n in OPTIONAL else n for n in tensors]
    given += [f"{n}={said[v] if isinstance(v, bool) else repr(v)}".replace("'", '"') for n, v in options.items()]
    return Example(f"{name}({', '.join(given)})", **types)  # type: ignore[arg-type]  # inputs by name


def assert_equal(mine: Tensor, torchs: Tensor) -> None:
    torch.testing.assert_close(mine, torchs, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_that_of_torchs_module(name: str) -> None:
    torch_class, make = LOSSES[name]
    draw = random.Random(name)
    torch.manual_seed(0)
    for opset in (17, NEWEST) * 5:
        tensors, options = make(draw)
        module = torch_class(**options, **{n: tensors[n] for n in OPTIONAL if n in tensors})
        trained = [n for n, x in tensors.items() if x.is_floating_point() and n not in (*OPTIONAL, "target")]
        fed = {n: x.clone().requires_grad_(n in trained) for n, x in tensors.items()}
        wanted = module(*(x for n, x in fed.items() if n not in OPTIONAL))
        program = program_of(written(name, tensors, options))
        loss = build(program).train()(*fed.values())
        assert_equal(loss, wanted)
        inputs = [fed[n] for n in trained]
        for pair in zip(*(torch.autograd.grad(x.sum(), inputs) for x in (loss, wanted)), strict=True):
            assert_equal(*pair)
        same([wanted.detach()], run_onnx(session(program, opset), method_of(program), list(tensors.values())))


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_each_element_may_have_a_weight(name: str, reduction: str) -> None:
    torch.manual_seed(0)
    for shape in ([BATCH, 3], [1], []):
        tensors = {"x": floats(*shape), "target": floats(*shape), "weight": torch.rand(shape)}
        x, target, weight = tensors.values()
        wanted = getattr(nn.functional, name)(x, target, weight=weight, reduction=reduction)
        program = program_of(written(name, tensors, {"reduction": reduction}))
        assert torch.equal(build(program)(x, target, weight), wanted)
        same([wanted], run_onnx(session(program, 17), method_of(program), list(tensors.values())))


def test_a_variance_may_be_a_number() -> None:
    program = program_of(Example("gaussian_nll_loss(x, y, 2, full=true)", x="float[N, 3]", y="float[N, 3]"))
    x, y = floats(4, 3), floats(4, 3)
    wanted = nn.GaussianNLLLoss(full=True)(x, y, 2.0)
    assert torch.equal(build(program)(x, y), wanted)
    same([wanted], run_onnx(session(program, 17), method_of(program), [x, y]))


def test_triplets_broadcast_as_in_torch() -> None:
    text = 'triplet_margin_loss(a, p, n, reduction="none")'
    program = program_of(Example(text, a="float[N, 1, 3]", p="float[N, 4, 3]", n="float[1, 4, 3]"))
    three = [floats(2, 1, 3), floats(2, 4, 3), floats(1, 4, 3)]
    wanted = nn.TripletMarginLoss(reduction="none")(*three)
    assert torch.equal(build(program)(*three), wanted)
    same([wanted], run_onnx(session(program, 17), method_of(program), three))


REFUSED: list[tuple[str, dict[str, str], str, str]] = [
    ("mse_loss(x, y, w)", {"x": "float[N, 3]", "y": "float[N, 3]", "w": "float[3]"}, "NNS401", "a weight of one shape"),
    ("hinge_embedding_loss(x, y)", {"x": "float[N]", "y": "bool[N]"}, "NNS406", "holds 1 and -1, but it is bool[N]"),
    ("soft_margin_loss(x, y)", {"x": "float[N]", "y": "float[N, 1]"}, "NNS401", "of one shape"),
    ("soft_margin_loss(x, y)", {"x": "float[N]", "y": "uint8[N]"}, "NNS406", "holds 1 and -1"),
    (
        "margin_ranking_loss(x, y, z)",
        {"x": "float[N]", "y": "float[N]", "z": "float[3]"},
        "NNS410",
        "a prediction and a target of one shape",
    ),
    ("poisson_nll_loss(x, y)", {"x": "int[N]", "y": "int[N]"}, "NNS406", "needs a float tensor"),
    (
        "gaussian_nll_loss(x, y, v)",
        {"x": "float[N, 3]", "y": "float[N, 3]", "v": "float[3]"},
        "NNS410",
        "in which one dimension may be 1, but it is [3]",
    ),
    (
        "gaussian_nll_loss(x, y, v)",
        {"x": "float[N, 3]", "y": "float[N, 3]", "v": "float[1, 1]"},
        "NNS410",
        "one dimension may be 1",
    ),
    (
        "gaussian_nll_loss(x, y, v)",
        {"x": "float[3, 1]", "y": "float[3, 1]", "v": "float[1]"},
        "NNS401",
        "the variance of `gaussian_nll_loss`",
    ),
    ("gaussian_nll_loss(x, y, -1)", {"x": "float[N]", "y": "float[N]"}, "NNS304", "not -1"),
    ("multi_margin_loss(x, y)", {"x": "float[N, 3]", "y": "int[N, 1]"}, "NNS401", "needs a target [N]"),
    ("multi_margin_loss(x, y)", {"x": "float16[N, 3]", "y": "int[N]"}, "NNS406", "float32 and float64 only"),
    ("multi_margin_loss(x, y, 3)", {"x": "float[N, 3]", "y": "int[N]"}, "NNS304", "at most 2"),
    ("multilabel_margin_loss(x, y)", {"x": "float[N, 2, 3]", "y": "int[N, 2, 3]"}, "NNS402", "[N, C] or [C]"),
    ("multilabel_margin_loss(x, y)", {"x": "float[N, 3]", "y": "float[N, 3]"}, "NNS406", "must be of type int"),
    (
        "multilabel_soft_margin_loss(x, y, w)",
        {"x": "float[N, 3]", "y": "float[N, 3]", "w": "float[4]"},
        "NNS401",
        "does not fit losses of shape [N, 3]",
    ),
    (
        "binary_cross_entropy(x, y, w)",
        {"x": "float[1, 3]", "y": "float[1, 3]", "w": "float[4, 3]"},
        "NNS401",
        "does not fit",
    ),
    (
        "cosine_embedding_loss(x, y, z)",
        {"x": "float[N, 3]", "y": "float[N, 4]", "z": "float[N]"},
        "NNS401",
        "takes [N, D], [N, D] and a target [N]",
    ),
    (
        "cosine_embedding_loss(x, y, z)",
        {"x": "float[N, 3]", "y": "float[N, 3]", "z": "float[N, 1]"},
        "NNS402",
        "takes [N, D], [N, D] and a target [N]",
    ),
    (
        "triplet_margin_loss(x, y, z)",
        {"x": "float[N, 3]", "y": "float[N, 3]", "z": "float[3]"},
        "NNS402",
        "equally many dimensions",
    ),
    ("triplet_margin_loss(x, x, x, margin=0)", {"x": "float[N, 3]"}, "NNS304", "greater than 0"),
    (
        "cross_entropy(x, y, ignore_index=1)",
        {"x": "float[N, 3]", "y": "float[N, 3]"},
        "NNS304",
        "cannot ignore class 1",
    ),
    (
        "ctc_loss(x, y, n, n, blank=4)",
        {"x": "float[T, N, 4]", "y": "int[N, 2]", "n": "int[N]"},
        "NNS403",
        "needs at least 5 classes, not 4",
    ),
    ("ctc_loss(x, y, n, n)", {"x": "float[T, N, 4]", "y": "int[N, 2]", "n": "int[3]"}, "NNS410", "one for each sample"),
    ("ctc_loss(x, y, n, n)", {"x": "float[T, 4]", "y": "int[1, 2]", "n": "int[]"}, "NNS402", "needs targets [S]"),
    ("ctc_loss(x, y, n, n)", {"x": "float[T, 4]", "y": "float[2]", "n": "int[]"}, "NNS406", "must be integers"),
]


@pytest.mark.parametrize(("text", "inputs", "code", "part"), REFUSED)
def test_what_torch_refuses_or_silently_repeats_is_refused(
    text: str, inputs: dict[str, str], code: str, part: str
) -> None:
    said = refusal(text, **inputs)
    assert (said.code, part in said.message) == (code, True), said.message


@pytest.mark.parametrize("name", [n for n in dir(nn) if n.endswith("Loss") and n != "AdaptiveLogSoftmaxWithLoss"])
def test_the_names_of_torchs_classes_lead_to_functions(name: str) -> None:
    found = suggest(name, [*registry.index("function"), *registry.index("layer")])
    own = {torch_class.__name__: function for function, (torch_class, _) in LOSSES.items()}
    assert found == own.get(name, "cross_entropy")


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        ("triplet_margin_loss(a, b, c, swap=true)", "abc"),
        ("cosine_embedding_loss(a, b, where(label == 0, 1, -1), margin=0.2)", "ab"),
        ("multi_margin_loss(a, label, p=2)", "a"),
        ("nll_loss(log_softmax(a, dim=1), label) + 0.1 * mse_loss(a, b)", "ab"),
        ("gaussian_nll_loss(a, b, exp(c))", "abc"),
    ],
)
def test_a_train_section_takes_them(loss: str, outputs: str, tmp_path: Path) -> None:
    lines = "\n".join(f"  output {name} = features -> {name}_head: Linear(3)" for name in outputs)
    settings = f"data = Iris()\n  loss = {loss}\n  optimizer = SGD(lr=0.01)\n  epochs = 2"
    text = f"model M {{\n  input features: float[N, 4]\n{lines}\n}}\n\ntrain {{\n  {settings}\n}}\n"
    compiled = compile_text(text, train=True, base=tmp_path)
    _, result = train(compiled.program, compiled.sources, Wanted(tmp_path))
    assert len(result.rows) == 2
