"""The word SYNTHETIC as pixels, for viewers that show nothing but pixels."""

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError

_WORD = "SYNTHETIC"
# Five columns by seven rows a letter; a bit each, the leftmost column highest.
_LETTERS = {
    "S": (0b01111, 0b10000, 0b10000, 0b01110, 0b00001, 0b00001, 0b11110),
    "Y": (0b10001, 0b10001, 0b01010, 0b00100, 0b00100, 0b00100, 0b00100),
    "N": (0b10001, 0b11001, 0b10101, 0b10011, 0b10001, 0b10001, 0b10001),
    "T": (0b11111, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100),
    "H": (0b10001, 0b10001, 0b10001, 0b11111, 0b10001, 0b10001, 0b10001),
    "E": (0b11111, 0b10000, 0b10000, 0b11110, 0b10000, 0b10000, 0b11111),
    "I": (0b01110, 0b00100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110),
    "C": (0b01111, 0b10000, 0b10000, 0b10000, 0b10000, 0b10000, 0b01111),
}
_LETTER_WIDTH = 5
# At this width a letter's pixel is one pixel of the image; wider images get larger letters.
_COLUMNS_PER_PIXEL = 160


def corner_mark(rows: int, columns: int) -> NDArray[np.bool_]:
    """Draw the word with a dark margin, to be laid over a slice's upper left corner.

    Args:
        rows: Of the slice.
        columns: Of the slice.

    Returns:
        (height, width) bool, True in the letters.

    Raises:
        InputError: The slice is too small to hold it.
    """
    letters = [_letter(character) for character in _WORD]
    word = np.pad(np.concatenate(letters, axis=1), ((1, 1), (1, 0)))
    scale = max(1, columns // _COLUMNS_PER_PIXEL)
    mark = word.repeat(scale, axis=0).repeat(scale, axis=1)
    if mark.shape[0] > rows or mark.shape[1] > columns:
        raise InputError(
            f"The slices of {columns} x {rows} pixels are too small for the mark of "
            f"{mark.shape[1]} x {mark.shape[0]}.",
            "Export without --burn-in-mark.",
        )
    return mark


def _letter(character: str) -> NDArray[np.bool_]:
    """(7, 6) bool: the letter and the gap behind it."""
    bits = np.array(_LETTERS[character])[:, None] >> np.arange(_LETTER_WIDTH)[::-1] & 1
    return np.pad(bits.astype(bool), ((0, 0), (0, 1)))
