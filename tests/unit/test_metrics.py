"""Metrics: numbers of a whole epoch, whatever its batches, as torchmetrics and scikit-learn have them."""

from __future__ import annotations

import importlib
import io
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch

from nnspec import ir, ir_json, registry
from nnspec.backends.source import emit_training
from nnspec.backends.torch import training_functions
from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.layer import Example
from nnspec.training.fault import Fault
from nnspec.training.metric_cut import cut
from nnspec.training.running.meters import Mean, Meter, higher_is_better, meters
from nnspec.verify import verify
from tests.zoo.libraries import is_there, torchvision

OWN = ("accuracy", "binary_accuracy", "mean_absolute_error", "mean_squared_error", "perplexity")
"""Metrics that need nothing but torch, unless they average over classes."""

Data = list[torch.Tensor]


@pytest.fixture(scope="module")
def functional() -> Any:
    """torchmetrics, which takes torchvision along where that is there."""
    if is_there("torchvision"):
        torchvision()
    torchmetrics = pytest.importorskip("torchmetrics")
    for module in ("audio", "classification", "clustering", "image", "regression", "segmentation"):
        importlib.import_module(f"torchmetrics.functional.{module}")
    return torchmetrics.functional


def spec(metrics: str, fields: dict[str, str]) -> str:
    """A spec that follows metrics of fields of the data; the model is beside the point."""
    listed = ", ".join(f'{name}="{kind}"' for name, kind in fields.items())
    return (
        "model M {\n  input pad: float[N, 1]\n  output y: float[N, 1] = pad -> Linear(1)\n}\n"
        f'train {{\n  data = Random(of=(pad="float[N, 1]", {listed}))\n  loss = mean(y)\n  optimizer = SGD(lr=0.1)\n'
        f"  metrics = {metrics}\n}}\n"
    )


def followed(metrics: str, **fields: str) -> ir.Training:
    program = compile_text(spec(metrics, fields), train=True).program
    assert verify(program) == []
    assert ir_json.loads(ir_json.dumps(program)) == program
    assert program.training is not None
    return program.training


def made(training: ir.Training) -> dict[str, Meter]:
    return meters(training, training_functions(training)[1])


def taught(meter: Meter, data: Data, sizes: Sequence[int]) -> Meter:
    """The meter after these batches; the model's output, which the loss is made of, comes first."""
    for batch in zip(*(torch.split(column, list(sizes)) for column in data), strict=True):
        meter.update([torch.empty(0), *batch], len(batch[0]))
    return meter


def complain(metrics: str, **fields: str) -> str:
    """What is reported for metrics: codes and messages."""
    with pytest.raises(NnspecError) as caught:
        compile_text(spec(metrics, fields), train=True)
    return "\n".join(
        f"{d.code} {d.message} {d.labels} {d.notes} {d.helps} {[fix.title for fix in d.fixes]}"
        for d in caught.value.diagnostics
    )


# --- every metric, from its examples ---------------------------------------------------------------------------------


def _cases() -> Iterator[Any]:
    for name in sorted(registry.index("metric")):
        cls = registry.find("metric", name)
        assert cls is not None
        for i, example in enumerate(cls.examples):
            yield pytest.param(name, example, id=f"{name}-{i}")


CASES = list(_cases())


def drawn(example: Example, count: int, seed: int = 0) -> Data:
    """Values for the fields of an example: class numbers for whole ones, yes or no where the target is one."""
    generator = torch.Generator().manual_seed(seed)
    kinds = [kind for kind in example.inputs.values() if isinstance(kind, str)]
    shapes = [[int(s) for s in re.findall(r"\d+", sized(kind).partition("[")[2])] for kind in kinds]
    yes_or_no = registry.find("metric", example.text.partition("(")[0]).__module__.endswith(
        ("classification", "curves")
    )
    first = torch.randn(count, *shapes[0], generator=generator)
    if kinds[1].startswith("int"):
        classes = 2 if len(shapes[1]) == len(shapes[0]) else shapes[0][-1 if "perplexity" in example.text else 0]
        return [first, torch.randint(0, classes, (count, *shapes[1]), generator=generator)]
    second = 0.5 * first + torch.randn(count, *shapes[1], generator=generator)
    return [first, (second > 0).float() if yes_or_no else second]


def fields_of(example: Example) -> dict[str, str]:
    return {name: sized(kind) for name, kind in example.inputs.items() if isinstance(kind, str)}


def sized(kind: str) -> str:
    """The type of a field with numbers for its symbols."""
    return kind.replace("H", "4").replace("W", "3").replace("T", "5")


def count_of(example: Example) -> int:
    """How many samples are enough; images take their time."""
    return 10 if ", 32, 32]" in str(example.inputs) else 5 if ", 180]" in str(example.inputs) else 35


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "example"), CASES)
def test_an_epoch_in_batches_is_what_torchmetrics_makes_of_it_at_once(
    name: str, example: Example, functional: Any
) -> None:
    training = followed(f"(value={example.text})", **fields_of(example))
    count = count_of(example)
    data = drawn(example, count)
    expected = at_once(functional, training, name, data)
    assert expected == expected
    for split in ([count], [*[4] * ((count - 1) // 4), (count - 1) % 4 + 1], [1] * 3 + [count - 3], [count - 1, 1]):
        meter = taught(made(training)["value"], data, split)
        assert meter.compute() == pytest.approx(expected, rel=1e-5, abs=1e-6), split
        assert meter.compute() == pytest.approx(expected, rel=1e-5, abs=1e-6), "looking changes it"


def at_once(functional: Any, training: ir.Training, name: str, data: Data) -> float:
    """torchmetrics' function of all samples, then what the expression makes of it."""
    gather, finish = training_functions(training)[1]["value"]
    (part,) = cut(training.metrics[0].graph).parts
    assert part.node is not None
    values = gather(torch.empty(0), *data)
    found = torch.as_tensor(called(functional, name, dict(part.node.attributes), *values), dtype=torch.float64)
    found = found.mean() if name.startswith(("signal", "scale")) else found
    value = found if finish is None else finish(found)
    return float(value)


def called(functional: Any, name: str, arguments: dict[str, Any], preds: torch.Tensor, target: torch.Tensor) -> Any:
    home = registry.index("metric")[name].rpartition(".")[2]
    if home == "classification" or home == "curves":
        task = arguments.pop("task", "binary" if preds.ndim == target.ndim else "multiclass")
        threshold = arguments.pop("threshold", 0.5)
        if task != "multiclass" and home == "classification" and not name.startswith("multilabel"):
            preds = (preds > threshold).long()
        target = target.long()
        if name.startswith(("binary_", "multilabel_")):
            sizes = {"num_labels": preds.shape[1]} if name.startswith("multilabel_") else {}
            return getattr(functional.classification, name)(preds, target, **sizes, **arguments)
        sizes = {} if task == "binary" else {"num_classes" if task == "multiclass" else "num_labels": preds.shape[1]}
        return getattr(functional, name)(preds, target, task=task, **sizes, **arguments)
    if home == "segmentation":
        arguments |= {"num_classes": preds.shape[1], "input_format": "index"}
        found = getattr(functional.segmentation, name)(preds.argmax(1), target, **arguments)
        return found.nanmean(0)
    if home in ("clustering", "images", "signals"):
        module = {"clustering": "clustering", "images": "image", "signals": "audio"}[home]
        return getattr(getattr(functional, module), name)(preds, target, **arguments)
    if preds.ndim == 2 and preds.shape[1] == 1:
        preds, target = preds.squeeze(1), target.squeeze(1)
    if name == "perplexity":
        preds, target = preds.reshape(1, -1, preds.shape[-1]), target.reshape(1, -1)
    module = functional.regression if home == "regression" else functional
    return getattr(module, name)(preds, target, **arguments)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "example"), CASES)
def test_a_state_is_stored_read_and_brought_together(name: str, example: Example, functional: Any) -> None:
    training = followed(f"(value={example.text})", **fields_of(example))
    count = count_of(example)
    half = count // 2
    data = drawn(example, count)
    expected = taught(made(training)["value"], data, [count]).compute()
    first, second = [d[:half] for d in data], [d[half:] for d in data]
    one, rest = [d[:1] for d in first], [d[1:] for d in first]
    begun = taught(made(training)["value"], first, [half - 1, 1])
    file = io.BytesIO()
    torch.save(begun.state(), file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    resumed = made(training)["value"]
    resumed.load_state(state)
    assert taught(resumed, second, [1, count - half - 1]).compute() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    other = taught(made(training)["value"], second, [count - half])
    idle = made(training)["value"]
    merged = made(training)["value"]
    merged.merge([state, idle.state(), other.state()])
    assert merged.compute() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    apart = [taught(made(training)["value"], part, [n]).state() for part, n in ((one, 1), (rest, half - 1))]
    merged.merge(apart)
    assert taught(merged, second, [count - half]).compute() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    merged.reset()
    assert taught(merged, data, [half, count - half]).compute() == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert idle.compute() != idle.compute(), "of no samples there is no number"


def test_every_metric_is_documented_and_says_which_way_is_up() -> None:
    neither = []
    for name in registry.index("metric"):
        cls = registry.find("metric", name)
        assert cls is not None
        assert cls.__doc__, name
        assert cls.examples, name
        assert all(field.doc for field in cls.fields.values()), name
        neither += [name] if cls.higher_is_better is None else []
    assert neither == ["confusion_matrix"]


# --- against scikit-learn --------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
def test_classes_are_counted_as_scikit_learn_does(functional: Any) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    names = {
        "f1": 'f1_score(preds, target, average="macro")',
        "precision": 'precision(preds, target, average="weighted")',
        "recall": 'recall(preds, target, average="macro")',
        "kappa": "cohen_kappa(preds, target)",
        "matthews": "matthews_corrcoef(preds, target)",
        "jaccard": "jaccard_index(preds, target)",
        "auc": "auroc(softmax(preds, dim=1), target)",
        "top": "accuracy(preds, target, top_k=3)",
        "right": "accuracy(preds, target)",
    }
    text = ", ".join(f"{name}={call}" for name, call in names.items())
    training = followed(f"({text})", preds="float[N, 6]", target="int[N]")
    generator = torch.Generator().manual_seed(3)
    target = torch.randint(0, 6, (200,), generator=generator)
    preds = torch.randn(200, 6, generator=generator)
    preds[torch.arange(200), target] += 1.0
    chosen, soft = preds.argmax(1).numpy(), preds.softmax(1).numpy()
    want = {
        "f1": sklearn.f1_score(target, chosen, average="macro"),
        "precision": sklearn.precision_score(target, chosen, average="weighted"),
        "recall": sklearn.recall_score(target, chosen, average="macro"),
        "kappa": sklearn.cohen_kappa_score(target, chosen),
        "matthews": sklearn.matthews_corrcoef(target, chosen),
        "jaccard": sklearn.jaccard_score(target, chosen, average="macro"),
        "auc": sklearn.roc_auc_score(target, soft, multi_class="ovr"),
        "top": sklearn.top_k_accuracy_score(target, soft, k=3),
        "right": sklearn.accuracy_score(target, chosen),
    }
    found = {n: taught(m, [preds, target], [33] * 6 + [2]).compute() for n, m in made(training).items()}
    assert found == pytest.approx(want, rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_scores_of_any_size_are_ordered_as_scikit_learn_does(functional: Any) -> None:
    """A batch of scores that happen to lie between 0 and 1 is no other than the rest."""
    sklearn = pytest.importorskip("sklearn.metrics")
    calls = "(auc=auroc(preds, target), ap=average_precision(preds, target), f1=f1_score(preds, target, threshold=0))"
    training = followed(calls, preds="float[N]", target="int[N]")
    generator = torch.Generator().manual_seed(5)
    target = torch.randint(0, 2, (60,), generator=generator)
    preds = torch.randn(60, generator=generator) * 3 + target
    preds[:20] = preds[:20].sigmoid()
    preds[40:] = preds[40:].round()
    want = {
        "auc": sklearn.roc_auc_score(target, preds),
        "ap": sklearn.average_precision_score(target, preds),
        "f1": sklearn.f1_score(target, preds > 0),
    }
    for split in ([20, 20, 20], [60], [1] * 60):
        found = {n: taught(m, [preds, target], split).compute() for n, m in made(training).items()}
        assert found == pytest.approx(want, rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_numbers_are_compared_as_scikit_learn_does(functional: Any) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    calls = (
        "(r2=r2_score(preds, target), mse=mean_squared_error(preds, target), mae=mean_absolute_error(preds, target))"
    )
    training = followed(calls, preds="float[N, 2]", target="float[N, 2]")
    generator = torch.Generator().manual_seed(5)
    target = torch.randn(50, 2, generator=generator) * torch.tensor([1.0, 9.0]) + 1000
    preds = target + torch.randn(50, 2, generator=generator)
    want = {
        "r2": sklearn.r2_score(target.double(), preds.double()),
        "mse": sklearn.mean_squared_error(target.double(), preds.double()),
        "mae": sklearn.mean_absolute_error(target.double(), preds.double()),
    }
    found = {n: taught(m, [preds, target], [20, 29, 1]).compute() for n, m in made(training).items()}
    assert found == pytest.approx(want, rel=1e-9)


# --- expressions -----------------------------------------------------------------------------------------------------


def test_arithmetic_is_done_once_and_with_the_numbers_of_the_epoch() -> None:
    calls = (
        "(err=1 - accuracy(preds, target), rmse=sqrt(mean_squared_error(preds[:, 0], preds[:, 1])), part=mean(preds))"
    )
    training = followed(calls, preds="float[N, 3]", target="int[N]")
    preds, target = torch.randn(10, 3), torch.randint(0, 3, (10,))
    found = {n: taught(m, [preds, target], [4, 4, 2]).compute() for n, m in made(training).items()}
    assert found["err"] == pytest.approx(1 - (preds.argmax(1) == target).double().mean().item(), abs=1e-12)
    assert found["rmse"] == pytest.approx((preds[:, 0] - preds[:, 1]).square().mean().sqrt().item())
    assert found["part"] == pytest.approx(preds.mean().item(), abs=1e-6)


def test_a_mean_of_batches_stands_beside_a_metric() -> None:
    torch.manual_seed(0)
    training = followed(
        "(both=accuracy(preds, target) - 0.5 * mean(preds * preds))", preds="float[N, 3]", target="int[N]"
    )
    preds, target = torch.randn(10, 3), torch.randint(0, 3, (10,))
    value = taught(made(training)["both"], [preds, target], [3, 7]).compute()
    right = (preds.argmax(1) == target).double().mean()
    assert value == pytest.approx((right - 0.5 * preds.square().mean()).item(), abs=1e-6)


def test_the_functions_of_metrics_are_plain_ones() -> None:
    training = followed("(err=1 - accuracy(2 * preds, target))", preds="float[N, 3]", target="int[N]")
    assert "def metric_err(y, preds, target):\n    return 2 * preds, target" in emit_training(training)
    assert "def finish_err(accuracy):\n    return 1 - accuracy" in emit_training(training)


def test_which_way_is_up_is_turned_round_by_signs() -> None:
    calls = (
        "(a=accuracy(preds, target), b=1 - accuracy(preds, target), c=-(1 - accuracy(preds, target)), "
        "d=100 * accuracy(preds, target), e=-2 * accuracy(preds, target), f=perplexity(preds, target), g=mean(preds), "
        'h=1 / accuracy(preds, target), i=f1_score(preds, target, average="none")[0], '
        "j=accuracy(preds, target) - accuracy(preds, target, top_k=2), k=accuracy(preds, target) / 2)"
    )
    training = followed(calls, preds="float[N, 3]", target="int[N]")
    ways = {metric.name: higher_is_better(metric) for metric in training.metrics}
    assert [name for name, up in ways.items() if up] == ["a", "c", "d", "i", "k"]
    assert [name for name, up in ways.items() if up is None] == ["g", "h", "j"]


def test_a_binding_may_hold_a_metric_and_precision_is_a_metric_beside_the_setting() -> None:
    text = spec("(err=1 - acc, precision=precision(preds, target))", {"preds": "float[N, 3]", "target": "int[N]"})
    text = text.replace("  loss =", '  acc = accuracy(preds, target)\n  precision = "32"\n  loss =')
    training = compile_text(text, train=True).program.training
    assert training is not None
    assert [metric.name for metric in training.metrics] == ["err", "precision"]


# --- what meters are -------------------------------------------------------------------------------------------------


def test_a_mean_is_weighed_by_samples_and_folds_what_it_keeps() -> None:
    mean = Mean()
    values = torch.rand(3000, dtype=torch.float64)
    sizes = [1 + i % 5 for i in range(3000)]
    for value, size in zip(values, sizes, strict=True):
        mean.update([value], size)
    weights = torch.tensor(sizes, dtype=torch.float64)
    assert mean.compute() == pytest.approx((values @ weights / weights.sum()).item(), rel=1e-12)
    again = Mean()
    again.load_state(mean.state())
    assert again.compute() == mean.compute()


def test_accuracy_waits_for_no_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor without values stands for a device: asking it for a number would fail."""
    training = followed(
        "[accuracy(preds, target), binary_accuracy(p, q)]",
        preds="float[N, 3]",
        target="int[N]",
        p="float[N]",
        q="float[N]",
    )
    names = [name for _, name in training.names]
    sizes = {"y": (4, 1), "preds": (4, 3), "target": (4,), "p": (4,), "q": (4,)}
    like = {name: torch.empty(size, device="meta") for name, size in sizes.items()}
    like["target"] = like["target"].long()
    for meter in made(training).values():
        meter.update([like[name] for name in names], 4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ignored", [-1, 0, 1])
def test_yes_or_no_in_floats_is_ignored_as_well(ignored: int, functional: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    preds = torch.rand(40, 3, generator=generator)
    whole = torch.randint(-1 if ignored < 0 else 0, 2, (40, 3), generator=generator)
    for name in ("f1_score", "precision", "average_precision", "exact_match"):
        call = f'(value={name}(preds, target, task="multilabel", ignore_index={ignored}))'
        training = followed(call, preds="float[N, 3]", target="float[N, 3]")
        found = taught(made(training)["value"], [preds, whole.float()], [7, 33]).compute()
        want = getattr(functional, name)(preds, whole, task="multilabel", num_labels=3, ignore_index=ignored)
        same = taught(
            made(followed(call, preds="float[N, 3]", target="int[N, 3]"))["value"], [preds, whole], [7, 33]
        ).compute()
        assert found == pytest.approx(float(want), abs=1e-6, nan_ok=True), name
        assert found == pytest.approx(same, nan_ok=True), name


def test_targets_that_are_to_be_ignored_do_not_count() -> None:
    training = followed(
        "(a=accuracy(preds, target, ignore_index=-1), p=perplexity(preds, target, ignore_index=-1))",
        preds="float[N, 3]",
        target="int[N]",
    )
    preds, target = torch.randn(20, 3), torch.randint(-1, 3, (20,))
    kept = target >= 0
    found = {n: taught(m, [preds, target], [7, 13]).compute() for n, m in made(training).items()}
    assert found["a"] == (preds[kept].argmax(1) == target[kept]).double().mean().item()
    nll = torch.nn.functional.cross_entropy(preds[kept], target[kept])
    assert found["p"] == pytest.approx(nll.exp().item(), rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_scores_where_probabilities_belong_are_a_fault(functional: Any) -> None:
    training = followed("[auroc(preds, target)]", preds="float[N, 3]", target="int[N]")
    meter = taught(made(training)["auroc"], [torch.randn(9, 3), torch.arange(9) % 3], [9])
    with pytest.raises(Fault, match="takes probabilities") as caught:
        meter.compute()
    assert caught.value.code == "NNS604"
    merged = made(training)["auroc"]
    merged.merge([merged.state(), meter.state()])
    with pytest.raises(Fault, match="takes probabilities"):
        merged.compute()


@pytest.mark.filterwarnings("ignore")
def test_class_numbers_that_are_too_large_are_a_fault(functional: Any) -> None:
    training = followed('[f1_score(preds, target, average="macro")]', preds="float[N, 3]", target="int[N]")
    with pytest.raises(Fault, match="`f1_score` cannot be worked out"):
        taught(made(training)["f1_score"], [torch.randn(4, 3), torch.tensor([0, 1, 2, 7])], [4])


@pytest.mark.parametrize("name", OWN)
def test_some_metrics_need_torch_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.partition(".")[0] == "torchmetrics"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    cls = registry.find("metric", name)
    assert cls is not None
    made(followed(f"(value={cls.examples[0].text})", **fields_of(cls.examples[0])))


def test_without_torchmetrics_there_is_a_word_about_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.partition(".")[0] == "torchmetrics"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    training = followed("[f1_score(preds, target)]", preds="float[N, 3]", target="int[N]")
    with pytest.raises(Fault, match="worked out by torchmetrics") as caught:
        made(training)
    assert caught.value.code == "NNS605"
    assert caught.value.helps == ('pip install "nnspec[metrics]"',)


def test_an_old_torchmetrics_is_refused(monkeypatch: pytest.MonkeyPatch, functional: Any) -> None:
    monkeypatch.setattr(sys.modules["torchmetrics"], "__version__", "1.8.2")
    training = followed("[f1_score(preds, target)]", preds="float[N, 3]", target="int[N]")
    with pytest.raises(Fault, match=r"needs torchmetrics 1\.9, and this is 1\.8\.2"):
        made(training)


# --- what is refused -------------------------------------------------------------------------------------------------

CLASSES = {"preds": "float[N, 10]", "target": "int[N]"}
LABELS = {"preds": "float[N, 4]", "target": "int[N, 4]"}

REFUSED = (
    ("[F1(preds, target)]", CLASSES, "NNS201", "f1_score"),
    ("[acc(preds, target)]", CLASSES, "NNS201", "accuracy"),
    ("[top_k_accuracy(preds, target)]", CLASSES, "NNS201", "accuracy"),
    ("[rmse(preds, target)]", CLASSES, "NNS201", "mean_squared_error"),
    ("[psnr(preds, target)]", CLASSES, "NNS201", "peak_signal_noise_ratio"),
    ("[f1_scor(preds, target)]", CLASSES, "NNS201", "f1_score"),
    ("[f1_score(preds, target, num_classes=10)]", CLASSES, "NNS301", "num_classes"),
    ('[f1_score(preds, target, average="mean")]', CLASSES, "NNS303", "micro"),
    ("[f1_score(preds, target, top_k=0)]", CLASSES, "NNS304", "at least 1"),
    ("[accuracy(preds, target, top_k=10)]", CLASSES, "NNS304", "always among them"),
    ("[f1_score(preds, target, threshold=0.3)]", CLASSES, "NNS304", "means nothing for 10 classes"),
    ("[f1_score(preds[:, 0], target > 1, top_k=2)]", CLASSES, "NNS304", "means nothing for yes-or-no scores"),
    ("[accuracy(preds, target)]", LABELS, "NNS402", 'task="multilabel"'),
    ("[accuracy(preds, target[:, :2])]", LABELS, "NNS402", "cannot tell"),
    ('[f1_score(preds, target, task="multiclass")]', LABELS, "NNS402", "one dimension less"),
    ('[cohen_kappa(preds, target, task="multilabel")]', LABELS, "NNS401", "multilabel"),
    ("[accuracy(target, target)]", CLASSES, "NNS406", "needs a float tensor"),
    ("[accuracy(preds, to(target, float))]", CLASSES, "NNS406", "class numbers"),
    ("[accuracy(preds[:, :1], target)]", CLASSES, "NNS401", "single class"),
    ("[accuracy(preds > 0, target)]", CLASSES, "NNS406", "needs a float tensor"),
    ("[accuracy(preds)]", CLASSES, "NNS", "target"),
    ('[f1_score(preds, target, average="none")]', CLASSES, "NNS612", "one float number"),
    ("[confusion_matrix(preds, target)]", CLASSES, "NNS612", "float[10, 10]"),
    ("[mean(preds * accuracy(preds, target))]", CLASSES, "NNS612", "of a batch"),
    ("[accuracy(preds * accuracy(preds, target), target)]", CLASSES, "NNS612", "end of an epoch"),
    ("[accuracy(preds, target) / N]", CLASSES, "NNS612", "batch to batch"),
    ("[r2_score(preds, target)]", {"preds": "float[N, 2, 3]", "target": "float[N, 2, 3]"}, "NNS402", "columns"),
    ("[pearson_corrcoef(preds, target)]", {"preds": "float[N, 3]", "target": "float[N, 3]"}, "NNS612", "float[3]"),
    ("[mean_squared_error(preds, target)]", CLASSES, "NNS402", "number by number"),
    ("[mean_squared_error(preds, target)]", {"preds": "float[N, 3]", "target": "float[N, 1]"}, "NNS401", "number by"),
    ("[perplexity(preds, target)]", {"preds": "float[N, 65, 8]", "target": "int[N, 8]"}, "NNS401", "words come last"),
    ("[peak_signal_noise_ratio(preds, preds)]", CLASSES, "NNS302", "data_range"),
    (
        "[structural_similarity_index_measure(preds, preds, data_range=1.0)]",
        {"preds": "float[N, 3, 4, 4]"},
        "NNS403",
        "at least 6 pixels",
    ),
    ("[rand_score(preds, target)]", CLASSES, "NNS406", "argmax"),
    ("[dice_score(preds, target)]", CLASSES, "NNS402", "regions"),
    ("[exact_match(preds, target)]", CLASSES, "NNS402", "several targets"),
    ("[accuracy(preds, target), accuracy(preds, target, top_k=5)]", CLASSES, "NNS202", "two metrics"),
    ("[accuracy]", CLASSES, "NNS612", "call it"),
)


@pytest.mark.parametrize(("metrics", "fields", "code", "words"), REFUSED, ids=[f"{c[2]}-{c[0]}" for c in REFUSED])
def test_a_mistake_is_reported(metrics: str, fields: dict[str, str], code: str, words: str) -> None:
    said = complain(metrics, **fields)
    assert said.startswith(code), said
    assert words in said, said


def test_a_loss_is_no_metric() -> None:
    text = spec("[accuracy(preds, target)]", CLASSES).replace("loss = mean(y)", "loss = 1 - accuracy(preds, target)")
    with pytest.raises(NnspecError) as caught:
        compile_text(text, train=True)
    (found,) = caught.value.diagnostics
    assert found.code == "NNS612"
    assert "has no gradient" in found.message
