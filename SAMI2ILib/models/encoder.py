"""The encoder: slices are scaled up, standardized and sent through the frozen SAM2 trunk."""

import math
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.models.slice_size import check_size

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INPUT_MULTIPLE = 32
RGB = 3


class Encoder(nn.Module):
    """Turn slices into a feature pyramid.

    A frozen trunk is never trained: its weights require no gradient, it stays in evaluation
    mode whatever is called on the network around it, and it records no graph.

    Args:
        trunk: As `trunk.build_trunk` or `trunk.load_trunk` return it; taken over, not copied.
        frozen: False lets the trunk learn, which only the small from-scratch models need.
        upscale: Factor by which slices are enlarged before the trunk. With 4, the trunk's first
            map, of stride 4, has the slice's own resolution.
        projection: Trained layers behind a trunk that is none of SAM2's; they bring its maps to
            the channels and strides of F1..F4. It has `channels`, finest first.
        mean: Of the images that the trunk was trained on, red, green, blue.
        std: Their standard deviation.

    Raises:
        InputError: `upscale` is not a positive integer.

    Source:
        SAM-I2I, Sec. 2.2: pre-trained, frozen, four scales. Differs: the input size is our
        reading, the paper does not state it.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        trunk: nn.Module,
        frozen: bool = True,
        *,
        upscale: int = 4,
        projection: nn.Module | None = None,
        mean: tuple[float, ...] = IMAGENET_MEAN,
        std: tuple[float, ...] = IMAGENET_STD,
    ) -> None:
        super().__init__()
        if isinstance(upscale, bool) or not isinstance(upscale, int) or upscale < 1:
            raise InputError(f"upscale must be an integer of at least 1, got {upscale!r}.")
        self.trunk = trunk
        self.frozen = frozen
        self.upscale = upscale
        self.projection = projection
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        if frozen:
            trunk.requires_grad_(False)
            self.eval()

    @property
    def channels(self) -> tuple[int, ...]:
        """Channels of F1..F4, finest first."""
        if self.projection is not None:
            return self.projection.channels  # type: ignore[return-value]
        coarsest_first: list[int] = self.trunk.channel_list  # type: ignore[assignment]
        return tuple(reversed(coarsest_first))

    @property
    def size_multiple(self) -> int:
        """Heights and widths of slices must be multiples of this number of pixels."""
        return INPUT_MULTIPLE // math.gcd(INPUT_MULTIPLE, self.upscale)

    def train(self, mode: bool = True) -> Self:
        """Switch training mode; a frozen encoder stays in evaluation mode.

        Args:
            mode: As in `torch.nn.Module.train`.

        Returns:
            The encoder.
        """
        return super().train(mode and not self.frozen)

    def forward(self, slices: Tensor) -> list[Tensor]:
        """Encode slices.

        Args:
            slices: (B, 1, H, W) gray, or (B, 3, H, W) with the slice and its two neighbors; float
                in [0, 1]. H and W are multiples of `size_multiple`.

        Returns:
            F1..F4, finest first; the i-th is (B, C_i, H * upscale / 4 / 2**i, W * upscale / 4 /
            2**i).

        Raises:
            ShapeError: The slices have another number of channels, or a size that the trunk
                cannot take.
        """
        self._check(slices)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.trunk_maps(slices)
        return features if self.projection is None else self.projection(features)

    def trunk_maps(self, slices: Tensor) -> list[Tensor]:
        """What the trunk makes of slices of `forward`, before any projection, finest first."""
        if self.upscale > 1:
            slices = F.interpolate(
                slices, scale_factor=self.upscale, mode="bilinear", align_corners=False
            )
        # Gray becomes three channels here, by broadcasting.
        features: list[Tensor] = self.trunk((slices - self.mean) / self.std)
        return features

    def _check(self, slices: Tensor) -> None:
        if slices.ndim != 4 or slices.shape[1] not in (1, RGB):
            raise ShapeError(
                f"slices must be (B, 1, H, W) or (B, 3, H, W), got {tuple(slices.shape)}."
            )
        check_size(slices, self.size_multiple)
