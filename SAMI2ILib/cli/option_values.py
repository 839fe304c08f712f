"""What the texts of options mean: counts, lists of names, subjects, assignments; the device."""

import argparse
from collections.abc import Collection, Iterable
from pathlib import Path

from SAMI2ILib.errors import InputError


def add_device(parser: argparse.ArgumentParser) -> None:
    """Define `--device`, which `select_device` reads."""
    parser.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: auto)"
    )


def positive_count(text: str) -> int:
    """Read a whole number of at least 1, as a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: It is smaller, or no whole number.
    """
    if not text.strip().isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text}")
    return int(text)


def name_list(text: str) -> tuple[str, ...]:
    """Read a list of names: `a,b,c`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def some_names(text: str) -> tuple[str, ...]:
    """Read a list of names that is not empty, as a `type` of argparse.

    Raises:
        argparse.ArgumentTypeError: It is empty.
    """
    names = name_list(text)
    if not names:
        raise argparse.ArgumentTypeError("names nothing: is a variable not set?")
    return names


def read_assignments(texts: Iterable[str], flag: str, form: str = "NAME=FOLDER") -> dict[str, str]:
    """Read what a repeated option assigns.

    Args:
        texts: Its values.
        flag: The option, for messages.
        form: How a value looks, for messages.

    Raises:
        InputError: A value lacks the sign or one of its sides, or a name is assigned twice.
    """
    assigned = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not (key and sign and value):
            raise InputError(f"{flag} {text}: expected {form}.", "Add the missing part.")
        if key in assigned:
            raise InputError(f"{flag} {text}: {key} is given twice.", "Give each name once.")
        assigned[key] = value
    return assigned


def check_subjects(flag: str, names: Iterable[str], known: Collection[str], place: Path) -> None:
    """Refuse names of subjects that are not there.

    Args:
        flag: The option that names them.
        names: Its subjects.
        known: Those that are there, in order.
        place: Where they lie.

    Raises:
        InputError: Some are not known.
    """
    missing = [name for name in names if name not in known]
    if missing:
        raise InputError(
            f"{flag} names {', '.join(missing)}, which {place} does not hold.",
            f"It holds {', '.join(known)}.",
        )
