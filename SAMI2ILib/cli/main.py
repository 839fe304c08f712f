"""The entry point `sami2i`: finds the command, runs it, turns errors into one line and a code."""

import argparse
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
from SAMI2ILib.cli.parser import CommandParser
from SAMI2ILib.errors import as_sami2i_error
from SAMI2ILib.memory import keep_freed_memory
from SAMI2ILib.stop_signals import STOP_SIGNALS

# Each is a module of this package with HELP, add_arguments(parser) and run(args, console).
COMMANDS = (
    "translate",
    "translate-cohort",
    "check",
    "models",
    "doctor",
    "compare",
    "report",
    "export-dicom",
    "simulate",
    "prepare",
    "train",
    "evaluate",
    "calibrate",
    "crossvalidate",
    "demo",
    "reproduce",
    "bench",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after the program's name; `sys.argv` when None.

    Returns:
        The exit code: 0 done; 1 internal error, disk full or network; 2 wrong usage or input;
        3 something is missing; 4 out of memory; 130 cancelled.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    parser = _make_parser()
    if not words:
        parser.print_help(sys.stderr)
        return 2
    try:
        args = parser.parse_args(words)
    except SystemExit as stop:  # argparse has printed help, the version or the usage error
        return int(stop.code or 0)
    _print_every_letter()
    console = open_console(args.progress)
    for number in STOP_SIGNALS:
        if number != signal.SIGINT:  # Python does it
            signal.signal(number, _raise_keyboard_interrupt)
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
    parser = CommandParser(
        prog="sami2i",
        description=f"{SOFTWARE_NAME}. {INTENDED_USE}",
        epilog="To begin with: sami2i translate my_T1.nii.gz -o results --target T2",
    )
    parser.add_argument("--version", action="version", version=f"sami2i {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module: Any = importlib.import_module(f"SAMI2ILib.cli.{name.replace('-', '_')}")
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
            helps = {choice.dest: str(choice.help) for choice in action._choices_actions}
            for name, nested in action.choices.items():
                nested.description = f"{helps[name][0].upper()}{helps[name][1:]}."
                _add_common_options(nested)


def _print_every_letter() -> None:
    """Write what a terminal or pipe cannot show, such as a path's letters, as escapes."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _report(error: BaseException, console: Console) -> int:
    known = as_sami2i_error(error)
    console.error(known)
    return known.exit_code


def _raise_keyboard_interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
