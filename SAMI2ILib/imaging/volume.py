"""`Grid` and `Volume`: a box of voxels in the patient, without and with its intensities."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging.geometry import Matrix, check_ijk_to_ras, spacing_mm
from SAMI2ILib.imaging.notice import Notice

FloatArray: TypeAlias = NDArray[np.float32]
BoolArray: TypeAlias = NDArray[np.bool_]

# 2**30 voxels are 4 GiB of float32; the largest clinical head (0.4 mm isotropic) has a fifth.
MAX_VOXELS = 2**30


def check_voxel_count(shape: tuple[int, ...], name: str) -> None:
    """Refuse a size that no scan has, before memory is asked for.

    Raises:
        InputError: More than `MAX_VOXELS` voxels.
    """
    count = 1
    for size in shape:
        count *= int(size)
    if count > MAX_VOXELS:
        raise InputError(
            f"{name} has {' x '.join(map(str, shape))} voxels, more than the limit of "
            f"{MAX_VOXELS:,}.",
            "The header may be broken; if the image is that large, crop or resample it first.",
        )


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels lie.

    Attributes:
        shape_kji: Number of voxels along k, j, i.
        ijk_to_ras: (4, 4) float64, index (i, j, k) to RAS mm; not writeable.

    Raises:
        ShapeError: `shape_kji` is not three numbers of at least 1.
        InputError: `ijk_to_ras` is no grid (see `check_ijk_to_ras`) or too large.
    """

    shape_kji: tuple[int, int, int]
    ijk_to_ras: Matrix

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape_kji)
        if len(shape) != 3 or min(shape) < 1:
            raise ShapeError(f"shape_kji must be three sizes of at least 1, but it is {shape}.")
        check_voxel_count(shape, "shape_kji")
        object.__setattr__(self, "shape_kji", shape)
        object.__setattr__(self, "ijk_to_ras", check_ijk_to_ras(self.ijk_to_ras))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along i, j, k in mm."""
        return spacing_mm(self.ijk_to_ras)

    @property
    def shape_ijk(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        k, j, i = self.shape_kji
        return i, j, k

    def corners_ras(self) -> NDArray[np.float64]:
        """The eight outer corners of the box (voxel edges, not centers): (8, 3) RAS mm."""
        i, j, k = self.shape_ijk
        ends = np.stack(
            np.meshgrid((-0.5, i - 0.5), (-0.5, j - 0.5), (-0.5, k - 0.5), indexing="ij"), axis=-1
        ).reshape(8, 3)
        corners: NDArray[np.float64] = ends @ self.ijk_to_ras[:3, :3].T + self.ijk_to_ras[:3, 3]
        return corners

    def is_same(self, other: "Grid") -> bool:
        """True where size and matrix agree bit for bit."""
        return self.shape_kji == other.shape_kji and np.array_equal(
            self.ijk_to_ras, other.ijk_to_ras
        )

    def is_close(self, other: "Grid", tolerance_mm: float = 1e-3) -> bool:
        """True where the sizes agree and the matrices to `tolerance_mm`: one grid, saved twice."""
        return self.shape_kji == other.shape_kji and np.allclose(
            self.ijk_to_ras, other.ijk_to_ras, rtol=0, atol=tolerance_mm
        )


@dataclass(frozen=True, eq=False)
class Volume:
    """One scalar image. It owns a copy of its voxels and cannot be written to.

    Attributes:
        array_kji: (K, J, I) float32, finite, not writeable; any real or bool array is taken.
        ijk_to_ras: (4, 4) float64, index (i, j, k) to RAS mm; not writeable.
        name: What messages call it: a file name without its folder, or empty.
        notices: What the user should hear of the file that it was read from.

    Raises:
        ShapeError: The array is not 3D, or an axis is empty.
        InputError: The array is not made of numbers, is complex, or holds NaN or Inf (also what
            overflows float32); `ijk_to_ras` is no grid.
    """

    array_kji: FloatArray
    ijk_to_ras: Matrix
    name: str = ""
    notices: tuple[Notice, ...] = ()

    def __post_init__(self) -> None:
        called = self.name or "The volume"
        grid = Grid(_checked_shape(self.array_kji, called), self.ijk_to_ras)
        object.__setattr__(self, "array_kji", _checked_array(self.array_kji, called))
        object.__setattr__(self, "ijk_to_ras", grid.ijk_to_ras)

    @property
    def grid(self) -> Grid:
        """Size and position, without the intensities."""
        k, j, i = self.array_kji.shape
        return Grid((k, j, i), self.ijk_to_ras)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along i, j, k in mm."""
        return spacing_mm(self.ijk_to_ras)

    def with_array(self, array_kji: NDArray[Any]) -> "Volume":
        """Other intensities in the same place, with the same name.

        Raises:
            ShapeError: `array_kji` has another shape.
        """
        if array_kji.shape != self.array_kji.shape:
            raise ShapeError(
                f"array_kji must have the volume's shape {self.array_kji.shape}, but it has "
                f"{array_kji.shape}."
            )
        return Volume(array_kji, self.ijk_to_ras, self.name)


def _checked_shape(array: NDArray[Any], called: str) -> tuple[int, int, int]:
    if array.ndim != 3 or 0 in array.shape:
        raise ShapeError(
            f"{called} must be 3D with at least one voxel, but its shape is {array.shape}.",
            "Extract one volume of a series first.",
        )
    k, j, i = array.shape
    return k, j, i


def _checked_array(array: NDArray[Any], called: str) -> FloatArray:
    """Copy to C-ordered float32; the copy is what keeps the caller's array untouched."""
    if not (np.issubdtype(array.dtype, np.bool_) or np.issubdtype(array.dtype, np.number)):
        raise InputError(f"{called} must hold numbers, but its type is {array.dtype}.")
    if np.iscomplexobj(array):
        raise InputError(
            f"{called} is complex.", "Compute the magnitude image first and translate that."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        copy = np.array(array, dtype=np.float32, order="C")
        # A float64 sum of finite float32 values is finite: one pass without a temporary array.
        finite = bool(np.isfinite(copy.sum(dtype=np.float64)))
    if not finite:
        bad = int(np.count_nonzero(~np.isfinite(copy)))
        raise InputError(
            f"{called} holds {bad} voxels that are NaN, Inf or beyond float32.",
            "Replace them, for example by 0, and try again.",
        )
    copy.flags.writeable = False
    return copy
