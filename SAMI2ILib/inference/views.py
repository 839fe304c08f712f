"""Ways to show a slice to a network that ought to change nothing in its answer.

How much the answer changes all the same says how sure the network is of it.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.imaging.volume import FloatArray

Neighbors = Literal["own", "reversed", "repeated"]


@dataclass(frozen=True)
class View:
    """One way to show tiles; what it does to places is undone exactly.

    Attributes:
        name: For records.
        flipped: Mirrored along the columns: left and right in axial slices.
        shift: Rows and columns by which the content is moved under the network's windows. What
            leaves a tile on one side enters it on the other.
        gamma: Exponent of the intensities.
        neighbors: What the channels beside the middle one hold: their own slices, these in
            reverse order, or the middle slice repeated.
    """

    name: str
    flipped: bool = False
    shift: tuple[int, int] = (0, 0)
    gamma: float = 1.0
    neighbors: Neighbors = "own"

    def apply(self, tiles: FloatArray) -> FloatArray:
        """Show tiles in this way.

        Args:
            tiles: (N, C, S, S) in [0, 1]; values that interpolation has put below 0 stay there.

        Returns:
            (N, C, S, S).
        """
        if self.neighbors == "reversed":
            tiles = tiles[:, ::-1]
        elif self.neighbors == "repeated":
            middle = tiles.shape[1] // 2
            tiles = np.repeat(tiles[:, middle : middle + 1], tiles.shape[1], axis=1)
        if self.gamma != 1:
            tiles = np.copysign(np.abs(tiles) ** np.float32(self.gamma), tiles)
        if self.flipped:
            tiles = tiles[..., ::-1]
        if self.shift != (0, 0):
            tiles = np.roll(tiles, self.shift, axis=(-2, -1))
        return tiles if tiles.flags.c_contiguous else np.ascontiguousarray(tiles)

    def undo(self, slices: NDArray[Any]) -> FloatArray:
        """Bring a network's answer back to where the tiles were.

        Args:
            slices: (N, S, S), what the network made of `apply(tiles)`.

        Returns:
            (N, S, S) float32.
        """
        if self.shift != (0, 0):
            rows, columns = self.shift
            slices = np.roll(slices, (-rows, -columns), axis=(-2, -1))
        return slices[..., ::-1] if self.flipped else slices


STRAIGHT = View("straight")

# Exponents and shifts were chosen on real scans: docs/concepts/uncertainty.md.
_OF_ANY_SLICE = (
    STRAIGHT,
    View("flipped", flipped=True),
    View("shifted", shift=(8, 8)),
    View("flipped and shifted", flipped=True, shift=(5, -3)),
    View("brighter", gamma=0.65),
    View("darker", gamma=1.5),
)
_OF_NEIGHBORS = (
    View("neighbors reversed", neighbors="reversed"),
    View("without neighbors", neighbors="repeated"),
)


def views_for(context_slices: int) -> tuple[View, ...]:
    """The views of an ensemble.

    Args:
        context_slices: Channels of the network; a single one has no neighbors to change.
    """
    return _OF_ANY_SLICE + (_OF_NEIGHBORS if context_slices > 1 else ())
