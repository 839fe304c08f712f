"""How a simulated head is made and scanned, chosen by hand or drawn."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.simulation.signal import (
    IXI_PD,
    IXI_T1,
    IXI_T2,
    Sequence,
    random_pd_sequence,
    random_t1_sequence,
    random_t2_sequence,
)
from SAMI2ILib.errors import InputError

# Of a length: smaller voxels fill the memory of any computer, larger ones hold no head.
_LEAST_MM, _MOST_MM = 0.2, 400.0
_MOST = 1000.0  # of any amount, lesions among them


@dataclass(frozen=True)
class ScanOptions:
    """How one contrast is scanned; see `HeadOptions`.

    Args:
        sequence: How it is weighted.
        noise: Standard deviation relative to white matter.
        intensity: Value of white matter.
        fat: Signal of fat and marrow over the full one.
        coil: How much brighter the skin is than what lies deep inside.
    """

    sequence: Sequence
    noise: float = 0.02
    intensity: float = 400.0
    fat: float = 0.8
    coil: float = 0.0


@dataclass(frozen=True)
class HeadOptions:
    """How a head is made and scanned; every field has a sensible value.

    Args:
        spacing_mm: Voxel size within a slice.
        slice_spacing_mm: Distance of the slices.
        slice_thickness_mm: Width of a slice.
        orientation: "axial", "sagittal" or "coronal".
        tilt_degrees: Rotation of the slices about the right, anterior and superior axis.
        height_mm: Field of view from the top of the head downwards.
        margin_mm: Air around the head.
        field_strength_t: 1.5 or 3.
        t1: Sequence of the T1.
        t2: Sequence of the T2.
        pd: Sequence of the PD.
        deformation: 0 keeps the anatomy's shape, 1 makes another person.
        mirror: Swap left and right.
        csf_share: Volume of the CSF around the brain over that of the brain; the brain's surface is
            moved until it fits. 0.1 is a young, 0.3 an atrophic brain.
        sulci: How much sulcal CSF gains on gray matter, about -0.35 to 0.2.
        ventricles_mm: Outward shift of the ventricles' walls.
        lesions: Number of white-matter lesions.
        tumor: Add a glioma-like mass with oedema.
        tissue_jitter: Relative spread of relaxation times from head to head.
        texture: Variation within a tissue, 1 is typical.
        blur_mm: Standard deviation of the point spread, at least; it grows with the voxels.
        bias: Spread of the logarithm of the shading, for each contrast on its own.
        noise: Noise (standard deviation) of T1, T2, PD relative to white matter.
        intensity: Value of white matter in T1, T2, PD, in the arbitrary units of a scanner.
        fat: Signal of fat and marrow in T1, T2, PD over the full one (fat suppression, bandwidth).
        skull_stripped: Set what is outside the brain to 0.
        coil: How much brighter than deep inside T1, T2, PD are at the skin, next to the elements of
            a receive coil; 0 where the scanner evens this out.
        further: Contrasts beside T1, T2 and PD, by their name.

    Raises:
        InputError: A length or an amount that no head has, or a further contrast with the name of
            one of the three.
    """

    spacing_mm: float = 1.0
    slice_spacing_mm: float = 1.0
    slice_thickness_mm: float = 1.0
    orientation: str = "axial"
    tilt_degrees: tuple[float, float, float] = (0.0, 0.0, 0.0)
    height_mm: float = 185.0
    margin_mm: float = 5.0
    field_strength_t: float = 1.5
    t1: Sequence = IXI_T1
    t2: Sequence = IXI_T2
    pd: Sequence = IXI_PD
    deformation: float = 1.0
    mirror: bool = False
    csf_share: float = 0.12
    sulci: float = -0.12
    ventricles_mm: float = 0.0
    lesions: int = 0
    tumor: bool = False
    tissue_jitter: float = 0.04
    texture: float = 1.0
    blur_mm: float = 0.6
    bias: float = 0.08
    noise: tuple[float, float, float] = (0.02, 0.02, 0.02)
    intensity: tuple[float, float, float] = (400.0, 300.0, 600.0)
    fat: tuple[float, float, float] = (0.7, 0.8, 0.8)
    skull_stripped: bool = False
    coil: tuple[float, float, float] = (0.0, 0.0, 0.0)
    further: dict[str, ScanOptions] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = (self.spacing_mm, self.slice_spacing_mm, self.slice_thickness_mm, self.height_mm)
        if not all(_LEAST_MM <= length <= _MOST_MM for length in lengths):
            raise InputError(
                f"Spacings, thickness and height must be {_LEAST_MM:g} to {_MOST_MM:g} mm, not "
                f"{', '.join(f'{length:g}' for length in lengths)}."
            )
        scans = self.scans().values()
        amounts = {
            "deformation": self.deformation,
            "lesions": self.lesions,
            "tissue_jitter": self.tissue_jitter,
            "texture": self.texture,
            "blur_mm": self.blur_mm,
            "bias": self.bias,
            "noise": min(scan.noise for scan in scans),
            "csf_share": self.csf_share,
            "coil": min(scan.coil for scan in scans),
        }
        for name, value in amounts.items():
            if not 0 <= value <= _MOST:
                raise InputError(f"{name} must be 0 to {_MOST:g}, not {value:g}.")
        taken = sorted({"T1", "T2", "PD", "tissue", "brain"} & set(self.further))
        if taken:
            raise InputError(f"further must not name {taken[0]!r}: every head has it.")

    def scans(self) -> dict[str, ScanOptions]:
        """Sequence, noise, intensity and fat of every contrast: T1, T2, PD and the further ones."""
        sequences = {"T1": self.t1, "T2": self.t2, "PD": self.pd}
        three = {
            name: ScanOptions(sequence, self.noise[n], self.intensity[n], self.fat[n], self.coil[n])
            for n, (name, sequence) in enumerate(sequences.items())
        }
        return three | self.further

    def to_json(self) -> dict[str, Any]:
        """Give the options as JSON values."""
        return asdict(self)


def random_options(rng: np.random.Generator) -> HeadOptions:
    """Draw options as wide as clinical T1, T2 and PD scans differ, for training.

    Args:
        rng: Source of randomness.
    """
    field_strength_t = float(rng.choice([1.5, 3.0]))
    spacing_mm = rng.uniform(0.7, 1.2)
    slice_spacing_mm = 1.0 if rng.random() < 0.35 else rng.uniform(1.0, 5.5)
    orientation = str(rng.choice(["axial", "sagittal", "coronal"], p=[0.76, 0.14, 0.1]))
    tilt = rng.normal(0.0, 6.0, 3) * (rng.random() < 0.5)
    return HeadOptions(
        spacing_mm=round(spacing_mm, 3),
        slice_spacing_mm=round(slice_spacing_mm, 2),
        slice_thickness_mm=round(slice_spacing_mm * rng.uniform(0.8, 1.0), 2),
        orientation=orientation,
        tilt_degrees=(float(tilt[0]), float(tilt[1]), float(tilt[2])),
        height_mm=rng.uniform(145.0, 200.0),
        margin_mm=rng.uniform(3.0, 14.0),
        field_strength_t=field_strength_t,
        t1=random_t1_sequence(rng, field_strength_t),
        t2=random_t2_sequence(rng),
        pd=random_pd_sequence(rng),
        deformation=rng.uniform(0.4, 1.15),
        mirror=bool(rng.random() < 0.5),
        csf_share=rng.uniform(0.04, 0.24),
        sulci=float(np.clip(rng.normal(-0.12, 0.12), -0.35, 0.2)),
        ventricles_mm=float(np.clip(rng.normal(0.2, 1.9), -2.5, 6.0)),
        lesions=int(rng.choice([0, 0, 1]) * rng.integers(1, 35)),
        tumor=bool(rng.random() < 0.15),
        tissue_jitter=rng.uniform(0.03, 0.10),
        texture=rng.uniform(0.5, 1.6),
        blur_mm=rng.uniform(0.45, 0.75),
        bias=rng.uniform(0.02, 0.22),
        noise=_triple(np.exp(rng.uniform(np.log(0.01), np.log(0.06), 3))),
        intensity=_triple(np.exp(rng.uniform(np.log(120.0), np.log(1500.0), 3))),
        fat=_triple(rng.uniform((0.35, 0.4, 0.45), (1.0, 1.1, 1.3))),
        skull_stripped=bool(rng.random() < 0.3),
        coil=_triple(rng.uniform(0.0, 0.8, 3) * (rng.random(3) < 0.5)),
    )


def ixi_options(rng: np.random.Generator) -> HeadOptions:
    """Draw a head as IXI's healthy adults differ, with IXI's sequences at 1.5 or 3 T.

    Args:
        rng: Source of randomness.
    """
    intensity = (float(rng.uniform(300, 600)), float(rng.uniform(250, 500)), 700.0)
    return HeadOptions(
        field_strength_t=float(rng.choice([1.5, 3.0])),
        mirror=bool(rng.random() < 0.5),
        csf_share=float(rng.uniform(0.06, 0.2)),
        sulci=float(np.clip(rng.normal(-0.12, 0.08), -0.35, 0.2)),
        ventricles_mm=float(np.clip(rng.normal(0.0, 1.2), -2.0, 4.0)),
        intensity=intensity,
    )


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
