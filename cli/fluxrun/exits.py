"""Exit codes: what a bash loop or a CI job learns from a command.

    0   finished, also when --max-steps was reached        65  bad data or a bad checkpoint
    1   a bug                                              66  an input is missing
    2   wrong usage or a wrong spec                        73  cannot create a run folder or a file, or lock it
    3   diverged                                           74  reading or writing failed, or the disk is full
    4   --expect not met                                   75  out of --max-time

After SIGINT, SIGTERM and SIGHUP a command dies by that signal.
"""

from __future__ import annotations

OK = 0
BUG = 1
USAGE = 2
DIVERGED = 3
EXPECTATION = 4
BAD_DATA = 65
NO_INPUT = 66
CANNOT_CREATE = 73
IO_ERROR = 74
OUT_OF_TIME = 75


def exit_code(error: BaseException) -> int:
    """The code for an error that ends a command."""
    from flux_core import errors
    from fluxrun.jobs.expect import CannotCreate
    from fluxrun.spec.problems import SpecError
    from fluxrun.store.folder import NoSuchRun, RunFolderError

    match error:
        case SpecError() | errors.SettingError():
            return USAGE
        case errors.Diverged():
            return DIVERGED
        case errors.MissingFile() | NoSuchRun():
            return NO_INPUT
        case errors.DataError() | errors.CheckpointError():
            return BAD_DATA
        case RunFolderError() | CannotCreate():
            return CANNOT_CREATE
        case OSError():
            return IO_ERROR
    return BUG
