"""The small simulated head that is shipped: T1 with its true T2 and PD, from the MNI152 maps."""

from pathlib import Path

import numpy as np

from SAMI2ILib.atomic import make_folder
from SAMI2ILib.data.simulation.files import write_int16
from SAMI2ILib.data.simulation.head import SimulatedHead, simulate_head
from SAMI2ILib.data.simulation.options import HeadOptions
from SAMI2ILib.data.simulation.sources import MNI, AnatomySource

SAMPLE_SEED = 152
# Low noise and few gray levels keep the files small: noise is what does not compress.
SAMPLE_OPTIONS = HeadOptions(
    spacing_mm=1.8,
    slice_spacing_mm=1.8,
    slice_thickness_mm=1.8,
    height_mm=152.0,
    margin_mm=2.0,
    deformation=0.6,
    csf_share=0.1,
    lesions=6,
    bias=0.06,
    noise=(0.006, 0.006, 0.005),
    texture=0.8,
    intensity=(64.0, 48.0, 72.0),
)


def simulate_sample() -> SimulatedHead:
    """Simulate the sample head.

    Raises:
        MissingError: The `nilearn` package is not installed.
    """
    anatomy_seed, head_seed = np.random.SeedSequence(SAMPLE_SEED).spawn(2)
    anatomy = AnatomySource(MNI).load(anatomy_seed)
    return simulate_head(anatomy, head_seed, SAMPLE_OPTIONS)


def write_sample(folder: Path) -> None:
    """Write T1, T2, PD and the brain mask of the sample head; 2 MB at most.

    Args:
        folder: Where to; made if needed. Files of the same name are replaced.

    Raises:
        MissingError: The `nilearn` package is not installed.
        OutputError: A file cannot be written.
    """
    head = simulate_sample()
    make_folder(folder)
    for name in ("T1", "T2", "PD", "brain"):
        write_int16(head.volumes()[name], folder / f"{name}.nii.gz", compression=9)
