"""Things that are no MR head, made up: phantoms, bodies, limbs, noise, pictures, a CT of a head.

Each family draws from its own generator. Those of `HELD_OUT` are never trained on: what the check
says of them shows how it meets what it was not made for.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.simulation.fields import smooth_noise
from SAMI2ILib.data.simulation.scanner import add_rician_noise, bias_field
from SAMI2ILib.imaging.volume import Volume

FloatArray = NDArray[np.float32]
Shape = tuple[int, int, int]
_SPACING_MM = 2.5


class _Box:
    """A field of view with positions in mm from its middle: `x` to the left, `y` back, `z` up."""

    def __init__(self, rng: np.random.Generator, size_mm: tuple[float, float, float]) -> None:
        self.rng = rng
        self.spacing_mm = (_SPACING_MM, _SPACING_MM, float(rng.uniform(2.5, 5.0)))
        k, j, i = (
            max(int(mm / s), 8) for mm, s in zip(size_mm[::-1], self.spacing_mm[::-1], strict=True)
        )
        self.shape: Shape = (k, j, i)
        z, y, x = (
            ((np.arange(n) - (n - 1) / 2) * s).astype(np.float32)
            for n, s in zip(self.shape, self.spacing_mm[::-1], strict=True)
        )
        self.z, self.y, self.x = z[:, None, None], y[:, None], x

    def ellipsoid(self, center: tuple[float, ...], radii: tuple[float, ...]) -> FloatArray:
        """Distance from the center in units of the radii."""
        parts = zip((self.x, self.y, self.z), center, radii, strict=True)
        total = sum(((axis - c) / r) ** 2 for axis, c, r in parts)
        return np.broadcast_to(np.sqrt(total), self.shape).astype(np.float32)

    def lumps(self, scale_mm: float) -> FloatArray:
        """A random field that varies over `scale_mm`."""
        return smooth_noise(self.shape, max(scale_mm / _SPACING_MM, 1.0), self.rng)

    def volume(self, signal: FloatArray, name: str, noise: float = 0.03) -> Volume:
        """Shade, add noise and store."""
        image = signal * bias_field(self.shape, self.spacing_mm, 0.1, self.rng)
        image = add_rician_noise(image.astype(np.float32), noise, self.rng)
        matrix = np.diag([*(np.array(self.spacing_mm) * (-1, -1, 1)), 1.0])
        return Volume(np.rint(image * 400), matrix, name)


def bottle(rng: np.random.Generator) -> Volume:
    """A cylinder or ball of water, with or without inserts."""
    box = _Box(rng, (260, 260, 200))
    radius, height = rng.uniform(50, 110), rng.uniform(40, 95)
    power = rng.choice([2.0, 20.0])
    across = box.ellipsoid((0, 0, 0), (radius, radius, 1e6))
    inside = across**power + np.abs(box.z / height) ** power < 1
    signal = inside.astype(np.float32)
    for _ in range(rng.integers(0, 9)):
        spot = box.ellipsoid(
            (*rng.uniform(-0.6, 0.6, 2) * radius, 0), (*[rng.uniform(5, 18)] * 2, 1e6)
        )
        signal[(spot < 1) & inside] = rng.uniform(0.1, 1.8)
    return box.volume(signal, "bottle")


def trunk(rng: np.random.Generator) -> Volume:
    """An abdomen or chest: fat, muscle, spine, organs, vessels, perhaps lungs."""
    width, depth = rng.uniform(130, 210), rng.uniform(90, 140)
    box = _Box(rng, (2.3 * width, 2.4 * depth, rng.uniform(150, 300)))
    wall = box.ellipsoid((0, 0, 0), (width, depth, 1e6)) + 0.04 * box.lumps(60)
    fat = rng.uniform(0.08, 0.25)
    signal = np.zeros(box.shape, np.float32)
    signal[wall < 1] = rng.uniform(0.8, 1.6)
    signal[wall < 1 - fat] = rng.uniform(0.3, 0.7)
    inner = wall < 0.85 - fat
    organs = np.floor(1.3 * box.lumps(45) + 3)
    signal[inner] = rng.uniform(0.1, 1.4, 12)[np.clip(organs, 0, 11).astype(int)][inner]
    spine = box.ellipsoid((0, 0.55 * depth, 0), (24, 20, 1e6)) < 1
    signal[spine] = rng.uniform(0.5, 1.2)
    if rng.random() < 0.4:
        for side in (-1, 1):
            lung = box.ellipsoid((side * 0.45 * width, 0, 0), (0.33 * width, 0.6 * depth, 1e6))
            signal[lung < 1] = 0.05
    return box.volume(signal, "trunk")


def limb(rng: np.random.Generator) -> Volume:
    """A knee, thigh or arm: skin fat, muscle groups, a bone with marrow."""
    radius = rng.uniform(40, 95)
    box = _Box(rng, (2.6 * radius, 2.6 * radius, rng.uniform(120, 260)))
    across = box.ellipsoid((0, 0, 0), (radius, radius * rng.uniform(0.8, 1.1), 1e6))
    across += 0.05 * box.lumps(40)
    signal = np.zeros(box.shape, np.float32)
    signal[across < 1] = rng.uniform(0.9, 1.6)
    muscle = across < rng.uniform(0.75, 0.92)
    signal[muscle] = (rng.uniform(0.3, 0.7) * (1 + 0.1 * box.lumps(20)))[muscle]
    center = (*rng.uniform(-0.2, 0.2, 2) * radius, 0)
    bone = box.ellipsoid(center, (0.32 * radius, 0.32 * radius, 1e6))
    signal[bone < 1] = 0.05
    signal[bone < 0.75] = rng.uniform(0.8, 1.4)
    return box.volume(signal, "limb")


def noise(rng: np.random.Generator) -> Volume:
    """A scan of nothing."""
    box = _Box(rng, (240, 240, 160))
    return box.volume(np.zeros(box.shape, np.float32), "noise", 1.0)


def texture(rng: np.random.Generator) -> Volume:
    """Clouds that fill the field of view, or a soft-edged part of it."""
    box = _Box(rng, (220, 220, 160))
    signal = np.exp(rng.uniform(0.2, 0.8) * box.lumps(rng.uniform(8, 60)))
    if rng.random() < 0.6:
        signal *= box.ellipsoid((0, 0, 0), tuple(rng.uniform(60, 120, 3))) < 1
    return box.volume(signal.astype(np.float32), "texture")


def grid(rng: np.random.Generator) -> Volume:
    """A resolution phantom: a box of fluid with a lattice of plastic."""
    box = _Box(rng, (240, 240, 180))
    half = rng.uniform(60, 100, 3)
    inside = (np.abs(box.x) < half[0]) & (np.abs(box.y) < half[1]) & (np.abs(box.z) < half[2])
    period = rng.uniform(15, 40)
    bars = (np.abs((box.x + 500) % period) < 5) | (np.abs((box.y + 500) % period) < 5)
    return box.volume((inside & ~bars).astype(np.float32), "grid")


def legs(rng: np.random.Generator) -> Volume:
    """Two legs side by side."""
    radius = rng.uniform(45, 80)
    box = _Box(rng, (5 * radius, 2.6 * radius, rng.uniform(150, 300)))
    signal = np.zeros(box.shape, np.float32)
    fat, muscle = rng.uniform(0.9, 1.6), rng.uniform(0.3, 0.7)
    for side in (-1, 1):
        across = box.ellipsoid((side * 1.15 * radius, 0, 0), (radius, radius, 1e6))
        across += 0.05 * box.lumps(40)
        signal[across < 1], signal[across < 0.85] = fat, muscle
        signal[across < 0.3], signal[across < 0.22] = 0.05, fat
    return box.volume(signal, "legs")


def fruit(rng: np.random.Generator) -> Volume:
    """A melon: rind, flesh, a core with seeds."""
    box = _Box(rng, (250, 250, 220))
    radii = tuple(rng.uniform(65, 105) * rng.uniform(0.85, 1.15, 3))
    across = box.ellipsoid((0, 0, 0), radii)
    signal = np.zeros(box.shape, np.float32)
    for limit, value in zip((1.0, 0.9, 0.45), rng.uniform(0.3, 1.5, 3), strict=True):
        signal[across < limit] = value
    seeds = (box.lumps(9) > 1.2) & (across < 0.5)
    signal[seeds] = rng.uniform(0.1, 1.5)
    return box.volume(signal, "fruit")


def picture(rng: np.random.Generator) -> Volume:
    """A photograph's patches and edges, repeated over a few slices; bright up to the border."""
    box = _Box(rng, (240, 240, 60))
    signal = np.full(box.shape[1:], rng.uniform(0.3, 1.0), np.float32)
    for _ in range(60):
        j, i = rng.integers(0, box.shape[1]), rng.integers(0, box.shape[2])
        height, width = rng.integers(4, 50, 2)
        signal[j : j + height, i : i + width] = rng.uniform(0.05, 1.0)
    return box.volume(np.broadcast_to(signal, box.shape).copy(), "picture")


Family = Callable[[np.random.Generator], Volume]
TRAINED: tuple[Family, ...] = (bottle, trunk, limb, noise, texture)
HELD_OUT: tuple[Family, ...] = (grid, legs, fruit, picture)
