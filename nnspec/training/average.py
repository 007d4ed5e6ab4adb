"""What an average of the weights is: typed arguments; how it is taken, `nnspec.training.updating.averaging` says."""

from __future__ import annotations

from nnspec.arguments import Arguments


class Average(Arguments):
    """An average of the weights over a training, which is validated, kept and used in the place of the last ones."""

    def check(self) -> None:
        """Raise `SettingError` for arguments that do not go together."""

    def check_length(self, epochs: int) -> None:
        """Raise `SettingError` for a run of so many epochs if there would be no average in it."""
