"""Around every command: errors become a message and an exit code, and a bug says where its traceback lies."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from fluxrun.commands.completing import complete_key

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")]


def _folder(runs: str) -> str:
    if not runs:  # pathlib would take it for the present one
        raise typer.BadParameter("the name of a folder is expected; . is the present one")
    return runs


def given(name: Any) -> Any:
    """A name, or several, of files; none may be empty, which pathlib would take for the present folder."""
    if name is not None and "" in (name if isinstance(name, list) else [name]):
        raise typer.BadParameter("a name is expected, and this is an empty one")
    return name


Runs = Annotated[
    str,
    typer.Option("--runs", metavar="FOLDER", envvar="FLUXRUN_RUNS", help="The folder of the runs.", callback=_folder),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a value: train.epochs=5, or 'data.columns.\"a.b\"=numeric'; repeatable.",
        autocompletion=complete_key,
    ),
]


def guard(work: Callable[[], int], debug: bool) -> NoReturn:
    """Run a command's work and exit with its code, or with that of its error."""
    warnings.showwarning = _warn
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        broken_pipe()
    except Exception as error:  # the last place where a bug can become one line instead of a traceback
        code = report(error, debug)
    raise typer.Exit(code)


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as a line for people, without the place in our sources."""
    from fluxrun.render.stream import say
    from fluxrun.spec.text import visible

    say(f"warning: {visible(str(message))}")


def broken_pipe() -> NoReturn:
    """Nobody reads stdout: die by SIGPIPE, as other tools do."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)
    raise AssertionError("unreachable: SIGPIPE ends the process")


def report(error: Exception, debug: bool) -> int:
    """Say what went wrong on stderr; the exit code."""
    from flux_core.errors import FluxError
    from fluxrun import exits
    from fluxrun.jobs.expect import UsageError
    from fluxrun.render.stream import say
    from fluxrun.spec.problems import SpecError
    from fluxrun.spec.text import visible

    if isinstance(error, SpecError):
        say(str(error))
        return exits.USAGE
    if isinstance(error, UsageError):
        say(f"error: {visible(str(error))}")
        return exits.USAGE
    if isinstance(error, FluxError) and (code := exits.exit_code(error)) != exits.BUG:
        hint = getattr(error, "hint", None)
        say(f"error: {visible(str(error))}" + (f"\n  {visible(hint)}" if hint else ""))
        return code
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {visible(where + (error.strerror or str(error)))}")
        return exits.IO_ERROR
    if isinstance(error, MemoryError):
        say("error: out of memory; a smaller data.batch_size or model needs less")
        return exits.BUG
    return _bug(error, debug)


def _bug(error: Exception, debug: bool) -> int:
    import tempfile
    import traceback

    from fluxrun import exits
    from fluxrun.render.stream import say
    from fluxrun.spec.text import visible

    text = "".join(traceback.format_exception(error))
    if debug:
        say(text.rstrip())
        return exits.BUG
    first = visible(f"{type(error).__name__}: {error}".splitlines()[0])
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="fluxrun-", suffix=".txt", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(text)
        where = f"the traceback is in {file.name}"
    except OSError:
        where = "--debug shows the traceback"
    say(f"error: this is a bug in fluxrun: {first}; {where}")
    return exits.BUG
