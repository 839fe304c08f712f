"""The parser of all commands: refuses values that no option can mean, in words."""

import argparse
import math
from pathlib import Path
from typing import Any


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` with stricter kinds of values; nested commands get the same.

    A text or path is not empty, which as a rule is a variable of a script that was not set; a
    number is finite. An option that takes an empty text has the `type` str.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register("type", None, _text)
        self.register("type", Path, _path)
        self.register("type", int, whole_number)
        self.register("type", float, number)

    def add_subparsers(self, **options: Any) -> Any:
        """Add nested commands; the words behind them are for the nested parser to judge."""
        commands = super().add_subparsers(**options)
        commands.type = str
        return commands


def whole_number(text: str) -> int:
    """Read a whole number.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}") from None


def number(text: str) -> float:
    """Read a finite number.

    Raises:
        argparse.ArgumentTypeError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number, not {text!r}")
    return value


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty: is a variable not set?")
    return text


def _path(text: str) -> Path:
    if _text(text) == "-":
        raise argparse.ArgumentTypeError("takes no pipe; write ./- for a file of the name -")
    return Path(text)
