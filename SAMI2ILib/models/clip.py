"""The image encoder of CLIP: built and loaded by `open_clip`, frozen, its images standardized."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251 - torch.load raises it; nothing is unpickled
from types import ModuleType
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SAMI2ILib.errors import InputError, MissingError, ModelError, first_line
from SAMI2ILib.models.attention import attend, merge_heads, split_heads

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
INSTALL_OPEN_CLIP_HINT = "Install it with 'pip install \"SAMI2ILib[train]\"'."


@dataclass(frozen=True)
class ClipConfig:
    """Which CLIP: a size and the training that its weights come from.

    Args:
        model: Name of the size in `open_clip`, e.g. "ViT-B-32" or "RN101".
        pretrained: Name of the training in `open_clip`, e.g. "openai". It decides the activation
            and the mean and deviation of the images. Empty takes those of the size.
    """

    model: str
    pretrained: str

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"CLIP {self.model}" + (f" ({self.pretrained})" if self.pretrained else "")


class ClipTower(nn.Module):
    """CLIP's image encoder, frozen: its weights take no gradient, but images pass theirs through.

    Args:
        visual: `model.visual` of an `open_clip` model; taken over, not copied.
        mean: Of the images that it was trained on, red, green, blue.
        std: Their standard deviation.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, visual: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.visual = visual
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    @property
    def is_transformer(self) -> bool:
        """Whether it is a vision transformer; the others are ResNets."""
        return hasattr(self.visual, "transformer")

    @property
    def image_size(self) -> int:
        """Height and width of the images that a transformer's positions were built for."""
        size: Any = self.visual.image_size
        return int(size[0] if isinstance(size, tuple) else size)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002
        """Stay in evaluation mode, whatever is called on the network around."""
        return super().train(False)

    def standardize(self, images: Tensor) -> Tensor:
        """Shift and scale images as CLIP expects them.

        Args:
            images: (B, 1, H, W) gray or (B, 3, H, W), float in [0, 1].

        Returns:
            (B, 3, H, W).
        """
        return (images - self.mean) / self.std


class ClipAttention(nn.Module):
    """The self-attention of a CLIP transformer computed by `attend`, under the same names.

    torch's own turns tokens and images around; its projections then multiply images one by one
    and, in bfloat16 on a CPU, copy their weights for each: most of the time of a training step.

    Args:
        original: Of `open_clip`; its weights are taken over, not copied.
    """

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__()
        self.num_heads = original.num_heads
        self.in_proj_weight = original.in_proj_weight
        self.in_proj_bias = original.in_proj_bias
        self.out_proj = original.out_proj

    def forward(
        self,
        query: Tensor,
        key: Tensor,  # noqa: ARG002 - the three are the same tokens
        value: Tensor,  # noqa: ARG002
        need_weights: bool = False,  # noqa: ARG002
        attn_mask: None = None,  # noqa: ARG002
    ) -> tuple[Tensor, None]:
        """Attend over the tokens of each image, under the arguments of `nn.MultiheadAttention`.

        Args:
            query: (B, T, C) float, the tokens.
            key: The same.
            value: The same.
            need_weights: Always false; no weights are given back.
            attn_mask: Always None; every token of an image sees all others.

        Returns:
            (B, T, C), and None in the place of the weights.
        """
        qkv = F.linear(query, self.in_proj_weight, self.in_proj_bias)
        attended = merge_heads(attend(*split_heads(qkv, self.num_heads)))
        return self.out_proj(attended), None


def build_clip(config: ClipConfig) -> ClipTower:
    """Build an image encoder with random weights, to be filled by `load_strictly`.

    Raises:
        InputError: `open_clip` knows no such size, or no such training of it.
        MissingError: The `open_clip` package is not installed.
    """
    return _create(config, None)


def load_clip(checkpoint: Path, config: ClipConfig) -> ClipTower:
    """Build an image encoder with the weights of a CLIP checkpoint, through `open_clip`'s loader.

    Args:
        checkpoint: A whole CLIP as `open_clip` saves it, `.safetensors` or a PyTorch file of
            tensors; nothing in it is executed.
        config: The size that the file is expected to hold, and its training.

    Raises:
        InputError: `open_clip` knows no such size, or no such training of it.
        MissingError: The file is not there, or `open_clip` is not installed.
        ModelError: The file cannot be read, or holds another network.
    """
    if not Path(checkpoint).is_file():
        raise MissingError(
            f"The checkpoint {checkpoint} of {config.title} is not there.", "Check the path."
        )
    return _create(config, Path(checkpoint))


def draw_clip(config: ClipConfig) -> dict[str, Tensor]:
    """Draw random weights of a whole CLIP, as a checkpoint of `open_clip` holds them.

    Raises:
        InputError: `open_clip` knows no such size.
        MissingError: The `open_clip` package is not installed.
    """
    pretrained_options(config)
    with _quiet_log(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = import_open_clip().create_model(config.model, pretrained=None)
    state: dict[str, Tensor] = model.state_dict()
    return state


def pretrained_options(config: ClipConfig) -> dict[str, Any]:
    """What `open_clip` records of a training: where its weights are, activation, mean, deviation.

    Raises:
        InputError: `open_clip` knows no such size, or no such training of it.
        MissingError: The `open_clip` package is not installed.
    """
    open_clip = import_open_clip()
    known = open_clip.list_models()
    if config.model not in known:
        raise InputError(
            f"'{config.model}' is no size of CLIP that open_clip knows.",
            "Choose one of 'ViT-B-32', 'ViT-B-16', 'RN101', or another of open_clip.list_models().",
        )
    if not config.pretrained:
        return {}
    options: dict[str, Any] = open_clip.get_pretrained_cfg(config.model, config.pretrained)
    if not options:
        tags = open_clip.list_pretrained_tags_by_model(config.model)
        raise InputError(
            f"open_clip knows no training '{config.pretrained}' of {config.model}.",
            f"It knows {', '.join(tags) or 'none'}.",
        )
    return options


def import_open_clip() -> ModuleType:
    """Import `open_clip` late: only training with CLIP needs it, and the import takes seconds.

    Raises:
        MissingError: It is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import open_clip
    except ImportError as error:
        raise MissingError(
            f"CLIP needs the package open_clip_torch, which cannot be imported ({error}).",
            INSTALL_OPEN_CLIP_HINT,
        ) from error
    return open_clip  # type: ignore[no-any-return]


def _create(config: ClipConfig, checkpoint: Path | None) -> ClipTower:
    options = pretrained_options(config)
    try:
        with _quiet_log(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = import_open_clip().create_model(
                config.model,
                pretrained=None if checkpoint is None else str(checkpoint),
                # OpenAI's weights with the usual GELU give features that look right and are not
                force_quick_gelu=bool(options.get("quick_gelu", False)),
                weights_only=True,
            )
    except (RuntimeError, UnpicklingError, EOFError, KeyError, ValueError, OSError) as error:
        name = "The network" if checkpoint is None else checkpoint.name
        reason = first_line(error)
        raise ModelError(
            f"{name} cannot be read as the weights of {config.title}: {reason}",
            "Give a checkpoint that open_clip saved for this size; TorchScript files are not read.",
        ) from error
    for block in model.visual.modules():
        if isinstance(getattr(block, "attn", None), nn.MultiheadAttention):
            block.attn = ClipAttention(block.attn)
    mean, std = options.get("mean", CLIP_MEAN), options.get("std", CLIP_STD)
    return ClipTower(model.visual, tuple(mean), tuple(std))


@contextlib.contextmanager
def _quiet_log() -> Iterator[None]:
    """Keep `open_clip` from warning about the random weights that were asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
