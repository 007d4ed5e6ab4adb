"""Transforms: those that draw nothing equal torchvision's, the random ones for the same draws, and types tell."""

from __future__ import annotations

import inspect
import itertools
import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from nnspec import registry
from nnspec.dims import symbol
from nnspec.training.fault import DataError, Fault, SettingError
from nnspec.training.transform import Transform
from nnspec.training.transforms import _samples, affine, colors
from nnspec.types import TensorType

from ..zoo.libraries import torchvision

vision = torchvision("torchvision.transforms.v2")
functional = vision.functional


def made(name: str, *args: Any, **kwargs: Any) -> Transform:
    cls = registry.find("transform", name)
    assert cls is not None
    transform = cls(*args, **kwargs)
    assert isinstance(transform, Transform)
    transform.check()
    return transform


def typed(x: torch.Tensor) -> TensorType:
    return TensorType(str(x.dtype).removeprefix("torch."), (symbol("batch"), *x.shape[1:]))


def applied(transform: Transform, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """The result on a batch, after its type was compared with what the transform says, and its input with a copy."""
    before = x.clone()
    generator = torch.Generator().manual_seed(seed) if transform.random else None
    y = transform.apply(x, transform.fit(x), generator)
    assert torch.equal(x, before), "the batch itself was changed"
    assert typed(y) == transform.infer(typed(x))
    return y


def images(count: int = 3, channels: int = 3, height: int = 17, width: int = 23, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[1, 5], ids=["one", "five"])
def batch(request: pytest.FixtureRequest) -> torch.Tensor:
    return images(request.param)


# --- what is the same each time: torchvision ------------------------------------------------------------------------


DETERMINISTIC: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Resize", (8,), {}),
    ("Resize", ((9, 31),), {}),
    ("Resize", (40,), {"max_size": 45}),
    ("Resize", ((8, 8),), {"interpolation": "bicubic"}),
    ("Resize", ((8, 30),), {"interpolation": "nearest"}),
    ("Resize", ((8, 30),), {"interpolation": "nearest-exact"}),
    ("Resize", ((8, 30),), {"antialias": False}),
    ("CenterCrop", (9,), {}),
    ("CenterCrop", ((10, 6),), {}),
    ("CenterCrop", ((30, 20),), {}),
    ("CenterCrop", ((18, 40),), {}),
    ("Pad", (2,), {"fill": 0.5}),
    ("Pad", ((1, 2),), {}),
    ("Pad", ((1, 2, 3, 4),), {"padding_mode": "edge"}),
    ("Pad", ((1, 2, 3, 4),), {"padding_mode": "reflect"}),
    ("Pad", ((1, 2, 3, 4),), {"padding_mode": "symmetric"}),
    ("Grayscale", (), {}),
    ("Grayscale", (3,), {}),
    ("Normalize", ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6)), {}),
]


@pytest.mark.parametrize(("name", "args", "kwargs"), DETERMINISTIC)
def test_what_draws_nothing_equals_torchvision(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], batch: torch.Tensor
) -> None:
    original = dict(kwargs)
    if "interpolation" in kwargs:
        original["interpolation"] = vision.InterpolationMode(kwargs["interpolation"])
    expected = getattr(vision, name)(*args, **original)(batch)
    assert torch.equal(applied(made(name, *args, **kwargs), batch), expected)


@pytest.mark.parametrize("name", sorted(n for n in registry.index("transform") if hasattr(vision, n)))
def test_names_and_defaults_are_torchvisions(name: str) -> None:
    cls = registry.find("transform", name)
    assert cls is not None
    theirs = inspect.signature(getattr(vision, name)).parameters
    ours = list(cls.fields)
    assert [n for n in ours if n not in theirs] == []
    assert ours == [n for n in theirs if n in ours], "the order of the arguments"
    for field in ours:
        default = theirs[field].default
        value = getattr(default, "value", default)
        if name == "Resize" and field == "antialias":
            assert cls.fields[field].default is True
        elif default is inspect.Parameter.empty:
            assert cls.fields[field].required, field
        elif value is not None or not isinstance(cls.fields[field].default, float):
            assert cls.fields[field].default == value, field


# --- random ones, for the draws that they made ----------------------------------------------------------------------


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("mode", ["constant", "reflect", "edge", "symmetric"])
def test_a_random_crop_is_a_piece_of_the_padded_image(mode: str, batch: torch.Tensor) -> None:
    y = applied(made("RandomCrop", (9, 11), padding=(3, 2), fill=0.5, padding_mode=mode), batch)
    wide = functional.pad(batch, [3, 2], fill=0.5, padding_mode=mode)
    for image, piece in zip(wide, y, strict=True):
        places = image.unfold(1, 9, 1).unfold(2, 11, 1).permute(1, 2, 0, 3, 4)
        assert (places == piece).flatten(2).all(2).any()


def test_random_crops_come_from_everywhere_each_image_by_itself() -> None:
    x = torch.arange(6 * 6.0).reshape(1, 1, 6, 6).expand(2000, 1, 6, 6)
    corner = applied(made("RandomCrop", 4), x)[:, 0, 0, 0]
    counts = corner.long().bincount()
    assert counts.nonzero()[:, 0].tolist() == [0, 1, 2, 6, 7, 8, 12, 13, 14]
    assert counts[counts > 0].min() > 150
    assert not torch.equal(applied(made("RandomCrop", 4), x, seed=1)[:, 0, 0, 0], corner)
    assert torch.equal(applied(made("RandomCrop", 4), x, seed=0)[:, 0, 0, 0], corner)


def test_a_random_crop_pads_what_is_too_small_only_when_asked() -> None:
    x = images(4, 3, 5, 6)
    assert applied(made("RandomCrop", 8, pad_if_needed=True), x).shape == (4, 3, 8, 8)
    with pytest.raises(SettingError, match="does not fit into images of 5 x 6"):
        made("RandomCrop", 8).infer(typed(x))


@pytest.mark.parametrize(("name", "dim"), [("RandomHorizontalFlip", 3), ("RandomVerticalFlip", 2)])
def test_flips_turn_some_images_whole(name: str, dim: int) -> None:
    x = images(1000, 1, 3, 4)
    y = applied(made(name), x)
    flipped = (y == x.flip(dim)).flatten(1).all(1)
    assert (flipped | (y == x).flatten(1).all(1)).all()
    assert 430 < flipped.sum() < 570
    assert torch.equal(applied(made(name, p=1.0), x), x.flip(dim))
    assert torch.equal(applied(made(name, p=0.0), x), x)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill", [0.0, 0.7])
@pytest.mark.parametrize("center", [None, (3.0, 5.0)])
def test_rotations_equal_torchvisions_for_their_angles(
    interpolation: str, fill: float, center: tuple[float, float] | None
) -> None:
    x = images(6)
    y = applied(made("RandomRotation", (-40.0, 90.0), interpolation, center=center, fill=fill), x, seed=3)
    angles = _samples.drawn_between(draws(3), -40.0, 90.0, 6).tolist()
    mode = vision.InterpolationMode(interpolation)
    for image, angle, turned in zip(x, angles, y, strict=True):
        wanted = functional.rotate(image, angle, mode, center=list(center) if center else None, fill=fill)
        close = torch.isclose(turned, wanted, atol=1e-4)
        # A place half-way between two pixels may fall to either.
        assert close.float().mean() > (0.985 if interpolation == "nearest" else 0.9999)


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("values", [(30.0, 0, 0, 1.0, 0.0, 0.0), (-20.0, 3, -2, 0.8, 15.0, -7.0)])
def test_an_affine_map_equals_torchvisions(interpolation: str, values: tuple[float, ...]) -> None:
    x = images(2)
    angle, dx, dy, scale, shear_x, shear_y = values
    a, b, c, d, e, f = (torch.full((2,), v, dtype=torch.float64) for v in values)
    matrix = affine.inverse_matrix(a, b, c, d, e, f, (0.0, 0.0))
    y = affine.moved(x, matrix, interpolation, 0.25)
    mode = vision.InterpolationMode(interpolation)
    wanted = functional.affine(x, angle, [int(dx), int(dy)], scale, [shear_x, shear_y], mode, fill=[0.25])
    assert torch.isclose(y, wanted, atol=1e-4).float().mean() > (0.985 if interpolation == "nearest" else 0.9999)


def test_a_random_affine_map_moves_whole_pixels_within_its_bounds() -> None:
    x = torch.zeros(400, 1, 21, 21)
    x[:, :, 10, 10] = 1
    y = applied(made("RandomAffine", 0, translate=(0.2, 0.1)), x)
    assert torch.equal(y.sum((1, 2, 3)), torch.ones(400))
    places = y[:, 0].flatten(1).argmax(1)
    assert set((places % 21 - 10).tolist()) == set(range(-4, 5))
    assert set((places // 21 - 10).tolist()) == set(range(-2, 3))
    still = images(2)
    assert torch.allclose(applied(made("RandomAffine", 0), still), still, atol=1e-5)
    sheared = made("RandomAffine", 5, shear=(1, 2, 3, 4), scale=(0.5, 2.0), center=(1, 1))
    assert applied(sheared, still).shape == still.shape


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_resized_crops_equal_torchvisions_for_their_boxes(interpolation: str, antialias: bool) -> None:
    x = images(24, 3, 19, 31)
    crop = made("RandomResizedCrop", (13, 11), (0.05, 1.5), interpolation=interpolation, antialias=antialias)
    y = applied(crop, x, seed=5)
    boxes = crop._boxes(24, 19, 31, draws(5))  # type: ignore[attr-defined]
    mode = vision.InterpolationMode(interpolation)
    for i, image in enumerate(x):
        top, left, height, width = (int(each[i]) for each in boxes)
        wanted = functional.resized_crop(image, top, left, height, width, [13, 11], mode, antialias)
        assert torch.allclose(y[i], wanted, atol=1e-5), (top, left, height, width)


def test_resized_crops_are_distributed_as_torchvisions() -> None:
    crop = made("RandomResizedCrop", 8)
    boxes = crop._boxes(4000, 40, 60, draws())  # type: ignore[attr-defined]
    torch.manual_seed(0)
    from torchvision.transforms import RandomResizedCrop

    theirs = [RandomResizedCrop.get_params(torch.empty(1, 40, 60), [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]
    ours = torch.stack(list(boxes), dim=1).double()
    expected = torch.tensor(theirs).double()
    assert ours.mean(0).tolist() == pytest.approx(expected.mean(0).tolist(), abs=0.8)
    assert ours.std(0).tolist() == pytest.approx(expected.std(0).tolist(), abs=0.8)


def test_the_piece_in_the_middle_is_taken_where_none_fits() -> None:
    boxes = made("RandomResizedCrop", 8, (1.0, 1.0), (1.0, 1.0))._boxes(5, 10, 40, draws())  # type: ignore[attr-defined]
    assert [each.tolist() for each in boxes] == [[0] * 5, [15] * 5, [10] * 5, [10] * 5]


@pytest.mark.parametrize("value", [0.0, 0.5, (0.1, 0.2, 0.3)])
def test_erasing_fills_one_rectangle_of_some_images(value: float | tuple[float, ...]) -> None:
    x = images(600, 3, 20, 30) + 2
    y = applied(made("RandomErasing", value=value), x)
    changed = (y != x).all(1)
    assert torch.equal(changed, (y != x).any(1))
    touched = changed.flatten(1).any(1)
    assert 240 < touched.sum() < 360
    for mask, image in zip(changed[touched], y[touched], strict=True):
        rows, columns = mask.any(1), mask.any(0)
        assert torch.equal(mask, rows[:, None] & columns), "no rectangle"
        assert rows.nonzero().diff(dim=0).unique().tolist() in ([], [1])
        assert mask.sum() / 600 == pytest.approx(0.175, abs=0.2)
        filling = torch.tensor(value).reshape(-1, 1).expand(3, -1)
        assert torch.equal(image[:, mask], filling.expand(3, int(mask.sum())))
    shares = changed[touched].float().mean((1, 2))
    assert shares.mean() == pytest.approx(0.175, abs=0.02)


def test_erasing_by_noise_and_a_wrong_number_of_values() -> None:
    x = images(8)
    assert applied(made("RandomErasing", p=1.0, value="random"), x).min() < 0
    with pytest.raises(SettingError, match="2 numbers are given"):
        made("RandomErasing", value=(0.0, 1.0)).infer(typed(x))


JITTERS = [("brightness", "adjust_brightness"), ("contrast", "adjust_contrast"), ("saturation", "adjust_saturation")]


@pytest.mark.parametrize(("argument", "function"), [*JITTERS, ("hue", "adjust_hue")])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_jitter_equals_torchvisions_for_its_factors(argument: str, function: str, channels: int) -> None:
    x = images(7, channels)
    x[0] = 0.5  # no colour at all
    bounds = (-0.4, 0.5) if argument == "hue" else (0.3, 1.9)
    y = applied(made("ColorJitter", **{argument: bounds}), x, seed=2)
    factors = _samples.drawn_between(draws(2), *bounds, 7).tolist()
    for image, factor, changed in zip(x, factors, y, strict=True):
        wanted = (
            image
            if channels == 1 and argument in ("hue", "saturation")
            else getattr(functional, function)(image, factor)
        )
        assert torch.allclose(changed, wanted, atol=1e-5)


def test_jitters_come_in_an_order_of_each_images_own() -> None:
    x = images(1).expand(64, 3, 17, 23).clone()
    amounts = {"brightness": (0.5, 0.5), "contrast": (1.8, 1.8), "saturation": (2.0, 2.0), "hue": (0.3, 0.3)}
    y = applied(made("ColorJitter", **amounts), x)
    orders = []
    for order in itertools.permutations(amounts):
        wanted = x[:1]
        for name in order:
            wanted = getattr(functional, f"adjust_{name}")(wanted, amounts[name][0])
        orders.append(torch.isclose(y, wanted, atol=1e-4).flatten(1).all(1))
    assert torch.stack(orders).any(0).all()
    assert sum(bool(each.any()) for each in orders) > 12
    assert torch.equal(applied(made("ColorJitter"), x), x)


@pytest.mark.parametrize("kernel", [1, 3, (5, 9)])
def test_a_blur_equals_torchvisions_for_its_widths(kernel: int | tuple[int, int]) -> None:
    x = images(5)
    y = applied(made("GaussianBlur", kernel, (0.3, 2.5)), x, seed=4)
    sizes = [kernel, kernel] if isinstance(kernel, int) else list(kernel)
    for image, sigma, blurred in zip(x, _samples.drawn_between(draws(4), 0.3, 2.5, 5).tolist(), y, strict=True):
        assert torch.allclose(blurred, functional.gaussian_blur(image, sizes, [sigma, sigma]), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "args", "function"),
    [
        ("RandomInvert", (), functional.invert),
        ("RandomSolarize", (0.6,), lambda x: functional.solarize(x, 0.6)),
        ("RandomAutocontrast", (), functional.autocontrast),
        ("RandomAdjustSharpness", (1.7,), lambda x: functional.adjust_sharpness(x, 1.7)),
        ("RandomAdjustSharpness", (0.2,), lambda x: functional.adjust_sharpness(x, 0.2)),
        ("RandomGrayscale", (), lambda x: functional.rgb_to_grayscale(x, 3)),
    ],
)
def test_what_is_done_to_some_images_equals_torchvision(name: str, args: tuple[Any, ...], function: Any) -> None:
    x = images(200, 3, 6, 5) * 0.8
    wanted = torch.stack([function(image) for image in x])
    assert torch.allclose(applied(made(name, *args, p=1.0), x), wanted, atol=1e-6)
    y = applied(made(name, *args, p=0.5), x)
    done = torch.isclose(y, wanted, atol=1e-6).flatten(1).all(1)
    assert (done | (y == x).flatten(1).all(1)).all()
    assert 70 < done.sum() < 130


def test_grey_images_cannot_become_grey_and_two_channels_have_no_colour() -> None:
    with pytest.raises(SettingError, match="3 channels, and these have 1"):
        made("Grayscale").infer(typed(images(2, 1)))
    with pytest.raises(SettingError, match="3 channels or 1, and these have 2"):
        made("ColorJitter").infer(typed(images(2, 2)))


# --- values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(50,), (50, 4), (50, 3, 5, 6), (50, 2, 7)])
def test_standardize_brings_each_column_or_channel_to_mean_0_and_deviation_1(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=draws()) * 3 + 5
    y = applied(made("Standardize"), x).double()
    dims = [i for i in range(len(shape)) if i != 1]
    deviation, mean = torch.std_mean(y, dim=dims, correction=0)
    assert torch.allclose(mean, torch.zeros_like(mean), atol=1e-6)
    assert torch.allclose(deviation, torch.ones_like(mean), atol=1e-6)


def test_what_was_measured_is_plain_and_used_on_other_samples() -> None:
    transform = made("Standardize")
    train, other = torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.tensor([[5.0, 6.0]])
    state = json.loads(json.dumps(transform.fit(train)))
    assert state == {"mean": [2.0, 5.0], "deviation": [1.0, 1.0]}
    assert transform.apply(other, state, None).tolist() == [[3.0, 1.0]]


def test_min_max_scale_equals_scikit_learns() -> None:
    from sklearn.preprocessing import MinMaxScaler

    x = torch.randn(40, 3, generator=draws())
    x[:, 1] = 7
    y = applied(made("MinMaxScale", -1, 2), x)
    assert np.allclose(y, MinMaxScaler((-1, 2)).fit_transform(x.double().numpy()), atol=1e-6)


def test_one_hot_is_torchs_as_floats() -> None:
    x = torch.tensor([2, 0, 1])
    assert torch.equal(applied(made("OneHot", 3), x), torch.nn.functional.one_hot(x, 3).float())
    assert applied(made("OneHot", 3), x[:, None]).shape == (3, 1, 3)
    for wrong, said in ((x + 1, 3), (x - 1, -1)):
        with pytest.raises(DataError, match=f"takes 0 to 2, and the field holds {said}"):
            applied(made("OneHot", 3), wrong)


def test_types_are_changed_and_scaled_as_torchvision_does() -> None:
    x = (images() * 255).to(torch.uint8)
    y = applied(made("ToDtype", "float32", True), x)
    assert torch.equal(y, x / 255)
    assert torch.allclose(y, vision.ToDtype(torch.float32, scale=True)(x))  # which multiplies by 1 / 255
    assert torch.equal(applied(made("ToDtype", "int64"), x), x.long())


def test_numbers_are_clamped_logged_and_made_noisy() -> None:
    x = images()
    assert torch.equal(applied(made("Clamp", min=0.3), x), x.clamp(min=0.3))
    assert torch.equal(applied(made("Log", 0.5), x), (x + 0.5).log())
    noisy = applied(made("GaussianNoise", 0.2, 0.1, False), images(40))
    assert float((noisy - images(40)).mean()) == pytest.approx(0.2, abs=0.01)
    assert float((noisy - images(40)).std()) == pytest.approx(0.1, abs=0.01)
    assert applied(made("GaussianNoise", sigma=5.0), x).max() == 1


# --- sounds ---------------------------------------------------------------------------------------------------------


def sounds(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=draws()) * 2 - 1


@pytest.mark.parametrize("shape", [(1, 500), (3, 500), (2, 2, 501)])
@pytest.mark.parametrize(
    "kwargs",
    [
        {},
        {"n_fft": 64, "hop_length": 10, "power": 1.0},
        {"n_fft": 64, "win_length": 40, "center": False, "normalized": True},
        {"n_fft": 65, "pad": 3, "pad_mode": "constant"},
    ],
)
def test_a_spectrogram_is_torchs_short_time_transform(shape: tuple[int, ...], kwargs: dict[str, Any]) -> None:
    x = sounds(*shape)
    y = applied(made("Spectrogram", **kwargs), x)
    n_fft = kwargs.get("n_fft", 400)
    length = kwargs.get("win_length", n_fft)
    window = torch.hann_window(length)
    wanted = torch.stft(
        torch.nn.functional.pad(x, (kwargs.get("pad", 0),) * 2).reshape(-1, shape[-1] + 2 * kwargs.get("pad", 0)),
        n_fft,
        kwargs.get("hop_length", length // 2),
        length,
        window,
        center=kwargs.get("center", True),
        pad_mode=kwargs.get("pad_mode", "reflect"),
        return_complex=True,
    ).abs()
    if kwargs.get("normalized"):
        wanted = wanted / window.pow(2).sum().sqrt()
    assert torch.allclose(y.flatten(0, -3), wanted.pow(kwargs.get("power", 2.0)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mel_scale", ["htk", "slaney"])
@pytest.mark.parametrize("norm", [None, "slaney"])
def test_a_mel_bank_equals_that_of_transformers(mel_scale: str, norm: str | None) -> None:
    audio_utils = pytest.importorskip("transformers.audio_utils")
    wanted = audio_utils.mel_filter_bank(201, 40, 20.0, 7600.0, 16_000, norm, mel_scale)
    transform = made("MelSpectrogram", n_mels=40, f_min=20.0, f_max=7600.0, norm=norm, mel_scale=mel_scale)
    bank = transform._bank()  # type: ignore[attr-defined]
    assert np.allclose(bank.T, wanted, atol=1e-9)
    x = sounds(2, 900)
    powers = applied(made("Spectrogram"), x)
    assert torch.allclose(applied(transform, x), bank.float() @ powers, rtol=1e-4, atol=1e-5)


def test_cepstral_terms_are_scipys_cosine_transform_of_decibels() -> None:
    from scipy.fft import dct

    x = sounds(2, 900)
    mel = applied(made("MelSpectrogram", n_mels=40), x)
    decibels = 10 * mel.clamp(min=1e-10).log10()
    decibels = decibels.maximum(decibels.amax((1, 2), keepdim=True) - 80)
    wanted = dct(decibels.double().numpy(), type=2, norm="ortho", axis=1)[:, :13]
    assert np.allclose(applied(made("MFCC", n_mels=40, n_mfcc=13), x), wanted, atol=1e-3)
    logarithm = dct((mel + 1e-6).log().double().numpy(), type=2, norm="ortho", axis=1)[:, :13]
    assert np.allclose(applied(made("MFCC", n_mels=40, n_mfcc=13, log_mels=True), x), logarithm, atol=1e-3)


def test_decibels_are_cut_off_below_each_samples_maximum() -> None:
    x = torch.tensor([[[1.0, 1e-3, 0.0]], [[1e-2, 1e-6, 0.0]]])
    assert applied(made("AmplitudeToDB"), x)[0, 0].tolist() == pytest.approx([0, -30, -100])
    assert applied(made("AmplitudeToDB", "magnitude"), x)[0, 0].tolist() == pytest.approx([0, -60, -200])
    assert applied(made("AmplitudeToDB", top_db=20.0), x)[:, 0].tolist() == [[0, -20, -20], [-20, -40, -40]]


def test_loudness_is_a_factor_a_power_or_decibels() -> None:
    x = torch.tensor([[0.1, -0.4]])
    assert torch.allclose(applied(made("Vol", 2.0), x), x * 2)
    assert torch.allclose(applied(made("Vol", 4.0, "power"), x), x * 2)
    assert torch.allclose(applied(made("Vol", 20.0, "db"), x), torch.tensor([[1.0, -1.0]]))


@pytest.mark.parametrize(("old", "new"), [(8000, 16000), (16000, 8000), (44100, 16000), (8000, 8000), (3, 2)])
def test_a_resampled_wave_is_that_wave_at_another_rate(old: int, new: int) -> None:
    frequency, seconds = old / 20, 600 / old
    x = torch.sin(2 * math.pi * frequency * torch.arange(600) / old).expand(2, 600)
    y = applied(made("Resample", old, new), x)
    assert y.shape[1] == math.ceil(new * seconds)
    wanted = torch.sin(2 * math.pi * frequency * torch.arange(y.shape[1]) / new)
    inner = slice(y.shape[1] // 5, -y.shape[1] // 5)
    assert torch.allclose(y[0, inner], wanted[inner], atol=0.02)


def test_resampling_equals_scipys_where_both_hold_the_wave() -> None:
    from scipy.signal import resample_poly

    x = sounds(1, 40).repeat_interleave(20, dim=1)
    ours = applied(made("Resample", 8000, 4000, lowpass_filter_width=64, rolloff=0.9), x)[0, 50:-50]
    theirs = resample_poly(x[0].numpy(), 1, 2, window=("kaiser", 14.0))[50:-50]
    assert np.abs(ours.numpy() - theirs).mean() < 0.03


@pytest.mark.parametrize(("name", "dim"), [("FrequencyMasking", 1), ("TimeMasking", 2)])
def test_masks_are_bands_of_each_samples_own(name: str, dim: int) -> None:
    x = torch.ones(500, 20, 30)
    y = applied(made(name, 8), x)
    masked = (y == 0).all(3 - dim)
    assert torch.equal((y == 0).any(3 - dim), masked)
    widths = masked.sum(1)
    assert set(widths.tolist()) == set(range(8))
    starts = {row.nonzero()[0].item() for row in masked if row.any()}
    assert len(starts) > 12
    for row in masked:
        assert row.nonzero().diff(dim=0).unique().tolist() in ([], [1])


def test_the_share_of_time_that_is_masked_is_bounded() -> None:
    assert (applied(made("TimeMasking", 100, 0.1), torch.ones(200, 4, 30)) == 0).all(1).sum(1).max() == 2


def test_sounds_are_shifted_with_silence_or_around() -> None:
    x = torch.arange(1.0, 11.0).expand(300, 10)
    for rollover in (True, False):
        y = applied(made("RandomShift", 0.2, rollover, 1.0), x)
        found = {tuple(row) for row in y.tolist()}
        wanted = set()
        for shift in range(-2, 3):
            row = np.roll(np.arange(1.0, 11.0), shift)
            if not rollover:
                row[:shift] = row[:shift] * (shift <= 0)
                row[10 + shift :] = row[10 + shift :] * (shift >= 0)
            wanted.add(tuple(row.tolist()))
        assert found == wanted


def test_gain_and_noise_are_within_their_decibels() -> None:
    x = sounds(400, 2000)
    gains = 20 * (applied(made("RandomGain", -6.0, 3.0, 1.0), x) / x).abs().amax(1).log10()
    assert gains.min() > -6.01
    assert gains.max() < 3.01
    assert gains.std() > 2
    noise = applied(made("RandomNoise", 5.0, 20.0, 1.0), x) - x
    ratio = 10 * (x.square().mean(1) / noise.square().mean(1)).log10()
    assert ratio.min() > 4.5
    assert ratio.max() < 20.5
    untouched = (applied(made("RandomNoise"), x) == x).all(1).sum()
    assert 140 < untouched < 260


# --- faults ---------------------------------------------------------------------------------------------------------


IMAGE = TensorType("float32", (symbol("batch"), 3, 8, 10))
SOUND = TensorType("float32", (symbol("batch"), 100))
BYTES = TensorType("uint8", (symbol("batch"), 3, 8, 10))


@pytest.mark.parametrize(
    ("name", "arguments", "type_", "words"),
    [
        ("Normalize", {"mean": 0.0, "std": 0.0}, IMAGE, "deviation of 0"),
        ("Normalize", {"mean": (0.0, 1.0), "std": 1.0}, IMAGE, "2 numbers are given, and the field has 3 channels"),
        ("Normalize", {"mean": 0.0, "std": 1.0}, BYTES, "for floats, and the field holds uint8"),
        ("Standardize", {}, BYTES, "for floats"),
        ("MinMaxScale", {"low": 1.0, "high": 0.0}, IMAGE, "not below"),
        ("OneHot", {"num_classes": 3}, IMAGE, "for whole numbers"),
        ("ToDtype", {"dtype": "int64", "scale": True}, BYTES, "no scale"),
        ("Clamp", {}, IMAGE, "needs `min` or `max`"),
        ("Clamp", {"min": 1.0, "max": 0.0}, IMAGE, "is above"),
        ("Resize", {"size": (1, 2, 3)}, IMAGE, "one number or two"),
        ("Resize", {"size": 8, "max_size": 8}, IMAGE, "one number that is smaller"),
        ("Resize", {"size": 8}, SOUND, "for images"),
        ("CenterCrop", {"size": 8}, BYTES, "for images"),
        ("Pad", {"padding": (1, 2, 3)}, IMAGE, "one number, two or four"),
        ("Pad", {"padding": 8, "padding_mode": "reflect"}, IMAGE, "8 pixels cannot be mirrored from 8"),
        ("RandomErasing", {"scale": (0.5, 0.1)}, IMAGE, "no range"),
        ("RandomRotation", {"degrees": -5.0}, IMAGE, "one number from 0 on, or two in order"),
        ("RandomAffine", {"degrees": 0, "shear": (1.0, 2.0, 3.0)}, IMAGE, "`shear` is one number"),
        ("Grayscale", {"num_output_channels": 2}, IMAGE, "1 channel, or 3"),
        ("ColorJitter", {"hue": (0.2, 0.1)}, IMAGE, "no bounds"),
        ("GaussianBlur", {"kernel_size": 4}, IMAGE, "must be odd"),
        ("GaussianBlur", {"kernel_size": 31}, IMAGE, "reaches beyond"),
        ("Spectrogram", {}, IMAGE, "for sounds"),
        ("Spectrogram", {}, SOUND, "cannot be mirrored"),
        ("Spectrogram", {"center": False}, SOUND, "shorter than n_fft"),
        ("Spectrogram", {"win_length": 500}, SOUND, "longer than `n_fft`"),
        ("MelSpectrogram", {"f_min": 9000.0}, SOUND, "not above"),
        ("MFCC", {"n_mels": 20}, SOUND, "no more terms"),
        ("Resize", {"size": (65_536, 65_536)}, IMAGE, "is the limit"),
        ("Pad", {"padding": 60_000}, IMAGE, "is the limit"),
        ("Resample", {"orig_freq": 99_991, "new_freq": 99_989}, SOUND, "too long a filter"),
        ("Resample", {"orig_freq": 1, "new_freq": 10_000_000}, SOUND, "too long a filter"),
        ("Resample", {"orig_freq": 1, "new_freq": 3_000_000}, SOUND, "is the limit"),
        ("Vol", {"gain": 1e9, "gain_type": "db"}, SOUND, "beyond what numbers can hold"),
        ("Vol", {"gain": -1.0}, SOUND, "not below 0"),
        ("TimeMasking", {"time_mask_param": 3}, SOUND, "for spectrograms"),
        ("RandomGain", {"min_gain_in_db": 9.0}, SOUND, "is above"),
    ],
)
def test_arguments_that_do_not_fit_are_faults(
    name: str, arguments: dict[str, Any], type_: TensorType, words: str
) -> None:
    with pytest.raises(Fault) as caught:
        made(name, **arguments).infer(type_)
    assert words in caught.value.message


def test_what_draws_says_so_and_nothing_else_does() -> None:
    x, sound, spectrogram = images(4), sounds(4, 2000), torch.rand(4, 20, 30)
    for name in registry.index("transform"):
        cls = registry.find("transform", name)
        assert cls is not None
        required = {n: _filled(f.kind) for n, f in cls.fields.items() if f.required}
        transform = cls(**required | ({"min": 0.5} if name == "Clamp" else {}))
        for batch in (x, torch.tensor([0, 1, 2]), sound, spectrogram):
            try:
                transform.infer(typed(batch))
            except Fault:
                continue
            states = transform.fit(batch), transform.fit(batch)
            runs = [transform.apply(batch, s, draws(i)) for i, s in enumerate(states)]
            assert transform.random or torch.equal(*runs), name
            break
        else:
            pytest.fail(f"no batch fits {name}")


def _filled(kind: str) -> Any:
    return "float32" if kind == "DType" else 3.0 if kind.startswith("float") else 3


def test_colours_stand_for_the_same_names_as_arguments() -> None:
    assert set(colors._CHANGES) == set(colors.ColorJitter.fields)
