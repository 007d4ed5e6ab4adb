"""What comes out: PyTorch source, live modules, ONNX files, IRs. Each imports its backend when it is called.

Whatever the author or the caller can repair is raised as `NnspecError`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nnspec.compiler import Compiled
from nnspec.diagnostics import Diagnostic, NnspecError, error

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import nn

    from nnspec.backends.onnx_verify import Report
    from nnspec.backends.torch import WeightsError

State = Mapping[str, "np.ndarray"]
"""Weights by name."""

_PACKAGES = {
    "ml_dtypes": "onnx",
    "mlflow": "mlflow",
    "numpy": "onnx",
    "onnx": "onnx",
    "safetensors": "torch",
    "sklearn": "train",
    "tensorboard": "tensorboard",
    "torch": "torch",
    "wandb": "wandb",
}
"""Packages that may be absent, and the extra of nnspec that brings each."""


def emit_source(compiled: Compiled) -> str:
    """Readable PyTorch source of the model."""
    from nnspec.backends.source import emit

    return emit(compiled.program)


def emit_ir(compiled: Compiled) -> str:
    """The IR as JSON."""
    from nnspec.ir_json import dumps

    return dumps(compiled.program)


def build_module(
    compiled: Compiled,
    *,
    device: str | None = None,
    weights: str | Path | None = None,
    seed: int | None = None,
) -> nn.Module:
    """The model as a live module on a device, with fresh weights (from a seed, if one is given) or a checkpoint's."""
    with installed():
        from nnspec.backends import torch as backend
        from nnspec.training.device import resolve
        from nnspec.training.fault import Fault

        try:
            place = None if device is None else resolve(device)
            state = None if weights is None else backend.load_weights(weights)
            with foreign_code(compiled):
                return backend.build(compiled.program, device=place, state=state, seed=seed)
        except backend.WeightsError as fault:
            raise NnspecError([_unfit(fault, weights, compiled)], compiled.sources) from None
        except Fault as fault:
            raise NnspecError([fault.diagnostic(None)], compiled.sources) from None


@contextmanager
def foreign_code(compiled: Compiled, *, running: bool = False) -> Iterator[None]:
    """The Python code that a spec names may be absent or fail, also when it is `running`: that is no fault of ours."""
    from nnspec.backends.torch_extern import ExternError, has_externs, in_words

    try:
        yield
    except ExternError as fault:
        place = None if fault.module is None else fault.module.span
        notes = (fault.note,) if fault.note else ()
        diagnostic = error("NNS510", fault.reason, place, "names Python code", notes=notes)
        raise NnspecError([diagnostic], compiled.sources) from fault.__cause__
    except NnspecError:
        raise
    except Exception as fault:
        if not running or not has_externs(compiled.program):
            raise
        message = f"running a model that has layers written in Python fails: {in_words(fault)}"
        notes = ("what such a layer gives must have the shapes and element types that its declaration says",)
        raise NnspecError([error("NNS510", message, None, notes=notes)], compiled.sources) from fault


def _unfit(fault: WeightsError, weights: object, compiled: Compiled) -> Diagnostic:
    if not (fault.missing or fault.unexpected or fault.mismatched):
        return error("NNS505", str(fault), None)
    message = f"the weights in `{weights}` do not fit `{compiled.program.main.name}`"
    return error("NNS502", message, None, notes=str(fault).split("; "))


def read_arrays(path: str | Path) -> State:
    """The weights in a file; a safetensors file is read without torch."""
    with installed():
        if Path(path).suffix == ".safetensors":
            from nnspec.backends.onnx import WeightsFileError, load_state

            try:
                return load_state(path)
            except WeightsFileError as fault:
                raise NnspecError([error("NNS505", str(fault), None)]) from None
        from nnspec.backends import torch as backend
        from nnspec.backends.onnx_torch import arrays

        try:
            return arrays(backend.load_weights(path))
        except backend.WeightsError as fault:
            raise NnspecError([error("NNS505", str(fault), None)]) from None


def module_arrays(module: nn.Module) -> State:
    """The weights of a live module."""
    with installed():
        from nnspec.backends.onnx_torch import arrays
        from nnspec.backends.torch import weights_of

        return arrays(weights_of(module))


def check_exportable(compiled: Compiled) -> None:
    """Whether the model can become ONNX at all: what only Python computes cannot, and is reported before it runs."""
    modules = [module for module in compiled.program.modules if module.kind == "extern"]
    faults = {m.span: m for m in modules}.values()
    if faults:
        what = "is written in Python: nothing says what it computes"
        label = "has no form in ONNX"
        diagnostics = [error("NNS501", f"`{m.name}` {what}", m.span, label) for m in faults]
        raise NnspecError(diagnostics, compiled.sources)


def write_onnx(
    compiled: Compiled,
    state: State,
    path: Path,
    *,
    opset: int | None = None,
    external: bool = False,
    given: Collection[str] = (),
) -> tuple[Path, ...]:
    """Write the model with its weights as ONNX; returns the files, of which a second one holds large weights.

    The file takes those of the model's optional inputs that are `given`.
    """
    check_exportable(compiled)
    with installed():
        from nnspec.backends import onnx as backend

        chosen = backend.DEFAULT_OPSET if opset is None else opset
        target = _target(path)
        try:
            return backend.write(compiled.program, None, state, target, opset=chosen, external=external, given=given)
        except backend.OnnxError as fault:
            raise NnspecError(fault.diagnostics, compiled.sources) from None
        except OSError as fault:
            raise unwritable(path, fault) from None


def verify_onnx(compiled: Compiled, path: Path, module: nn.Module, *, given: Collection[str] = ()) -> Report:
    """Compare an ONNX file in ONNX Runtime with the live module at several sizes, batch 1 included."""
    with installed():
        from nnspec.backends import onnx_verify
        from nnspec.backends.onnx_torch import reference

        entry = compiled.program.main
        method = compiled.program.methods[entry.methods["infer"]]
        try:
            return onnx_verify.verify(path, reference(module, method.input_names), compiled.program, entry, given=given)
        except onnx_verify.VerifyError as fault:
            raise NnspecError([fault.diagnostic], compiled.sources) from None


def write_text(path: Path, text: str) -> None:
    """Write a text file, complete or not at all; what is no ordinary file, such as a pipe, is written to."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """As `write_text`, for any file."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = _target(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            partial.write_bytes(content)
            if target.exists():
                shutil.copymode(target, partial)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as fault:
        raise unwritable(path, fault) from None


def write_weights(module: nn.Module, path: Path) -> None:
    """Write the weights of a module as a file of safetensors, complete or not at all."""
    with installed():
        from nnspec.backends.torch import weights_of

        write_tensors(weights_of(module), path)


def write_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write tensors as a file of safetensors, complete or not at all."""
    with installed():
        from nnspec.backends.torch import save_state

        target = _target(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            save_state(tensors, partial)
            os.replace(partial, target)
        except OSError as fault:
            raise unwritable(path, fault) from None
        finally:
            partial.unlink(missing_ok=True)


def _target(path: Path) -> Path:
    """Where a file goes that is moved into place: a link stays one, and a device is never replaced."""
    if path.exists() and not path.is_file():
        raise unwritable(path, IsADirectoryError(0, "it is a directory" if path.is_dir() else "it is no ordinary file"))
    return path.resolve() if path.is_symlink() else path


def unwritable(path: Path, fault: OSError) -> NnspecError:
    """The error of a file that cannot be written."""
    return NnspecError([error("NNS509", f"cannot write `{path}`: {(fault.strerror or str(fault)).lower()}", None)])


@contextmanager
def installed() -> Iterator[None]:
    """A package that only some outputs need may be absent: say how to get it."""
    try:
        yield
    except ModuleNotFoundError as fault:
        package = (fault.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        message = f"this needs the package `{package}`, which is not installed"
        extra = _PACKAGES[package]
        helps = (f"pip install 'nnspec[{extra}]'", f"in a clone of nnspec: pip install -e '.[{extra}]'")
        raise NnspecError([error("NNS504", message, None, helps=helps)]) from None
