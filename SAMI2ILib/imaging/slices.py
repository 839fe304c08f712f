"""A volume as a stack of slices with their neighbors as channels, and back."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging.volume import FloatArray


def to_slices(
    array_kji: FloatArray, context: int = 1, indices: Sequence[int] | None = None
) -> FloatArray:
    """Cut a volume into slices along k.

    Args:
        array_kji: (K, J, I).
        context: Odd number C of neighboring slices that form the channels, the slice itself in
            the middle. Beyond the ends the outermost slice is repeated.
        indices: Which slices, as numbers from 0 to K - 1; all where left out.

    Returns:
        (K, C, J, I), or (len(indices), C, J, I); a view of the input where C is 1 and all
        slices are asked for.

    Raises:
        ShapeError: `array_kji` is not 3D.
        InputError: `context` is not odd and positive, or an index is outside the volume.
    """
    if array_kji.ndim != 3:
        raise ShapeError(f"array_kji must be (K, J, I), but its shape is {array_kji.shape}.")
    if context < 1 or context % 2 == 0:
        raise InputError(f"context must be odd and positive, but it is {context}.")
    count = array_kji.shape[0]
    if indices is None:
        if context == 1:
            return array_kji[:, np.newaxis]
        indices = range(count)
    centers = np.asarray(indices, dtype=np.intp)
    if centers.size and (centers.min() < 0 or centers.max() >= count):
        raise InputError(f"indices must lie in 0 to {count - 1}, but they are {list(indices)}.")
    offsets = np.arange(context) - context // 2
    neighbors = np.clip(centers[:, np.newaxis] + offsets, 0, count - 1)
    slices: FloatArray = array_kji[neighbors]
    return slices


def from_slices(slices: NDArray[Any]) -> NDArray[Any]:
    """Stack slices to a volume: the middle channel of each, the exact inverse of `to_slices`.

    Args:
        slices: (K, C, J, I) with odd C.

    Returns:
        (K, J, I), a view.

    Raises:
        ShapeError: `slices` is not 4D, or C is even.
    """
    if slices.ndim != 4 or slices.shape[1] % 2 == 0:
        raise ShapeError(f"slices must be (K, C, J, I) with odd C, but it is {slices.shape}.")
    return slices[:, slices.shape[1] // 2]
