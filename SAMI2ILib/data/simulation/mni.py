"""A whole head around the MNI152 brain, whose tissue maps the `nilearn` package carries.

The template is brain only. Sulci, ventricles and cisterns are what its mask leaves beside gray and
white matter; outer CSF, skull, marrow, scalp, muscle, eyes and sinuses are built around it from
rounded shapes, so that no face is in it. Positions in this file are MNI coordinates in mm.
"""

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SAMI2ILib.data.simulation.anatomy import Anatomy, LabelArray, crop, upsample_half
from SAMI2ILib.data.simulation.fields import smooth_noise
from SAMI2ILib.data.simulation.tissues import Tissue
from SAMI2ILib.errors import MissingError
from SAMI2ILib.imaging import read_volume, reorient
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

Shape = tuple[int, int, int]
Triple = tuple[float, float, float]

_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
# Voxels added below the template for the neck and in front of it for the eyes, 1 mm each.
_BELOW, _IN_FRONT = 38, 10


@dataclass(frozen=True)
class _Template:
    """The MNI152 brain on a grid with room for a head; computed once a process.

    Args:
        gray: (K, J, I) float32 in 0..1.
        white: (K, J, I) float32 in 0..1.
        fluid_ridge: (K, J, I) float32, how much more fluid than in 3 mm around.
        white_ridge: (K, J, I) float32, how much more white matter than in 3 mm around.
        hull_mm: (K, J, I) float32, distance from the brain's closed surface, negative within.
        ijk_to_ras: (4, 4) float64.
    """

    gray: FloatArray
    white: FloatArray
    fluid_ridge: FloatArray
    white_ridge: FloatArray
    hull_mm: FloatArray
    ijk_to_ras: NDArray[np.float64]

    @property
    def shape(self) -> Shape:
        k, j, i = self.gray.shape
        return k, j, i

    def xyz(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """MNI coordinates of the voxels, to be broadcast: (I,), (J, 1), (K, 1, 1)."""
        k, j, i = self.shape
        x, y, z = self.ijk_to_ras[:3, 3].astype(np.float32)
        ones = np.float32(1)
        return (
            x + ones * np.arange(i, dtype=np.float32),
            (y + np.arange(j, dtype=np.float32))[:, None],
            (z + np.arange(k, dtype=np.float32))[:, None, None],
        )


def mni_anatomy(rng: np.random.Generator) -> Anatomy:
    """Build a head of random skull, scalp and sinuses around the MNI152 brain.

    Args:
        rng: Source of randomness.

    Returns:
        A rounded head, cut at the neck.

    Raises:
        MissingError: The `nilearn` package is not installed.

    Source:
        ICBM 2009a nonlinear symmetric template (Fonov 2011), copyright McConnell Brain Imaging
        Centre, McGill University; keep its notice with what is derived from it.
    """
    template = _load_template()
    tissue = _build_outside(template, rng)
    brain = _label_brain(template, rng)
    inside = brain != Tissue.AIR
    tissue[inside] = brain[inside]
    return crop(Anatomy(tissue, template.ijk_to_ras, "mni152"))


@lru_cache(maxsize=1)
def _load_template() -> _Template:
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise MissingError(
            "The MNI152 maps are missing: the nilearn package is not installed.",
            "Run: pip install nilearn. Or give a folder of whole-head label maps (--labels).",
        )
    folder = Path(spec.origin).parent / "datasets" / "data"
    maps = []
    for name in ("t1", "gm", "wm"):
        path = folder / _FILE.format(name)
        if not path.is_file():
            raise MissingError(
                f"This nilearn does not carry {path.name}.",
                "Install nilearn 0.11 or later, or give label maps (--labels).",
            )
        maps.append(reorient(read_volume(path), "RAS"))
    ijk_to_ras = maps[0].ijk_to_ras.copy()
    ijk_to_ras[2, 3] -= _BELOW
    pad = ((_BELOW, 0), (0, _IN_FRONT), (0, 0))
    t1, gray, white = (np.pad(m.array_kji, pad) for m in maps)
    gray, white = gray / np.float32(255), white / np.float32(255)
    mask = (t1 > 0) | (gray + white > 0.1)
    _add_cord(mask, white)
    hull = _hull_distance(mask)
    # Outside of the mask there is no fluid to measure: a fold there would be its border.
    fluid = np.maximum(1.0 - gray - white, 0.0) * (hull < 0)
    return _Template(gray, white, _ridge(fluid), _ridge(white), hull, ijk_to_ras)


def _ridge(share: FloatArray) -> FloatArray:
    ridge: FloatArray = np.maximum(share - ndimage.gaussian_filter(share, 3.0), np.float32(0))
    return ridge


def _add_cord(mask: BoolArray, white: FloatArray) -> None:
    """Continue the brain stem, which the template cuts at its lower edge, as a tapering cord."""
    first = _BELOW + 2
    j, i = np.nonzero(mask[first])
    center_j, center_i = j.mean(), i.mean()
    columns = np.arange(mask.shape[2])
    rows = np.arange(mask.shape[1])[:, None]
    for k in range(first):
        below = first - k
        radius = max(11.0 - 0.35 * below, 6.0)
        offset_j = center_j - 0.15 * below
        disk = (rows - offset_j) ** 2 + (columns - center_i) ** 2 < radius**2
        mask[k] = disk
        white[k] = np.maximum(white[k] * disk, disk)


def _hull_distance(mask: BoolArray) -> FloatArray:
    """Distance to the brain closed by 7 mm, negative within, in mm; from half resolution."""
    half = mask[::2, ::2, ::2]
    near = ndimage.distance_transform_edt(~half) * 2 <= 7.0
    hull = ndimage.distance_transform_edt(near) * 2 > 7.0
    hull |= half
    return upsample_half(-_smooth_depth(hull), mask.shape)


def _smooth_depth(half: BoolArray) -> FloatArray:
    """Depth below the surface of a mask at half resolution in mm, negative outside, smooth."""
    signed = ndimage.distance_transform_edt(half) - ndimage.distance_transform_edt(~half)
    smooth: FloatArray = ndimage.gaussian_filter(2 * signed.astype(np.float32), 1.2, mode="nearest")
    return smooth


def _label_brain(template: _Template, rng: np.random.Generator) -> LabelArray:
    """Tissues within the closed brain, `AIR` outside; noise on the maps varies the folds."""
    shape = template.shape
    gray, white, hull = template.gray, template.white, template.hull_mm
    # Averaging 152 brains has washed out narrow sulci and thin blades of white matter; what
    # stands out from its neighborhood is what is left of them.
    fluid = np.maximum(1.0 - gray - white, 0.0)
    fluid = fluid * np.float32(rng.uniform(1.2, 1.6)) + template.fluid_ridge * np.float32(
        rng.uniform(2.5, 5.0)
    )
    fluid += np.float32(0.10) * smooth_noise(shape, 15.0, rng)
    fluid += np.float32(0.08) * smooth_noise(shape, 4.0, rng)
    white = white + template.white_ridge * np.float32(rng.uniform(0.3, 1.2))
    white += np.float32(0.08) * smooth_noise(shape, 6.0, rng)
    inside = hull < 0
    label = np.full(shape, Tissue.GRAY_MATTER, np.uint8)
    label[white > gray] = Tissue.WHITE_MATTER
    label[fluid > np.maximum(gray, white)] = Tissue.CSF
    label[~inside] = Tissue.AIR
    _mark_deep_structures(label, template)
    return label


def _mark_deep_structures(label: LabelArray, template: _Template) -> None:
    """Name ventricles, deep nuclei and brain stem by where they lie in MNI space."""
    x, y, z = template.xyz()
    side = np.abs(x)
    deep = template.hull_mm < -22
    lateral = (side > 3) & (side < 36) & (y > -58) & (y < 38) & (z > -20) & (z < 30)
    third = (side <= 3) & (y > -38) & (y < 22) & (z > -14) & (z < 22)
    fourth = (side < 10) & (y > -54) & (y < -36) & (z > -48) & (z < -18)
    label[(label == Tissue.CSF) & (deep & (lateral | third) | fourth)] = Tissue.VENTRICLE

    solid = (label == Tissue.GRAY_MATTER) | (label == Tissue.WHITE_MATTER)
    central = (side < 35) & (y > -35) & (y < 24) & (z > -12) & (z < 24) & deep
    label[(label == Tissue.GRAY_MATTER) & central] = Tissue.DEEP_GRAY
    thalamus = _ellipsoid(side, y, z, (11, -18, 7), (9, 14, 9)) < 1
    label[solid & thalamus] = Tissue.DEEP_GRAY
    pallidum = _ellipsoid(side, y, z, (20, -4, 0), (4.5, 8, 5)) < 1
    label[solid & pallidum] = Tissue.PALLIDUM
    # The stem's axis leans back on its way down, from (0, -20, -15) to (0, -44, -75).
    axis_y = -20 + 0.4 * (z + 15)
    width = np.clip(19 + 0.18 * (z + 25), 6, 19)
    stem = (z < -16) & ((x / width) ** 2 + ((y - axis_y) / (0.85 * width)) ** 2 < 1)
    label[solid & stem] = Tissue.BRAIN_STEM
    label[solid & stem & (z < -72)] = Tissue.SPINAL_CORD


def _build_outside(template: _Template, rng: np.random.Generator) -> LabelArray:
    """Everything around the brain: CSF, skull, soft tissue, eyes, sinuses, skin."""
    shape, hull = template.shape, template.hull_mm
    noise = [smooth_noise(shape, 30.0, rng) for _ in range(4)]
    inner = np.clip(rng.uniform(1.2, 2.6) + 0.8 * noise[0], 0.4, None)
    diploe = inner + np.clip(rng.uniform(1.4, 2.2) + 0.3 * noise[1], 0.8, None)
    outer = diploe + np.clip(rng.uniform(0.2, 2.4) + 1.2 * noise[2], 0.0, None)
    skull = outer + np.clip(rng.uniform(1.3, 2.2) + 0.3 * noise[1], 0.8, None)
    scalp = skull + np.clip(rng.uniform(4.5, 7.5) + 1.2 * noise[3], 3.0, None)

    depth = _depth_in_head(template, scalp, rng)
    fat = rng.uniform(3.8, 6.5) + 1.0 * noise[3]
    tissue = np.full(shape, Tissue.MUSCLE, np.uint8)
    tissue[smooth_noise(shape, 8.0, rng) > rng.uniform(0.6, 1.2)] = Tissue.FAT
    _, _, z = template.xyz()
    tissue[(smooth_noise(shape, 9.0, rng) > 1.3) & (z < -35)] = Tissue.MARROW
    tissue[depth < fat] = Tissue.FAT
    _add_face(tissue, template, rng)
    tissue[hull < skull] = Tissue.CORTICAL_BONE
    tissue[hull < outer] = Tissue.MARROW
    tissue[hull < diploe] = Tissue.CORTICAL_BONE
    _add_skull_air(tissue, template, rng, skull)
    tissue[hull < inner] = Tissue.CSF
    tissue[depth < rng.uniform(1.6, 2.6)] = Tissue.SKIN
    tissue[depth <= 0] = Tissue.AIR
    return tissue


def _depth_in_head(template: _Template, scalp: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Depth below the head's surface in mm: scalp around the brain, a round face, a neck."""
    x, y, z = (axis[..., ::2] if axis.ndim == 1 else axis for axis in template.xyz())
    y, z = y[::2], z[::2]
    side = np.abs(x)
    half = template.hull_mm[::2, ::2, ::2] < scalp[::2, ::2, ::2]
    wide = rng.uniform(0.93, 1.07)
    face = _ellipsoid(side, y, z, (0, 46, -62), (62 * wide, 50, 60)) < 1
    cheek = _ellipsoid(side, y, z, (0, 10, -60), (72 * wide, 62, 50)) < 1
    neck = (z < -40) & ((x / (58 * wide)) ** 2 + ((y + 28) / 64) ** 2 < 1)
    temple = _ellipsoid(side, y, z, (58, 22, -18), (20, 34, 34)) < 1
    head = (half | face | cheek | neck | temple).astype(np.float32)
    head = ndimage.gaussian_filter(head, 2.5, mode="nearest") > 0.5
    # The neck is cut by the edge of the grid, which is no skin.
    padded = np.pad(head, ((20, 0), (0, 0), (0, 0)), mode="edge")
    return upsample_half(_smooth_depth(padded)[20:], template.shape)


def _add_face(tissue: LabelArray, template: _Template, rng: np.random.Generator) -> None:
    """Orbits with eyes, and the air and mucosa of nose, maxillary sinuses and throat."""
    x, y, z = template.xyz()
    side = np.abs(x)
    eye_y = _eye_position(template)
    orbit = _ellipsoid(side, y, z, (31, eye_y - 9, -36), (17, 22, 17)) < 1
    tissue[orbit] = Tissue.FAT
    muscle = orbit & (np.abs(np.hypot(side - 29, z + 36) - 9) < 1.5) & (y < eye_y - 6)
    tissue[muscle] = Tissue.MUSCLE
    nerve = orbit & (np.hypot(side - 28, z + 36) < 2.2) & (y < eye_y - 8)
    tissue[nerve] = Tissue.WHITE_MATTER
    radius = rng.uniform(11.5, 12.8)
    globe = _ellipsoid(side, y, z, (32, eye_y, -36), (radius + 1, radius + 1, radius + 1))
    tissue[globe < 1] = Tissue.MUSCLE
    globe = _ellipsoid(side, y, z, (32, eye_y, -36), (radius, radius, radius))
    tissue[globe < 1] = Tissue.EYE

    turbinates = smooth_noise(template.shape, 5.0, rng) > rng.uniform(-0.2, 0.8)
    size = rng.uniform(0.8, 1.2, 4)
    cavities: tuple[tuple[Triple, Triple, float], ...] = (
        ((0, 60, -56), (12, 30, 24), size[0]),
        ((27, 54, -68), (13, 16, 15), size[1]),
        ((0, 30, -46), (12, 15, 11), size[2]),
        ((0, 14, -92), (10, 9, 34), size[3]),
    )
    for number, (center, radii, scale) in enumerate(cavities):
        reach = _ellipsoid(side, y, z, center, radii) / np.float32(scale)
        tissue[reach < 1.25] = Tissue.CORTICAL_BONE
        tissue[reach < 1.12] = Tissue.MUCOSA
        hollow = reach < 1.0
        tissue[hollow & ~turbinates if number == 0 else hollow] = Tissue.AIR


def _add_skull_air(
    tissue: LabelArray, template: _Template, rng: np.random.Generator, skull: FloatArray
) -> None:
    """Frontal sinuses in the marrow and air cells in the mastoid bone."""
    x, y, z = template.xyz()
    side = np.abs(x)
    frontal = _ellipsoid(side, y, z, (11, 76, -8), (13, 12, 12)) / np.float32(rng.uniform(0.5, 1.2))
    tissue[(frontal < 1) & (tissue == Tissue.MARROW)] = Tissue.AIR
    mastoid = _ellipsoid(side, y, z, (58, -26, -46), (14, 17, 17)) < 1
    outside = mastoid & (template.hull_mm > skull - 2)
    cells = smooth_noise(template.shape, 3.0, rng) > 0.1
    tissue[outside] = np.where(cells[outside], Tissue.AIR, Tissue.CORTICAL_BONE)


def _eye_position(template: _Template) -> float:
    """How far in front an eye has to lie to be 18 mm from the brain."""
    origin = template.ijk_to_ras[:3, 3]
    i, k = round(32 - origin[0]), round(-36 - origin[2])
    start = round(20 - origin[1])
    far = np.nonzero(template.hull_mm[k, start:, i] > 18)[0]
    return float(start + far[0] + origin[1])


def _ellipsoid(
    x: FloatArray, y: FloatArray, z: FloatArray, center: Triple, radii: Triple
) -> FloatArray:
    """Distance from a center in units of the radii; 1 on the ellipsoid."""
    squared = (
        ((x - np.float32(center[0])) / np.float32(radii[0])) ** 2
        + ((y - np.float32(center[1])) / np.float32(radii[1])) ** 2
        + ((z - np.float32(center[2])) / np.float32(radii[2])) ** 2
    )
    distance: FloatArray = np.sqrt(squared)
    return distance
