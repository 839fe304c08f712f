"""What a test finds in the files and folders that were written, read without the library."""

import csv
from pathlib import Path


def read_csv(path: Path) -> list[dict[str, str]]:
    """The cells of each line by column name."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def names_in(folder: Path) -> list[str]:
    """The names of what lies in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())
