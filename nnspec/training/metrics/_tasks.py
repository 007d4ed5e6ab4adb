"""What classification metrics share: which task it is that the shapes tell of, and what torchmetrics is handed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.layer import Rules, ShapeError
from nnspec.layers._expect import expect_float, expect_tensor
from nnspec.training.metric import Metric
from nnspec.types import TensorType, is_float

_SAY = (
    '`task="multilabel"` if dimension 1 counts labels, each of them a yes or no',
    '`task="binary"` if every number is a yes or no by itself',
    "class numbers, where one of several classes is right: `argmax(target, dim=1)`",
)

_BELONGS = {
    "threshold": ("binary", "multilabel"),
    "top_k": ("multiclass",),
    "average": ("multiclass", "multilabel"),
    "weights": ("binary", "multiclass"),
    "max_fpr": ("binary",),
}
"""Arguments that mean something for some tasks only."""


class Comparison(Metric):
    """Compares scores with classes. Shapes tell the task:

    scores [N, C, ...] with class numbers [N, ...] are of C classes; scores and targets [N] or [N, 1] are yes or no.
    For anything else of equal shapes the author says what it is, where `Classified` lets them.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass", "multilabel")
    """The tasks that it is defined for."""
    kind: ClassVar[str] = ""
    """What torchmetrics calls its class, behind the name of the task."""

    @property
    def said(self) -> str | None:
        """The task, if it is not for the shapes to say."""
        return self.tasks[0] if len(self.tasks) == 1 else None

    def infer(self, rules: Rules, preds: Any, target: Any) -> TensorType:
        target = expect_tensor(self, target, 1)
        preds = expect_tensor(self, preds)
        if preds.dtype != "bool":
            preds = expect_float(self, preds)
        task = self._task(rules, preds, target)
        preds = expect_float(self, preds) if task == "multiclass" else preds
        wanted = (preds.dims[0], *preds.dims[2:]) if task == "multiclass" else preds.dims
        _require_shape(self, rules, target, wanted)
        self._check_arguments(task, preds)
        return TensorType("float32", self._result(task, preds))

    def _result(self, task: str, preds: TensorType) -> tuple[Size, ...]:
        """The dimensions of the value: one for each class where these are not averaged."""
        if task == "binary" or getattr(self, "average", "micro") not in (None, "none"):
            return ()
        return (self._count(preds),)

    def _task(self, rules: Rules, preds: TensorType, target: TensorType) -> str:
        task = self.said or _told(self, rules, preds, target)
        if task not in self.tasks:
            known = " and ".join(f'"{name}"' for name in self.tasks)
            message = f"`{type(self).__name__}` is for {known} tasks, and this is a {task} one"
            raise ShapeError(message, at="task" if self.said else None)
        ranks = target.rank + (task == "multiclass")
        if preds.rank != ranks or preds.rank < (1 if task == "binary" else 2):
            name = type(self).__name__
            less = "one dimension less than the scores" if task == "multiclass" else "as many dimensions as the scores"
            raise ShapeError(
                f"`{name}` cannot compare scores {preds} with targets {target}",
                code="NNS402",
                label=f"needs {less}",
                input=1,
            )
        if task == "multiclass":
            _expect_classes(self, rules, preds, target)
        return task

    def _count(self, preds: TensorType) -> int:
        """The number of classes or labels."""
        size = preds.dims[1]
        if isinstance(size, Dim):
            raise ShapeError(
                f"`{type(self).__name__}` takes the number of classes from dimension 1 of {preds}: `{show(size)}` is "
                "no fixed number",
                code="NNS405",
                input=0,
            )
        return size

    def _check_arguments(self, task: str, preds: TensorType) -> None:
        """Refuse arguments that say nothing for the task."""
        for name, _ in self.given():
            if task not in _BELONGS.get(name, (task,)):
                what = "yes-or-no scores" if task == "binary" else f"{self._count(preds)} {_PLURAL[task]}"
                message = f"`{name}` of `{type(self).__name__}` means nothing for {what}"
                raise ShapeError(message, code="NNS304", at=name, helps=("leave it out",))
        top = getattr(self, "top_k", 1)
        if task == "multiclass" and top > 1:
            count = self._count(preds)
            if top >= count:
                message = f"top_k={top} of {count} classes: the right one is always among them"
                raise ShapeError(message, code="NNS304", at="top_k")
        if task != "binary" and self.kind:
            self._count(preds)

    # --- at run time -------------------------------------------------------------------------------------------------

    def task_of(self, types: Sequence[TensorType]) -> str:
        """The task, for types that the shape rule has accepted."""
        preds, target = types
        return self.said or ("binary" if preds.rank == target.rank else "multiclass")

    def options_for(self, types: Sequence[TensorType]) -> dict[str, Any]:
        """Arguments of torchmetrics' class for the task, whose own defaults are not always those of its functions."""
        task = self.task_of(types)
        own = {n: getattr(self, n) for n in self.fields if n != "task" and task in _BELONGS.get(n, (task,))}
        sizes = {"multiclass": "num_classes", "multilabel": "num_labels"}
        return own | ({sizes[task]: types[0].dims[1]} if task in sizes else {}) | {"validate_args": False}

    def prepare(self, types: Sequence[TensorType]) -> Callable[..., tuple[Any, Any]]:
        """Decides here what torchmetrics would decide by the values of a batch: which class a score stands for."""
        task = self.task_of(types)
        target = whole_numbers(types[1], getattr(self, "ignore_index", None))
        top, threshold = getattr(self, "top_k", 1), getattr(self, "threshold", 0.5)
        if task == "multiclass":
            return (lambda p, t: (p, target(t))) if top > 1 else (lambda p, t: (p.argmax(1), target(t)))
        if types[0].dtype == "bool":
            return lambda p, t: (p.long(), target(t))
        return lambda p, t: ((p > threshold).long(), target(t))

    def halves(self, types: Sequence[TensorType]) -> bool:
        """As in `Metric`: a threshold that was left at its default."""
        return (
            self.task_of(types) != "multiclass" and "threshold" in self.fields and "threshold" not in dict(self.given())
        )

    def meter(self, types: Sequence[TensorType], device: Any) -> Any:
        return self.counted(types, device)

    def counted(self, types: Sequence[TensorType], device: Any, *, bounded: bool = False) -> Any:
        """The meter of torchmetrics' class; `bounded`, for scores that are probabilities."""
        from nnspec.training.running.borrowed import Borrowed

        path = f"classification.{self.task_of(types).capitalize()}{self.kind}"
        options = self.options_for(types)
        return Borrowed(type(self).__name__, path, options, self.prepare(types), device, bounded=bounded)


class Classified(Comparison):
    """A comparison whose author may say the task."""

    task: Literal["binary", "multiclass", "multilabel"] | None = arg(
        None, doc="what targets are; shapes say it where they can"
    )

    @property
    def said(self) -> str | None:
        """The task, if the author says it."""
        return self.task


_PLURAL = {"multiclass": "classes", "multilabel": "labels"}


def whole_numbers(type_: TensorType, ignored: int | None = None) -> Callable[[Any], Any]:
    """Targets as int64; a float one is a yes above one half, or the number that is to be ignored."""
    if is_float(type_.dtype):
        if ignored is None:
            return lambda t: (t > 0.5).long()
        return lambda t: (t > 0.5).long().masked_fill(t == ignored, ignored)
    return (lambda t: t) if type_.dtype == "int64" else lambda t: t.long()


def _told(function: Metric, rules: Rules, preds: TensorType, target: TensorType) -> str:
    if preds.rank != target.rank:
        return "multiclass"
    if preds.rank == 1 or (preds.rank and rules.equal(preds.dims[1], 1) is True):
        return "binary"
    name = type(function).__name__
    raise ShapeError(
        f"`{name}` cannot tell what is right or wrong here: scores and target are {preds} and {target}",
        code="NNS402",
        label="has as many dimensions as the scores",
        input=1,
        helps=[f"say {text}" if i < 2 else f"or give it {text}" for i, text in enumerate(_SAY)],
    )


def _expect_classes(function: Metric, rules: Rules, preds: TensorType, target: TensorType) -> None:
    name = type(function).__name__
    if is_float(target.dtype) or target.dtype == "bool":
        raise ShapeError(
            f"`{name}` needs class numbers, but the target is {target}",
            code="NNS406",
            label="is not of a whole-number type",
            input=1,
        )
    if rules.equal(preds.dims[1], 1) is True:
        raise ShapeError(
            f"`{name}` finds a single class in scores {preds}",
            label="has size 1 in dimension 1, that of the classes",
            input=0,
            helps=("for one score a sample, the target has the shape of the scores",),
        )


def _require_shape(function: Metric, rules: Rules, target: TensorType, wanted: tuple[Size, ...]) -> None:
    shape = ", ".join(map(show, wanted))
    for size, want in zip(target.dims, wanted, strict=True):
        rules.require_equal(
            size, want, f"`{type(function).__name__}` needs a target of shape [{shape}], but it is {target}", input=1
        )
