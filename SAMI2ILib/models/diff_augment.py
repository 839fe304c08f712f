"""DiffAugment: random changes that the discriminator sees on real and fake images alike."""

import torch
from torch import Tensor

from SAMI2ILib.errors import InputError, ShapeError

POLICIES = ("color", "translation", "cutout")
DRAWS = 6
"""Uniform numbers that one image needs: two for each policy."""

_BRIGHTNESS = 0.25  # largest shift; the original has 0.5 on a scale twice as long, -1 to 1
_TRANSLATION = 0.125  # largest shift as part of the side
_CUTOUT = 0.5  # side of the square as part of the image's


def diff_augment(images: Tensor, draws: Tensor, policies: tuple[str, ...] = POLICIES) -> Tensor:
    """Change each image by its own random numbers; gradients pass through.

    Args:
        images: (B, C, H, W) float in [0, 1].
        draws: (B, 6) uniform in [0, 1). Equal numbers give an equal change.
        policies: Any of "color" (brightness and contrast; gray has no saturation), "translation"
            (zeros come in) and "cutout" (a square of half the side becomes zero).

    Returns:
        (B, C, H, W); may leave [0, 1] where "color" is on.

    Raises:
        InputError: A policy is unknown.
        ShapeError: `draws` is not (B, 6).

    Source:
        Zhao et al., arXiv 2006.10738.
    """
    if unknown := [name for name in policies if name not in POLICIES]:
        raise InputError(
            f"DiffAugment has no policy {', '.join(unknown)}.", f"It has {', '.join(POLICIES)}."
        )
    if draws.shape != (len(images), DRAWS):
        raise ShapeError(f"draws must be ({len(images)}, {DRAWS}), got {tuple(draws.shape)}.")
    draws = draws.to(images)
    if "color" in policies:
        images = _recolor(images, draws[:, 0], draws[:, 1])
    if "translation" in policies:
        images = _translate(images, draws[:, 2], draws[:, 3])
    if "cutout" in policies:
        images = _cut_out(images, draws[:, 4], draws[:, 5])
    return images


def _recolor(images: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    images = images + _BRIGHTNESS * (2 * brightness - 1).view(-1, 1, 1, 1)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5).view(-1, 1, 1, 1) + mean


def _translate(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    rows = _shifted(height, down)  # (B, H), the row that each row shows
    columns = _shifted(width, right)
    inside = _inside(rows, height)[:, None, :, None] & _inside(columns, width)[:, None, None, :]
    moved = images.gather(2, _index(rows, height)[:, None, :, None].expand_as(images))
    moved = moved.gather(3, _index(columns, width)[:, None, None, :].expand_as(images))
    return moved * inside


def _shifted(size: int, draw: Tensor) -> Tensor:
    reach = int(size * _TRANSLATION + 0.5)
    shift = (draw * (2 * reach + 1)).floor() - reach
    return torch.arange(size, device=draw.device)[None] + shift[:, None].long()


def _inside(numbers: Tensor, size: int) -> Tensor:
    return (numbers >= 0) & (numbers < size)


def _index(numbers: Tensor, size: int) -> Tensor:
    return numbers.clamp(0, size - 1)


def _cut_out(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    rows = _covered(height, down)[:, None, :, None]
    columns = _covered(width, right)[:, None, None, :]
    return images * ~(rows & columns)


def _covered(size: int, draw: Tensor) -> Tensor:
    side = int(size * _CUTOUT + 0.5)
    # as in the original the square's center may be anywhere, so that it may hang over the edge
    first = (draw * (size + (1 - side % 2))).floor() - side // 2
    numbers = torch.arange(size, device=draw.device)[None]
    return (numbers >= first[:, None]) & (numbers < first[:, None] + side)
