"""A volume as networks see it: in [0, 1] by one scale, 0 outside the head."""

from dataclasses import dataclass

from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.intensity import PERCENTILE, IntensityScale
from SAMI2ILib.imaging.volume import BoolArray, Volume


@dataclass(frozen=True, eq=False)
class NormalizedVolume:
    """What a volume became.

    Attributes:
        volume: In [0, 1], 0 outside the foreground, on the grid that it had.
        foreground: (K, J, I) bool.
        scale: The way back to the volume's own units.
    """

    volume: Volume
    foreground: BoolArray
    scale: IntensityScale


def normalize_volume(volume: Volume, percent: float = PERCENTILE) -> NormalizedVolume:
    """Find the foreground and bring a volume into [0, 1].

    Args:
        volume: Any contrast of a head, any unit.
        percent: Which percentile of the foreground becomes 1.

    Raises:
        InputError: There is no foreground, or it has no positive intensities.
    """
    foreground = find_foreground(volume)
    scale = IntensityScale.fit(volume.array_kji, foreground, percent)
    array = scale.normalize(volume.array_kji)
    array[~foreground] = 0
    return NormalizedVolume(volume.with_array(array), foreground, scale)
