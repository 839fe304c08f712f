"""Pairs of a prepared dataset, ready to measure any system on."""

from dataclasses import dataclass

import numpy as np

from SAMI2ILib.data.dataset import SubjectSlices
from SAMI2ILib.evaluation.metrics import Measurement, measure_volume
from SAMI2ILib.imaging.volume import BoolArray, FloatArray, Volume


@dataclass(frozen=True, eq=False)
class PreparedPair:
    """A subject's two contrasts as a dataset holds them.

    Attributes:
        subject: Its name.
        source: (K, J, I) in [0, 1], 0 outside its foreground.
        target: (K, J, I) in [0, 1]; 0 where it was not scanned.
        foreground: (K, J, I), the source's head.
        region: (K, J, I), the brain; the source's foreground for a subject without a brain mask.
        measured: (K, J, I), where the target was scanned.
        has_brain: Whether `region` is a brain.
    """

    subject: str
    source: Volume
    target: FloatArray
    foreground: BoolArray
    region: BoolArray
    measured: BoolArray
    has_brain: bool

    def measure(self, prediction: FloatArray) -> Measurement:
        """Compare a prediction with the target.

        Args:
            prediction: (K, J, I) in [0, 1]; outside the source's foreground it counts as 0, as
                `translate` writes it.

        Raises:
            ShapeError: It has another shape, or slices are smaller than 7 x 7.
            InputError: It is not finite everywhere.
            NotMeasurableError: No slice holds enough brain, or the target is 0 in the brain.
        """
        inside = np.where(self.foreground, prediction, np.float32(0))
        return measure_volume(inside, self.target, self.region, self.measured)


def read_prepared_pair(
    subject: SubjectSlices, source: str, target: str, *, keep_background: bool = False
) -> PreparedPair:
    """Read a subject's source and target.

    Args:
        subject: Of a dataset; has both.
        source: The contrast that goes in.
        target: The contrast that comes out.
        keep_background: Measure against the target as it was scanned, with the noise of the air;
            else it counts as 0 outside the source's foreground, as the prediction does.

    Raises:
        InputError: The subject lacks a contrast, or a file is damaged.
    """
    truth = np.asarray(subject.volume(target), dtype=np.float32)
    measured = np.isfinite(truth)
    foreground = subject.foreground(source)
    counts = measured if keep_background else measured & foreground
    scan = np.nan_to_num(np.asarray(subject.volume(source), dtype=np.float32), copy=False)
    brain = subject.brain()
    return PreparedPair(
        subject=subject.name,
        source=Volume(scan * foreground, subject.ijk_to_ras, subject.name),
        target=np.where(counts, truth, np.float32(0)),
        foreground=foreground,
        region=foreground if brain is None else brain & foreground,
        measured=measured,
        has_brain=brain is not None,
    )
