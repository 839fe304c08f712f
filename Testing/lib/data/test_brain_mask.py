"""Brain masks: what counts as brain only, and what happens without the template."""

import importlib.util

import numpy as np
import pytest

from SAMI2ILib.data.brain_mask import _read_template, brain_mask, is_brain_only
from SAMI2ILib.errors import InputError, MissingError
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.volume import Volume
from Testing.lib.real_data import REAL_DATA, needs_real_data

SPACING_MM = 4.0
BRAIN_RADIUS_MM = 60.0


def ball(scalp=False, background=0.0):
    """A gray ball with a dark center; with a dark skull and a bright scalp if asked for."""
    axis = (np.arange(44) - 21.5) * SPACING_MM
    k, j, i = np.meshgrid(axis, axis, axis, indexing="ij")
    radius_mm = np.sqrt(k**2 + j**2 + i**2)
    values = np.full(radius_mm.shape, background)
    if scalp:
        values[radius_mm < BRAIN_RADIUS_MM + 14] = 900
        values[radius_mm < BRAIN_RADIUS_MM + 8] = 60
    values[radius_mm < BRAIN_RADIUS_MM] = 500
    values[radius_mm < 12] = 0
    matrix = np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1])
    return Volume(values, matrix, "ball.nii.gz"), radius_mm


def test_mask_of_a_brain_only_scan_covers_its_dark_center():
    volume, radius_mm = ball()
    assert np.array_equal(brain_mask(volume), radius_mm < BRAIN_RADIUS_MM)


def test_head_with_a_dark_skull_is_not_brain_only():
    assert not is_brain_only(ball(scalp=True)[0])


def test_scan_with_noise_in_the_air_is_not_brain_only():
    assert not is_brain_only(ball(background=7.0)[0])


def test_head_without_the_template_says_how_to_get_it(monkeypatch):
    _read_template.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingError, match="pip install nilearn"):
        brain_mask(ball(scalp=True)[0])


@pytest.mark.slow
@needs_real_data
@pytest.mark.parametrize("subject", ["ms-raw-12", "tumor-fg6692", "healthy-chris"])
def test_brain_of_a_real_head_has_a_brain_s_volume(subject):
    volume = read_volume(REAL_DATA / subject / "T1.nii.gz")
    liters = brain_mask(volume).sum() * np.prod(volume.spacing_mm) / 1e6
    assert 1.1 < liters < 1.9


def test_scan_too_small_for_the_template_is_refused():
    small = Volume(np.arange(64.0).reshape(4, 4, 4), np.diag([-1.0, -1.0, 1.0, 1.0]), "tiny.nii.gz")
    with pytest.raises(InputError, match="could not be laid onto 'tiny"):
        brain_mask(small)
