"""A head as a map of tissues, and how one is made from a whole-head label map."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SAMI2ILib.data.simulation.fields import apply_separable, linear_matrix, smooth_noise
from SAMI2ILib.data.simulation.tissues import BRAIN_TISSUES, Tissue
from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging import Volume, reorient
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

LabelArray = NDArray[np.uint8]

_SOFT_TISSUE = 255  # fat or muscle, decided by depth below the skin

# FreeSurfer numbers in the brain, SimNIBS (charm) numbers outside.
_TISSUE_OF_LABEL: dict[int, int] = {
    0: Tissue.AIR,
    **dict.fromkeys((2, 41, 7, 46, 85, 530), Tissue.WHITE_MATTER),
    **dict.fromkeys((3, 42, 8, 47, 17, 53, 18, 54, 136, 163, 137, 164), Tissue.GRAY_MATTER),
    **dict.fromkeys((10, 49, 11, 50, 12, 51, 26, 58), Tissue.DEEP_GRAY),
    **dict.fromkeys((13, 52), Tissue.PALLIDUM),
    **dict.fromkeys((16, 28, 60), Tissue.BRAIN_STEM),
    **dict.fromkeys((4, 43, 5, 44, 14, 15, 72), Tissue.VENTRICLE),
    512: Tissue.SPINAL_CORD,
    24: Tissue.CSF,
    **dict.fromkeys((25, 57), Tissue.LESION),
    **dict.fromkeys((30, 62, 502, 514), Tissue.BLOOD),
    506: Tissue.EYE,
    507: _SOFT_TISSUE,
    508: Tissue.MUSCLE,
    509: Tissue.MUCOSA,
    511: Tissue.SKIN,
    515: Tissue.CORTICAL_BONE,
    516: Tissue.MARROW,
}


@dataclass(frozen=True)
class Anatomy:
    """Tissues of one head on a grid of about 1 mm.

    Args:
        tissue_kji: (K, J, I) uint8, values of `Tissue`.
        ijk_to_ras: (4, 4) float64, mm; the axes run to the right, anterior and superior.
        name: Where the head comes from.
    """

    tissue_kji: LabelArray
    ijk_to_ras: NDArray[np.float64]
    name: str

    def __post_init__(self) -> None:
        if self.tissue_kji.ndim != 3 or min(self.tissue_kji.shape) < 8:
            raise ShapeError(
                f"tissue_kji must be a volume of at least 8 voxels a side, not of shape "
                f"{self.tissue_kji.shape}."
            )

    @property
    def shape_kji(self) -> tuple[int, int, int]:
        """Shape of the tissue map."""
        k, j, i = self.tissue_kji.shape
        return k, j, i

    def is_any(self, *tissues: Tissue) -> BoolArray:
        """Tell which voxels hold one of `tissues`; (K, J, I) bool."""
        table = np.zeros(256, bool)
        table[list(tissues)] = True
        return table[self.tissue_kji]


def anatomy_from_labels(volume: Volume, rng: np.random.Generator) -> Anatomy:
    """Make an anatomy from a whole-head label map with FreeSurfer and SimNIBS numbers.

    What the map leaves open is drawn: which soft tissue is fat and which muscle. Specks outside the
    head are dropped.

    Args:
        volume: Whole numbers as intensities, in any orientation, about 1 mm.
        rng: Source of randomness.

    Raises:
        InputError: The volume holds a label that the simulator does not know, or no head.
    """
    upright = reorient(volume, "RAS")
    labels = np.rint(upright.array_kji).astype(np.int64)
    tissue = _translate_labels(labels, volume.name)
    head = crop(Anatomy(_keep_head(tissue, volume.name), upright.ijk_to_ras, volume.name))
    return replace(head, tissue_kji=_split_soft_tissue(head.tissue_kji, rng))


def crop(anatomy: Anatomy) -> Anatomy:
    """Cut the air around a head, up to 3 voxels; the rest keeps its place.

    Raises:
        InputError: The anatomy is all air.
    """
    boxes = ndimage.find_objects((anatomy.tissue_kji != Tissue.AIR).view(np.uint8))
    if not boxes or boxes[0] is None:
        raise InputError("The anatomy is empty: it holds no tissue.", "Use a map of a head.")
    start = [max(axis.start - 3, 0) for axis in boxes[0]]
    k, j, i = (slice(first, axis.stop + 3) for first, axis in zip(start, boxes[0], strict=True))
    ijk_to_ras = anatomy.ijk_to_ras.copy()
    ijk_to_ras[:3, 3] += ijk_to_ras[:3, :3] @ np.array(start[::-1], float)
    return Anatomy(np.ascontiguousarray(anatomy.tissue_kji[k, j, i]), ijk_to_ras, anatomy.name)


def vary_cortex(anatomy: Anatomy, rng: np.random.Generator, sulci: float) -> Anatomy:
    """Widen or narrow the sulci, and give the CSF below the skull a dura of varying thickness.

    Args:
        anatomy: The head to vary.
        rng: Source of randomness.
        sulci: How much CSF gains on gray matter: 0 keeps the sulci about as they are, 0.2 opens
            them, -0.2 closes the narrow ones.

    Returns:
        A new anatomy on the same grid.
    """
    tissue = anatomy.tissue_kji.copy()
    shape = anatomy.shape_kji
    gray = anatomy.is_any(Tissue.GRAY_MATTER)
    csf = anatomy.is_any(Tissue.CSF)
    # A voxel sheet of CSF keeps 0.6 of itself under this smoothing: a narrow sulcus survives 0.
    lead = ndimage.gaussian_filter(gray.astype(np.float32) - csf.astype(np.float32), 0.6)
    lead -= np.float32(sulci)
    lead += np.float32(0.08) * smooth_noise(shape, 20.0, rng)
    tissue[(gray | csf) & (lead > 0)] = Tissue.GRAY_MATTER
    tissue[(gray | csf) & (lead <= 0)] = Tissue.CSF

    bone = anatomy.is_any(Tissue.CORTICAL_BONE, Tissue.MARROW).astype(np.float32)
    near_bone = ndimage.gaussian_filter(bone, 1.5)
    limit = rng.uniform(0.06, 0.35) + 0.06 * smooth_noise(shape, 25.0, rng)
    tissue[(tissue == Tissue.CSF) & (near_bone > limit)] = Tissue.DURA
    return replace(anatomy, tissue_kji=tissue)


def brain_of(anatomy: Anatomy) -> BoolArray:
    """Find the brain with its ventricles, fissures and sulci, as a brain extraction would.

    Returns:
        (K, J, I) bool: brain tissue closed by 6 mm, its largest piece, without skull and dura.
    """
    half = anatomy.is_any(*BRAIN_TISSUES)[::2, ::2, ::2]
    if not half.any():
        return np.zeros(anatomy.shape_kji, bool)
    pieces, _ = ndimage.label(half)
    half = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    # Closing by distances, in voxels of the half grid; half a voxel keeps the surface in place.
    near = np.pad(ndimage.distance_transform_edt(~half) <= 3.0, 4, mode="edge")
    inside = ndimage.distance_transform_edt(near)[4:-4, 4:-4, 4:-4] - 3.0
    closed = upsample_half(np.clip(inside, -1.0, 1.0).astype(np.float32), anatomy.shape_kji) > 0
    outside = anatomy.is_any(
        Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.AIR, Tissue.DURA, Tissue.SPINAL_CORD
    )
    return closed & ~outside


def _translate_labels(labels: NDArray[np.int64], name: str) -> LabelArray:
    known = np.full(1024, -1, np.int16)
    known[list(_TISSUE_OF_LABEL)] = list(_TISSUE_OF_LABEL.values())
    inside = (labels >= 0) & (labels < len(known))
    tissue = np.where(inside, known[np.where(inside, labels, 0)], -1)
    if (tissue < 0).any():
        unknown = np.unique(labels[tissue < 0])[:5].tolist()
        raise InputError(
            f"The label map {name!r} holds labels the simulator does not know: {unknown}.",
            "Give whole-head maps with FreeSurfer numbers, and SimNIBS numbers outside the brain.",
        )
    return tissue.astype(np.uint8)


def _keep_head(tissue: LabelArray, name: str) -> LabelArray:
    """Keep the largest connected piece: label maps have specks in the air around."""
    pieces, count = ndimage.label(tissue[::2, ::2, ::2] != Tissue.AIR)
    if count == 0:
        raise InputError(f"The label map {name!r} is empty.", "Give a label map of a head.")
    largest = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    # One coarse voxel of slack keeps the border that the coarse grid misses.
    fine = ndimage.binary_dilation(largest).repeat(2, 0).repeat(2, 1).repeat(2, 2)
    fine = fine[: tissue.shape[0], : tissue.shape[1], : tissue.shape[2]]
    return np.where(fine, tissue, Tissue.AIR).astype(np.uint8)


def depth_below_skin(tissue: LabelArray) -> FloatArray:
    """Distance to the air outside the head, in voxels; sinuses do not count as outside.

    Args:
        tissue: (K, J, I) uint8, values of `Tissue`.

    Returns:
        (K, J, I) float32, 0 outside; computed at half resolution.
    """
    half = tissue[::2, ::2, ::2] == Tissue.AIR
    pieces, _ = ndimage.label(np.pad(half, ((0, 0), (1, 1), (1, 1)), constant_values=True))
    outside = (pieces == pieces[-1, 0, 0])[:, 1:-1, 1:-1]
    depth = ndimage.distance_transform_edt(~outside).astype(np.float32) * 2
    return upsample_half(depth, tissue.shape)


def upsample_half(half: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Interpolate an array sampled at every second voxel back to `shape`."""
    matrices = [
        linear_matrix(np.arange(size) / 2.0, half_size)
        for size, half_size in zip(shape, half.shape, strict=True)
    ]
    return apply_separable(half, *matrices)


def _split_soft_tissue(tissue: LabelArray, rng: np.random.Generator) -> LabelArray:
    """Make the soft tissue fat below the skin and around the eyes, fat and muscle deeper."""
    shape = tissue.shape[0], tissue.shape[1], tissue.shape[2]
    depth = depth_below_skin(tissue)
    fat_depth = rng.uniform(4.5, 8.0) + 1.5 * smooth_noise(shape, 25.0, rng)
    eye = (tissue[::2, ::2, ::2] == Tissue.EYE).astype(np.float32)
    orbit = upsample_half(ndimage.gaussian_filter(eye, 4.0), shape) > 0.02
    planes = smooth_noise(shape, 7.0, rng) > rng.uniform(0.4, 1.0)
    fat = (depth < fat_depth) | orbit | planes
    soft = tissue == _SOFT_TISSUE
    tissue = tissue.copy()
    tissue[soft] = np.where(fat[soft], Tissue.FAT, Tissue.MUSCLE)
    return tissue
