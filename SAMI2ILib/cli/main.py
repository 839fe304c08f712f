"""The entry point `sami2i`: finds the command, runs it, turns errors into one line and a code."""

import argparse
import errno
import importlib
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any

from SAMI2ILib.about import INTENDED_USE, SOFTWARE_NAME, VERSION
from SAMI2ILib.cli.cancellation import stop_on_stdin_close
from SAMI2ILib.cli.console import PROGRESS_CHOICES, Console, open_console
from SAMI2ILib.cli.memory import keep_freed_memory
from SAMI2ILib.errors import (
    CancelledError,
    MissingError,
    OutOfMemoryError,
    OutputError,
    Sami2iError,
)

# Each is a module of this package with HELP, add_arguments(parser) and run(args, console).
COMMANDS = (
    "translate",
    "models",
    "doctor",
    "compare",
    "simulate",
    "train",
    "evaluate",
    "demo",
    "bench",
)

INTERNAL_ERROR_HINT = "This is a defect: please report it with the output of --debug."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after the program's name; `sys.argv` when None.

    Returns:
        The exit code: 0 done; 1 internal error, disk full or network; 2 wrong usage or input;
        3 something is missing; 4 out of memory; 130 cancelled.
    """
    try:
        args = _make_parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has printed help, the version or the usage error
        return int(stop.code or 0)
    console = open_console(args.progress)
    signal.signal(signal.SIGTERM, _raise_keyboard_interrupt)
    keep_freed_memory()
    try:
        if args.stop_on_stdin_close:
            stop_on_stdin_close()
        return int(args.run(args, console))
    except BrokenPipeError:
        return 1  # whoever read stdout has gone; there is nobody left to tell
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        if args.debug:
            traceback.print_exc()
        return _report(error, console)
    finally:
        console.close()


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sami2i", description=f"{SOFTWARE_NAME}. {INTENDED_USE}")
    parser.add_argument("--version", action="version", version=f"sami2i {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module: Any = importlib.import_module(f"SAMI2ILib.cli.{name}")
        command = commands.add_parser(name, help=module.HELP, description=module.HELP)
        module.add_arguments(command)
        _add_common_options(command)
        command.set_defaults(
            run=module.run, progress="text", debug=False, stop_on_stdin_close=False
        )
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command takes, also behind the words of a nested command."""
    parser.add_argument(
        "--progress",
        choices=PROGRESS_CHOICES,
        default=argparse.SUPPRESS,  # or a nested parser would undo what the outer one has read
        help="how progress is told: a bar, JSON lines on stdout, or not at all (default: text)",
    )
    parser.add_argument(
        "--stop-on-stdin-close",
        action="store_true",
        default=argparse.SUPPRESS,
        help="cancel when stdin is closed; for programs that start this one",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show a traceback when it fails",
    )
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for nested in action.choices.values():
                _add_common_options(nested)


def _report(error: BaseException, console: Console) -> int:
    known = _as_sami2i_error(error)
    console.error(known)
    return known.exit_code


def _as_sami2i_error(error: BaseException) -> Sami2iError:
    if isinstance(error, Sami2iError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return CancelledError()
    if isinstance(error, MemoryError):
        return OutOfMemoryError("Memory ran out.", "Close other programs or use a smaller input.")
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("SAMI2ILib"):
        return MissingError(
            f"The Python package '{error.name}' is not installed.",
            "In 3D Slicer press Install in the panel; elsewhere install the software again.",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(f"The disk is full: {error}.", "Free some space and try again.")
    return Sami2iError(f"Internal error: {type(error).__name__}: {error}.", INTERNAL_ERROR_HINT)


def _raise_keyboard_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
