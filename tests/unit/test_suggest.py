"""Did you mean: typos, other spellings, and the names of other frameworks."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nnspec.suggest import closest, edit_distance, suggest
from nnspec.synonyms import SYNONYMS

LAYERS = [
    *("Linear", "Bilinear", "Conv1d", "Conv2d", "Conv3d", "MaxPool1d", "MaxPool2d", "AvgPool2d", "BatchNorm1d"),
    *("BatchNorm2d", "LayerNorm", "Dropout", "Embedding", "LSTM", "GRU", "MultiheadAttention", "Flatten", "ReLU"),
    *("GELU", "SiLU", "Sigmoid", "Softmax", "Hardswish"),
]
FUNCTIONS = ["relu", "cat", "stack", "matmul", "einsum", "mean", "mse_loss", "cross_entropy", "flatten", "unsqueeze"]
ARGUMENTS = ["out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias"]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Linaer", "Linear"),
        ("Liner", "Linear"),
        ("linear", "Linear"),
        ("LinearLayer", "Linear"),
        ("batchnorm2d", "BatchNorm2d"),
        ("batch_norm_2d", "BatchNorm2d"),
        ("Conv2D", "Conv2d"),
        ("RELU", "ReLU"),
        ("Relu", "ReLU"),
        ("flattn", "flatten"),
        ("Flattn", "Flatten"),
        ("kernal_size", "kernel_size"),
        ("kernelsize", "kernel_size"),
        ("size_kernel", "kernel_size"),
        ("pad", "padding"),
        ("out_chan", "out_channels"),
    ],
)
def test_other_spellings_lead_to_the_name(word: str, name: str) -> None:
    assert suggest(word, LAYERS + FUNCTIONS + ARGUMENTS) == name


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Dense", "Linear"),
        ("FullyConnected", "Linear"),
        ("MHA", "MultiheadAttention"),
        ("BN", "BatchNorm2d"),
        ("Convolution2D", "Conv2d"),
        ("Swish", "SiLU"),
        ("concat", "cat"),
        ("concatenate", "cat"),
        ("batch_matmul", "matmul"),
        ("mse", "mse_loss"),
        ("MSELoss", "mse_loss"),
        ("CrossEntropyLoss", "cross_entropy"),
        ("filters", "out_channels"),
        ("strides", "stride"),
        ("use_bias", "bias"),
    ],
)
def test_names_of_other_frameworks_lead_to_the_name_here(word: str, name: str) -> None:
    assert suggest(word, LAYERS + FUNCTIONS + ARGUMENTS) == name


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("units", "out_features"),
        ("rate", "p"),
        ("learning_rate", "lr"),
        ("True", "true"),
        ("None", "none"),
        ("&&", "and"),
        ("float32", "float"),
        ("activation", "nonlinearity"),
        ("criterion", "loss"),
    ],
)
def test_a_synonym_counts_only_where_its_name_is_known(word: str, name: str) -> None:
    assert suggest(word, [name, "qqqqqqqqqqqq"]) == name
    assert suggest(word, ["qqqqqqqqqqqq"]) is None


def test_a_word_with_several_meanings_takes_the_one_that_fits() -> None:
    assert suggest("units", ["hidden_size", "num_layers"]) == "hidden_size"
    assert suggest("rate", ["lr", "momentum"]) == "lr"
    assert suggest("view", ["Unflatten", "reshape"]) == "reshape"
    assert suggest("View", ["Unflatten", "reshape"]) == "Unflatten"


@pytest.mark.parametrize("word", ["x", "Foo", "zzz", "fc1", "T", "", "_", "Transformer"])
def test_nothing_is_offered_when_nothing_is_close(word: str) -> None:
    assert suggest(word, LAYERS) is None
    assert closest(word, ["y", "h"]) == []


def test_the_nearest_come_first_up_to_the_limit() -> None:
    assert closest("Conv", LAYERS, limit=5) == ["Conv1d", "Conv2d", "Conv3d"]
    assert closest("Conv2d_", LAYERS, limit=2) == ["Conv2d", "Conv1d"]
    assert closest("lienar", LAYERS) == ["Linear"]


def test_a_very_long_word_costs_nothing() -> None:
    begin = process_time()
    assert suggest("Q" * 1_000_000, ["Q" * 999_999 + "Z"]) is None
    assert suggest("layer_99999", [f"layer_{n}_x" for n in range(2000)]) is not None
    assert process_time() - begin < 2


def distance(a: str, b: str) -> int:
    """The same by its definition."""
    if not a or not b:
        return len(a) + len(b)
    best = min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))
    swapped = len(a) > 1 and len(b) > 1 and a[:2] == b[1] + b[0]
    return min(best, distance(a[2:], b[2:]) + 1) if swapped else best


@example("abc", "bac", 1)
@example("cab", "cba", 0)
@given(st.text("abc", max_size=5), st.text("abc", max_size=5), st.integers(0, 5))
def test_the_distance_is_the_defined_one_up_to_the_limit(a: str, b: str, limit: int) -> None:
    expected = distance(a, b)
    assert edit_distance(a, b, limit) == (expected if expected <= limit else None)


def test_no_synonym_is_the_name_itself() -> None:
    useless = [word for word, names in SYNONYMS.items() if word in {name.casefold().replace("_", "") for name in names}]
    assert useless == []
