"""ImageNet weights for ResViT's transformer: those of the hybrid ViT-B/16 behind a ResNet-50."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from SAMI2ILib.baselines.resvit import ResVit
from SAMI2ILib.errors import ModelError
from SAMI2ILib.models.strict_load import load_strictly


def load_imagenet(network: ResVit, path: Path) -> None:
    """Start a ResViT's transformer, embeddings and positions from a vision transformer.

    Args:
        network: Has a transformer; the rest of it is not changed.
        path: A safetensors file with the names of `timm`.

    Raises:
        ModelError: The file is none, or holds another transformer; nothing is changed.

    Source:
        ResViT, Sec. III-C. Differs: read from `timm`'s file of the same weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"{path} is no safetensors file of weights ({error}).",
            "Name timm's file of vit_base_r50_s16_224.orig_in21k.",
        ) from error
    transformer = {n: t for n, t in tensors.items() if n.startswith(("blocks.", "norm."))}
    if network.transformer is None:
        raise ModelError("This ResViT has no transformer to load weights into.")
    load_strictly(network.transformer, transformer, "transformer")
    for branch in network.branches.values():
        state = {n: t for n, t in branch.state_dict().items() if not n.startswith("embed.")}
        embedding = {
            f"embed.{name}": tensors[f"patch_embed.proj.{name}"]
            for name in ("weight", "bias")
            if f"patch_embed.proj.{name}" in tensors
        }
        state["position"] = _positions(tensors, state["position"])
        load_strictly(branch, state | embedding, "embedding")


def _positions(tensors: Mapping[str, Tensor], own: Tensor) -> Tensor:
    """The position embedding, without its class token, at the size of the network's own grid."""
    found = tensors.get("pos_embed")
    if found is None or found.ndim != 3 or found.shape[-1] != own.shape[1]:
        raise ModelError(f"The transformer weights have no pos_embed of {own.shape[1]} channels.")
    side = math.isqrt(found.shape[1] - 1)
    if side * side != found.shape[1] - 1:
        raise ModelError(f"pos_embed has {found.shape[1]} tokens: no square and a class token.")
    # (1, 1 + T, D) -> (1, D, side, side)
    grid = found[:, 1:].transpose(1, 2).reshape(1, -1, side, side).float()
    return F.interpolate(grid, size=own.shape[-2:], mode="bilinear", align_corners=False)
