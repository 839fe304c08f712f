"""The decoder: three fusion blocks with mask unit attention, one convolution, sigmoid."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.models.config_json import (
    JsonConfig,
    check_boolean,
    check_integer,
    check_integers,
)
from SAMI2ILib.models.detail_branch import DetailBranch
from SAMI2ILib.models.mask_unit_attention import MaskUnitAttention
from SAMI2ILib.models.variants import HieraConfig

FUSIONS = 3
NORM_EPSILON = 1e-6  # as in SAM2's trunk
TRUNK_STRIDE = 4
"""Stride of the trunk's finest map: an encoder that enlarges slices by as much gives every pixel a
token of its own."""


@dataclass(frozen=True)
class DecoderConfig(JsonConfig):
    """Sizes of the decoder. Tuples of three follow the blocks as they run, coarsest first.

    Args:
        encoder_channels: Channels of F1..F4, finest first.
        widths: Channels of the three blocks.
        heads: Attention heads of the three blocks; they divide `widths`.
        windows: Side of the attention windows of the three blocks, in tokens of their maps.
        depth: Attention layers in each block.
        shifted_windows: Move the windows of every second layer by half a window.
        window_position_embedding: Learn an embedding of the place in the window.
        encoder_upscale: How much the encoder enlarges slices, 4, 2 or 1; below 4 its finest map is
            coarser than the slice, and the detail branch brings the result to full resolution.
        detail_width: Channels of the detail branch at the slice's resolution; 0 has no branch.
        detail_depth: Convolution layers at each level of the detail branch.
        detail_levels: Levels of the detail branch below the map that it joins.
        detail_batch_norm: Batch normalization in the layers of the detail branch.
        slice_channels: Channels of the slices that the detail branch sees: 1, or 3 with neighbors.

    Raises:
        InputError: A value is of the wrong type or cannot work with the others.

    Source:
        SAM-I2I, Sec. 2.2: three blocks, larger windows at lower resolution. Differs: the paper
        gives no widths, heads, depth or window sizes, and has none of the switches; they are off
        by default.
    """

    encoder_channels: tuple[int, ...]
    widths: tuple[int, ...]
    heads: tuple[int, ...]
    windows: tuple[int, ...] = (16, 8, 4)
    depth: int = 2
    shifted_windows: bool = False
    window_position_embedding: bool = False
    encoder_upscale: int = TRUNK_STRIDE
    detail_width: int = 0
    detail_depth: int = 1
    detail_levels: int = 0
    detail_batch_norm: bool = False
    slice_channels: int = 1

    def __post_init__(self) -> None:
        check_integers("encoder_channels", self.encoder_channels, 1, FUSIONS + 1)
        check_integers("widths", self.widths, 1, FUSIONS)
        check_integers("heads", self.heads, 1, FUSIONS)
        check_integers("windows", self.windows, 1, FUSIONS)
        check_integer("depth", self.depth, 1)
        check_boolean("shifted_windows", self.shifted_windows)
        check_boolean("window_position_embedding", self.window_position_embedding)
        for width, heads in zip(self.widths, self.heads, strict=True):
            if width % heads:
                raise InputError(
                    f"heads must divide widths, got {self.heads} heads for {self.widths}."
                )
        if self.shifted_windows and self.depth == 1:
            raise InputError(
                "shifted_windows needs a depth of at least 2, got 1.",
                "Every second layer of a block is shifted, so one layer has none.",
            )
        self._check_detail()

    def _check_detail(self) -> None:
        check_integer("detail_width", self.detail_width, 0)
        check_integer("detail_depth", self.detail_depth, 1)
        check_integer("detail_levels", self.detail_levels, 0)
        check_boolean("detail_batch_norm", self.detail_batch_norm)
        if self.encoder_upscale not in (1, 2, TRUNK_STRIDE):
            raise InputError(f"encoder_upscale must be 1, 2 or 4, got {self.encoder_upscale!r}.")
        if self.slice_channels not in (1, 3):
            raise InputError(f"slice_channels must be 1 or 3, got {self.slice_channels!r}.")
        if self.encoder_upscale < TRUNK_STRIDE and not self.detail_width:
            raise InputError(
                f"encoder_upscale {self.encoder_upscale} needs a detail branch.",
                "Set detail_width, or encoder_upscale to 4.",
            )

    @property
    def map_stride(self) -> int:
        """Pixels of the slice along one token of the finest map."""
        return TRUNK_STRIDE // self.encoder_upscale

    @property
    def detail_multiple(self) -> int:
        """Heights and widths of slices must be multiples of this for the detail branch."""
        if not self.detail_width:
            return 1
        return self.map_stride << self.detail_levels

    @classmethod
    def for_encoder(cls, encoder: HieraConfig, **options: Any) -> "DecoderConfig":
        """Mirror an encoder: each block takes the width and heads of the stage that it joins.

        Args:
            encoder: The trunk's configuration.
            **options: Any other fields of `DecoderConfig`.

        Returns:
            The decoder's configuration.
        """
        return cls(
            encoder_channels=encoder.channels,
            widths=encoder.channels[-2::-1],
            heads=encoder.heads[-2::-1],
            **options,
        )


class MaskUnitLayer(nn.Module):
    """One transformer layer: mask unit attention, then a perceptron four times as wide.

    Args:
        channels: Channels in and out.
        attention: The attention of the layer.
    """

    def __init__(self, channels: int, attention: MaskUnitAttention) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.attention = attention
        self.mlp_norm = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Refine a map.

        Args:
            tokens: (B, H, W, C) float.

        Returns:
            (B, H, W, C).
        """
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.mlp(self.mlp_norm(tokens))  # type: ignore[no-any-return]


class FusionBlock(nn.Module):
    """Fuse a map with one of twice its resolution.

    Args:
        low_channels: Channels of the coarser map.
        high_channels: Channels of the finer map.
        config: The decoder's configuration.
        index: Which of its three blocks this is, coarsest first.

    Source:
        SAM-I2I, Sec. 2.2. Differs: how the two maps are joined is ours, the paper is silent.
    """

    def __init__(
        self, low_channels: int, high_channels: int, config: DecoderConfig, index: int
    ) -> None:
        super().__init__()
        width = config.widths[index]
        self.low_norm = nn.LayerNorm(low_channels, eps=NORM_EPSILON)
        self.low_linear = nn.Linear(low_channels, width)
        self.high_norm = nn.LayerNorm(high_channels, eps=NORM_EPSILON)
        self.join = nn.Linear(width + high_channels, width)
        self.layers = nn.ModuleList(
            MaskUnitLayer(
                width,
                MaskUnitAttention(
                    width,
                    config.heads[index],
                    config.windows[index],
                    shifted=config.shifted_windows and layer % 2 == 1,
                    position_embedding=config.window_position_embedding,
                ),
            )
            for layer in range(config.depth)
        )

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Fuse two maps.

        Args:
            low: (B, H / 2, W / 2, low_channels) float.
            high: (B, H, W, high_channels) float.

        Returns:
            (B, H, W, width).
        """
        up = self.low_linear(self.low_norm(low)).permute(0, 3, 1, 2)
        up = F.interpolate(up, scale_factor=2, mode="bilinear", align_corners=False)
        up = up.permute(0, 2, 3, 1)  # (B, C, H, W) -> (B, H, W, C)
        tokens: Tensor = self.join(torch.cat([up, self.high_norm(high)], dim=-1))
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class Decoder(nn.Module):
    """Turn a feature pyramid into one translated slice.

    Args:
        config: Its sizes.
        mean_intensity: Mean of the training targets in (0, 1); the untrained network starts there.

    Raises:
        InputError: `mean_intensity` is not inside (0, 1).

    Source:
        SAM-I2I, Sec. 2.2.
    """

    def __init__(self, config: DecoderConfig, mean_intensity: float | None = None) -> None:
        super().__init__()
        self.config = config
        fine_to_coarse = config.encoder_channels
        high_channels = fine_to_coarse[-2::-1]
        low_channels = (fine_to_coarse[-1], *config.widths[:-1])
        self.blocks = nn.ModuleList(
            FusionBlock(low, high, config, index)
            for index, (low, high) in enumerate(zip(low_channels, high_channels, strict=True))
        )
        self.norm = nn.LayerNorm(config.widths[-1], eps=NORM_EPSILON)
        self.detail: DetailBranch | None = None
        if config.detail_width:
            self.detail = DetailBranch(
                config.slice_channels,
                config.widths[-1],
                config.detail_width,
                config.detail_depth,
                levels=config.map_stride.bit_length() - 1,
                extra_levels=config.detail_levels,
                batch_norm=config.detail_batch_norm,
            )
        # Zeros around the map would leave a frame on every slice, and at every border of tiles.
        self.output = nn.Conv2d(
            config.detail_width or config.widths[-1], 1, 3, padding=1, padding_mode="replicate"
        )
        if mean_intensity is not None:
            self.set_mean_intensity(mean_intensity)

    def set_mean_intensity(self, mean_intensity: float) -> None:
        """Let the untrained decoder start at the mean of its targets.

        Args:
            mean_intensity: Mean of the training targets, in (0, 1).

        Raises:
            InputError: `mean_intensity` is not inside (0, 1).
        """
        if not 0 < mean_intensity < 1:
            raise InputError(f"mean_intensity must lie inside (0, 1), got {mean_intensity!r}.")
        logit = math.log(mean_intensity / (1 - mean_intensity))
        with torch.no_grad():
            self.output.bias.fill_(logit)  # type: ignore[union-attr]

    def forward(self, features: Sequence[Tensor], slices: Tensor | None = None) -> Tensor:
        """Decode a feature pyramid.

        Args:
            features: F1..F4, finest first; `features[i]` is (B, C_i, H / s / 2**i, W / s / 2**i)
                float with s = `config.map_stride`, which is 1 in the faithful model.
            slices: (B, config.slice_channels, H, W) float in [0, 1], for the detail branch; not
                looked at without one.

        Returns:
            (B, 1, H, W) float32 in [0, 1], whatever the dtype of the features.

        Raises:
            ShapeError: The maps are not four, not of the encoder's channels, or not each half
                the size of the one before it; or the slices do not fit them.
        """
        self._check(features)
        # (B, C, H, W) -> (B, H, W, C), coarsest first
        tokens, *finer = [feature.permute(0, 2, 3, 1) for feature in reversed(features)]
        for block, high in zip(self.blocks, finer, strict=True):
            tokens = block(tokens, high)
        # Eight bits of mantissa are too few for the gray levels of an image.
        with torch.autocast(tokens.device.type, enabled=False):
            image = self.norm(tokens.float()).permute(0, 3, 1, 2)
        if self.detail is not None:
            image = self.detail(self._checked(slices, features), image)
        with torch.autocast(tokens.device.type, enabled=False):
            return torch.sigmoid(self.output(image.float()))

    def _checked(self, slices: Tensor | None, features: Sequence[Tensor]) -> Tensor:
        stride = self.config.map_stride
        batch, _, height, width = features[0].shape
        expected = (batch, self.config.slice_channels, height * stride, width * stride)
        found = None if slices is None else tuple(slices.shape)
        if slices is None or found != expected:
            raise ShapeError(f"slices must be {expected} for the detail branch, got {found}.")
        return slices

    def _check(self, features: Sequence[Tensor]) -> None:
        shapes = [tuple(feature.shape) for feature in features]
        channels = self.config.encoder_channels
        if len(shapes) != len(channels) or any(len(shape) != 4 for shape in shapes):
            raise ShapeError(
                f"features must be {len(channels)} maps (B, C, H, W), finest first, got {shapes}."
            )
        batch, _, height, width = shapes[-1]
        expected = [
            (batch, count, height << level, width << level)
            for count, level in zip(channels, range(FUSIONS, -1, -1), strict=True)
        ]
        if shapes != expected:
            raise ShapeError(
                "features must have the encoder's channels, each map half the size of the one "
                f"before it: expected {expected}, got {shapes}."
            )
