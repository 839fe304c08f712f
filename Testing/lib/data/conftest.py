"""Scans of the shipped sample head under other names and in other places."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.imaging.io import write_volume
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

IXI_SUBJECTS = {
    "IXI002-Guys-0828": (("T1", "T2", "PD"), (3.0, (4.0, -3.0, 2.0))),
    "IXI012-HH-1211": (("T1", "T2", "PD"), (-2.0, (1.0, 2.0, -3.0))),
    "IXI013-HH-1212": (("T1", "T2"), (0.0, (0.0, 0.0, 0.0))),
    "IXI014-IOP-1236": (("T1", "T2", "PD"), (0.0, (0.0, 0.0, 0.0))),
}
"""What each subject has, and how it moved between T2 and T1: degrees about S, mm along R, A, S."""


@pytest.fixture(scope="session")
def motion() -> Callable[..., np.ndarray]:
    """Make a rigid motion of RAS mm: degrees about S, then mm along R, A, S."""

    def make(degrees: float, shift_mm: tuple[float, float, float]) -> np.ndarray:
        c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
        matrix = np.eye(4)
        matrix[:2, :2] = [[c, -s], [s, c]]
        matrix[:3, 3] = shift_mm
        return matrix

    return make


@pytest.fixture(scope="session")
def true_motion(motion) -> dict[str, np.ndarray]:
    """RAS mm of the T2 to RAS mm of the T1, of each subject of `ixi_folder`."""
    return {name: motion(*moved) for name, (_, moved) in IXI_SUBJECTS.items()}


@pytest.fixture(scope="session")
def ixi_folder(tmp_path_factory, sample, true_motion) -> Path:
    """Four subjects of three sites, T1 sagittal: one without a PD, one with half a T2."""
    folder = tmp_path_factory.mktemp("ixi")
    for name, (contrasts, _) in IXI_SUBJECTS.items():
        for contrast in contrasts:
            volume = sample(contrast)
            if contrast == "T1":
                moved = true_motion[name] @ volume.ijk_to_ras
                volume = reorient(Volume(volume.array_kji, moved), "PSR")
            (folder / f"IXI-{contrast}").mkdir(exist_ok=True)
            write_volume(volume, folder / f"IXI-{contrast}" / f"{name}-{contrast}.nii.gz")
    broken = folder / "IXI-T2" / "IXI014-IOP-1236-T2.nii.gz"
    broken.write_bytes(broken.read_bytes()[:5000])
    return folder
