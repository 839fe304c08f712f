"""Losses in image space, of each crop and target, where the target counts."""

import torch.nn.functional as F
from torch import Tensor

from SAMI2ILib.training.crops import Crops

_WINDOW = 7  # pixels, scikit-image's default
_C1, _C2 = 0.01**2, 0.03**2  # of images in [0, 1]


def absolute_error(prediction: Tensor, crops: Crops) -> Tensor:
    """Mean absolute error of each target where it is valid.

    Args:
        prediction: (B, T, S, S) in [0, 1].
        crops: Of the same size.

    Returns:
        (B, T) float32, 0 for a target that a crop does not have.

    Source:
        SAM-I2I, Eq. 1.
    """
    difference = (prediction.float() - crops.targets).abs() * crops.valid
    # Every crop weighs the same, however little foreground it holds.
    return difference.sum(dim=(2, 3)) / crops.valid.sum(dim=(2, 3)).clamp(min=1)


def dissimilarity(prediction: Tensor, crops: Crops) -> Tensor:
    """1 - SSIM of each target, the mean over the windows that are valid as a whole.

    Args:
        prediction: (B, T, S, S) in [0, 1].
        crops: Of the same size.

    Returns:
        (B, T) float32 in [0, 2], 0 for a target that a crop does not have.

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
    difference = (1 - luminance * structure) * inside
    return difference.sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)


def _window_mean(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, _WINDOW, stride=1)
