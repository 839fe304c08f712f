"""Smooth, invertible random deformations of a head, as a map from output to anatomy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from SAMI2ILib.data.simulation.anatomy import Anatomy
from SAMI2ILib.data.simulation.tissues import BRAIN_TISSUES, Tissue

Points = NDArray[np.float64]  # (..., 3) RAS mm

# A cubic B-spline deformation is invertible while every coefficient stays below this share of the
# control point spacing (Choi and Lee 2000, 1 / K in 3D); a little less leaves a margin.
INVERTIBLE_SHARE = 0.38
# Displacing along the gradient of a bump of Gaussian width s turns inside out at 0.6 s a step.
_LOCAL_SHARE = 0.45
_LOCAL_WIDTH_MM = 5.0


@dataclass(frozen=True)
class BSplineField:
    """A displacement field of cubic B-splines.

    Args:
        coefficients_mm: (3, k, j, i) float64, displacement along R, A, S.
        origin_ras: (3,) position of coefficient [0, 0, 0] in mm.
        spacing_mm: Distance of the control points.
    """

    coefficients_mm: NDArray[np.float64]
    origin_ras: Points
    spacing_mm: float

    def displacement(self, points_ras: Points) -> Points:
        """Displacement in mm at (..., 3) points; constant outside the lattice."""
        index = np.moveaxis((points_ras - self.origin_ras) / self.spacing_mm, -1, 0)[::-1]
        return np.stack(
            [
                ndimage.map_coordinates(c, index, order=3, mode="nearest", prefilter=False)
                for c in self.coefficients_mm
            ],
            axis=-1,
        )


@dataclass(frozen=True)
class LocalField:
    """A pull towards (or away from) a structure, along the gradient of its smoothed mask.

    Args:
        gradient: (3, K, J, I) float32 along R, A, S; its largest length is 1.
        ras_to_index: (4, 4) from RAS mm to index (i, j, k) of `gradient`.
        step_mm: Displacement of one step where the gradient is 1; positive widens the structure.
        steps: Number of steps; each is invertible, so is their chain.
    """

    gradient: NDArray[np.float32]
    ras_to_index: NDArray[np.float64]
    step_mm: float
    steps: int

    def pull(self, points_ras: Points) -> Points:
        """Move (..., 3) points."""
        for _ in range(self.steps):
            index = points_ras @ self.ras_to_index[:3, :3].T + self.ras_to_index[:3, 3]
            index = np.moveaxis(index, -1, 0)[::-1]
            moved = [
                ndimage.map_coordinates(g, index, order=1, mode="nearest") for g in self.gradient
            ]
            points_ras = points_ras + self.step_mm * np.stack(moved, axis=-1)
        return points_ras


@dataclass(frozen=True)
class Deformation:
    """Where in the anatomy each point of the simulated head lies.

    Args:
        affine: (4, 4) RAS mm of the simulated head to RAS mm of the anatomy, after the splines.
        splines: Displacements that are added first, each seen from the same point.
        local: Widening of the ventricles and of the brain, in anatomy space, in this order.
    """

    affine: NDArray[np.float64]
    splines: tuple[BSplineField, ...] = ()
    local: tuple[LocalField, ...] = ()

    def pull(self, points_ras: Points) -> Points:
        """Map (..., 3) points of the simulated head to points of the anatomy, both RAS mm."""
        moved = points_ras
        for spline in self.splines:
            moved = moved + spline.displacement(points_ras)
        moved = moved @ self.affine[:3, :3].T + self.affine[:3, 3]
        for field in self.local:
            moved = field.pull(moved)
        return moved


def rotation_matrix(degrees: Points) -> NDArray[np.float64]:
    """Rotation about R, then A, then S by (3,) angles in degrees; (3, 3) float64."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    about_r = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_a = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_s = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_s @ about_a @ about_r, dtype=np.float64)


def random_deformation(
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    amount: float,
    mirror: bool,
    ventricles_mm: float,
    brain_mm: float,
) -> Deformation:
    """Draw a deformation; the simulated brain is centered at RAS 0.

    Args:
        anatomy: The head that will be deformed.
        rng: Source of randomness.
        amount: 0 for none, 1 for as different as two people (up to about 10 degrees, 10 % of size
            and 6 mm of shape).
        mirror: Swap left and right.
        ventricles_mm: How far the walls of the ventricles move outwards; negative narrows them.
        brain_mm: How far the surface of the brain moves towards the skull; negative shrinks it.
    """
    center = _brain_center(anatomy)
    linear = rotation_matrix(amount * rng.normal(0.0, [4.0, 2.5, 3.0]))
    linear = linear @ np.diag(np.exp(amount * rng.normal(0.0, 0.05, 3)))
    shear = np.eye(3)
    shear[np.triu_indices(3, 1)] = amount * rng.normal(0.0, 0.02, 3)
    linear = linear @ shear
    if mirror:
        linear = np.diag([-1.0, 1.0, 1.0]) @ linear
    affine = np.eye(4)
    affine[:3, :3] = linear
    affine[:3, 3] = center
    splines = (
        _random_spline(rng, 60.0, 0.05 * amount),
        _random_spline(rng, 28.0, 0.03 * amount),
    )
    fields = (
        _widening(anatomy, (Tissue.VENTRICLE,), ventricles_mm),
        _widening(anatomy, BRAIN_TISSUES, brain_mm),
    )
    return Deformation(
        affine, splines if amount > 0 else (), tuple(f for f in fields if f is not None)
    )


def brain_shift_for_csf(anatomy: Anatomy, csf_share: float) -> float:
    """How far the brain's surface has to move so that the CSF around it has a given volume.

    Args:
        anatomy: The head.
        csf_share: Wanted volume of the CSF outside the ventricles over that of the brain.

    Returns:
        Outward shift in mm, -2 to 6; 0 where the head has no brain.
    """
    brain = anatomy.is_any(*BRAIN_TISSUES)[::2, ::2, ::2]
    csf_voxels = np.count_nonzero(anatomy.is_any(Tissue.CSF)[::2, ::2, ::2])
    brain_voxels = np.count_nonzero(brain)
    if brain_voxels == 0:
        return 0.0
    # The surface of a ball of the volume of brain and CSF, a third more for its real shape.
    volume_mm3 = 8.0 * (brain_voxels + csf_voxels)
    surface_mm2 = 1.33 * 4.836 * volume_mm3 ** (2 / 3)
    shift = 8.0 * (csf_voxels - csf_share * brain_voxels) / surface_mm2
    return float(np.clip(shift, -2.0, 6.0))


def _brain_center(anatomy: Anatomy) -> Points:
    index = np.argwhere(anatomy.is_any(Tissue.WHITE_MATTER)[::2, ::2, ::2]) * 2.0
    center_ijk = index.mean(axis=0)[::-1] if len(index) else np.array(anatomy.shape_kji[::-1]) / 2
    center: Points = anatomy.ijk_to_ras[:3, :3] @ center_ijk + anatomy.ijk_to_ras[:3, 3]
    return center


def _random_spline(rng: np.random.Generator, spacing_mm: float, share: float) -> BSplineField:
    """Coefficients of spread `share` of the spacing on a lattice 300 mm wide."""
    nodes = int(np.ceil(300.0 / spacing_mm)) + 3
    # Two levels are added, so each gets half of what keeps the sum invertible.
    limit = INVERTIBLE_SHARE / 2
    coefficients = rng.standard_normal((3, nodes, nodes, nodes)) * share * spacing_mm
    np.clip(coefficients, -limit * spacing_mm, limit * spacing_mm, out=coefficients)
    origin = np.full(3, -(nodes - 1) / 2 * spacing_mm)
    return BSplineField(coefficients, origin, spacing_mm)


def _widening(anatomy: Anatomy, tissues: tuple[Tissue, ...], widen_mm: float) -> LocalField | None:
    """Move the surface of some tissues by `widen_mm`, in steps small enough to stay invertible."""
    half = anatomy.is_any(*tissues)[::2, ::2, ::2].astype(np.float32)
    if widen_mm == 0 or not half.any():
        return None
    smooth = ndimage.gaussian_filter(half, _LOCAL_WIDTH_MM / 2.0)
    gradient: NDArray[np.float32] = np.stack(np.gradient(smooth)[::-1]).astype(np.float32)
    gradient /= np.sqrt((gradient**2).sum(axis=0)).max()
    half_to_ras = anatomy.ijk_to_ras.copy()
    half_to_ras[:3, :3] *= 2.0
    steps = int(np.ceil(abs(widen_mm) / (_LOCAL_SHARE * _LOCAL_WIDTH_MM)))
    ras_to_half = np.asarray(np.linalg.inv(half_to_ras), np.float64)
    return LocalField(gradient, ras_to_half, widen_mm / steps, steps)
