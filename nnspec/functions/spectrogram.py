"""Spectrograms: Fourier transforms of overlapping stretches of a signal (stft), and the signal of them (istft)."""

from __future__ import annotations

from math import sqrt
from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._complex import apart, conjugate, joined
from nnspec.functions._fourier import Along, dft, of_half, real_where_alone
from nnspec.functions.complex_numbers import expect_complex, expect_parts
from nnspec.functions.creation import DEVICE
from nnspec.layer import Code, Example, Function, OnnxGraph, Rules, ShapeError, call
from nnspec.layers._expect import expect_tensor
from nnspec.layers._lowering import pad_last
from nnspec.types import TensorType, is_complex, promote, real_part, with_imaginary

_MOST_IN_TABLES = 512
"""Stretches up to this long are transformed by a matrix, which run-times multiply by several times faster than they go
through a DFT; it has about as many elements as the square of this."""


class _Stretches(Function):
    """What both directions share: how a signal is cut into stretches, and the window that these are weighed by."""

    of_complex = "own"

    n_fft: int = arg(ge=1, doc="how long a stretch is that is transformed")
    hop_length: int | None = arg(None, ge=1, doc="how far it is from one stretch to the next; a quarter of `n_fft`")
    win_length: int | None = arg(None, ge=1, doc="how long the window is, in the middle of a stretch; `n_fft`")
    center: bool = arg(True, doc="stretches stand around their place, beyond both ends of the signal too")
    normalized: bool = arg(False, doc="divide the frequencies by the root of `n_fft`")
    onesided: bool | None = arg(None, doc="the first half of the frequencies, which says all of a real signal")

    def hop(self) -> int:
        """How far it is from one stretch to the next."""
        return self.hop_length or self.n_fft // 4

    def window_length(self) -> int:
        """How long the window is."""
        return self.win_length or self.n_fft

    def missing(self) -> tuple[int, int]:
        """How many elements of a stretch stand before the window, and how many behind it."""
        missing = self.n_fft - self.window_length()
        return missing // 2, missing - missing // 2

    def half(self) -> int:
        """How far stretches reach beyond the ends of the signal."""
        return self.n_fft // 2 if self.center else 0

    def check(self, rules: Rules, window: Any) -> None:
        """Refuse a window that does not fit."""
        name, length = type(self).__name__, self.window_length()
        if not self.hop():
            message = f"`{name}` goes a quarter of `n_fft` from one stretch to the next, and {self.n_fft} has none"
            raise ShapeError(message, code="NNS411", at="n_fft", helps=("say how far: `hop_length=1`",))
        if length > self.n_fft:
            message = f"the window of `{name}` has {length} places, but a stretch has {self.n_fft}"
            raise ShapeError(message, code="NNS411", at="win_length")
        if window is None:
            return
        found = expect_parts(self, window, 1)
        message = f"the window of `{name}` must be a vector of {length}, but it is {found}"
        label, helps = f"has shape [{', '.join(map(show, found.dims))}]", (f"as `hann_window({length})` is",)
        if found.rank != 1:
            raise ShapeError(message, label=label, input=1, helps=helps)
        rules.require_equal(found.dims[0], length, message, label=label, input=1, helps=helps)

    def torch_options(self, window: Any) -> dict[str, Any]:
        """The options as torch takes them. Without a window it warns: one of ones is the same."""
        options = self.options()
        options.pop("n_fft")
        options.pop("return_complex", None)
        early = {name: options.pop(name) for name in ("hop_length", "win_length") if name in options}
        given = call("torch.ones", self.window_length(), device=DEVICE) if window is None else window
        return early | {"window": given} | options

    def weights(self, g: OnnxGraph, window: str | None, dtype: str) -> str | None:
        """The window in that type, as long as a stretch; None where it weighs nothing."""
        missing = self.missing()
        if window is None and missing == (0, 0):
            return None
        y = g.constant([1.0] * self.window_length(), dtype) if window is None else g.cast(window, dtype)
        return str(g.node("Pad", y, g.constant(missing))) if missing != (0, 0) else y

    def places(self, g: OnnxGraph, count: Size) -> str:
        """Where the elements of each stretch stand in the signal: int[count, n_fft]."""
        first = g.node("Mul", g.node("Range", g.constant(0), g.size(count), g.constant(1)), g.constant(self.hop()))
        within = g.node("Range", g.constant(0), g.constant(self.n_fft), g.constant(1))
        return str(g.node("Add", g.node("Unsqueeze", first, g.constant([1])), within))


class stft(_Stretches):
    """The frequencies of overlapping stretches of a signal: float[N, T] to complex64[N, n_fft // 2 + 1, frames].

    `abs(stft(x, n_fft=400, hop_length=160, window=hann_window(400)))` is a spectrogram. Without a window all elements
    weigh the same. Source: `torch.stft`.
    """

    order = (
        *("x", "n_fft", "hop_length", "win_length", "window", "center", "pad_mode", "normalized", "onesided"),
        "return_complex",
    )

    pad_mode: Literal["reflect", "constant", "replicate", "circular"] = arg(
        "reflect", doc="what stands beyond the ends: the signal mirrored, zeros, its last elements, or its other end"
    )
    return_complex: bool | None = arg(None, doc="true, or left out: pairs of real numbers are `view_as_real` of it")

    examples = (
        Example("abs(stft(x, n_fft=16, hop_length=4, window=hann_window(16)))", x="float[N, T]", assume="T >= 9"),
        Example("view_as_real(stft(x, 7, center=false, normalized=true))", x="float[T]", assume="T >= 7"),
        Example(
            'view_as_real(stft(x, 8, 3, 5, w, pad_mode="constant", onesided=false, return_complex=true))',
            x="float64[N, T]",
            w="float64[5]",
        ),
        Example('real(stft(complex(x, y), 6, hop_length=2, pad_mode="circular"))', x="float[N, 9]", y="float[N, 9]"),
    )

    def infer(self, rules: Rules, x: TensorType, window: TensorType | None = None) -> TensorType:
        x = expect_tensor(self, x)
        x = x if is_complex(x.dtype) else expect_parts(self, x)
        self.check(rules, window)
        if x.rank not in (1, 2):
            message = f"`stft` takes a signal [T] or several [N, T], but its input is {x}"
            raise ShapeError(message, code="NNS402", input=0)
        if self.return_complex is False:
            helps = ("`view_as_real` makes pairs of real numbers of them",)
            raise ShapeError("`stft` gives complex numbers", code="NNS411", at="return_complex", helps=helps)
        if is_complex(x.dtype) and self.onesided:
            message = f"half of the frequencies do not say all of a complex signal, and the input of `stft` is {x}"
            raise ShapeError(message, code="NNS406", at="onesided", label="of a complex signal", input=0)
        self._check_length(rules, x.dims[-1])
        dtype = promote(x.dtype, window.dtype) if window is not None else x.dtype
        return TensorType(with_imaginary(dtype), (*x.dims[:-1], self._bins(x), self._frames(x)))

    def _check_length(self, rules: Rules, length: Size) -> None:
        beyond = self.half()
        if beyond and self.pad_mode in ("reflect", "circular"):
            least = beyond + (self.pad_mode == "reflect")
            message = (
                f"`stft` needs {least} elements to fill up both ends of a signal with {beyond}, not {show(length)}"
            )
            helps = ('`pad_mode="constant"` fills up with zeros',)
            rules.require_at_least(length, least, message, code="NNS403", input=0, helps=helps)
        message = f"`stft` takes stretches of {self.n_fft}, and the signal has {show(length)}"
        rules.require_at_least(length + 2 * beyond, self.n_fft, message, code="NNS403", input=0)

    def _one_side(self, x: TensorType) -> bool:
        return not is_complex(x.dtype) if self.onesided is None else self.onesided

    def _bins(self, x: TensorType) -> int:
        return self.n_fft // 2 + 1 if self._one_side(x) else self.n_fft

    def _frames(self, x: TensorType) -> Size:
        return 1 + (x.dims[-1] + 2 * self.half() - self.n_fft) // self.hop()

    def torch(self, *inputs: Any) -> Code:
        x, window = (*inputs, None)[:2]
        return call("torch.stft", x, self.n_fft, **self.torch_options(window), return_complex=True)

    def onnx(self, g: OnnxGraph, x: str, window: str | None = None) -> Any:
        kind = g.type(x)
        dtype = real_part(promote(kind.dtype, g.type(window).dtype) if window is not None else kind.dtype)
        compute = dtype if self.n_fft <= _MOST_IN_TABLES else "float64"
        weights = self.weights(g, window, compute)
        if is_complex(kind.dtype):
            parts = apart(g, x, with_imaginary(compute))
            real, turned = (self._spectra(g, part, kind, weights, compute) for part in parts if part)
            # The second one stands for i times the imaginary part's.
            sides = [[g.node("Gather", y, g.constant(number), axis=-1) for number in (0, 1)] for y in (real, turned)]
            y = joined(g, g.node("Sub", sides[0][0], sides[1][1]), g.node("Add", sides[0][1], sides[1][0]))
        else:
            y = self._spectra(g, g.cast(x, compute), kind, weights, compute)
        return y if compute == dtype else g.cast(y, dtype)

    def _spectra(self, g: OnnxGraph, x: str, kind: TensorType, weights: str | None, dtype: str) -> str:
        """Of a real signal in that type, with parts in a last dimension."""
        beyond = self.half()
        if beyond:
            # Some of the modes want dimensions in front.
            lead = g.constant([0] if kind.rank > 1 else [0, 1])
            mode = "zeros" if self.pad_mode == "constant" else self.pad_mode
            x = pad_last(g, g.node("Unsqueeze", x, lead), 3, [beyond], [beyond], mode)
            x = g.node("Squeeze", x, lead)
        y = g.node("Gather", x, self.places(g, self._frames(kind)), axis=-1)
        y = y if weights is None else g.node("Mul", y, weights)
        at, whole = Along(kind.rank, self.n_fft, False), kind.with_dims(*kind.dims, self.n_fft)
        if self.n_fft <= _MOST_IN_TABLES:
            y = g.node("MatMul", y, self._waves(g, self._bins(kind), dtype))
            y = g.node("Reshape", y, g.constant([*[0] * kind.rank, self._bins(kind), 2]))
        else:
            y = dft(g, g.node("Unsqueeze", y, g.constant([-1])), at, half=self._one_side(kind))
        if self._one_side(kind):
            y = real_where_alone(g, y, whole, at, dtype)
        order = [*range(kind.rank - 1), kind.rank, kind.rank - 1, kind.rank + 1]
        y = g.node("Transpose", y, perm=order)
        return str(g.node("Div", y, g.constant(sqrt(self.n_fft), dtype))) if self.normalized else y

    def _waves(self, g: OnnxGraph, bins: int, dtype: str) -> str:
        """The transform of a stretch as a matrix: [n_fft, 2 * bins]."""
        # Imported here: a spec that is only checked must not load numpy.
        import numpy as np

        turns = np.outer(np.arange(self.n_fft), np.arange(bins)) % self.n_fft
        waves = np.exp(-2j * np.pi / self.n_fft * turns)
        pairs = np.stack([waves.real, waves.imag], axis=-1).reshape(self.n_fft, 2 * bins)
        return g.initializer(pairs.astype(dtype), f"waves_{self.n_fft}")


class istft(_Stretches):
    """The real signal of which these are the frequencies of overlapping stretches: what `stft` does, taken back.

    complex64[N, n_fft // 2 + 1, frames] to float[N, T]. The windows must leave no place without weight: with
    `center=false` a Hann window leaves the first, which torch refuses when it runs. Source: `torch.istft`.
    """

    order = (
        *("x", "n_fft", "hop_length", "win_length", "window", "center", "normalized", "onesided", "length"),
        "return_complex",
    )

    length: Size | None = arg(None, ge=1, doc="how long the signal is; what the stretches hold when left out")
    return_complex: bool = arg(False, doc="false: signals that are complex are not made")

    examples = (
        Example("istft(view_as_complex(x), 8, window=hann_window(8))", x="float[N, 5, T, 2]", assume="T >= 2"),
        Example(
            "istft(stft(x, 16, 4, window=w), 16, 4, window=w, length=T)",
            x="float[N, T]",
            w="float[16]",
            assume="T >= 9",
        ),
        Example("istft(view_as_complex(x), 7, 2, center=false, normalized=true, onesided=false)", x="float64[7, F, 2]"),
    )

    def infer(self, rules: Rules, x: TensorType, window: TensorType | None = None) -> TensorType:
        x = expect_complex(self, x)
        self.check(rules, window)
        if x.rank not in (2, 3):
            message = f"`istft` takes frequencies and frames, [F, T] or [N, F, T], but its input is {x}"
            raise ShapeError(message, code="NNS402", input=0)
        if self.return_complex:
            helps = ("`complex(istft(real(x), ...), ...)` puts one together",)
            raise ShapeError("`istft` makes real signals only", code="NNS411", at="return_complex", helps=helps)
        if self.hop() > self.window_length():
            message = f"stretches {self.hop()} apart leave gaps between windows of {self.window_length()}"
            raise ShapeError(message, code="NNS411", at="hop_length")
        bins = self._bins(rules, x.dims[-2])
        message = f"`istft(n_fft={self.n_fft})` needs {bins} frequencies, but its input is {x}"
        rules.require_equal(x.dims[-2], bins, message, label=f"{show(x.dims[-2])} frequencies", input=0)
        size = self._size(rules, x)
        dtype = real_part(x.dtype)
        return TensorType(promote(dtype, window.dtype) if window is not None else dtype, (*x.dims[:-2], size))

    def _bins(self, rules: Rules, found: Size) -> int:
        """How many frequencies are wanted: all of them, or half where these are not all."""
        half = self.n_fft // 2 + 1
        if self.onesided is not None:
            return half if self.onesided else self.n_fft
        whole = rules.equal(found, self.n_fft)
        return self.n_fft if whole or (whole is None and rules.equal(found, half) is False) else half

    def _held(self, x: TensorType) -> Size:
        """How much the stretches hold, all laid behind each other."""
        return self.n_fft + self.hop() * (x.dims[-1] - 1)

    def _size(self, rules: Rules, x: TensorType) -> Size:
        before, behind = self.missing()
        if self.center and self.n_fft == 1 and self.length is None:
            helps = ("`center=false` is the same",)
            raise ShapeError("stretches of 1 have no halves to cut off", code="NNS411", at="n_fft", helps=helps)
        if not self.center and (before or (behind and self.length is None)):
            message = f"a window of {self.window_length()} in stretches of {self.n_fft} leaves both ends without weight"
            raise ShapeError(message, code="NNS411", at="win_length", helps=("`center=true` cuts them off",))
        size = self._held(x) - 2 * self.half()
        if self.length is None:
            message = (
                f"these stretches hold {show(size)} elements between their middles, and `istft` makes one at least"
            )
            rules.require_at_least(size, 1, message, code="NNS403", input=0)
            return size
        message = f"these stretches do not hold {show(self.length)} elements"
        rules.require_at_least(self._held(x) - behind - self.half(), self.length, message, code="NNS403", at="length")
        return rules.simplify(self.length)

    def torch(self, *inputs: Any) -> Code:
        x, window = (*inputs, None)[:2]
        return call("torch.istft", x, self.n_fft, **self.torch_options(window))

    def onnx(self, g: OnnxGraph, x: str, window: str | None = None) -> Any:
        kind = g.type(x)
        frames, batch = kind.dims[-1], kind.dims[:-2]
        y = g.node("Transpose", conjugate(g, g.cast(x, "float64"), "complex128"), perm=self._frames_first(kind.rank))
        turned = kind.with_dims(*batch, frames, kind.dims[-2])
        y = of_half(g, y, turned, Along(kind.rank - 1, self.n_fft, True))
        y = g.node("Div", y, g.constant(sqrt(self.n_fft) if self.normalized else float(self.n_fft), "float64"))
        weights = self.weights(g, window, "float64") or g.constant([1.0] * self.n_fft, "float64")
        total = self._laid(g, g.node("Mul", y, weights), kind, batch)
        square = g.node("Expand", g.node("Mul", weights, weights), g.shape([frames, self.n_fft]))
        y = g.node("Div", total, self._laid(g, square, kind, ()))
        dtype = real_part(kind.dtype)
        return g.cast(y, promote(dtype, g.type(window).dtype) if window is not None else dtype)

    def _frames_first(self, rank: int) -> list[int]:
        return [*range(rank - 2), rank - 1, rank - 2, rank]

    def _laid(self, g: OnnxGraph, stretches: str, kind: TensorType, batch: tuple[Size, ...]) -> str:
        """Stretches [..., frames, n_fft] added up where they stand, and what counts of it cut out."""
        frames, at = kind.dims[-1], len(batch)
        line = g.node("Reshape", stretches, g.shape([*batch, frames * self.n_fft]))
        places = g.node("Reshape", self.places(g, frames), g.constant([-1]))
        places = g.node("Expand", places, g.shape([*batch, frames * self.n_fft]))
        empty = g.node("Expand", g.constant(0.0, "float64"), g.shape([*batch, self._held(kind)]))
        y = g.node("ScatterElements", empty, places, line, axis=at, reduction="add")
        end = self._held(kind) - self.half() if self.length is None else self.half() + self.length
        return str(g.node("Slice", y, g.constant([self.half()]), g.shape([end]), g.constant([at])))
