"""Checkpoints: everything that a run needs to go on, written so that a kill leaves the old one."""

from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - torch.load raises it; nothing is unpickled
from typing import Any

import torch

from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.errors import InputError

CHECKPOINT_NAME = "checkpoint.pt"


def save_checkpoint(content: dict[str, Any], folder: Path) -> None:
    """Write a checkpoint beside the old one, then put it in its place.

    Args:
        content: Tensors, numbers and text in dicts and lists; nothing else can be read again.
        folder: Of the run.

    Raises:
        OutputError: It cannot be written; the old one is still there.
    """
    with atomic_path(folder / CHECKPOINT_NAME) as partial:
        torch.save(content, partial)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read the checkpoint of a run; None where there is none yet.

    Raises:
        InputError: The file is damaged.
    """
    path = folder / CHECKPOINT_NAME
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, OSError, ValueError) as error:
        raise InputError(
            f"The checkpoint {path} is damaged.", "Delete it to begin the run anew."
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            f"The checkpoint {path} is not one of a training run.", "Delete it to begin anew."
        )
    return content
