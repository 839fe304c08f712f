"""Checkpoints: everything that a run needs to go on, written so that a kill leaves an older one."""

import zipfile
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - torch.load raises it; nothing is unpickled
from typing import Any

import torch

from SAMI2ILib.atomic import atomic_path, move_into_place
from SAMI2ILib.errors import InputError

CHECKPOINT_NAME = "checkpoint.pt"
PREVIOUS_NAME = "checkpoint-before.pt"
BEST_NAME = "best.pt"


class DamagedError(InputError):
    """A checkpoint cannot be read."""


def save_checkpoint(content: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint; the one before it is kept under another name.

    Args:
        content: Tensors, numbers and text in dicts and lists; nothing else can be read again.
        folder: Of the run.

    Raises:
        OutputError: It cannot be written; the old one is still there.
    """
    newest = folder / CHECKPOINT_NAME
    with atomic_path(newest) as partial:
        torch.save(content, partial)
        if newest.is_file():
            move_into_place(newest, folder / PREVIOUS_NAME)


def save_best(content: dict[str, Any], folder: Path) -> None:
    """Write the weights of the best validation so far in the place of those before them.

    Raises:
        OutputError: It cannot be written; the old ones are still there.
    """
    with atomic_path(folder / BEST_NAME) as partial:
        torch.save(content, partial)


def load_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, str]:
    """Read the newest checkpoint of a run that is whole.

    Returns:
        Its content, None where there is none yet, and a notice for the user if the newest one was
        damaged and the one before it took its place.

    Raises:
        InputError: All that is there is damaged.
    """
    newest, previous = folder / CHECKPOINT_NAME, folder / PREVIOUS_NAME
    try:
        if newest.is_file():
            return read_checkpoint(newest), ""
        # killed between the two renames: nothing is lost but the time since then
        return (read_checkpoint(previous) if previous.is_file() else None), ""
    except DamagedError as error:
        if not (newest.is_file() and previous.is_file()):
            raise
        content = read_checkpoint(previous)
        return content, f"{error.message} The run goes on from the one before it."


def has_checkpoint(folder: Path) -> bool:
    """Whether a run in this folder goes on instead of beginning."""
    return (folder / CHECKPOINT_NAME).is_file() or (folder / PREVIOUS_NAME).is_file()


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read one file.

    Raises:
        InputError: The file is not there, damaged, or nothing of a training run.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:  # compares the checksum of every entry
                raise DamagedError(*_damaged(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"There is no checkpoint {path}.", "Train first.") from error
    except (
        RuntimeError, UnpicklingError, EOFError, OSError, ValueError, zipfile.BadZipFile
    ) as error:  # fmt: skip
        if isinstance(error, DamagedError):
            raise
        raise DamagedError(*_damaged(path)) from error
    if not isinstance(content, dict):
        raise InputError(
            f"The checkpoint {path} is not one of a training run.", "Delete it to begin anew."
        )
    return content


def discard_damaged(folder: Path) -> None:
    """Remove a damaged newest checkpoint, so that it never takes the place of the whole one."""
    (folder / CHECKPOINT_NAME).unlink(missing_ok=True)


def _damaged(path: Path) -> tuple[str, str]:
    return f"The checkpoint {path} is damaged.", "Delete it to begin the run anew."
