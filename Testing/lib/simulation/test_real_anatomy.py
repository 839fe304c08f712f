"""Simulated contrast and anatomy beside real ones; needs SAMI2I_REAL_DATA."""

import numpy as np
import pytest

from SAMI2ILib.data.simulation.anatomy import Anatomy
from SAMI2ILib.data.simulation.head import simulate_head
from SAMI2ILib.data.simulation.options import HeadOptions
from SAMI2ILib.data.simulation.sources import find_label_maps
from SAMI2ILib.data.simulation.tissues import Tissue
from Testing.lib.real_data import REAL_DATA, needs_real_data

pytestmark = needs_real_data


@pytest.fixture(scope="module")
def real_head() -> Anatomy:
    source = find_label_maps(REAL_DATA / "head-labels", [17])[0]
    return source.load(np.random.SeedSequence(0))


def test_label_map_gives_the_volumes_of_an_adult(real_head):
    def milliliters(*tissues: Tissue) -> float:
        return np.count_nonzero(real_head.is_any(*tissues)) / 1000

    assert 300 < milliliters(Tissue.WHITE_MATTER) < 800
    assert 400 < milliliters(Tissue.GRAY_MATTER) < 900
    assert 5 < milliliters(Tissue.EYE) < 25
    assert milliliters(Tissue.FAT) > 200
    assert milliliters(Tissue.MUSCLE) > 100


def test_ratios_of_tissues_are_those_of_real_scans(real_head):
    """White matter is 1; the ranges hold the MNI average and two registered patients."""
    head = simulate_head(real_head, 0, HeadOptions(bias=0.0, noise=(0.0, 0.0, 0.0)))
    tissue = head.tissue.array_kji

    def ratio(contrast: str, of: Tissue) -> float:
        image = head.volumes()[contrast].array_kji
        white = np.median(image[tissue == Tissue.WHITE_MATTER])
        return float(np.median(image[tissue == of]) / white)

    assert 0.55 < ratio("T1", Tissue.GRAY_MATTER) < 0.85
    assert 0.0 < ratio("T1", Tissue.VENTRICLE) < 0.4
    assert 1.15 < ratio("T2", Tissue.GRAY_MATTER) < 1.6
    assert 2.3 < ratio("T2", Tissue.VENTRICLE) < 3.6
    assert 1.1 < ratio("PD", Tissue.GRAY_MATTER) < 1.35
    assert 1.1 < ratio("PD", Tissue.VENTRICLE) < 1.5
