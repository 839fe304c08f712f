"""The simulated head that the software carries, whole and as a brain only."""

from collections.abc import Callable

import numpy as np
import pytest

from SAMI2ILib.imaging.volume import Volume


@pytest.fixture(scope="session")
def t1(sample) -> Volume:
    return sample("T1")


@pytest.fixture(scope="session")
def brain_only(sample) -> Callable[[str], Volume]:
    def strip(name: str) -> Volume:
        scan = sample(name)
        return scan.with_array(np.where(sample("brain").array_kji > 0, scan.array_kji, 0))

    return strip
