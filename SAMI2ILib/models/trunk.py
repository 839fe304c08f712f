"""The Hiera trunk of SAM2: built by the `sam2` package, loaded strictly from its checkpoints."""

import dataclasses
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - torch.load raises it; nothing is unpickled
from typing import Any

import torch
from torch import Tensor, nn

from SAMI2ILib.errors import MissingError, ModelError, is_memory_failure
from SAMI2ILib.models.attention import HieraAttention
from SAMI2ILib.models.strict_load import load_strictly
from SAMI2ILib.models.variants import HIERA_VARIANTS, HieraConfig

TRUNK_PREFIX = "image_encoder.trunk."
"""What the trunk's tensors are called inside an official SAM2 or SAM2.1 checkpoint."""

INSTALL_SAM2_HINT = (
    "Install it with 'pip install torch torchvision' and then "
    "'SAM2_BUILD_CUDA=0 pip install --no-build-isolation sam2==1.1.0'."
)


def build_trunk(config: HieraConfig) -> nn.Module:
    """Build a trunk with random weights.

    Args:
        config: Its size.

    Returns:
        SAM2's `Hiera`. It takes (B, 3, H, W) with sides of multiples of 32, and returns four maps,
        finest first: (B, C_i, H / s, W / s) for the strides s = 4, 8, 16, 32. Its parameters have
        the names of `sam2`; its attention is computed by `attention.attend`.

    Raises:
        MissingError: The `sam2` package is not installed.
    """
    trunk = build_sam2_trunk(config)
    for block in trunk.blocks:  # type: ignore[union-attr]
        block.attn = HieraAttention(block.attn)
    return trunk


def build_sam2_trunk(config: HieraConfig) -> nn.Module:
    """Build a trunk with random weights whose every layer is `sam2`'s own.

    Args:
        config: Its size.

    Raises:
        MissingError: The `sam2` package is not installed.
    """
    trunk: nn.Module = _import_hiera()(**dataclasses.asdict(config))
    return trunk


def load_trunk(checkpoint: Path, config: HieraConfig) -> nn.Module:
    """Build a trunk with the weights of an official SAM2 or SAM2.1 checkpoint.

    Args:
        checkpoint: The `.pt` file; read without executing anything in it.
        config: The size that the file is expected to hold.

    Returns:
        The trunk, as `build_trunk` returns it.

    Raises:
        MissingError: The file is not there, or `sam2` is not installed.
        ModelError: The file is not such a checkpoint, or holds a trunk of another size.
    """
    entries = _read_checkpoint(Path(checkpoint))
    tensors = {
        name.removeprefix(TRUNK_PREFIX): tensor
        for name, tensor in entries.items()
        if isinstance(name, str) and name.startswith(TRUNK_PREFIX)
    }
    if not tensors:
        raise ModelError(
            f"{Path(checkpoint).name} holds no tensor named {TRUNK_PREFIX}*.",
            "Give an official checkpoint of SAM2 or SAM2.1.",
        )
    return load_trunk_tensors(tensors, config)


def load_trunk_tensors(tensors: Mapping[str, Tensor], config: HieraConfig) -> nn.Module:
    """Build a trunk with weights that were read already.

    Args:
        tensors: One tensor per entry of the trunk's state, under the trunk's own names, as an
            encoder file of this software holds them; float16 is cast to float32.
        config: The size that the tensors are expected to have.

    Returns:
        The trunk, as `build_trunk` returns it.

    Raises:
        MissingError: `sam2` is not installed.
        ModelError: A tensor is missing, unexpected or of another shape.
    """
    trunk = build_trunk(config)
    found, expected = guess_variant(tensors) or "an unknown size", _variant_name(config)
    hint = "" if found == expected else f"This is a checkpoint of {found}, expected {expected}."
    load_strictly(trunk, tensors, "trunk", hint)
    return trunk


def guess_variant(tensors: Mapping[str, Tensor]) -> str | None:
    """Tell from shapes which size of trunk a set of weights belongs to.

    Args:
        tensors: Weights under the trunk's own names; some may be missing.

    Returns:
        A key of `HIERA_VARIANTS`, or None if the first layer's width and the number of blocks are
        those of none.
    """
    embedding = tensors.get("patch_embed.proj.weight")
    blocks = {name.split(".")[1] for name in tensors if name.startswith("blocks.")}
    if embedding is None:
        return None
    for name, config in HIERA_VARIANTS.items():
        if (config.embed_dim, sum(config.stages)) == (embedding.shape[0], len(blocks)):
            return name
    return None


def _variant_name(config: HieraConfig) -> str:
    """Return a configuration's name in the table, or a description of it."""
    names = [name for name, known in HIERA_VARIANTS.items() if known == config]
    return names[0] if names else f"{config.stages} blocks from {config.embed_dim} channels"


def _import_hiera() -> Any:
    """Import SAM2's trunk late: the import takes long and sets up Hydra for the whole process."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from sam2.modeling.backbones.hieradet import Hiera
    except ImportError as error:
        if is_memory_failure(error):
            raise
        raise MissingError(
            f"The encoder needs the package sam2, which cannot be imported ({error}).",
            INSTALL_SAM2_HINT,
        ) from error
    return Hiera


def _read_checkpoint(path: Path) -> Mapping[object, Any]:
    """Return the state that an official checkpoint keeps under "model"."""
    if not path.is_file():
        raise MissingError(
            f"The encoder checkpoint {path.name} is not there.",
            "Download it with 'sami2i models download'.",
        )
    hint = "Download the official checkpoint again."
    if not zipfile.is_zipfile(path):
        raise ModelError(f"{path.name} is not a PyTorch checkpoint, or is truncated.", hint)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, UnpicklingError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path.name} cannot be read as PyTorch weights.", hint) from error
    state = content.get("model") if isinstance(content, dict) else None
    if not isinstance(state, dict):
        raise ModelError(f'{path.name} has no table "model", as SAM2 checkpoints have.', hint)
    return state
