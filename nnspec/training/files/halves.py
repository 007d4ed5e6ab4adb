"""Published data sets whose files come in two halves: one to train on, one to test on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nnspec.arguments import arg
from nnspec.suggest import closest
from nnspec.training.dataset import Dataset, Loaded, names_in
from nnspec.training.fault import MissingData, SettingError

Half = Literal["train", "test"]


class Halves(Dataset):
    """The base of such a data set: which half is trained on, and whether the other one is validated on."""

    root: str = arg(doc="the folder with the files, relative to the spec")
    part: Literal["train", "test"] | None = arg(None, doc="which half; none: train, or test if only that is there")
    test: bool = arg(False, doc="validate on the test half, and train on all of the other", keyword=True)

    def check(self) -> None:
        """Raise `SettingError` for halves that do not go together."""
        if self.test and self.part == "test":
            raise SettingError("the test half cannot be trained on and validated on at once", at="test")

    def load(self, base: Path) -> Loaded:
        self.check()
        folders = self.folders(base)
        if self.test:
            return self._both(folders)
        for half in (self.part,) if self.part else ("train", "test"):
            loaded = self.read(folders, half)
            if loaded is not None:
                only = half == "test" and self.part is None
                note = (f"only the test half is in `{self.root}`: it is what is trained on",) * only
                return Loaded(loaded.fields, note, loaded.classes, loaded.origins, loaded.divisor)
        raise self._missing(folders, self.part or "train")

    def _both(self, folders: list[Path]) -> Loaded:
        train = self.read(folders, "train")
        if train is None:
            raise self._missing(folders, "train")
        test = self.read(folders, "test")
        if test is None:
            raise self._missing(folders, "test")
        origins = {name: f"{origin} and {test.origins[name]}" for name, origin in train.origins.items()}
        return Loaded(train.fields, (), train.classes, origins, train.divisor, validation=test.fields)

    def folders(self, base: Path) -> list[Path]:
        """Where the files may lie: the folder itself, and where torchvision puts them below it."""
        raise NotImplementedError

    def read(self, folders: list[Path], half: Half) -> Loaded | None:
        """One half, or None where its files are not."""
        raise NotImplementedError

    def file_names(self, half: Half) -> tuple[str, ...]:
        """What the files of a half are called, for a message."""
        raise NotImplementedError

    def _missing(self, folders: list[Path], half: Half) -> MissingData:
        kind, root = type(self).__name__, folders[0]
        names = [name for folder in folders for name in sorted(names_in(folder))]
        near = closest(self.file_names(half)[0], names, limit=2)
        seen = ", ".join(f"`{name}`" for name in dict.fromkeys([*near, *names[:5]]))
        there = (
            f"files there: {seen}" if seen else "there are no files" if root.is_dir() else f"there is no folder {root}"
        )
        return MissingData(
            f"the files of {kind} are not in `{self.root}`",
            at="root",
            notes=(f"looked for {' and '.join(self.file_names(half))} in {', '.join(map(str, folders))}", there),
            helps=(f"`torchvision.datasets.{kind}(root, download=True)` in Python fetches them",),
        )
