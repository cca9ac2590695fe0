"""The entry point of `fluxrun`.

    run() ──▶ environment (one BLAS thread, signals) ──▶ Typer ──▶ commands/*.py ──▶ jobs, render

`fluxrun --help` imports Typer and nothing heavier; everything else is imported by the command that needs it.
"""

from __future__ import annotations

import codecs
import gc
import io
import os
import signal
import sys
from typing import Annotated

import typer

from fluxrun.commands import (
    check,
    compare,
    completing,
    components,
    diff,
    doctor,
    evaluate,
    graph,
    guard,
    init,
    ls,
    predict,
    resume,
    rm,
    sample,
    schema,
    show,
    train,
    warmup,
)
from fluxrun.render.stream import named

BLAS_THREADS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

app = typer.Typer(
    name="fluxrun",
    help="Train neural networks from a YAML file.",
    rich_markup_mode=None,  # rich help takes several times as long as importing Typer
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"fluxrun {version('fluxrun')}", flush=True)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Train neural networks from a YAML file."""


COMMANDS = (
    (train, train.train),
    (resume, resume.resume),
    (check, check.check),
    (show, show.show),
    (graph, graph.graph),
    (init, init.init),
    (evaluate, evaluate.evaluate),
    (predict, predict.predict),
    (sample, sample.sample),
    (components, components.components),
    (schema, schema.schema),
    (ls, ls.ls),
    (compare, compare.compare),
    (diff, diff.diff),
    (rm, rm.rm),
    (warmup, warmup.warmup),
    (doctor, doctor.doctor),
)
for module, function in COMMANDS:
    app.command(epilog=module.EXAMPLES)(function)


def run() -> None:
    """Run the command line of this process."""
    for name in BLAS_THREADS:  # more threads would change the last bits of results, and small models take longer
        os.environ[name] = "1"
    _fill_closed()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until a training catches it, Ctrl-C just ends the process
    codecs.register_error("fluxrun.bytes", _as_bytes)
    assert isinstance(sys.stdout, io.TextIOWrapper)  # as the interpreter made it
    sys.stdout = named(sys.stdout, "fluxrun.bytes")
    completing.mend_bash()
    _only(sys.argv[1:2])
    try:
        app()
    except OSError as error:  # of what Typer writes itself, such as help pages
        sys.exit(guard.report(error, debug=False))
    finally:
        gc.freeze()  # else the interpreter looks through all that was imported before it ends, a fifth of `check`


def _fill_closed() -> None:
    """Put the null device where the caller closed a standard stream; else the next file that is opened comes there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, closefd=False))


def _as_bytes(error: UnicodeError) -> tuple[bytes, int]:
    """What a locale cannot say: paths come out as they came in, other characters in UTF-8."""
    assert isinstance(error, UnicodeEncodeError)
    return error.object[error.start : error.end].encode("utf-8", "surrogateescape"), error.end


def _only(first: list[str]) -> None:
    """Forget all commands but the one that is asked for: Typer reads the signatures of all that it knows."""
    asked = [
        command for command in app.registered_commands if command.callback and [command.callback.__name__] == first
    ]
    app.registered_commands[:] = asked or app.registered_commands
