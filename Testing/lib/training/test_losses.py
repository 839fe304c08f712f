"""Losses of each crop and target, checked by hand."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from SAMI2ILib.training.crops import Crops
from SAMI2ILib.training.losses import absolute_error, dissimilarity


def crops_of(targets, valid):
    return Crops(torch.zeros_like(targets[:, :1]), targets * valid, valid, torch.zeros(1))


def test_absolute_error_is_the_mean_where_the_target_counts():
    valid = torch.zeros(2, 2, 2, 2, dtype=torch.bool)
    valid[0, 0, 0, 0] = True
    valid[1, 0] = True
    prediction = torch.full((2, 2, 2, 2), 0.2)
    prediction[0, 0, 0, 0] = 0.6
    losses = absolute_error(prediction, crops_of(torch.zeros(2, 2, 2, 2), valid))
    torch.testing.assert_close(losses, torch.tensor([[0.6, 0.0], [0.2, 0.0]]))


def test_dissimilarity_is_one_minus_ssim():
    generator = torch.Generator().manual_seed(0)
    target, prediction = torch.rand(2, 1, 1, 24, 24, generator=generator)
    valid = torch.ones(1, 1, 24, 24, dtype=torch.bool)
    found = dissimilarity(prediction, crops_of(target, valid)).item()
    _, ssim = structural_similarity(
        target[0, 0].numpy(), prediction[0, 0].numpy(), data_range=1.0, full=True,
        use_sample_covariance=False,
    )  # fmt: skip
    assert found == pytest.approx(1 - ssim[3:-3, 3:-3].mean(), abs=1e-5)


def test_dissimilarity_looks_at_windows_inside_the_valid_region_only():
    target = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    valid = torch.zeros(1, 1, 24, 24, dtype=torch.bool)
    valid[..., :12, :12] = True
    prediction = target.clone()
    prediction[..., 12:, :] = 1 - prediction[..., 12:, :]
    assert dissimilarity(prediction, crops_of(target, valid)).item() == pytest.approx(0, abs=1e-5)
    nothing = crops_of(target, torch.zeros_like(valid))
    assert dissimilarity(prediction, nothing).item() == 0
    assert np.isfinite(absolute_error(prediction, nothing).item())
