"""The convolutions that CycleGAN and ResViT share: down to a quarter, residual blocks, back up."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

Norm = Callable[[int], nn.Module]
"""Builds the norm layer of so many channels."""

STRIDE = 4
"""Pixels of a slice along one of the middle's."""

SMALLEST_MULTIPLE = 2 * STRIDE
"""Of slices: a middle of a single pixel cannot be reflected at its border."""

MIDDLE = 4
"""Channels of the middle, in widths of the first layer."""


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to what came in.

    Args:
        channels: In and out.
        norm: Behind each convolution.
        bias: Whether the convolutions have one; a batch norm makes it redundant.

    Source:
        CycleGAN, arXiv 1703.10593, Sec. 7.2 (R256).
    """

    def __init__(self, channels: int, norm: Norm, bias: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
        self.first_norm = norm(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect", bias=bias)
        self.second_norm = norm(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same size."""
        middle = F.relu(self.first_norm(self.first(features)))
        return features + self.second_norm(self.second(middle))  # type: ignore[no-any-return]


def encoding_layers(channels: int, width: int, norm: Norm, bias: bool) -> nn.Sequential:
    """Build c7s1-k, d2k, d4k: (B, channels, H, W) to (B, 4 * width, H / 4, W / 4).

    Source:
        CycleGAN, Sec. 7.2, with k = `width`.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect", bias=bias),
        norm(width),
        nn.ReLU(),
    ]
    for entering in (width, 2 * width):
        layers += [
            nn.Conv2d(entering, 2 * entering, 3, stride=2, padding=1, bias=bias),
            norm(2 * entering),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def rising_layers(channels: int, width: int, norm: Norm, bias: bool) -> list[nn.Module]:
    """Build a convolution of stride 1/2 with norm and rectifier: twice the height and width."""
    return [
        nn.ConvTranspose2d(channels, width, 3, stride=2, padding=1, output_padding=1, bias=bias),
        norm(width),
        nn.ReLU(),
    ]


def decoding_layers(width: int, norm: Norm, bias: bool) -> nn.Sequential:
    """Build u2k, uk, c7s1-1: (B, 4 * width, h, w) to (B, 1, 4 * h, 4 * w), before the tanh.

    Source:
        CycleGAN, Sec. 7.2, with k = `width`. Differs: one channel.
    """
    return nn.Sequential(
        *rising_layers(4 * width, 2 * width, norm, bias),
        *rising_layers(2 * width, width, norm, bias),
        nn.Conv2d(width, 1, 7, padding=3, padding_mode="reflect"),
    )
