"""Validation measures what inference would give, against an independent computation."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio

from SAMI2ILib.training.distributed import World
from SAMI2ILib.training.validation import METRICS, mean_intensities, translate_slice, validate


@pytest.fixture
def session(config):
    """A network that returns half of its source for every target."""
    network = torch.nn.Identity()
    network.size_multiple = 8
    return SimpleNamespace(
        config=config,
        world=World(),
        device="cpu",
        network=network,
        translate=lambda source: (0.5 * source[:, :1]).expand(-1, 2, -1, -1),
    )


def test_metrics_are_means_over_slices_then_subjects(session, selection):
    pairs = selection.training[0]
    found = validate(session, pairs)
    assert (found["T2"]["subjects"], found["PD"]["subjects"]) == (2, 1)
    brain_nrmse, psnr = [], []
    for pair in pairs:
        of_slices = []
        for number in range(len(pair)):
            item = pair.read(number)
            guess = 0.5 * item.source[0] * item.foreground
            inside = item.foreground if item.brain is None else item.brain
            of_slices.append(
                (
                    normalized_root_mse(item.targets[0][inside], guess[inside]),
                    peak_signal_noise_ratio(item.targets[0], guess, data_range=1.0),
                )
            )
        brain_nrmse.append(np.mean([row[0] for row in of_slices]))
        psnr.append(np.mean([row[1] for row in of_slices]))
    assert found["T2"]["brain_nrmse"] == pytest.approx(np.mean(brain_nrmse), rel=1e-5)
    assert found["T2"]["psnr"] == pytest.approx(np.mean(psnr), rel=1e-5)
    assert found["T2"]["psnr_sd"] == pytest.approx(np.std(psnr, ddof=1), rel=1e-5)
    assert found["T2"].keys() == {"subjects", *METRICS, *(f"{m}_sd" for m in METRICS)}


def test_slices_of_any_size_are_translated_and_black_outside_the_head(session, selection):
    bert = selection.training[0][1]
    output = translate_slice(session, bert, 0)
    assert output.shape == (2, 68, 64)
    assert not output[:, ~bert.read(0).foreground].any()
    assert output.max() > 0.3


def test_mean_intensity_counts_what_the_losses_look_at(selection):
    pairs = selection.training[0]
    means = mean_intensities(pairs, ("T2", "PD"), "foreground")
    assert means["PD"] == pytest.approx(0.5, abs=1e-3)
    assert mean_intensities(pairs, ("T2", "PD"), "image")["PD"] < 0.45
