"""Simulate one head: T1, T2 and PD on one grid, with the tissues and the brain that made them."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.simulation.anatomy import Anatomy, brain_of, vary_cortex
from SAMI2ILib.data.simulation.deform import Deformation, brain_shift_for_csf, random_deformation
from SAMI2ILib.data.simulation.lesions import random_tumor, random_white_matter_lesions
from SAMI2ILib.data.simulation.options import HeadOptions
from SAMI2ILib.data.simulation.scanner import (
    Acquisition,
    add_rician_noise,
    bias_field,
    coil_shading,
    head_box_ras,
    plan_grid,
    scan,
)
from SAMI2ILib.data.simulation.scene import paint, with_blobs
from SAMI2ILib.data.simulation.tissues import Tissue, jitter, tissue_parameters
from SAMI2ILib.imaging import Volume
from SAMI2ILib.imaging.volume import FloatArray

CONTRASTS = ("T1", "T2", "PD")


@dataclass(frozen=True)
class SimulatedHead:
    """What one simulated examination holds, all on one grid.

    Args:
        t1: T1-weighted volume, whole numbers of at least 0.
        t2: T2-weighted volume.
        pd: Proton-density-weighted volume.
        tissue: Values of `Tissue`, the one with the largest fraction.
        brain: 1 in the brain with its ventricles and sulci, else 0.
        further: The further contrasts of the options, by their name.
    """

    t1: Volume
    t2: Volume
    pd: Volume
    tissue: Volume
    brain: Volume
    further: dict[str, Volume] = field(default_factory=dict)

    def volumes(self) -> dict[str, Volume]:
        """Give the volumes by the name of their file."""
        return {
            "T1": self.t1,
            "T2": self.t2,
            "PD": self.pd,
            "tissue": self.tissue,
            "brain": self.brain,
            **self.further,
        }


@dataclass(frozen=True)
class Person:
    """A simulated person before the scan: signals and labels in anatomy space.

    Args:
        anatomy: Varied tissues.
        images: Signal of each contrast, (K, J, I) float32 on the anatomy's grid.
        tissue_kji: (K, J, I) uint8 with lesions.
        brain_kji: (K, J, I) bool.
        deformation: From the head to the anatomy.
    """

    anatomy: Anatomy
    images: dict[str, FloatArray]
    tissue_kji: NDArray[np.uint8]
    brain_kji: NDArray[np.bool_]
    deformation: Deformation


def simulate_head(
    anatomy: Anatomy, seed: int | np.random.SeedSequence, options: HeadOptions | None = None
) -> SimulatedHead:
    """Simulate T1, T2, PD and the further contrasts of one head.

    Args:
        anatomy: Tissues to start from.
        seed: The same seed, anatomy and options give the same voxels, bit for bit.
        options: How the head is made and scanned.

    Raises:
        InputError: An option is out of range.
    """
    options = options or HeadOptions()
    person_seed, scan_seed = _seed_sequence(seed).spawn(2)
    person = make_person(anatomy, person_seed, options)
    acquisition = plan_acquisition(person, options)
    contrasts = (*CONTRASTS, *options.further)
    scans, tissue, brain = scan_person(person, acquisition, scan_seed, options, contrasts)
    t1, t2, pd = (scans.pop(contrast) for contrast in CONTRASTS)
    return SimulatedHead(t1, t2, pd, tissue, brain, scans)


def make_person(anatomy: Anatomy, seed: np.random.SeedSequence, options: HeadOptions) -> Person:
    """Make a person of an anatomy: sulci, ventricles, lesions, shape, and the signal of each voxel.

    Args:
        anatomy: Tissues to start from.
        seed: Source of randomness.
        options: How the head is made.

    Raises:
        InputError: An option is out of range.
    """
    cortex, shape, tissue_values, lesion, scene = (np.random.default_rng(s) for s in seed.spawn(5))
    varied = vary_cortex(anatomy, cortex, options.sulci)
    deformation = random_deformation(
        varied,
        shape,
        amount=options.deformation,
        mirror=options.mirror,
        ventricles_mm=options.ventricles_mm,
        brain_mm=brain_shift_for_csf(varied, options.csf_share),
    )
    blobs = random_white_matter_lesions(varied, lesion, options.lesions)
    if options.tumor:
        blobs += random_tumor(varied, lesion)
    tissues = tissue_parameters(options.field_strength_t)
    scans = options.scans()
    images = paint(
        varied,
        blobs,
        jitter(tissues, tissue_values, options.tissue_jitter),
        {name: scan.sequence for name, scan in scans.items()},
        scene,
        fat={name: scan.fat for name, scan in scans.items()},
        texture=options.texture,
        # The point spread of an MR voxel is about as wide as the voxel.
        blur_mm=max(options.blur_mm, 0.4 * options.spacing_mm),
    )
    tissue = with_blobs(varied, blobs)
    brain = brain_of(replace(varied, tissue_kji=tissue))
    return Person(varied, images, tissue, brain, deformation)


def plan_acquisition(person: Person, options: HeadOptions) -> Acquisition:
    """Plan slices that hold a person's head; the head lies straight, the slices may be tilted."""
    pose = np.eye(4)
    grid = plan_grid(
        head_box_ras(person.anatomy, person.deformation, pose),
        orientation=options.orientation,
        tilt_degrees=np.array(options.tilt_degrees),
        spacing_mm=(options.spacing_mm, options.spacing_mm, options.slice_spacing_mm),
        margin_mm=options.margin_mm,
        height_mm=options.height_mm,
    )
    return Acquisition(grid, options.slice_thickness_mm, pose)


def scan_person(
    person: Person,
    acquisition: Acquisition,
    seed: np.random.SeedSequence,
    options: HeadOptions,
    contrasts: tuple[str, ...],
) -> tuple[dict[str, Volume], Volume, Volume]:
    """Scan a person on one grid.

    Args:
        person: The person.
        acquisition: The slices.
        seed: Source of the shading and the noise.
        options: How the head is scanned.
        contrasts: Which of T1, T2, PD and the further ones.

    Returns:
        The contrasts, the tissue map and the brain mask on the acquisition's grid.
    """
    grid = acquisition.grid
    images = {contrast: person.images[contrast] for contrast in contrasts}
    scans, tissue, brain = scan(
        images,
        person.tissue_kji,
        person.brain_kji,
        person.anatomy,
        person.deformation,
        acquisition,
    )
    volumes = {}
    settings = options.scans()
    for (contrast, scan_options), one_seed in zip(
        settings.items(), seed.spawn(len(settings)), strict=True
    ):
        if contrast not in contrasts:
            continue
        rng = np.random.default_rng(one_seed)
        image = scans[contrast] / _white_matter(person, contrast)
        image *= bias_field(grid.shape_kji, grid.spacing_mm, options.bias, rng)
        if scan_options.coil:
            image *= coil_shading(tissue != Tissue.AIR, grid.spacing_mm, scan_options.coil)
        image = add_rician_noise(image, scan_options.noise, rng)
        if options.skull_stripped:
            image *= brain
        stored = np.rint(np.clip(image * scan_options.intensity, 0, 32767))
        volumes[contrast] = Volume(stored, grid.ijk_to_ras, contrast)
    return (
        volumes,
        Volume(tissue.astype(np.float32), grid.ijk_to_ras, "tissue"),
        Volume(brain.astype(np.float32), grid.ijk_to_ras, "brain"),
    )


def _white_matter(person: Person, contrast: str) -> np.float32:
    """Mean signal of white matter: the unit of noise and of stored intensities."""
    inside = person.tissue_kji == Tissue.WHITE_MATTER
    return np.float32(person.images[contrast][inside].mean()) if inside.any() else np.float32(1)


def _seed_sequence(seed: int | np.random.SeedSequence) -> np.random.SeedSequence:
    return seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
