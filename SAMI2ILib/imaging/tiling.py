"""Slices of any size through a network of one size: pad what is smaller, tile what is larger."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.errors import InputError, ShapeError
from SAMI2ILib.imaging.volume import FloatArray


@dataclass(frozen=True)
class TilePlan:
    """Where tiles of size S x S lie on slices of height H and width W.

    Attributes:
        height: H.
        width: W.
        size: S.
        rows: First row of each row of tiles; negative where the slice is padded.
        columns: First column of each column of tiles; negative where the slice is padded.
    """

    height: int
    width: int
    size: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @property
    def tile_count(self) -> int:
        """T, the number of tiles a slice."""
        return len(self.rows) * len(self.columns)

    def cut(self, slices: NDArray[Any]) -> FloatArray:
        """Cut slices into tiles, zeros where a tile reaches beyond the slice.

        Args:
            slices: (B, C, H, W).

        Returns:
            (B * T, C, S, S) float32, the tiles of one slice after another.

        Raises:
            ShapeError: `slices` is not (B, C, H, W) of the plan.
        """
        if slices.ndim != 4 or slices.shape[2:] != (self.height, self.width):
            raise ShapeError(
                f"slices must be (B, C, {self.height}, {self.width}), but they are {slices.shape}."
            )
        batch, channels = slices.shape[:2]
        tiles = np.zeros((batch, self.tile_count, channels, self.size, self.size), dtype=np.float32)
        for t, (row, column) in enumerate(self._corners()):
            on_slice, on_tile = self._overlap(row, column)
            tiles[:, t, :, *on_tile] = slices[:, :, *on_slice]
        return tiles.reshape(-1, channels, self.size, self.size)

    def merge(self, tiles: NDArray[Any]) -> FloatArray:
        """Blend tiles to slices; unchanged tiles give the slices back.

        Where tiles overlap, their weights are smooth (sine squared) and add up to 1: within 1e-6 of
        the tiles' range an identity network returns the slice. Where one tile alone counts, its
        values are copied bit for bit.

        Args:
            tiles: (B * T, C, S, S).

        Returns:
            (B, C, H, W) float32.

        Raises:
            ShapeError: `tiles` is not (B * T, C, S, S) of the plan.
        """
        fits = tiles.ndim == 4 and tiles.shape[2:] == (self.size, self.size)
        if not fits or tiles.shape[0] % self.tile_count:
            raise ShapeError(
                f"tiles must be (B * {self.tile_count}, C, {self.size}, {self.size}), but they "
                f"are {tiles.shape}."
            )
        channels = tiles.shape[1]
        tiles = tiles.reshape(-1, self.tile_count, channels, self.size, self.size)
        merged = np.zeros((len(tiles), channels, self.height, self.width))
        row_weights = _weights(self.rows, self.size, self.height)
        column_weights = _weights(self.columns, self.size, self.width)
        for t, (row, column) in enumerate(self._corners()):
            on_slice, on_tile = self._overlap(row, column)
            down = row_weights[t // len(self.columns)][on_slice[0]]
            across = column_weights[t % len(self.columns)][on_slice[1]]
            merged[:, :, *on_slice] += tiles[:, t, :, *on_tile] * np.outer(down, across)
        return merged.astype(np.float32)

    def _corners(self) -> list[tuple[int, int]]:
        return [(row, column) for row in self.rows for column in self.columns]

    def _overlap(self, row: int, column: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The part that a tile and the slice share, counted on the slice and on the tile."""
        top, left = max(row, 0), max(column, 0)
        bottom, right = min(row + self.size, self.height), min(column + self.size, self.width)
        on_slice = (slice(top, bottom), slice(left, right))
        on_tile = (slice(top - row, bottom - row), slice(left - column, right - column))
        return on_slice, on_tile


def plan_tiles(height: int, width: int, size: int, overlap: int) -> TilePlan:
    """Place as few tiles as cover a slice, evenly, neighbors sharing at least `overlap` pixels.

    A slice smaller than a tile lies in its middle.

    Args:
        height: Rows of a slice.
        width: Columns of a slice.
        size: Rows and columns of a tile: the network's size.
        overlap: Pixels that neighboring tiles share at least, 0 to size - 1.

    Raises:
        InputError: A size below 1, or an overlap outside 0 to size - 1.
    """
    if min(height, width, size) < 1:
        raise InputError(
            f"height, width and size must be at least 1, but they are {height}, {width}, {size}."
        )
    if not 0 <= overlap < size:
        raise InputError(f"overlap must be 0 to {size - 1} (size - 1), but it is {overlap}.")
    return TilePlan(
        height, width, size, _starts(height, size, overlap), _starts(width, size, overlap)
    )


def _starts(length: int, size: int, overlap: int) -> tuple[int, ...]:
    if length <= size:
        return (-((size - length) // 2),)
    count = -(-(length - overlap) // (size - overlap))
    return tuple(round(n * (length - size) / (count - 1)) for n in range(count))


def _weights(starts: tuple[int, ...], size: int, length: int) -> NDArray[np.float64]:
    """Along one axis, each tile's weight at each pixel: (tiles, length), columns sum to 1."""
    bump = np.sin(np.pi * (np.arange(size) + 0.5) / size) ** 2
    weights = np.zeros((len(starts), length))
    for n, start in enumerate(starts):
        first, last = max(start, 0), min(start + size, length)
        weights[n, first:last] = bump[first - start : last - start]
    weights /= weights.sum(axis=0)
    return weights
