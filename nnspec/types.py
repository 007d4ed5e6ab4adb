"""Element types and tensor types, with torch's promotion rules; torch itself is not needed."""

from __future__ import annotations

from dataclasses import dataclass

from nnspec.dims import Dim, Size, show

# Torch's order of promotion within a category; see torch.result_type.
_INTEGERS = ("int8", "int16", "int32", "int64")
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_COMPLEX = ("complex64", "complex128")

REAL_DTYPES = ("bool", "uint8", *_INTEGERS, *_FLOATS)
"""Element types that options of functions and inputs of models may have, by torch's names."""

DTYPES = (*REAL_DTYPES, *_COMPLEX)
"""Element types by torch's names."""

ALIASES = {"float": "float32", "int": "int64", "half": "float16", "double": "float64", "long": "int64"}
"""Short words of the language; `float` is the default float type, `int` is int64."""

DType = str
"""Kind of an argument that is an element type, by torch's name."""

_SHORT = {"float32": "float", "int64": "int"}


def canonical(word: str) -> str | None:
    """Torch's name of an element type, or None when there is no such type."""
    word = ALIASES.get(word, word)
    return word if word in DTYPES else None


def is_float(dtype: str) -> bool:
    """Whether it is a floating-point type."""
    return dtype in _FLOATS


def is_int(dtype: str) -> bool:
    """Whether it is an integer type (bool is not)."""
    return dtype == "uint8" or dtype in _INTEGERS


def is_complex(dtype: str) -> bool:
    """Whether it is a type of complex numbers."""
    return dtype in _COMPLEX


def real_part(dtype: str) -> str:
    """The type of the real and the imaginary part; a real type itself."""
    return {"complex64": "float32", "complex128": "float64"}.get(dtype, dtype)


def with_imaginary(dtype: str) -> str:
    """The complex type with parts of that type, or of float32 for all but float64."""
    return "complex128" if real_part(dtype) == "float64" else "complex64"


def category(dtype: str) -> int:
    """0 for bool, 1 for integers, 2 for floats, 3 for complex: torch promotes across categories first."""
    return 0 if dtype == "bool" else 1 if is_int(dtype) else 3 if is_complex(dtype) else 2


def promote(a: str, b: str) -> str:
    """The type of an operation between tensors of types `a` and `b`, as torch has it."""
    if a == b:
        return a
    low, high = sorted((a, b), key=category)
    if category(high) == 3:
        return "complex128" if "float64" in (real_part(a), real_part(b)) else "complex64"
    if category(low) != category(high):
        return high
    if category(a) == 2:
        if {a, b} == {"float16", "bfloat16"}:
            return "float32"
        return max(a, b, key=_FLOATS.index)
    if "uint8" in (a, b):
        other = b if a == "uint8" else a
        return "int16" if other == "int8" else other
    return max(a, b, key=_INTEGERS.index)


@dataclass(frozen=True, slots=True)
class TensorType:
    """What is known of a tensor before it exists: element type and dimensions."""

    dtype: str
    dims: tuple[Size, ...]

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return len(self.dims)

    def __str__(self) -> str:
        return f"{_SHORT.get(self.dtype, self.dtype)}[{', '.join(show(d) for d in self.dims)}]"

    def with_dims(self, *dims: Size) -> TensorType:
        """The same element type with other dimensions."""
        return TensorType(self.dtype, dims)

    def with_dtype(self, dtype: str) -> TensorType:
        """The same dimensions with another element type."""
        return TensorType(dtype, self.dims)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A number that stands where a tensor could: known now, or a size that is known at run time (a Dim)."""

    value: bool | int | float | Dim

    @property
    def kind(self) -> int:
        """Its category for promotion: 0 bool, 1 int, 2 float."""
        if isinstance(self.value, bool):
            return 0
        return 2 if isinstance(self.value, float) else 1

    def __str__(self) -> str:
        if isinstance(self.value, bool):
            return "true" if self.value else "false"
        return show(self.value) if isinstance(self.value, Dim) else str(self.value)


Operand = TensorType | Scalar | tuple["Operand", ...] | None
"""What a layer or function is fed: a tensor, a number, several of them, or nothing."""


def show_dtype(dtype: str) -> str:
    """The language's word for an element type."""
    return _SHORT.get(dtype, dtype)
