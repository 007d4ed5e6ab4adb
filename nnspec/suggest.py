"""Did you mean: the known name that an unknown one was probably meant to be."""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.synonyms import SYNONYMS, key_of

_LONGEST_WORD = 80
_INFERRED = "lazy"
"""How torch marks a layer that infers its sizes, as all do here: `LazyLinear`."""


def suggest(word: str, candidates: Iterable[str]) -> str | None:
    """The one candidate to offer for an unknown name: its synonym in other frameworks, or else the closest spelling."""
    names = list(candidates)
    key = key_of(word)
    same = [name for name in names if key_of(name) in (key, key.removeprefix(_INFERRED))]
    if same:
        return min(same, key=lambda name: _capital(name) != _capital(word))
    known = set(names)
    synonyms = [name for name in SYNONYMS.get(key, ()) if name in known]
    synonym = min(synonyms, key=lambda name: _capital(name) != _capital(word), default=None)
    return synonym or next(iter(closest(word, names)), None)


def closest(word: str, candidates: Iterable[str], limit: int = 1) -> list[str]:
    """The candidates spelled most like a word, best first; none when nothing is close.

    Case and underscores do not count. Close is a third of the letters mistyped at most, or the same words in another
    order (`size_kernel`), or one being the beginning of the other (`in_feat`, `LinearLayer`).
    """
    if len(word) > _LONGEST_WORD:
        return []
    key = key_of(word)
    reach = max(len(key), 3) // 3
    ranked: list[tuple[float, bool, int, str]] = []
    for name in dict.fromkeys(candidates):
        other = key_of(name)
        distance: float | None = edit_distance(key, other, reach)
        if distance is not None and distance >= max(len(key), len(other)):
            distance = None
        if distance is None and _related(word, key, name, other):
            distance = reach + 0.5
        if distance is not None:
            ranked.append((distance, _capital(name) != _capital(word), abs(len(key) - len(other)), name))
    return [name for *_, name in sorted(ranked)[:limit]]


def edit_distance(a: str, b: str, limit: int) -> int | None:
    """Letters to insert, drop, change or swap with a neighbour to get from `a` to `b`; None when more than `limit`."""
    if abs(len(a) - len(b)) > limit:
        return None
    before: list[int] = []
    previous = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            cost = min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return None
        before, previous = previous, row
    return previous[-1] if previous[-1] <= limit else None


def _capital(word: str) -> bool:
    return word[:1].isupper()


def _related(word: str, key: str, name: str, other: str) -> bool:
    words, parts = word.casefold().split("_"), name.casefold().split("_")
    if len(words) > 1 and sorted(words) == sorted(parts):
        return True
    shorter = min(key, other, key=len)
    return len(shorter) >= (3 if shorter == key else 4) and key.startswith(shorter) and other.startswith(shorter)


_KEEPING = "`where` and `masked_fill` choose by a mask, and keep the shape"

DATA_SIZED = {
    "masked_select": _KEEPING,
    "nonzero": _KEEPING,
    "argwhere": _KEEPING,
    "boolean_mask": _KEEPING,
    "unique": "`sort` brings equal elements together, and keeps the shape",
    "unique_consecutive": "`sort` brings equal elements together, and keeps the shape",
    "bincount": "`scatter_add` counts in a given number of places",
}
"""Functions that cannot be here, since data decides the size of their results, and what comes nearest."""

_SYMMETRIC = "`eigh` gives eigenvalues and eigenvectors of symmetric matrices"
_VECTOR = "a vector of numbers is `cat([full((1,), w) for w in [1.0, 2.0, 0.5]], dim=0)`"
_SHARES = "shares are given from 0 to 1: 25 percent are "

LEFT_OUT = {
    "inplace": "leave it out: memory is used again by itself, and `inplace` says nothing about the result",
    "device": "leave it out: a spec says what is computed, and whoever runs it says where",
}
"""Arguments of torch that no layer or function has, since they change no result."""

NEAREST = {
    "allclose": "`all(isclose(x, y))` is one bool",
    "eig": _SYMMETRIC,
    "eigvals": _SYMMETRIC,
    "eigvalsh": _SYMMETRIC,
    "svdvals": "`svd` gives singular values with their vectors",
    "pinv": "`svd` gives what a pseudo-inverse is made of",
    "lstsq": "`solve` takes square matrices; `qr` and `svd` take others apart",
    "solve_triangular": "`solve` takes any square matrix",
    "cholesky_solve": "`solve` takes any square matrix",
    "lu": "`qr`, `cholesky` and `svd` take matrices apart",
    "percentile": _SHARES + "`quantile(x, 0.25)`",
    "nanpercentile": _SHARES + "`nanquantile(x, 0.25)`",
    "Sequential": "layers follow each other by arrows, `x -> Linear(8) -> ReLU`; as a value, `{ Linear(8) -> ReLU }`",
    "ModuleList": "layers are made where they are used: `for i in range(4) { x = x -> Linear(8) }`",
    "ModuleDict": "layers are named where they are used: `x -> left: Linear(8)`",
    "ParameterList": "parameters are declared one by one: `param w: float[4, 8]`",
    "ParameterDict": "parameters are declared one by one: `param w: float[4, 8]`",
    "tensor": _VECTOR,
    "Tensor": _VECTOR,
    "FloatTensor": _VECTOR,
    "as_tensor": _VECTOR,
    "Lambda": "what is computed stands where it is used: `relu(x) + 1`",
}
"""Functions and layers that are not here, and what comes nearest; it does not simply take their place."""

_PARAMS = "in `train`, `params body { freeze = true }` keeps parameters as they are, those of `body` here"
_WEIGHTS = (
    "the weights of classes are an argument of the loss, a tensor: "
    "`cross_entropy(logits, label, weight=cat([full((1,), w) for w in [1.0, 2.0, 0.5]], dim=0))`"
)
_RATE = "it is an argument of the optimizer: `optimizer = Adam(lr=1e-3)`"
_SHUFFLED = "leave it out: the part that is trained on is always shuffled, by the seed"

ELSEWHERE = {
    "lr": _RATE,
    "learningrate": _RATE,
    "weightdecay": 'it is an argument of the optimizer, `AdamW(weight_decay=0.1)`, and of `params "*.bias" { ... }`',
    "momentum": "it is an argument of the optimizer: `optimizer = SGD(lr=0.1, momentum=0.9)`",
    "device": "leave it out: who runs it says where, `nnspec run --device cuda`",
    "accelerator": "leave it out: who runs it says where, `nnspec run --device cuda`",
    "devices": "leave it out: who runs it says on how many, `nnspec run --nproc 4 --device cuda`",
    "shuffle": _SHUFFLED,
    "sampler": f"there are none: each sample is seen once an epoch, shuffled by the seed; for rare classes, {_WEIGHTS}",
    "freeze": _PARAMS,
    "requiresgrad": _PARAMS,
    "labelsmoothing": "it is an argument of the loss: `cross_entropy(logits, label, label_smoothing=0.1)`",
    "posweight": "an argument of the loss: `binary_cross_entropy_with_logits(x, y, pos_weight=full((1,), 3.0))`",
    "classweights": _WEIGHTS,
    "classweight": _WEIGHTS,
    "mixup": "there is no transform that mixes samples; `nnspec explain` lists those that there are",
    "cutmix": "there is no transform that mixes samples; `nnspec explain` lists those that there are",
    "gradscaler": 'the loss is scaled by itself where that is needed: `precision = "16-mixed"`',
}
"""What other trainers are told, by key, and is no setting here: where it stands, or why there is no need."""
