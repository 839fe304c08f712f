"""Tables with a header line: lists of inputs, and what became of them."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from SAMI2ILib.atomic import write_text
from SAMI2ILib.errors import InputError


def read_rows(path: Path, required: Sequence[str] = ()) -> list[dict[str, str]]:
    """Read a table; its separator is the comma, semicolon or tab that its first line has.

    Args:
        path: UTF-8 text, with or without a byte order mark.
        required: Columns that must be there.

    Returns:
        For each line its cells by column name, without surrounding blanks; empty lines are passed
        over and missing cells are empty.

    Raises:
        InputError: The file cannot be read, is not UTF-8, lacks a column or has one twice, or a
            line has more cells than there are columns.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason, hint = "it is not UTF-8", "Save it as CSV in UTF-8."
        if isinstance(error, OSError):
            reason, hint = error.strerror or str(error), "Check the path."
        raise InputError(f"The table {path.name!r} cannot be read: {reason}.", hint) from error
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=separator) if any(line)]
    except csv.Error as error:
        raise InputError(
            f"The table {path.name!r} cannot be read: {error}.", "Save it as CSV in UTF-8."
        ) from error
    columns = [cell.strip() for cell in lines[0]] if lines else []
    missing = [name for name in required if name not in columns]
    if missing:
        raise InputError(
            f"The table {path.name!r} has no column {missing[0]!r}, only {', '.join(columns)}.",
            "Its first line must name the columns.",
        )
    if len(set(columns)) != len(columns):
        raise InputError(
            f"The table {path.name!r} has a column twice: {', '.join(columns)}.", "Rename one."
        )
    for line in lines[1:]:
        if len(line) > len(columns):
            raise InputError(
                f"The table {path.name!r} has {len(columns)} columns, but a line with {len(line)} "
                f"cells: {separator.join(line)[:100]}.",
                "Put a cell that holds the separator in quotes.",
            )
    return [
        {name: line[i].strip() if i < len(line) else "" for i, name in enumerate(columns)}
        for line in lines[1:]
    ]


def write_rows(rows: Iterable[Mapping[str, object]], columns: Sequence[str], path: Path) -> None:
    """Write a table, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(text.getvalue(), path)
