"""Plain text, for models that write on: in windows of equal length, or line by line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.arguments import arg
from nnspec.training.dataset import Dataset, Lazy, Loaded, check_size, field_type, locate
from nnspec.training.fault import DataError
from nnspec.training.files.vocabulary import encode, encode_characters, read_text
from nnspec.types import TensorType

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

_ENDING = "\n"
"""What token 0 of `Lines` stands for."""

_IGNORED = -100
"""The target that `cross_entropy` leaves out."""


class Text(Dataset):
    """A file in windows of equal length, each token with the one that comes after it.

    Fields: `tokens` [batch, context], and `target`, which is the token after each of them. Tokens are the file's bytes
    (a vocabulary of 256), its characters, or those of a tokenizer's file: a `tokenizer.json` of Hugging Face's
    tokenizers, or a plain vocabulary (a word on each line, or {"word": number} in JSON), of which always the longest
    word that fits is taken. What the numbers stand for is written into the run's directory.

    Windows begin `stride` tokens apart, and are made when they are needed; what is left over at the end of the file is
    not used. The last windows are what is validated on, and those that reach into them are left out. A file of its own
    to validate on (`validation = Text(...)`) is numbered as the one that is trained on.
    """

    path: str = arg(doc="the file, relative to the spec")
    context: int = arg(ge=1, doc="tokens in a window")
    tokenizer: str = arg("byte", doc='"byte", "character", or a file')
    stride: int | None = arg(None, doc="tokens from a window to the next; none: the context", ge=1, keyword=True)
    alphabet: str | None = arg(None, doc="the characters by number; none: those of the file, sorted", keyword=True)

    def types(self, base: Path) -> dict[str, TensorType]:
        return {name: field_type("int64", self.context) for name in ("tokens", "target")}

    def load(self, base: Path) -> Loaded:
        text = encode(base, self.path, self.tokenizer, self.alphabet)
        count, stride = len(text.ids), self.stride or self.context
        name = Path(self.path).name
        if count <= self.context:
            unit = {"byte": "bytes", "character": "characters"}.get(self.tokenizer, "tokens")
            raise DataError(
                f"{name} has {count:,} {unit}, and a window with what comes after it {self.context + 1:,}",
                at="context",
                helps=("a shorter context fits",) if count > 1 else (),
            )
        windows = (count - 1 - self.context) // stride + 1
        fields = {n: _Windows(text.ids[i:], windows, self.context, stride) for i, n in enumerate(("tokens", "target"))}
        classes = dict.fromkeys(fields, text.vocabulary) if text.vocabulary else {}
        return Loaded(
            dict(fields),
            classes=classes,
            origins=dict.fromkeys(fields, f"tokens of {name}"),
            ordered=True,
            overlap=-(-self.context // stride) - 1,
        )

    def settled(self, base: Path) -> Self:
        if self.tokenizer != "character" or self.alphabet is not None:
            return self
        return self.replace(alphabet="".join(encode(base, self.path, self.tokenizer, None).vocabulary))

    def following(self, first: Dataset, base: Path) -> Dataset:
        return self.as_settled(first, base, ("tokenizer", "alphabet"))


class _Windows(Lazy):
    """Pieces of a row of numbers, cut out when they are asked for."""

    def __init__(self, ids: np.ndarray, count: int, width: int, stride: int) -> None:
        import numpy as np

        self.ids = ids
        self.stride = stride
        self.dtype = np.dtype("int64")
        self.shape = (count, width)
        end = (count - 1) * stride + width
        self.bounds = (int(ids[:end].min()), int(ids[:end].max()))

    def read(self, indices: np.ndarray) -> np.ndarray:
        import numpy as np

        view = np.lib.stride_tricks.sliding_window_view(self.ids, self.shape[1])
        pieces: np.ndarray = view[np.asarray(indices) * self.stride].astype(np.int64)
        return pieces


class Lines(Dataset):
    """A file whose lines are the samples, character by character: names, words, molecules.

    Fields: `tokens` [batch, length], which begins with token 0 and goes on with the line's characters, and `target`,
    the token after each of them: 0 after the last. Behind that, tokens are 0 and targets -100, which `cross_entropy`
    leaves out. Characters are numbered from 1 in sorted order. Empty lines are left out.
    """

    path: str = arg(doc="the file, relative to the spec; UTF-8")
    length: int | None = arg(None, doc="tokens of a sample; none: one more than the longest line has", ge=1)
    alphabet: str | None = arg(None, doc="the characters from 1 on; none: those of the file, sorted", keyword=True)

    def types(self, base: Path) -> dict[str, TensorType]:
        length = self.length or self._longest(self._lines(base)) + 1
        return {name: field_type("int64", length) for name in ("tokens", "target")}

    def load(self, base: Path) -> Loaded:
        import numpy as np

        lines, name = self._lines(base), Path(self.path).name
        longest = self._longest(lines)
        length = self.length or longest + 1
        if longest >= length:
            number = next(i for i, line in enumerate(lines) if len(line) >= length)
            raise DataError(
                f"{name} has lines of up to {longest:,} characters, for which length={longest + 1} is needed",
                at="length",
                notes=(f"one of them is {lines[number][:40]!r}",),
            )
        check_size((len(lines), length), 2 * 8, name, "path")
        characters = "".join(sorted(set("".join(lines)))) if self.alphabet is None else self.alphabet
        ids = encode_characters("".join(lines), characters, name, "alphabet") + 1
        rows = np.zeros((len(lines), length + 1), dtype=np.int64)
        sizes = np.array([len(line) for line in lines])
        column = np.arange(length + 1)
        rows[(column > 0) & (column <= sizes[:, None])] = ids
        target = np.where(column[:-1] <= sizes[:, None], rows[:, 1:], _IGNORED)
        fields = {"tokens": rows[:, :-1], "target": target}
        vocabulary = (_ENDING, *characters)
        origins = dict.fromkeys(fields, f"lines of {name}")
        return Loaded(dict(fields), classes=dict.fromkeys(fields, vocabulary), origins=origins)

    def settled(self, base: Path) -> Self:
        lines = self._lines(base)
        alphabet = "".join(sorted(set("".join(lines)))) if self.alphabet is None else self.alphabet
        return self.replace(length=self.length or self._longest(lines) + 1, alphabet=alphabet)

    def following(self, first: Dataset, base: Path) -> Dataset:
        return self.as_settled(first, base, ("length", "alphabet"))

    def _lines(self, base: Path) -> list[str]:
        place = locate(base, self.path, "path")
        text = read_text(place, "path").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
        lines = [line for line in text.replace("\r\n", "\n").split("\n") if line]
        if not lines:
            raise DataError(f"{place.name} has no lines", at="path")
        return lines

    def _longest(self, lines: list[str]) -> int:
        return max(map(len, lines))
