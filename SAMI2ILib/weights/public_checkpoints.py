"""The official SAM2 and SAM2.1 checkpoints: names, addresses, and how to recognize one."""

import importlib.util
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from SAMI2ILib.errors import InputError, ModelError

_SERVER: Final = "https://dl.fbaipublicfiles.com/segment_anything_2"
_TRUNK_PREFIX: Final = "image_encoder.trunk."


@dataclass(frozen=True)
class PublicCheckpoint:
    """One official checkpoint.

    Attributes:
        name: Its file name without the ending; what `sami2i models download` takes.
        url: Where it is published.
        megabytes: Approximate size, in units of 10^6 bytes.
        embed_dim: Width of the trunk's first stage, to recognize the file.
        blocks: Blocks of the trunk in all stages, to recognize the file.
        license: Of code and weights.
    """

    name: str
    url: str
    megabytes: int
    embed_dim: int
    blocks: int
    license: str = "Apache-2.0"

    @property
    def file_name(self) -> str:
        """The name of the file in the store."""
        return f"{self.name}.pt"


# variant: (megabytes, embed_dim, blocks)
_VARIANTS: Final = {
    "tiny": (156, 96, 12),
    "small": (184, 96, 16),
    "base_plus": (324, 112, 24),
    "large": (898, 144, 48),
}
_RELEASES: Final = {"sam2.1": "092824", "sam2": "072824"}

PUBLIC_CHECKPOINTS: Final[dict[str, PublicCheckpoint]] = {
    f"{release}_hiera_{variant}": PublicCheckpoint(
        f"{release}_hiera_{variant}", f"{_SERVER}/{date}/{release}_hiera_{variant}.pt", *numbers
    )
    for release, date in _RELEASES.items()
    for variant, numbers in _VARIANTS.items()
}


def find_checkpoint(name: str) -> PublicCheckpoint:
    """Look up a checkpoint.

    Args:
        name: E.g. "sam2.1_hiera_base_plus".

    Raises:
        InputError: There is no such public checkpoint; the message lists them.
    """
    if name not in PUBLIC_CHECKPOINTS:
        raise InputError(
            f"There is no public checkpoint {name!r}.",
            f"Known are {', '.join(PUBLIC_CHECKPOINTS)}.",
        )
    return PUBLIC_CHECKPOINTS[name]


def check_checkpoint(path: Path, checkpoint: PublicCheckpoint) -> None:
    """Check that a file is a SAM2 checkpoint of the right variant.

    Without torch only the container is looked at; with it the trunk's size as well. The file is
    read with `weights_only=True`, which runs no code from it.

    Args:
        path: The file.
        checkpoint: What it should be.

    Raises:
        ModelError: It is something else.
    """
    if not zipfile.is_zipfile(path):
        raise _not_a_checkpoint(path, checkpoint, "it is not a PyTorch file")
    if importlib.util.find_spec("torch") is None:
        return
    weights = _load(path, checkpoint).get("model")
    if not isinstance(weights, dict):
        raise _not_a_checkpoint(path, checkpoint, "it has no entry 'model'")
    blocks = {
        key.removeprefix(f"{_TRUNK_PREFIX}blocks.").partition(".")[0]
        for key in weights
        if str(key).startswith(f"{_TRUNK_PREFIX}blocks.")
    }
    shape = getattr(weights.get(f"{_TRUNK_PREFIX}patch_embed.proj.weight"), "shape", (0,))
    found = (int(shape[0]), len(blocks))
    if found != (checkpoint.embed_dim, checkpoint.blocks):
        raise _not_a_checkpoint(
            path,
            checkpoint,
            f"its trunk is {found[0]} wide with {found[1]} blocks, expected "
            f"{checkpoint.embed_dim} and {checkpoint.blocks}",
        )


def _load(path: Path, checkpoint: PublicCheckpoint) -> dict[str, Any]:
    from pickle import UnpicklingError  # noqa: TID251  (the error's name only; nothing is unpickled)

    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, ValueError, KeyError, EOFError, OSError) as error:
        raise _not_a_checkpoint(path, checkpoint, "PyTorch cannot read it") from error
    if not isinstance(content, dict):
        raise _not_a_checkpoint(path, checkpoint, "it has no entry 'model'")
    return content


def _not_a_checkpoint(path: Path, checkpoint: PublicCheckpoint, reason: str) -> ModelError:
    return ModelError(
        f"The file {path} is not the checkpoint {checkpoint.name}: {reason}.",
        f"Get it again from {checkpoint.url}.",
    )
