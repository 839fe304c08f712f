"""The discriminator: small trained heads on the features of a frozen CLIP image encoder."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from SAMI2ILib.errors import InputError
from SAMI2ILib.models.clip import ClipTower

TAPS = (3, 7)
"""Blocks whose maps are judged, counted from 0: the fourth and the eighth of twelve."""

_HEAD_CHANNELS = 256
_SLOPE = 0.2  # of the leaky rectifiers


class Discriminator(nn.Module):
    """Tell real slices from translated ones, at several depths of CLIP.

    CLIP's weights never change, but the graph runs through CLIP, so that the generator learns from
    what CLIP sees. Only the heads are trained.

    Args:
        clip: A vision transformer; may be shared with other discriminators.
        taps: Blocks whose maps are judged, counted from 0.

    Raises:
        InputError: `clip` is no transformer, or has no block of such a number.

    Source:
        SAM-I2I, Sec. 2.3, after Kumari et al., arXiv 2112.09130. Differs: which CLIP, taps and
        heads are ours, the paper is silent.
    """

    def __init__(self, clip: ClipTower, taps: Sequence[int] = TAPS) -> None:
        super().__init__()
        if not clip.is_transformer:
            raise InputError(
                "The discriminator needs a vision transformer of CLIP, not a ResNet.",
                "Choose 'ViT-B-32' or 'ViT-B-16'.",
            )
        visual = clip.visual
        blocks = len(visual.transformer.resblocks)  # type: ignore[union-attr, arg-type]
        if not taps or any(not 0 <= tap < blocks for tap in taps):
            raise InputError(f"taps must be numbers from 0 to {blocks - 1}, got {tuple(taps)}.")
        self.clip = clip
        self.taps = tuple(taps)
        width: int = visual.conv1.out_channels  # type: ignore[union-attr, assignment]
        token: int = visual.output_dim  # type: ignore[assignment]
        self.map_heads = nn.ModuleList(_MapHead(width) for _ in taps)
        self.token_head = nn.Sequential(
            spectral_norm(nn.Linear(token, _HEAD_CHANNELS)),
            nn.LeakyReLU(_SLOPE),
            spectral_norm(nn.Linear(_HEAD_CHANNELS, 1)),
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Judge images.

        Args:
            images: (B, 1, H, W) float in [0, 1] or about it.

        Returns:
            One float32 tensor of logits a level, positive for "real": (B, 1, h, w) for each tap,
            then (B, 1) for the class token.
        """
        seen = self.clip.standardize(_resize(images, self.clip.image_size))
        output = self.clip.visual.forward_intermediates(  # type: ignore[operator]
            seen, indices=list(self.taps), output_fmt="NCHW"
        )
        maps, token = output["image_intermediates"], output["image_features"]
        logits = [head(part) for head, part in zip(self.map_heads, maps, strict=True)]
        return [level.float() for level in (*logits, self.token_head(token))]

    def head_parameters(self) -> list[nn.Parameter]:
        """All that is trained: what an optimizer of the discriminator takes."""
        return [*self.map_heads.parameters(), *self.token_head.parameters()]


class _MapHead(nn.Module):
    """Logits of a feature map, at half its resolution."""

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mix = spectral_norm(nn.Conv2d(channels, _HEAD_CHANNELS, 3, padding=1))
        self.judge = spectral_norm(nn.Conv2d(_HEAD_CHANNELS, 1, 1))
        binomial = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = torch.outer(binomial, binomial).expand(_HEAD_CHANNELS, 1, 3, 3)
        self.register_buffer("kernel", kernel.clone(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) to logits (B, 1, ceil(h / 2), ceil(w / 2))."""
        mixed = F.leaky_relu(self.mix(features), _SLOPE)
        padded = F.pad(mixed, (1, 1, 1, 1), mode="replicate")
        # smoothed before every second pixel is dropped: no aliasing
        smooth = F.conv2d(padded, self.kernel.to(mixed.dtype), stride=2, groups=_HEAD_CHANNELS)
        return self.judge(smooth)  # type: ignore[no-any-return]


def _resize(images: Tensor, size: int) -> Tensor:
    """Shrink by averaging areas; enlarge linearly, where areas would repeat pixels."""
    if images.shape[-2:] == (size, size):
        return images
    if min(images.shape[-2:]) >= size:
        return F.interpolate(images, size=(size, size), mode="area")
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
