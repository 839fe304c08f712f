"""The sizes of slices that a network takes, and the sentence where one does not fit."""

from collections.abc import Iterator

from torch import Tensor

from SAMI2ILib.errors import ShapeError


def check_size(slices: Tensor, multiple: int) -> None:
    """Refuse slices whose height or width is no positive multiple of a number.

    Args:
        slices: (..., H, W).
        multiple: In pixels.

    Raises:
        ShapeError: The size does not fit; the message names the nearest ones that do.
    """
    height, width = slices.shape[-2:]
    if height % multiple or width % multiple or not height or not width:
        allowed = " or ".join(
            f"{rows}x{columns}"
            for rows in _nearest(height, multiple)
            for columns in _nearest(width, multiple)
        )
        raise ShapeError(
            f"slices must have a height and width that are multiples of {multiple}, got "
            f"{height}x{width}.",
            f"Pad or crop to {allowed}.",
        )


def _nearest(size: int, multiple: int) -> Iterator[int]:
    """Yield the positive multiples next to a size: one if it is a multiple itself, else two."""
    below = size // multiple * multiple
    if below:
        yield below
    if below != size or not below:
        yield below + multiple
