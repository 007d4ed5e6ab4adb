"""`nnspec compile`: a spec as PyTorch source, as an ONNX model or as an IR."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from nnspec.cli.options import Passes, checkpoint_option, extern_option, file_argument, format_option, model_options
from nnspec.cli.report import note, reported, warn
from nnspec.compiler import Compiled
from nnspec.compiler_input import compile_input, read_input
from nnspec.compiler_output import (
    build_module,
    check_exportable,
    emit_ir,
    emit_source,
    module_arrays,
    read_arrays,
    verify_onnx,
    write_onnx,
    write_text,
    write_weights,
)
from nnspec.diagnostics import NnspecError, error

if TYPE_CHECKING:
    from torch import nn

    from nnspec.compiler_optimize import Served
    from nnspec.compiler_trained import Trained

_SUFFIXES = {".py": "torch", ".onnx": "onnx", ".json": "ir", ".safetensors": "weights"}
_ONNX_OPTIONS = ("weights", "seed", "opset", "external", "given", "verify")
_WEIGHTS_OPTIONS = ("weights", "seed")
_TEXTS: dict[str, Callable[[Compiled], str]] = {"torch": emit_source, "ir": emit_ir}


@click.command("compile")
@file_argument
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    type=click.Path(allow_dash=True),
    help="Where to: .py, .onnx or .json; of a run also .safetensors, its weights.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["torch", "onnx", "ir", "weights"]),
    help="What to write, whatever PATH ends with.",
)
@model_options
@click.option("--weights", metavar="PATH", type=click.Path(), help="Weights from .safetensors, .pt, .pth or a run.")
@checkpoint_option
@click.option(
    "--with-preprocessing",
    "preprocessing",
    is_flag=True,
    help="Of a run: what it did to its data is part of the model.",
)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), help="Seed of fresh weights.  [default for ONNX: 0]")
@click.option("--optimize", is_flag=True, help="For inference: rewrite the model and its weights to run faster.")
@click.option(
    "--passes", metavar="NAME,...", type=Passes(), help="The passes that --optimize takes the model through, instead."
)
@click.option("--opset", type=int, metavar="N", help="ONNX: version of the operator set.  [default: 21]")
@click.option(
    "--external", is_flag=True, help="ONNX: weights in a file of their own, PATH.data, even if they are small."
)
@click.option(
    "--with", "given", metavar="INPUT", multiple=True, help="ONNX: an optional input that the file takes; repeatable."
)
@click.option("--verify", is_flag=True, help="ONNX: compare ONNX Runtime with torch at several sizes.")
@extern_option
@format_option("text", "json", result=False)
@reported
def command(file: str, output: str | None, form: str | None, output_format: str, **options: Any) -> None:
    """Compile a spec, an IR that was compiled before, or a run with its weights: by default to PyTorch source.

    \b
    nnspec compile net.nns                                 PyTorch source, to read
    nnspec compile net.nns -o net.py                       the same in a file
    nnspec compile net.nns -o net.onnx --weights net.safetensors --verify
    nnspec compile net.nns -o net.json                     the IR
    nnspec compile net.nns -o fast.py --optimize --weights net.safetensors
    nnspec compile runs/Net-1 -o net.onnx --with-preprocessing

    With --optimize, fast.safetensors is written too: an optimized model has other weights, which only nnspec works
    out. Source that is compiled of a run comes with its weights in the same way.
    """
    form = form or _format_of(output)
    trained = _trained(file, options)
    _check_options(output, form, options, of_run=trained is not None)
    if trained is None:
        compiled = compile_input(
            read_input(file),
            model=options["model"],
            written=dict(options["settings"]),
            allow_extern=options["allow_extern"],
        )
        warn(compiled, output_format)
        _write(compiled, output, form, options)
        return
    if trained.models and options["model"] is None:
        names = " and ".join(f"`{name}`" for name in trained.models)
        raise click.UsageError(f"this run trained {names}: say which one by --model")
    compiled = trained.chosen(options["model"])
    with TemporaryDirectory() as folder, trained.weights(options["model"]) as own:
        weights = Path(options["weights"] or own)
        if options["preprocessing"]:
            if trained.models:
                message = f"the inputs of `{options['model']}` are what the `train` section makes of the data"
                raise click.UsageError(f"{message}: leave out --with-preprocessing, which is for fields of the data")
            compiled, weights = trained.with_preprocessing(weights, Path(folder))
        _write(compiled, output, form, options | {"weights": str(weights)}, of_run=True)
    if not options["weights"]:
        note(f"the weights are those of `{trained.archive.path}` after {trained.archive.steps:,} steps")


def _trained(file: str, options: Mapping[str, Any]) -> Trained | None:
    """The run that is meant, if it is a run; what is for runs only is refused for anything else."""
    if Path(file).is_dir():
        from nnspec.compiler_trained import open_run

        if options["settings"] or options["seed"] is not None:
            raise click.UsageError("a run has its settings and its weights: --set and --seed are for specs")
        return open_run(file, checkpoint=options["checkpoint"], allow_extern=options["allow_extern"])
    for name, option in (("checkpoint", "--checkpoint"), ("preprocessing", "--with-preprocessing")):
        if options[name]:
            raise click.UsageError(f"{option} is for the directory of a run, such as `nnspec compile runs/Net-1`")
    return None


def _check_options(output: str | None, form: str, options: Mapping[str, Any], *, of_run: bool) -> None:
    """Refuse what does not go together."""
    optimizes = options["optimize"] or options["passes"]
    to_file = output not in (None, "-")
    takes_weights = _WEIGHTS_OPTIONS if of_run or (optimizes and to_file) else ()
    onnx_options = [
        name for name in _ONNX_OPTIONS if options[name] not in (None, False, ()) and name not in takes_weights
    ]
    if form != "onnx" and onnx_options:
        option = onnx_options[0].replace("given", "with")
        other = ", or for a file with --optimize" if option in _WEIGHTS_OPTIONS else ""
        raise click.UsageError(f"--{option} is for ONNX, such as `-o net.onnx`{other}")
    if form == "onnx" and not to_file:
        raise click.UsageError("an ONNX model goes to a file, such as `-o net.onnx`")
    if form == "weights" and not (of_run and to_file):
        raise click.UsageError("weights are those of a run: `nnspec compile runs/Net-1 -o net.safetensors`")
    if options["weights"] and options["seed"] is not None:
        raise click.UsageError("--seed is for fresh weights, and --weights names a file of them")


def _write(
    compiled: Compiled, output: str | None, form: str, options: Mapping[str, Any], *, of_run: bool = False
) -> None:
    served = _served(compiled, options["passes"]) if options["optimize"] or options["passes"] else None
    if form == "onnx":
        assert output is not None
        _write_onnx(compiled, served, Path(output), **{name: options[name] for name in _ONNX_OPTIONS})
        return
    if form == "weights":
        assert output is not None
        _write_weights(compiled, served, Path(output), options["weights"])
        return
    text = _TEXTS[form](compiled if served is None else served.compiled)
    if output is None or output == "-":
        sys.stdout.write(text)
        return
    if served is not None:
        _write_served(served, Path(output), options["weights"], options["seed"])
    elif of_run:
        _write_weights(compiled, None, Path(output).with_suffix(".safetensors"), options["weights"])
    write_text(Path(output), text)
    note(f"wrote {output}")


def _write_weights(compiled: Compiled, served: Served | None, path: Path, weights: str) -> None:
    """The weights of a run, under the names of the compiled model."""
    if served is not None:
        served.write_weights(path, weights=weights)
    else:
        write_weights(build_module(compiled, weights=weights), path)
    note(f"wrote {path}")


def _served(compiled: Compiled, passes: tuple[str, ...] | None) -> Served:
    from nnspec.compiler_optimize import DEFAULT, serve

    return serve(compiled, passes or DEFAULT)


def _write_served(served: Served, path: Path, weights: str | None, seed: int | None) -> None:
    """The weights of an optimized model, beside its source or IR: first, as more can go wrong with them."""
    if weights is None and seed is None:
        note("its weights are other ones than the spec's: --weights FILE works them out and writes them beside it")
        return
    target = path.with_suffix(".safetensors")
    if path == target:
        raise click.UsageError(f"the weights go to `{target}` themselves: choose another name for the rest")
    if weights is not None and target.exists() and Path(weights).exists() and target.samefile(weights):
        raise click.UsageError(f"the weights would replace `{weights}`, which they are made of: choose another name")
    served.write_weights(target, weights=weights, seed=seed)
    note(f"wrote {target}")


def _format_of(output: str | None) -> str:
    if output in (None, "-"):
        return "torch"
    assert output is not None
    suffix = Path(output).suffix.lower()
    if suffix not in _SUFFIXES:
        raise click.UsageError(f"`{output}` ends with none of {', '.join(_SUFFIXES)}; say --format torch, onnx or ir")
    return _SUFFIXES[suffix]


def _write_onnx(
    compiled: Compiled,
    served: Served | None,
    path: Path,
    *,
    weights: str | None,
    seed: int | None,
    opset: int | None,
    external: bool,
    given: tuple[str, ...],
    verify: bool,
) -> None:
    check_exportable(compiled)
    module: nn.Module | None
    if weights is None:
        seed = seed or 0
        module = build_module(compiled, seed=seed)
        note(f"weights are fresh, drawn with seed {seed}; --weights takes those of a file")
        state = module_arrays(module)
    else:
        module = build_module(compiled, weights=weights) if verify else None
        state = read_arrays(weights)
    result = compiled if served is None else served.compiled
    state = state if served is None else served.arrays(state)
    for written in write_onnx(result, state, path, opset=opset, external=external, given=given):
        note(f"wrote {written}")
    for name in compiled.program.main.optional:
        if name not in given:
            note(f"the file takes no `{name}`, which is optional; `--with {name}` gives it that input")
    if verify:
        assert module is not None
        _verify(compiled, path, module, given)


def _verify(compiled: Compiled, path: Path, module: nn.Module, given: tuple[str, ...]) -> None:
    report = verify_onnx(compiled, path, module, given=given)
    if not report.ok:
        notes = str(report).split("\n")
        raise NnspecError([error("NNS508", f"`{path}` differs from torch in ONNX Runtime", None, notes=notes)])
    for line in str(report).split("\n"):
        note(f"  {line}")
    note(f"ONNX Runtime agrees with torch in {len(report.cases)} cases")
