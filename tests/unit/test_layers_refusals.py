"""What layers say of inputs that they refuse, and what they demand of sizes that they cannot know."""

from __future__ import annotations

import pytest

from nnspec.layer import ShapeError

from .layer_harness import feed, read_layer

REFUSALS: list[tuple[str, list[str], str, str | None]] = [
    ("Linear(3)", ["int[N, 4]"], "NNS406", "`Linear` has float32 parameters, but its input is int[N, 4]"),
    ("Linear(3)", ["float64[N, 4]"], "NNS406", "`Linear` has float32 parameters, but its input is float64[N, 4]"),
    ("Linear(3)", ["float[]"], "NNS402", "`Linear` needs at least 1 dimension, but its input is float[]"),
    (
        "Linear(3, in_features=256)",
        ["float[N, 400]"],
        "NNS401",
        "`Linear(in_features=256)` cannot follow a tensor of shape [N, 400]",
    ),
    (
        "Linear(3)",
        ["float[N, T]"],
        "NNS405",
        "`Linear` takes in_features from the last dimension of its input, which is `T`: not a fixed number",
    ),
    (
        "Bilinear(3)",
        ["float[2, 4]", "float[3, 4]"],
        "NNS401",
        "the inputs of `Bilinear`, float[2, 4] and float[3, 4], differ in dimension 0",
    ),
    (
        "Bilinear(3)",
        ["float[N, 4]", "float[M, 4]"],
        "NNS410",
        "the inputs of `Bilinear`, float[N, 4] and float[M, 4], differ in dimension 0",
    ),
    (
        "Conv2d(8, 3)",
        ["float[N, 784]"],
        "NNS402",
        "`Conv2d` needs 4 or 3 dimensions, [N, C, H, W] or [C, H, W], but its input is float[N, 784]",
    ),
    ("Conv2d(8, 7)", ["float[N, 3, 5, 9]"], "NNS403", "kernel 7 does not fit an input of height 5"),
    (
        "Conv2d(8, 4, dilation=3, padding=1)",
        ["float[N, 3, 12, 6]"],
        "NNS403",
        "kernel 4 with dilation 3, which reaches over 10, does not fit an input of width 6, padded to 8",
    ),
    ("Conv2d(6, 3, groups=4)", ["float[N, 6, 9, 9]"], "NNS404", "groups 4 does not divide in_channels 6"),
    ('Conv2d(8, 3, stride=2, padding="same")', ["float[N, 6, 9, 9]"], "NNS304", None),
    (
        'Conv2d(8, 3, padding=4, padding_mode="reflect")',
        ["float[N, 6, 9, 4]"],
        "NNS403",
        'padding 4 with padding_mode="reflect" does not fit an input of width 4',
    ),
    ("ConvTranspose2d(2, 1, padding=4)", ["float[N, 6, 5, 5]"], "NNS403", None),
    (
        "MaxPool2d(2, padding=2)",
        ["float[N, 6, 5, 5]"],
        "NNS304",
        "padding 2 of `MaxPool2d` is more than half of kernel 2",
    ),
    (
        "MaxPool2d(2)",
        ["int[N, 6, 5, 5]"],
        "NNS406",
        "`MaxPool2d` needs a float tensor, but its input is int[N, 6, 5, 5]",
    ),
    (
        "BatchNorm2d",
        ["float[N, 8]"],
        "NNS402",
        "`BatchNorm2d` needs 4 dimensions, [N, C, H, W], but its input is float[N, 8]",
    ),
    ("LayerNorm(normalized_shape=(4, 5))", ["float[N, 5, 4]"], "NNS401", None),
    ("GroupNorm(4)", ["float[N, 6]"], "NNS404", "num_groups 4 does not divide num_channels 6"),
    ("Embedding(9, 4)", ["float[N, T]"], "NNS406", "`Embedding` looks numbers up, but its input is float[N, T]"),
    ("Embedding(9, 4, padding_idx=9)", ["int[N]"], "NNS411", "padding_idx 9 is out of range for 9 embeddings"),
    ("LSTM(4)", ["float[T, N, 3]", "float[1, N, 4]"], "NNS402", "`LSTM` starts from a pair of states"),
    (
        "GRU(4)",
        ["float[T, N, 3]", "float[2, N, 4]"],
        "NNS401",
        "h0 of `GRU` must be float[1, N, 4], not float[2, N, 4]",
    ),
    ("LSTM(4, proj_size=4)", ["float[T, N, 3]"], "NNS304", None),
    ("MultiheadAttention(7)", ["float[T, N, 512]"], "NNS404", "num_heads 7 does not divide embed_dim 512"),
    (
        "MultiheadAttention(2)",
        ["float[T, N, 8]", "float[S, M, 8]"],
        "NNS410",
        "query and key of `MultiheadAttention` differ in batch: N and M",
    ),
    (
        "Flatten(2)",
        ["float[N, 6]"],
        "NNS411",
        "`Flatten(start_dim=2)` is out of range for float[N, 6], which has 2 dimensions",
    ),
    ("Unflatten(1, (4, 4))", ["float[N, 12]"], "NNS408", "a dimension of 12 cannot become (4, 4), which holds 16"),
    (
        "Unflatten(1, (5, -1))",
        ["float[N, 12]"],
        "NNS408",
        "a dimension of 12 cannot become (5, -1): 5 does not divide it",
    ),
    ("Unflatten(1, (5, -1))", ["float[N, T]"], "NNS410", None),
    ("Softmax(2)", ["float[N, 6]"], "NNS411", None),
    ("PReLU(3)", ["float[N, 6]"], "NNS401", "`PReLU(3)` needs 3 channels, but its input is float[N, 6]"),
    ("ReLU", ["bool[N]"], "NNS406", "`ReLU` needs numbers, but its input is bool[N]"),
    ("GELU", ["int[N]"], "NNS406", "`GELU` needs a float tensor, but its input is int[N]"),
    ("Hardtanh(1, 0)", ["float[N]"], "NNS304", "`Hardtanh` needs min_val below max_val, not 1 and 0"),
    ("GLU", ["float[N, 7]"], "NNS404", "`GLU` needs an even size in dimension 1 of float[N, 7], not 7"),
    ("GLU", ["float[N, T]"], "NNS410", None),
    (
        "Dropout2d",
        ["float[N, 8, L]"],
        "NNS402",
        "`Dropout2d` needs 4 dimensions, [N, C, H, W], but its input is float[N, 8, L]",
    ),
    ("RMSNorm", ["int[N, 4]"], "NNS406", "`RMSNorm` has float32 parameters, but its input is int[N, 4]"),
    (
        "InstanceNorm2d",
        ["float[N, 4, 1, 1]"],
        "NNS403",
        "`InstanceNorm2d` needs at least 2 places in each channel, but its input is float[N, 4, 1, 1]",
    ),
    ("InstanceNorm1d(affine=true)", ["float[N, C, L]"], "NNS405", None),
    ("LocalResponseNorm(3)", ["float[N, 4]"], "NNS402", None),
    (
        "ReflectionPad1d(4)",
        ["float[N, 2, 4]"],
        "NNS403",
        "`ReflectionPad1d` cannot put 4 of 4 elements around dimension 2 of float[N, 2, 4]",
    ),
    (
        "ZeroPad2d(-2)",
        ["float[N, 2, 4, 9]"],
        "NNS403",
        "`ZeroPad2d` leaves nothing of dimension 2 of float[N, 2, 4, 9]: it becomes 0",
    ),
    ("ConstantPad1d(1, 0.5)", ["int[N, 2, 4]"], "NNS406", "`ConstantPad1d` cannot put 0.5 around int[N, 2, 4]"),
    ("Upsample", ["float[N, 3, H, W]"], "NNS405", "`Upsample` needs either `size` or `scale_factor`"),
    (
        'Upsample(scale_factor=2, mode="bilinear")',
        ["float[N, 3, L]"],
        "NNS402",
        '`Upsample(mode="bilinear")` needs 4 dimensions, [N, C, ...], but its input is float[N, 3, L]',
    ),
    ("Upsample(scale_factor=0.1)", ["float[N, 3, H, W]"], "NNS405", "`Upsample` cannot say what H times 0.1 rounds to"),
    ("Upsample(scale_factor=0.1)", ["float[N, 3, 9, 9]"], "NNS403", None),
    ("Upsample(2, align_corners=true)", ["float[N, 3, H, W]"], "NNS304", None),
    ("PixelShuffle(2)", ["float[N, 6, H, W]"], "NNS404", None),
    ("PixelUnshuffle(2)", ["float[N, 6, H, 4]"], "NNS410", None),
    ("ChannelShuffle(4)", ["float[N, 6, L]"], "NNS404", None),
    ("AvgPool3d(3, padding=1)", ["float[N, 2, 4, 4, 2]"], "NNS403", None),
    ("AdaptiveMaxPool2d(2)", ["float[N, 8]"], "NNS402", None),
]


@pytest.mark.parametrize(
    ("text", "inputs", "code", "message"), REFUSALS, ids=[f"{r[0]} of {r[1][0]}" for r in REFUSALS]
)
def test_a_wrong_input_is_refused(text: str, inputs: list[str], code: str, message: str | None) -> None:
    with pytest.raises(ShapeError) as caught:
        feed(read_layer(text), *inputs)
    assert caught.value.code == code
    assert caught.value.message[0] not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert not caught.value.message.endswith(".")
    if message is not None:
        assert caught.value.message == message


def test_the_help_names_what_would_fit() -> None:
    with pytest.raises(ShapeError) as caught:
        feed(read_layer("MultiheadAttention(7)"), "float[T, N, 512]")
    assert caught.value.helps == ("the nearest that do: `num_heads=4` and `num_heads=8`",)
    with pytest.raises(ShapeError) as caught:
        feed(read_layer("Conv2d(8, 7)"), "float[N, 3, 5, 9]")
    assert caught.value.helps == ("use a smaller kernel, or padding=1",)
    assert caught.value.at == "kernel_size"


def test_what_cannot_be_decided_becomes_a_requirement() -> None:
    case = feed(read_layer("Conv2d(8, 7, padding=1)"), "float[N, 3, H, W]")
    assert [str(r.size) for r in case.proof.requires] == ["H - 5", "W - 5"]
    assert case.proof.requires[0].message == "kernel 7 does not fit an input of height H, padded to H + 2"


def test_a_stride_of_two_rounds_as_a_person_would_write_it() -> None:
    case = feed(read_layer("Conv2d(8, 3, stride=2, padding=1)"), "float[N, 3, H, W]")
    assert str(case.output) == "float[N, 8, (H + 1) // 2, (W + 1) // 2]"
