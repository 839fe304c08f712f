"""One intensity scale per volume: from arbitrary MR units to [0, 1] and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

PERCENTILE = 99.5
OUTPUT_RANGE = 1000.0


@dataclass(frozen=True)
class IntensityScale:
    """The number that maps a volume's intensities to [0, 1]; the same for all its slices.

    Attributes:
        percentile: p, the intensity that becomes 1: a percentile of the foreground, the 99.5th
            unless a model says otherwise, in the volume's own units, rounded to float32.

    Raises:
        InputError: `percentile` is not a positive float32.
    """

    percentile: float

    def __post_init__(self) -> None:
        with np.errstate(over="ignore"):
            p = float(np.float32(self.percentile))
        smallest = float(np.finfo(np.float32).tiny)
        if not (np.isfinite(p) and p >= smallest):
            raise InputError(
                f"The percentile of the foreground that becomes 1 is {self.percentile:g}, but it "
                "must be positive.",
                "The image seems to hold no head, or only negative intensities.",
            )
        object.__setattr__(self, "percentile", p)

    @classmethod
    def fit(
        cls, array_kji: NDArray[Any], foreground: BoolArray, percent: float = PERCENTILE
    ) -> "IntensityScale":
        """Take the scale from a volume.

        Args:
            array_kji: (K, J, I), any unit.
            foreground: (K, J, I) bool, the voxels that count.
            percent: Which percentile becomes 1, over 0 to 100; a model file names its own.

        Raises:
            ShapeError: The two shapes differ.
            InputError: The foreground is empty, or its percentile is not positive.
        """
        if array_kji.shape != foreground.shape:
            raise ShapeError(
                f"foreground must have the shape of array_kji {array_kji.shape}, but it has "
                f"{foreground.shape}."
            )
        inside = array_kji[foreground]
        if inside.size == 0:
            raise InputError("The foreground is empty.", "The image seems to hold no head.")
        return cls(float(np.percentile(inside, percent)))

    @property
    def output_scale(self) -> float:
        """1000 / p: an output volume divided by it is on the input's intensity scale."""
        return OUTPUT_RANGE / self.percentile

    def normalize(self, array: NDArray[Any]) -> FloatArray:
        """`clip(v, 0, p) / p`: float32 in [0, 1], any shape; negative values become 0."""
        p = np.float32(self.percentile)
        clipped: FloatArray = np.clip(array, 0.0, p).astype(np.float32, copy=False)
        clipped /= p
        return clipped

    def denormalize(self, array: NDArray[Any]) -> FloatArray:
        """`y * p`: from [0, 1] back to the volume's own units, float32."""
        restored: FloatArray = np.asarray(array, dtype=np.float32) * np.float32(self.percentile)
        return restored
