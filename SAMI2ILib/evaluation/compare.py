"""Compares one synthetic volume with a real one of the same head and contrast, on any grids."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.about import INTENDED_USE, SIDECAR_VERSION, SOFTWARE_NAME, VERSION
from SAMI2ILib.data.registration import RigidResult, align, register_rigid
from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.metrics import SliceScores, VolumeScores, measure_volume
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE, IntensityScale
from SAMI2ILib.imaging.orientation import axis_order
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import FloatArray, Volume
from SAMI2ILib.inference.output_files import is_image_record, read_record, sidecar_path
from SAMI2ILib.inference.source_file import describe_source_file

_SMALLEST_FRACTION = 0.05  # of a slice, as `score_volume` asks for
_ROUNDING = 1e-3


@dataclass(frozen=True, eq=False)
class Comparison:
    """How a synthetic volume differs from a real one.

    Attributes:
        scores: The figures; their "brain" is here the head: where the synthetic volume is not 0
            and the real one was scanned.
        error: Synthetic minus real on the synthetic volume's grid, in units of [0, 1000]; 0
            outside the head.
        registration: From the real to the synthetic volume; None where it was not asked for.
        covered: Fraction of the synthetic head that the real scan covers.
        synthetic: Axial (LPS), in [0, 1], 0 outside the head.
        real: On the same grid and scale, 0 outside the head.
        head: (K, J, I), where both are.
        slices: The figures of each axial slice.
    """

    scores: VolumeScores
    error: Volume
    registration: RigidResult | None
    covered: float
    synthetic: Volume
    real: Volume
    head: NDArray[np.bool_]
    slices: tuple[SliceScores, ...]


def compare_volumes(synthetic: Volume, real: Volume, *, register: bool = False) -> Comparison:
    """Measure a synthetic volume against a real one.

    The synthetic volume counts on the scale that it has; the real one is divided by its own 99.5th
    percentile inside the head. Nothing is fitted to the other.

    Args:
        synthetic: In [0, 1000], as `translate` makes it.
        real: A scan of the same contrast, any unit and grid, in the same place.
        register: Lay `real` onto `synthetic` by a rigid registration first.

    Raises:
        InputError: `synthetic` is not in [0, 1000], or the two do not overlap.
    """
    _check_scale(synthetic)
    registration = register_rigid(real, synthetic) if register else None
    moved = real if registration is None else align(real, registration)
    order = axis_order(synthetic.ijk_to_ras, "LPS")  # slices are compared axial, as elsewhere
    grid = order.apply_to_grid(synthetic.grid)
    made: FloatArray = order.apply(synthetic.array_kji)
    scanned = resample(moved.with_array(np.ones_like(moved.array_kji)), grid, "nearest")
    head = (made > 0) & (scanned.array_kji > 0.5)
    if not (head.mean(axis=(1, 2)) > _SMALLEST_FRACTION).any():
        raise InputError(
            f"The volumes {synthetic.name!r} and {real.name!r} do not overlap, or hardly.",
            "Choose a scan of the same head in the same place, or register it first.",
        )
    truth = resample(moved, grid).array_kji
    truth = IntensityScale.fit(truth, head).normalize(truth) * head
    prediction: FloatArray = made / np.float32(OUTPUT_RANGE) * head
    error = (prediction - truth) * np.float32(OUTPUT_RANGE)
    measured = measure_volume(prediction, truth, head)
    return Comparison(
        scores=measured.scores,
        error=synthetic.with_array(order.undo(error)),
        registration=registration,
        covered=float(head.sum() / (made > 0).sum()),
        synthetic=Volume(prediction, grid.ijk_to_ras, synthetic.name),
        real=Volume(truth, grid.ijk_to_ras, real.name),
        head=head,
        slices=measured.slices,
    )


def check_is_image(path: Path) -> None:
    """Refuse a map that lies beside a synthetic volume in place of that volume.

    Raises:
        InputError: Its record says that it is an uncertainty or error map.
    """
    record = read_record(sidecar_path(path))
    if record is not None and not is_image_record(record):
        raise InputError(
            f"{path.name!r} is a map of the {record['quantity']} and no synthetic image.",
            "Give the synthetic volume that it belongs to.",
        )


def describe_error_map(synthetic: Path, real: Path) -> dict[str, Any]:
    """Say what an error map is; with this beside it, it can be replaced by the next one.

    Args:
        synthetic: The synthetic volume's file.
        real: The real scan's file or DICOM folder.

    Returns:
        JSON-ready fields. They hold file names only.
    """
    return {
        "sidecar_version": SIDECAR_VERSION,
        "synthetic": True,
        "quantity": "error",
        "meaning": "Synthetic minus real, in units of [0, 1000].",
        "intended_use": INTENDED_USE,
        "error_of": describe_source_file(synthetic),
        "real": describe_source_file(real),
        "software": {"name": SOFTWARE_NAME, "version": VERSION},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _check_scale(synthetic: Volume) -> None:
    lowest, highest = float(synthetic.array_kji.min()), float(synthetic.array_kji.max())
    if lowest < 0 or highest > OUTPUT_RANGE * (1 + _ROUNDING) or highest == 0:
        raise InputError(
            f"{synthetic.name!r} is not a synthetic volume: those lie in [0, 1000], this one in "
            f"[{lowest:g}, {highest:g}].",
            "Give the synthetic volume first, the real one second.",
        )
