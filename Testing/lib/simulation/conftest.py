"""A head of nested balls as a label map, small enough to simulate in a fraction of a second."""

from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.data.simulation.anatomy import Anatomy, anatomy_from_labels
from SAMI2ILib.imaging import Volume, write_volume

# Outer radius in mm and FreeSurfer or SimNIBS number of each shell.
SHELLS = ((88, 511), (84, 507), (78, 515), (72, 24), (68, 3), (60, 2), (14, 4))
SPACING_MM = 4.0


def ball_head(size: int = 50) -> Volume:
    """Skin, soft tissue, bone, CSF, gray matter, white matter and a ventricle around RAS 0."""
    position = (np.arange(size) - (size - 1) / 2) * SPACING_MM
    radius = np.sqrt(position[:, None, None] ** 2 + position[:, None] ** 2 + (1.15 * position) ** 2)
    labels = np.zeros(radius.shape, np.float32)
    for outer, label in SHELLS:
        labels[radius < outer] = label
    matrix = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
    matrix[:3, 3] = position[0]
    return Volume(labels, matrix, "ball.nii.gz")


@pytest.fixture(scope="session")
def label_map() -> Volume:
    return ball_head()


@pytest.fixture(scope="session")
def anatomy(label_map: Volume) -> Anatomy:
    return anatomy_from_labels(label_map, np.random.default_rng(0))


@pytest.fixture(scope="session")
def label_folder(tmp_path_factory: pytest.TempPathFactory, label_map: Volume) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    write_volume(label_map, folder / "head-a.nii.gz")
    write_volume(label_map, folder / "head-b.nii.gz")
    return folder
