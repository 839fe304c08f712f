"""Intensities as a skull-stripped scan has them: scaled by the brain alone."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.dataset import SubjectSlices
from SAMI2ILib.imaging.intensity import PERCENTILE

_SLICES = 16  # of a subject are looked at


class BrainScales:
    """Knows by how much a contrast grows when only the brain sets its scale; looks once a subject.

    Without fat and skin the brightest half percent of a scan is another one.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Path, str], float] = {}

    def rescale(
        self, image: NDArray[np.float32], subject: SubjectSlices, contrast: str
    ) -> NDArray[np.float32]:
        """Bring an image from the scale of the whole head to that of the brain.

        Args:
            image: Any shape, [0, 1] on the head's scale; NaN stays.
            subject: Whose it is; has a brain mask.
            contrast: Of the image.

        Returns:
            Of the same shape, in [0, 1].
        """
        key = (subject.folder, contrast)
        if key not in self._known:
            self._known[key] = _brightest(subject, contrast)
        rescaled: NDArray[np.float32] = np.clip(image / np.float32(self._known[key]), 0, 1)
        return rescaled


def _brightest(subject: SubjectSlices, contrast: str) -> float:
    """The percentile that becomes 1, inside the brain; 1 where there is nothing to measure."""
    chosen = subject.slices[:: max(1, len(subject.slices) // _SLICES)]
    values = []
    for k in chosen:
        image, brain = subject.read(contrast, k), subject.brain(k)
        if brain is not None:
            values.append(image[brain & np.isfinite(image)])
    inside = np.concatenate(values) if values else np.empty(0)
    brightest = float(np.percentile(inside, PERCENTILE)) if inside.size else 1.0
    return brightest if brightest > 0 else 1.0
