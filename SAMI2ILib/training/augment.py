"""Random changes of a training crop: where it lies, and what the source scanner did to it."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from SAMI2ILib.training.config import Augmentation

_CURVE_SEGMENTS = 6
_CURVE_VARIETY = 0.6
_LARGEST_BLUR = 3.0  # pixels of the working grid that become one
_GAIN = 0.12  # how far one volume's 99.5th percentile misses another's


def cut_crop(
    channels: Tensor,
    center_yx: tuple[float, float],
    size: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Tensor:
    """Cut one square crop, mirrored, turned and zoomed at random, in one interpolation.

    Args:
        channels: (C, H, W) float32; what lies outside counts as 0.
        center_yx: Where the crop's center lies, in pixels from the slice's upper left corner.
        size: Height and width of the crop in pixels.
        augmentation: How far to go.
        rng: Where the random choices come from.

    Returns:
        (C, size, size) float32. A pixel that touches a NaN is NaN.
    """
    _, height, width = channels.shape
    angle = math.radians(rng.uniform(-1, 1) * augmentation.rotation_deg)
    zoom = np.exp(rng.uniform(-1, 1, 2) * math.log1p(augmentation.scale))
    mirror = -1.0 if rng.random() < augmentation.flip else 1.0
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    xy_from_crop = turn @ np.diag([mirror / zoom[0], 1 / zoom[1]])

    # affine_grid speaks of coordinates from -1 to 1 across the whole slice.
    extent = np.array([width, height], dtype=np.float64)
    theta = np.empty((1, 2, 3), dtype=np.float32)
    theta[0, :, :2] = xy_from_crop * size / extent[:, None]
    theta[0, :, 2] = 2 * np.array([center_yx[1], center_yx[0]]) / extent - 1
    grid = F.affine_grid(torch.from_numpy(theta), [1, 1, size, size], align_corners=False)
    return F.grid_sample(channels[None], grid, mode="bilinear", align_corners=False)[0]


def vary_source(
    source: Tensor, foreground: Tensor, augmentation: Augmentation, rng: np.random.Generator
) -> Tensor:
    """Change the source as another scanner or sequence would; the anatomy stays where it is.

    Args:
        source: (C, H, W) float32 in [0, 1], 0 outside the foreground: the slice in the middle, with
            its neighbors before and after it where C is 3. They are changed as one scan.
        foreground: (H, W) bool, of the slice.
        augmentation: How far to go.
        rng: Where the random choices come from.

    Returns:
        (C, H, W) float32 in [0, 1], 0 outside the foreground.
    """
    middle = len(source) // 2
    heads = source > 0
    heads[middle] = foreground
    # Next to bright fat the whole brain is dark: floor and noise are measured by the tissue.
    typical = float(source[middle][foreground].median()) if foreground.any() else 0.0
    varied = _vary_contrast(source, typical, augmentation, rng)
    if augmentation.bias > 0:
        varied = varied * _bias_field(source.shape[1:], augmentation.bias, rng)
        varied = varied / _brightest(varied[middle][foreground])
    if rng.random() < augmentation.blur:
        varied = _blur(varied, rng)
    if augmentation.noise > 0:
        deviation = rng.uniform(0, augmentation.noise) * typical
        varied = _add_rician_noise(varied, deviation, rng)
    return varied.clamp(0, 1) * heads


def _vary_contrast(
    source: Tensor, typical: float, augmentation: Augmentation, rng: np.random.Generator
) -> Tensor:
    varied = source
    if augmentation.dark_floor > 0 and rng.random() < 0.5:
        floor = rng.uniform(0, augmentation.dark_floor) * typical
        varied = ((varied - floor) / (1 - floor)).clamp(min=0)
    if rng.random() < augmentation.remap:
        steps = np.exp(rng.normal(0, _CURVE_VARIETY, _CURVE_SEGMENTS))
        curve = np.concatenate([[0.0], np.cumsum(steps) / steps.sum()])
        knots = np.linspace(0, 1, _CURVE_SEGMENTS + 1)
        varied = torch.from_numpy(np.interp(varied.numpy(), knots, curve).astype(np.float32))
    if augmentation.gamma > 0:
        varied = varied.clamp(min=0) ** math.exp(rng.uniform(-1, 1) * augmentation.gamma)
    return varied


def _bias_field(shape: torch.Size, strength: float, rng: np.random.Generator) -> Tensor:
    """Smooth positive field (H, W) around a random gain."""
    coarse = torch.from_numpy(rng.uniform(-1, 1, (1, 1, 3, 3)).astype(np.float32))
    smooth = F.interpolate(coarse, size=tuple(shape), mode="bicubic", align_corners=True)[0, 0]
    amplitude = rng.uniform(0, strength)
    return torch.exp(amplitude * smooth + rng.uniform(-_GAIN, _GAIN))


def _brightest(values: Tensor) -> float:
    """What to divide by so that, as after normalization, only the last half percent exceeds 1."""
    if values.numel() == 0:
        return 1.0
    return max(1.0, float(torch.quantile(values, 0.995)))


def _blur(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Lose resolution as a coarser matrix does: to fewer pixels and back."""
    shape = tuple(image.shape[1:])
    factors = np.exp(rng.uniform(0, math.log(_LARGEST_BLUR), 2) * (rng.random(2) < 0.7))
    coarse = [max(1, round(n / factor)) for n, factor in zip(shape, factors, strict=True)]
    small = F.interpolate(image[None], size=coarse, mode="area")
    return F.interpolate(small, size=shape, mode="bilinear", align_corners=False)[0]


def _add_rician_noise(image: Tensor, deviation: float, rng: np.random.Generator) -> Tensor:
    noise = rng.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(deviation)
    return torch.hypot(image + torch.from_numpy(noise[0]), torch.from_numpy(noise[1]))
