"""A module's panel as a picture: `python -m Testing.host SAMI2I/SAMI2I.py --screenshot a.png`."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from . import NOT_SLICER, whyUnavailable


def parseArguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m Testing.host", description="Show or test a scripted Slicer module.",
        epilog=NOT_SLICER,
    )  # fmt: skip
    parser.add_argument("module", type=Path, help="the module's .py file")
    parser.add_argument("--load", type=Path, action="append", default=[], metavar="VOLUME")
    parser.add_argument("--wait", type=float, default=0.0, metavar="SECONDS",
                        help="let the panel work before the picture is taken")  # fmt: skip
    parser.add_argument("--screenshot", type=Path, metavar="PNG", help="picture of the panel")
    parser.add_argument("--width", type=int, default=420, help="of the panel, in pixels")
    parser.add_argument("--slices", type=Path, metavar="PNG", help="picture of the slice views")
    parser.add_argument("--test", action="store_true", help="run the module's self-test")
    return parser.parse_args()


def main() -> int:
    """Exit code 0; 1 if the module raised or VTK or Qt complained; 3 if the host cannot start."""
    arguments = parseArguments()
    reason = whyUnavailable()
    if reason:
        print(reason, file=sys.stderr)
        return 3
    from .start import start

    host = start()
    print(NOT_SLICER)
    with host.catching():
        _run(host, arguments)
        host.reset()
        exceptions = host.takeExceptions()
        errors = [*host.takeVtkErrors(), *host.takeQtWarnings()]
    for error in exceptions:
        traceback.print_exception(error)
    for text in errors:
        print(text, file=sys.stderr)
    return 1 if exceptions or errors else 0


def _run(host: Any, arguments: argparse.Namespace) -> None:
    import slicer

    for path in arguments.load:
        slicer.util.loadVolume(str(path))
    panel = host.openModule(arguments.module)
    end = time.monotonic() + arguments.wait
    host.waitUntil(lambda: time.monotonic() >= end, arguments.wait + 1)
    if arguments.screenshot:
        host.grab(panel, arguments.screenshot, arguments.width)
    if arguments.slices:
        host.grabSlices(arguments.slices)
    if arguments.test:
        slicer.selfTests[arguments.module.stem]()
        print(f"The self-test of {arguments.module.stem} passed on the test host.")


if __name__ == "__main__":
    sys.exit(main())
