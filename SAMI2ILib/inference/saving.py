"""A volume and its sidecar, which appear together or not at all."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import atomic_path, make_folder, write_text
from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.inference.output_files import sidecar_path
from SAMI2ILib.weights import file_sha256


def save_with_record(volume: Volume, record: dict[str, Any], path: Path) -> None:
    """Write a volume and its sidecar; the folder is made if it is missing.

    Raises:
        OutputError: The folder cannot be made or written to, or the disk is full.
    """
    make_folder(path.parent)
    with ExitStack() as files:
        write_pair(files, volume, record, path)


def write_pair(
    files: ExitStack, volume: Volume, record: dict[str, Any], path: Path
) -> dict[str, Any]:
    """Write an image and its sidecar; they get their names when `files` is closed.

    Args:
        files: Of all that appears together.
        volume: The image.
        record: What the sidecar says, without the image's own name and hash.
        path: Of the image.

    Returns:
        What the sidecar holds: `record` with the name and SHA-256 of the image as `volume`.

    Raises:
        OutputError: The folder cannot be written to, or the disk is full.
    """
    image, sidecar = files.enter_context(_atomic_pair(path))
    write_volume(volume, image, called=path.name)
    record = {**record, "volume": {"file": path.name, "sha256": file_sha256(image)}}
    write_sidecar(record, sidecar)
    return record


@contextmanager
def _atomic_pair(path: Path) -> Iterator[tuple[Path, Path]]:
    record_path = sidecar_path(path)
    # The second file to be opened is the first to get its name.
    later, earlier = (record_path, path) if path.exists() else (path, record_path)
    with atomic_path(later) as last, atomic_path(earlier) as first:
        yield (first, last) if path == earlier else (last, first)


def write_sidecar(fields: dict[str, Any], path: Path) -> None:
    """Write the record as JSON, whole or not at all.

    Raises:
        OutputError: The folder cannot be written to.
    """
    write_text(json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)
