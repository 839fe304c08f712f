"""Brings files from the network into the store: public checkpoints by name, models by address."""

import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from SAMI2ILib.errors import InputError
from SAMI2ILib.weights.download import IsCancelled, OnProgress, download
from SAMI2ILib.weights.model_file import file_sha256
from SAMI2ILib.weights.public_checkpoints import PublicCheckpoint
from SAMI2ILib.weights.store import Store
from SAMI2ILib.weights.store_files import MODEL_SUFFIX, AddedFile

# Below the store, so that the finished file only has to be renamed.
DOWNLOADS_FOLDER: Final = "downloads"


def fetch_checkpoint(
    store: Store,
    checkpoint: PublicCheckpoint,
    *,
    on_progress: OnProgress | None = None,
    is_cancelled: IsCancelled | None = None,
) -> AddedFile:
    """Download an official checkpoint into the store, unless it is there.

    No official checksum is published: the first download is checked for being what it should be
    and its SHA-256 is recorded; every later one must have the same.

    Args:
        store: Where to.
        checkpoint: From `PUBLIC_CHECKPOINTS`.
        on_progress: As for `download`.
        is_cancelled: As for `download`.

    Raises:
        NetworkError: The download failed, or the file is not the one that was seen first.
        ModelError: The file is not a SAM2 checkpoint.
        OutputError: The store cannot be written.
        CancelledError: `is_cancelled` said so.
    """
    record = store.record_of(checkpoint.name)
    present = store.root / checkpoint.file_name
    if record is not None and present.is_file() and file_sha256(present) == record.sha256:
        return AddedFile("checkpoint", checkpoint.name, present, record.sha256, was_there=True)
    arrived = store.root / DOWNLOADS_FOLDER / checkpoint.file_name
    expected = None if record is None else record.sha256
    download(
        checkpoint.url, arrived, sha256=expected, on_progress=on_progress, is_cancelled=is_cancelled
    )
    # What is in its place is damaged, or it would have been found above.
    return _take(store, arrived, checkpoint.url, replace=True)


def fetch_model(
    store: Store,
    url: str,
    sha256: str,
    *,
    replace: bool = False,
    on_progress: OnProgress | None = None,
    is_cancelled: IsCancelled | None = None,
) -> AddedFile:
    """Download a model or a shared encoder into the store.

    Args:
        store: Where to.
        url: An https address.
        sha256: The hash that its publisher gives.
        replace: Whether a different file of the same id gives way.
        on_progress: As for `download`.
        is_cancelled: As for `download`.

    Raises:
        InputError: The address is not https, the hash is not one, or the id is taken.
        NetworkError: The download failed, or the file has another hash.
        ModelError: The file is damaged or not ours.
        OutputError: The store cannot be written.
        CancelledError: `is_cancelled` said so.
    """
    sha256 = sha256.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise InputError(
            f"sha256 must be 64 hexadecimal digits, not {sha256[:80]!r}.",
            "The page that offers the model should give it.",
        )
    arrived = store.root / DOWNLOADS_FOLDER / f"{sha256}{MODEL_SUFFIX}"
    download(url, arrived, sha256=sha256, on_progress=on_progress, is_cancelled=is_cancelled)
    return _take(store, arrived, url, replace=replace)


def _take(store: Store, arrived: Path, url: str, *, replace: bool) -> AddedFile:
    """Move a finished download into its place; one that is refused is not kept."""
    source = urlsplit(url)._replace(query="", fragment="").geturl()  # a query may hold a key
    try:
        return store.add(arrived, replace=replace, move=True, source=source)
    finally:
        arrived.unlink(missing_ok=True)
