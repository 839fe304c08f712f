"""What the store remembers of its files: hashes, dates, origins. One JSON file, written atomically.

A lost or damaged index loses no model: the files describe themselves. It only means that there is
nothing to compare their hashes with.
"""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.atomic import exclusive, make_folder, move_into_place, write_text
from SAMI2ILib.errors import ModelError, OutputError

INDEX_NAME: Final = "index.json"
INDEX_VERSION: Final = 1


@dataclass(frozen=True)
class FileRecord:
    """What was true of a file when it came.

    Attributes:
        sha256: 64 hexadecimal digits in lower case.
        added: UTC date and time, ISO 8601.
        source: The file's name or the address that it came from; never a folder.
    """

    sha256: str
    added: str
    source: str


@dataclass
class StoreIndex:
    """The records of one store folder.

    Attributes:
        files: By file name, for the files that are in the folder.
        checkpoints: By name, for every public checkpoint that was ever there; they stay when
            the file is removed, so that a later download is compared with the first.
        problem: Why the index on disk could not be used; empty when it could, or there is none.
    """

    files: dict[str, FileRecord] = field(default_factory=dict)
    checkpoints: dict[str, FileRecord] = field(default_factory=dict)
    problem: str = ""


def read_index(folder: Path) -> StoreIndex:
    """Read the records of a store folder; a lost or damaged index reads as an empty one."""
    path = folder / INDEX_NAME
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["version"] != INDEX_VERSION:
            return StoreIndex(problem=f"{path} has version {document['version']!r}.")
        return StoreIndex(
            files=_parse_records(document["files"]),
            checkpoints=_parse_records(document["checkpoints"]),
        )
    except FileNotFoundError:
        return StoreIndex()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return StoreIndex(problem=f"{path} cannot be read ({type(error).__name__}: {error}).")


def write_index(folder: Path, index: StoreIndex) -> None:
    """Write the records of a store folder; a damaged index is set aside, not overwritten.

    Raises:
        OutputError: The folder cannot be written.
    """
    path = folder / INDEX_NAME
    if index.problem:
        try:
            move_into_place(path, path.with_suffix(".json.damaged"))
        except OSError as error:
            raise OutputError(
                f"The damaged index {path} cannot be set aside ({error.strerror}).",
                "Check the folder's permission.",
            ) from error
    document = {
        "version": INDEX_VERSION,
        "files": {name: vars(record) for name, record in index.files.items()},
        "checkpoints": {name: vars(record) for name, record in index.checkpoints.items()},
    }
    make_folder(folder)
    write_text(json.dumps(document, indent=1, sort_keys=True), path)


@contextmanager
def changed_index(folder: Path) -> Iterator[StoreIndex]:
    """Give the records to change; another process that adds a file meanwhile waits.

    Raises:
        OutputError: The folder cannot be written.
    """
    make_folder(folder)
    with exclusive(folder / INDEX_NAME) as take_turn:
        take_turn()
        index = read_index(folder)
        yield index
        write_index(folder, index)


def check_recorded(path: Path, sha256: str) -> str | None:
    """Compare the hash of a file with the one on record in its folder.

    Args:
        path: A file, in a store or anywhere.
        sha256: Its hash now.

    Returns:
        The hash on record; None where there is none.

    Raises:
        ModelError: They differ.
    """
    record = read_index(path.parent).files.get(path.name)
    if record is None:
        return None
    if record.sha256 != sha256:
        raise ModelError(
            f"The file {path} has changed since it was added: its SHA-256 is {sha256}, "
            f"recorded was {record.sha256}.",
            "Remove it and add or download it again.",
        )
    return record.sha256


def utc_now() -> str:
    """Give the present date and time in UTC, ISO 8601 to the microsecond."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="microseconds")


def _parse_records(entries: dict[str, Any]) -> dict[str, FileRecord]:
    return {
        name: FileRecord(str(entry["sha256"]), str(entry["added"]), str(entry["source"]))
        for name, entry in entries.items()
    }
