"""Losses in image space, of each target where it was measured inside the foreground."""

import torch.nn.functional as F
from torch import Tensor

from SAMI2ILib.training.crops import Crops

_WINDOW = 7  # pixels, scikit-image's default
_C1, _C2 = 0.01**2, 0.03**2  # of images in [0, 1]


def foreground_l1(prediction: Tensor, crops: Crops) -> tuple[Tensor, Tensor]:
    """Mean absolute error of each target where it was measured inside the foreground.

    Args:
        prediction: (B, T, S, S) in [0, 1].
        crops: Of the same size.

    Returns:
        (T,) float32 losses, 0 for a target that no crop of the batch has, and the (T,) counts of
        pixels behind them.
    """
    # Every crop weighs the same, however little foreground it holds.
    difference = (prediction.float() - crops.targets).abs() * crops.valid
    pixels = crops.valid.sum(dim=(2, 3))  # (B, T)
    per_crop = difference.sum(dim=(2, 3)) / pixels.clamp(min=1)
    crops_with_target = (pixels > 0).sum(dim=0)
    return per_crop.sum(dim=0) / crops_with_target.clamp(min=1), pixels.sum(dim=0)


def foreground_dissimilarity(prediction: Tensor, crops: Crops) -> Tensor:
    """1 - SSIM of each target, the mean over the windows inside its measured foreground.

    Args:
        prediction: (B, T, S, S) in [0, 1].
        crops: Of the same size.

    Returns:
        (T,) float32 in [0, 2], 0 for a target that no crop of the batch has.

    Source:
        Wang et al. 2004, with uniform windows of 7 pixels.
    """
    predicted, truth = prediction.float() * crops.valid, crops.targets
    inside = -F.max_pool2d(-crops.valid.float(), _WINDOW, stride=1)  # windows wholly inside
    mean_p, mean_t = _window_mean(predicted), _window_mean(truth)
    variance_p = _window_mean(predicted**2) - mean_p**2
    variance_t = _window_mean(truth**2) - mean_t**2
    covariance = _window_mean(predicted * truth) - mean_p * mean_t
    luminance = (2 * mean_p * mean_t + _C1) / (mean_p**2 + mean_t**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_p + variance_t + _C2)
    dissimilarity = (1 - luminance * structure) * inside
    windows = inside.sum(dim=(2, 3))  # (B, T)
    per_crop = dissimilarity.sum(dim=(2, 3)) / windows.clamp(min=1)
    return per_crop.sum(dim=0) / (windows > 0).sum(dim=0).clamp(min=1)


def _window_mean(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, _WINDOW, stride=1)
