"""The tissues of a simulated head and their relaxation times at 1.5 and 3 tesla."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError

FIELD_STRENGTHS_T = (1.5, 3.0)


class Tissue(IntEnum):
    """Label of a tissue in every tissue map that the simulator reads, keeps or writes."""

    AIR = 0
    WHITE_MATTER = 1
    GRAY_MATTER = 2
    DEEP_GRAY = 3
    PALLIDUM = 4
    BRAIN_STEM = 5
    CSF = 6
    VENTRICLE = 7
    DURA = 8
    CORTICAL_BONE = 9
    MARROW = 10
    FAT = 11
    MUSCLE = 12
    SKIN = 13
    MUCOSA = 14
    EYE = 15
    BLOOD = 16
    LESION = 17
    OEDEMA = 18
    TUMOR = 19
    SPINAL_CORD = 20


BRAIN_TISSUES = (
    Tissue.WHITE_MATTER,
    Tissue.GRAY_MATTER,
    Tissue.DEEP_GRAY,
    Tissue.PALLIDUM,
    Tissue.BRAIN_STEM,
    Tissue.VENTRICLE,
    Tissue.LESION,
    Tissue.OEDEMA,
    Tissue.TUMOR,
)


@dataclass(frozen=True)
class TissueParameters:
    """Relaxation times in ms and proton density in 0..1 (1 is pure water), one value a tissue.

    Args:
        t1_ms: (tissues,) float64, longitudinal relaxation.
        t2_ms: (tissues,) float64, transverse relaxation in a spin echo.
        t2_star_ms: (tissues,) float64, decay of a gradient echo.
        proton_density: (tissues,) float64 in 0..1.
    """

    t1_ms: NDArray[np.float64]
    t2_ms: NDArray[np.float64]
    t2_star_ms: NDArray[np.float64]
    proton_density: NDArray[np.float64]


# (T1 1.5 T, T1 3 T, T2 1.5 T, T2 3 T, T2* 1.5 T, T2* 3 T, proton density).
#
# White and cortical gray matter: T1 Rooney 2007 (1.5 T) and Wansapura 1999 (3 T), T2 Stanisz 2005
# and Wansapura 1999, T2* Peters 2007. CSF: T1 Lin 2001; T2 as BrainWeb (Kwan 1999), which is what
# flow leaves of the second or more of CSF at rest and gives real scans' ratio of CSF to white
# matter. Deep gray matter: Wansapura 1999, T2* Peters 2007. Muscle, fat and marrow:
# Gold 2004; the long T2 of fat is the effective one of a fast spin echo, whose short echo
# spacing suppresses J-coupling. Blood: Stanisz 2005. Skin: Richard 1991. Cortical bone: Du 2010.
# MS lesion and oedema: Stevenson 2000, Just 1988. Proton density: Volz 2012, BrainWeb
# (Kwan 1999) outside the brain. Dura, mucosa and vitreous body are textbook orders of magnitude.
_TABLE: dict[Tissue, tuple[float, float, float, float, float, float, float]] = {
    Tissue.AIR: (1000.0, 1000.0, 10.0, 10.0, 5.0, 5.0, 0.0),
    Tissue.WHITE_MATTER: (656.0, 832.0, 82.0, 79.6, 66.2, 53.2, 0.70),
    Tissue.GRAY_MATTER: (1188.0, 1400.0, 95.0, 94.0, 84.0, 66.0, 0.83),
    Tissue.DEEP_GRAY: (950.0, 1160.0, 84.0, 78.0, 58.8, 41.3, 0.78),
    Tissue.PALLIDUM: (780.0, 990.0, 68.0, 60.0, 42.0, 28.0, 0.74),
    Tissue.BRAIN_STEM: (760.0, 950.0, 82.0, 79.0, 64.0, 52.0, 0.74),
    Tissue.CSF: (4100.0, 4160.0, 329.0, 329.0, 250.0, 200.0, 1.00),
    Tissue.VENTRICLE: (4100.0, 4160.0, 329.0, 329.0, 250.0, 200.0, 1.00),
    Tissue.DURA: (900.0, 1100.0, 38.0, 35.0, 18.0, 14.0, 0.65),
    Tissue.CORTICAL_BONE: (200.0, 230.0, 0.6, 0.5, 0.4, 0.3, 0.20),
    Tissue.MARROW: (288.0, 365.0, 135.0, 120.0, 22.0, 14.0, 0.70),
    Tissue.FAT: (288.0, 371.0, 165.0, 133.0, 45.0, 35.0, 0.95),
    Tissue.MUSCLE: (1130.0, 1420.0, 38.0, 34.0, 28.0, 23.0, 0.79),
    Tissue.SKIN: (890.0, 1050.0, 32.0, 29.0, 18.0, 13.0, 0.72),
    Tissue.MUCOSA: (1150.0, 1400.0, 120.0, 110.0, 40.0, 30.0, 0.88),
    Tissue.EYE: (3900.0, 4000.0, 400.0, 380.0, 250.0, 200.0, 0.99),
    Tissue.BLOOD: (1441.0, 1932.0, 290.0, 275.0, 150.0, 60.0, 0.85),
    Tissue.LESION: (1250.0, 1450.0, 165.0, 150.0, 110.0, 90.0, 0.87),
    Tissue.OEDEMA: (1400.0, 1650.0, 190.0, 175.0, 120.0, 95.0, 0.90),
    Tissue.TUMOR: (1900.0, 2250.0, 290.0, 270.0, 150.0, 120.0, 0.93),
    Tissue.SPINAL_CORD: (760.0, 950.0, 82.0, 79.0, 64.0, 52.0, 0.74),
}


def tissue_parameters(field_strength_t: float) -> TissueParameters:
    """Give the literature values of every tissue at one field strength.

    Args:
        field_strength_t: 1.5 or 3, in tesla.

    Raises:
        InputError: Another field strength.
    """
    if field_strength_t not in FIELD_STRENGTHS_T:
        raise InputError(
            f"field_strength_t must be 1.5 or 3 tesla, not {field_strength_t:g}.",
            "The tissue table has literature values for these two only.",
        )
    at_3t = int(field_strength_t == 3.0)
    rows = np.array([_TABLE[tissue] for tissue in Tissue], dtype=np.float64)
    return TissueParameters(rows[:, at_3t], rows[:, 2 + at_3t], rows[:, 4 + at_3t], rows[:, 6])


def jitter(
    parameters: TissueParameters, rng: np.random.Generator, amount: float
) -> TissueParameters:
    """Vary the values as one head differs from the next.

    T1, T2 and T2* of a tissue are scaled by log-normal factors of relative spread `amount`, which
    share half of their variance (more water lengthens both); proton density by a third of it.
    Both kinds of CSF keep one common value.

    Args:
        parameters: Values to start from.
        rng: Source of randomness.
        amount: Relative standard deviation, 0.05 is 5 %.

    Raises:
        InputError: A negative amount.
    """
    if amount < 0:
        raise InputError(f"amount must be 0 or more, not {amount:g}.")
    size = len(Tissue)
    water, own_t1, own_t2, own_star = amount * rng.standard_normal((4, size)) * np.sqrt(0.5)
    density = amount / 3 * rng.standard_normal(size)
    for values in (water, own_t1, own_t2, own_star, density):
        values[Tissue.VENTRICLE] = values[Tissue.CSF]
    return TissueParameters(
        parameters.t1_ms * np.exp(water + own_t1),
        parameters.t2_ms * np.exp(water + own_t2),
        parameters.t2_star_ms * np.exp(water + own_star),
        np.minimum(parameters.proton_density * np.exp(density), 1.0),
    )


# Of gadopentetate in plasma at 37 degrees C and 1.5 T, per second and mmol/l: Rohrer 2005. Other
# agents and 3 T lie within a fifth of it, which is less than what a dose varies in a tissue.
RELAXIVITY_1 = 4.1
RELAXIVITY_2 = 4.6


def with_contrast_agent(
    parameters: TissueParameters, concentration_mmol_l: Mapping[str, float]
) -> TissueParameters:
    """Shorten relaxation times as a gadolinium agent does: 1/T = 1/T0 + r C.

    Args:
        parameters: Values before the injection.
        concentration_mmol_l: For names of `Tissue`, e.g. {"BLOOD": 0.4}; the others take up none.

    Raises:
        InputError: A negative concentration, or a name that is no tissue.
    """
    concentration = np.zeros(len(Tissue))
    for name, value in concentration_mmol_l.items():
        if name not in Tissue.__members__ or not value >= 0:
            raise InputError(
                f"concentration_mmol_l must give tissues 0 or more, not {name!r}: {value}.",
                f"The tissues are {', '.join(Tissue.__members__)}.",
            )
        concentration[Tissue[name]] = value
    faster_1, faster_2 = (r * concentration / 1000 for r in (RELAXIVITY_1, RELAXIVITY_2))
    return TissueParameters(
        1 / (1 / parameters.t1_ms + faster_1),
        1 / (1 / parameters.t2_ms + faster_2),
        1 / (1 / parameters.t2_star_ms + faster_2),
        parameters.proton_density,
    )
