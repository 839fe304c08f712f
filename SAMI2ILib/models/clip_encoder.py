"""CLIP's image encoders in the place of SAM2's trunk, for the comparison of encoders."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SAMI2ILib.errors import InputError
from SAMI2ILib.models.clip import ClipConfig, ClipTower
from SAMI2ILib.models.config_json import JsonConfig, check_integers
from SAMI2ILib.models.encoder import Encoder
from SAMI2ILib.models.variants import HIERA_VARIANTS, STAGES

STRIDES = (4, 8, 16, 32)
"""Of the four maps that a decoder takes, finest first."""

NORM_EPSILON = 1e-6


@dataclass(frozen=True)
class ClipEncoderConfig(JsonConfig):
    """A CLIP image encoder with its projections.

    Args:
        model: As in `ClipConfig`.
        pretrained: As in `ClipConfig`.
        widths: Channels of F1..F4 after the projections, finest first: those of SAM2's
            `base_plus`, so that all encoders feed the same decoder.

    Raises:
        InputError: `model` or `pretrained` is no text, or `widths` are not four integers.
    """

    model: str
    pretrained: str
    widths: tuple[int, ...] = HIERA_VARIANTS["base_plus"].channels

    def __post_init__(self) -> None:
        for name, value in (("model", self.model), ("pretrained", self.pretrained)):
            if not isinstance(value, str):
                raise InputError(f"{name} must be a text, got {value!r}.")
        check_integers("widths", self.widths, 1, STAGES)

    @property
    def clip(self) -> ClipConfig:
        """Which CLIP."""
        return ClipConfig(self.model, self.pretrained)


class ClipPyramid(nn.Module):
    """Four maps of a CLIP image encoder: a ResNet's stages, or four depths of a transformer.

    Args:
        clip: Taken over, not copied.

    Raises:
        InputError: A transformer has fewer than four blocks.
    """

    def __init__(self, clip: ClipTower) -> None:
        super().__init__()
        visual: Any = clip.visual
        self.visual = visual
        self.is_transformer = clip.is_transformer
        if self.is_transformer:
            blocks = len(visual.transformer.resblocks)
            if blocks < STAGES:
                raise InputError(f"CLIP needs at least {STAGES} blocks, it has {blocks}.")
            self._taps = [blocks * stage // STAGES - 1 for stage in range(1, STAGES + 1)]
            self.channel_list = [visual.conv1.out_channels] * STAGES
            self.strides = (visual.patch_size[0],) * STAGES
        else:
            stages = (visual.layer4, visual.layer3, visual.layer2, visual.layer1)
            self.channel_list = [stage[-1].bn3.num_features for stage in stages]  # coarsest first
            self.strides = STRIDES

    def forward(self, images: Tensor) -> list[Tensor]:
        """Encode standardized images.

        Args:
            images: (B, 3, H, W) float; sides of multiples of 32.

        Returns:
            Four maps, finest or shallowest first; the i-th is (B, C_i, H / strides[i], W /
            strides[i]).
        """
        if self.is_transformer:
            return self._depths(images)
        output = self.visual.forward_intermediates(
            images, indices=[1, 2, 3, 4], intermediates_only=True
        )
        return list(output["image_intermediates"])

    def _depths(self, images: Tensor) -> list[Tensor]:
        visual = self.visual
        patches = visual.conv1(images)  # (B, C, h, w)
        batch, channels, height, width = patches.shape
        tokens = patches.flatten(2).transpose(1, 2)  # (B, h * w, C)
        first = visual.class_embedding.to(tokens.dtype).expand(batch, 1, channels)
        tokens = torch.cat([first, tokens], dim=1)
        tokens = visual.ln_pre(tokens + self._positions(height, width).to(tokens.dtype))
        _, depths = visual.transformer.forward_intermediates(tokens, indices=self._taps)
        return [
            # (B, 1 + h * w, C) -> (B, C, h, w)
            depth[:, 1:].transpose(1, 2).reshape(batch, channels, height, width)
            for depth in depths
        ]

    def _positions(self, height: int, width: int) -> Tensor:
        """Position embedding for a grid of patches, (1 + height * width, C)."""
        learned: Tensor = self.visual.positional_embedding
        grid = tuple(self.visual.grid_size)
        if grid == (height, width):
            return learned
        first, rest = learned[:1], learned[1:]
        maps = rest.T.reshape(1, -1, *grid).float()
        maps = F.interpolate(
            maps, size=(height, width), mode="bicubic", antialias=True, align_corners=False
        )
        return torch.cat([first, maps[0].flatten(1).T.to(first)])


class FeatureProjection(nn.Module):
    """Bring an encoder's maps to the widths and strides that a decoder was built for.

    Args:
        channels: Of the encoder's maps, in their order.
        strides: Of the encoder's maps, in the same order.
        widths: Channels of F1..F4, finest first.
    """

    def __init__(
        self, channels: Sequence[int], strides: Sequence[int], widths: Sequence[int]
    ) -> None:
        super().__init__()
        self.channels = tuple(widths)
        self._factors = [stride / wanted for stride, wanted in zip(strides, STRIDES, strict=True)]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(old, new, 1) for old, new in zip(channels, widths, strict=True)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=NORM_EPSILON) for width in widths)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Project maps.

        Args:
            features: The encoder's; the i-th is (B, channels[i], H / strides[i], W / strides[i]).

        Returns:
            F1..F4; the i-th is (B, widths[i], H / 4 / 2**i, W / 4 / 2**i).
        """
        projected = []
        for feature, convolution, norm, factor in zip(
            features, self.convolutions, self.norms, self._factors, strict=True
        ):
            # a 1x1 convolution commutes with the change of size, and is cheaper before it grows
            mixed = _rescale(convolution(feature), factor)
            projected.append(norm(mixed.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return projected


def build_clip_encoder(clip: ClipTower, config: ClipEncoderConfig, *, upscale: int = 4) -> Encoder:
    """Make the encoder of a generator from CLIP; CLIP is frozen, the projections are trained.

    Args:
        clip: As `clip.load_clip` or `clip.build_clip` return it for `config.clip`.
        config: Its sizes.
        upscale: As in `Encoder`.

    Returns:
        The encoder, with CLIP's own mean and deviation.

    Source:
        SAM-I2I, Sec. 3 and Table 2. Differs: depths, strides and projections are ours, the paper
        is silent. CLIP's ResNet-101 exists from OpenAI only, not from LAION.
    """
    trunk = ClipPyramid(clip)
    projection = FeatureProjection(trunk.channel_list[::-1], trunk.strides, config.widths)
    return Encoder(
        trunk,
        frozen=True,
        upscale=upscale,
        projection=projection,
        mean=tuple(clip.mean.flatten().tolist()),
        std=tuple(clip.std.flatten().tolist()),
    )


def _rescale(maps: Tensor, factor: float) -> Tensor:
    if factor == 1:
        return maps
    if factor < 1:
        return F.avg_pool2d(maps, round(1 / factor))
    return F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)
