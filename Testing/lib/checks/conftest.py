"""The simulated head that the software carries, whole and as a brain only."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.assets import asset_path
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.volume import Volume
from Testing.lib.real_data import REAL_DATA


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Volume]:
    volumes = {
        name: read_volume(asset_path("sample", f"{name}.nii.gz"))
        for name in ("T1", "T2", "PD", "brain")
    }
    return volumes.__getitem__


@pytest.fixture(scope="session")
def t1(sample) -> Volume:
    return sample("T1")


@pytest.fixture(scope="session")
def brain_only(sample) -> Callable[[str], Volume]:
    def strip(name: str) -> Volume:
        scan = sample(name)
        return scan.with_array(np.where(sample("brain").array_kji > 0, scan.array_kji, 0))

    return strip


@pytest.fixture(scope="session")
def real_data() -> Path:
    if not os.environ.get("SAMI2I_REAL_DATA"):
        pytest.skip("SAMI2I_REAL_DATA names no folder of real scans")
    return REAL_DATA
