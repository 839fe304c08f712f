"""A volume as networks see it."""

import numpy as np
import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging import Volume, normalize_volume


def test_head_becomes_zero_to_one_and_its_surroundings_zero():
    # A bright cube of 1000 dark-to-bright voxels in noise-free air.
    array = np.zeros((20, 20, 20))
    array[5:15, 5:15, 5:15] = np.linspace(500, 1000, 1000).reshape(10, 10, 10)
    array[0, 0, 0] = 90  # a speck outside the head
    volume = Volume(array, np.diag([-1.0, -1.0, 2.0, 1.0]), "cube")
    normalized = normalize_volume(volume)
    brightest = np.percentile(array[normalized.foreground], 99.5)
    assert normalized.scale.percentile == pytest.approx(brightest)
    inside = normalized.volume.array_kji[5:15, 5:15, 5:15]
    np.testing.assert_allclose(
        inside, np.minimum(array[5:15, 5:15, 5:15] / brightest, 1), rtol=1e-6
    )
    assert not normalized.volume.array_kji[~normalized.foreground].any()
    assert normalized.volume.grid.is_same(volume.grid)
    assert normalized.volume.name == "cube"


def test_percentile_can_be_chosen(make_head):
    head = make_head()
    normalized = normalize_volume(head, 50.0)
    median = np.median(head.array_kji[normalized.foreground])
    assert normalized.scale.percentile == pytest.approx(median)


def test_volume_without_foreground_is_refused():
    with pytest.raises(InputError, match="flat"):
        normalize_volume(Volume(np.zeros((4, 4, 4)), np.eye(4), "flat"))
