"""Compares one synthetic volume with a real one of the same head and contrast, on any grids."""

from dataclasses import dataclass

import numpy as np

from SAMI2ILib.data.registration import RigidResult, align, register_rigid
from SAMI2ILib.errors import InputError
from SAMI2ILib.evaluation.metrics import VolumeScores, score_volume
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE, IntensityScale
from SAMI2ILib.imaging.orientation import axis_order
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import FloatArray, Volume

_SMALLEST_FRACTION = 0.05  # of a slice, as `score_volume` asks for
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Comparison:
    """How a synthetic volume differs from a real one.

    Attributes:
        scores: The figures; their "brain" is here the head: where the synthetic volume is not 0
            and the real one was scanned.
        error: Synthetic minus real on the synthetic volume's grid, in units of [0, 1000]; 0
            outside the head.
        registration: From the real to the synthetic volume; None where it was not asked for.
        covered: Fraction of the synthetic head that the real scan covers.
    """

    scores: VolumeScores
    error: Volume
    registration: RigidResult | None
    covered: float


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
    return Comparison(
        scores=score_volume(prediction, truth, head),
        error=synthetic.with_array(order.undo(error)),
        registration=registration,
        covered=float(head.sum() / (made > 0).sum()),
    )


def _check_scale(synthetic: Volume) -> None:
    lowest, highest = float(synthetic.array_kji.min()), float(synthetic.array_kji.max())
    if lowest < 0 or highest > OUTPUT_RANGE * (1 + _ROUNDING) or highest == 0:
        raise InputError(
            f"{synthetic.name!r} is not a synthetic volume: those lie in [0, 1000], this one in "
            f"[{lowest:g}, {highest:g}].",
            "Give the synthetic volume first, the real one second.",
        )
