"""The baseline that any network has to beat: one curve from source to target intensity."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE, PERCENTILE
from SAMI2ILib.imaging.normalized import normalize_volume
from SAMI2ILib.imaging.volume import Volume

BINS = 256


@dataclass(frozen=True)
class LookupTable:
    """A target intensity for each source intensity.

    Attributes:
        values: (256,) float64 in [0, 1], the target at the centers of equal bins of [0, 1].
    """

    values: NDArray[np.float64]

    @classmethod
    def fit(cls, pairs: Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]) -> "LookupTable":
        """Find the curve with the least squared error; it need not rise or fall.

        Args:
            pairs: For each subject the source and the target of the same voxels, one-dimensional,
                in [0, 1]. Every voxel counts alike.

        Raises:
            InputError: There is no voxel at all.
        """
        sums, counts = np.zeros(BINS), np.zeros(BINS)
        for source, target in pairs:
            bins = _bin(source)
            counts += np.bincount(bins, minlength=BINS)
            sums += np.bincount(bins, weights=target.astype(np.float64), minlength=BINS)
        filled = np.flatnonzero(counts)
        if filled.size == 0:
            raise InputError(
                "The lookup table has no voxel to learn from.", "Give subjects with both contrasts."
            )
        # a bin that nobody has takes its value from its neighbors
        means = sums[filled] / counts[filled]
        return cls(np.interp(np.arange(BINS), filled, means))

    def apply(self, source: NDArray[np.float32]) -> NDArray[np.float32]:
        """Look up every value.

        Args:
            source: Any shape, in [0, 1].

        Returns:
            float32 of the same shape, in [0, 1].
        """
        looked_up: NDArray[np.float32] = self.values[_bin(source)].astype(np.float32)
        return looked_up

    def translate(self, volume: Volume, percent: float = PERCENTILE) -> Volume:
        """Translate a volume as a model does: same scale, same foreground, output in [0, 1000].

        Args:
            volume: A scan of the source contrast.
            percent: Which percentile of its foreground becomes 1.
        """
        normalized = normalize_volume(volume, percent)
        output = self.apply(normalized.volume.array_kji) * np.float32(OUTPUT_RANGE)
        return volume.with_array(np.where(normalized.foreground, output, np.float32(0)))


def _bin(source: NDArray[np.float32]) -> NDArray[np.intp]:
    bins: NDArray[np.intp] = np.clip((source * BINS).astype(np.intp), 0, BINS - 1)
    return bins
