"""The cases that the checks are set on and tested on: simulated scans of heads, and no heads."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from SAMI2ILib.checks.training import shapes
from SAMI2ILib.data.simulation.anatomy import Anatomy, anatomy_from_labels
from SAMI2ILib.data.simulation.fields import smooth_noise
from SAMI2ILib.data.simulation.head import make_person, plan_acquisition, scan_person
from SAMI2ILib.data.simulation.options import HeadOptions, ScanOptions, random_options
from SAMI2ILib.data.simulation.signal import random_enhanced_t1_sequence, random_flair_sequence
from SAMI2ILib.data.simulation.tissues import Tissue
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.volume import Volume

CONTRASTS = ("T1", "T1CE", "T2", "PD", "FLAIR")
OTHER = "other"
# Hounsfield units plus 1000, as CT volumes are stored that may not be negative.
_CT = {
    Tissue.AIR: 0, Tissue.CORTICAL_BONE: 2300, Tissue.MARROW: 1500, Tissue.FAT: 900,
    Tissue.VENTRICLE: 1008, Tissue.CSF: 1010, Tissue.WHITE_MATTER: 1029, Tissue.EYE: 1010,
}  # fmt: skip
_CT_SOFT = 1040
_STEP = 2  # label maps are halved to 2 mm: the checks look at blocks of that size anyway


@dataclass(frozen=True, eq=False)
class Case:
    """One scan with what it is.

    Attributes:
        kind: One of `CONTRASTS`, or "other".
        group: The head's number or the family's name; cases of one group are not independent.
        volume: The scan.
    """

    kind: str
    group: str
    volume: Volume


def head_cases(path: Path, seed: np.random.SeedSequence, group: str) -> Iterator[Case]:
    """Simulate one person in every contrast, and as a CT.

    Args:
        path: A whole-head label map.
        seed: Source of randomness.
        group: What the cases are called.
    """
    anatomy_seed, option_seed, person_seed, scan_seed = seed.spawn(4)
    rng = np.random.default_rng(option_seed)
    options = _options(rng)
    anatomy = anatomy_from_labels(_read_halved(path), np.random.default_rng(anatomy_seed))
    person = make_person(_with_fine_vessels(anatomy, rng), person_seed, options)
    hounsfield = np.full(len(Tissue), _CT_SOFT, np.float32)
    hounsfield[list(_CT)] = list(_CT.values())
    person = replace(person, images=person.images | {"CT": hounsfield[person.tissue_kji]})
    acquisition = plan_acquisition(person, options)
    names = (*CONTRASTS, "CT")
    volumes, _, _ = scan_person(person, acquisition, scan_seed, options, names)
    for contrast in CONTRASTS:
        yield Case(contrast, group, volumes[contrast])
    yield Case(OTHER, "CT", volumes["CT"])


def other_cases(
    families: tuple[shapes.Family, ...], count: int, seed: np.random.SeedSequence
) -> Iterator[Case]:
    """Make `count` things of each family."""
    for family, one_seed in zip(families, seed.spawn(len(families)), strict=True):
        for each in one_seed.spawn(count):
            volume = family(np.random.default_rng(each))
            yield Case(OTHER, family.__name__, volume)


def _options(rng: np.random.Generator) -> HeadOptions:
    """As wide as `random_options`, in voxels no finer than the checks look at."""
    options = random_options(rng)
    flair = random_flair_sequence(rng, options.field_strength_t)
    enhanced = random_enhanced_t1_sequence(rng, options.field_strength_t)
    further = {
        "FLAIR": ScanOptions(flair, _noise(rng), 400.0, rng.uniform(0.3, 1.0)),
        "T1CE": ScanOptions(enhanced, _noise(rng), 400.0, rng.uniform(0.35, 1.0)),
        "CT": ScanOptions(options.pd, 0.005, 1029.0),  # its image comes from a table
    }
    return replace(
        options,
        spacing_mm=float(rng.uniform(1.8, 2.4)),
        slice_spacing_mm=max(options.slice_spacing_mm, 2.0),
        slice_thickness_mm=max(options.slice_thickness_mm, 2.0),
        blur_mm=0.9,
        further=further,
    )


def _noise(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(0.01), np.log(0.06))))


@lru_cache(maxsize=32)
def _read_halved(path: Path) -> Volume:
    """A label map at twice its voxel size, a value of each second voxel."""
    upright = reorient(read_volume(path), "RAS")
    matrix = upright.ijk_to_ras.copy()
    matrix[:3, :3] *= _STEP
    return Volume(upright.array_kji[::_STEP, ::_STEP, ::_STEP], matrix, upright.name)


def _with_fine_vessels(anatomy: Anatomy, rng: np.random.Generator) -> Anatomy:
    """Add what label maps leave out and a contrast agent shows: cortical veins, choroid plexus.

    Where a random field crosses 0 it cuts the sheets of CSF in the sulci along lines.
    """
    tissue = anatomy.tissue_kji.copy()
    veins = np.abs(smooth_noise(anatomy.shape_kji, 7.0, rng)) < rng.uniform(0.03, 0.1)
    tissue[veins & anatomy.is_any(Tissue.CSF)] = Tissue.BLOOD
    plexus = smooth_noise(anatomy.shape_kji, 6.0, rng) > rng.uniform(1.0, 1.8)
    tissue[plexus & anatomy.is_any(Tissue.VENTRICLE)] = Tissue.MUCOSA  # as leaky as that
    return replace(anatomy, tissue_kji=tissue)
