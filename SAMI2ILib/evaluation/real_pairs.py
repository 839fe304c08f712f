"""Measures a translator on a subject's real pair: translate, register, resample, compare."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.data.brain_mask import brain_mask
from SAMI2ILib.data.registration import RigidResult, align, register_rigid
from SAMI2ILib.data.subjects import Subject
from SAMI2ILib.evaluation.metrics import VolumeScores, score_volume
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE, PERCENTILE, IntensityScale
from SAMI2ILib.imaging.io import read_volume
from SAMI2ILib.imaging.normalized import normalize_volume
from SAMI2ILib.imaging.orientation import reorient
from SAMI2ILib.imaging.resample import Interpolation, resample
from SAMI2ILib.imaging.volume import Grid, Volume

_GRID_TOLERANCE_MM = 1e-3

Translator = Callable[[Volume], Volume]
"""Maps a source volume to the synthetic one on its grid, in [0, 1000]."""


@dataclass(frozen=True)
class PairComparison:
    """A subject's volumes on the target's grid, axial, in [0, 1], and their scores.

    Attributes:
        subject: Its name.
        source: What went in.
        synthetic: What came out.
        target: The real one, divided by the percentile of its own that the model works with.
        brain: (K, J, I), where the brain is.
        scores: The figures.
    """

    subject: str
    source: Volume
    synthetic: Volume
    target: Volume
    brain: NDArray[np.bool_]
    scores: VolumeScores


@dataclass(frozen=True)
class RealPair:
    """A subject's two scans, registered and masked, ready to measure any translator on.

    Attributes:
        subject: Its name.
        native: The source as it was scanned.
        registration: From the native source to the target; None where they share a grid.
        source: The source on the target's grid, axial, in [0, 1].
        target: The target, axial, in [0, 1]; 0 outside the source's foreground.
        foreground: (K, J, I), the source's foreground on that grid.
        brain: (K, J, I), where the brain is.
    """

    subject: str
    native: Volume
    registration: RigidResult | None
    source: Volume
    target: Volume
    foreground: NDArray[np.bool_]
    brain: NDArray[np.bool_]

    def compare(self, translator: Translator) -> PairComparison:
        """Translate the native source and compare the result with the real target.

        Args:
            translator: What is measured.

        Raises:
            InputError: No slice of the target holds enough brain.
        """
        synthetic = translator(self.native)
        moved = _on_grid(synthetic, self.registration, self.target.grid, "linear")
        prediction = np.clip(moved / OUTPUT_RANGE, 0, 1) * self.foreground
        return PairComparison(
            subject=self.subject,
            source=self.source,
            synthetic=self.target.with_array(prediction),
            target=self.target,
            brain=self.brain,
            scores=score_volume(prediction, self.target.array_kji, self.brain),
        )

    def on_target_grid(self, volume: Volume) -> NDArray[np.float32]:
        """Bring a map on the native source's grid, in any unit, to the target's.

        Returns:
            (K, J, I), axial; 0 outside the source's foreground.
        """
        moved = _on_grid(volume, self.registration, self.target.grid, "linear")
        inside: NDArray[np.float32] = moved * self.foreground
        return inside


def read_pair(subject: Subject, source: str, target: str, percent: float = PERCENTILE) -> RealPair:
    """Read a subject's two scans and lay the source onto the target by a rigid registration.

    Two scans on one grid count as registered.

    Args:
        subject: Has both contrasts; a saved brain mask is used, else one is made.
        source: The contrast that goes in; T1, unless a brain mask is saved.
        target: The contrast that comes out.
        percent: Which percentile of the foreground becomes 1 in both; a model file names its own.

    Raises:
        InputError: A file is missing or unreadable, or the scans cannot be registered.
    """
    native = read_volume(subject.path(source))
    truth = reorient(read_volume(subject.path(target)), "LPS")
    registration = None if lie_on_one_grid(native, truth) else register_rigid(native, truth)

    def on_target(array: NDArray[Any], interpolation: Interpolation) -> NDArray[np.float32]:
        return _on_grid(native.with_array(array), registration, truth.grid, interpolation)

    normalized = normalize_volume(native, percent)
    foreground = on_target(normalized.foreground, "nearest") > 0.5
    scale = IntensityScale.fit(truth.array_kji, foreground, percent)
    real = scale.normalize(truth.array_kji)
    return RealPair(
        subject=subject.name,
        native=native,
        registration=registration,
        source=truth.with_array(on_target(normalized.volume.array_kji, "linear")),
        target=truth.with_array(real * foreground),
        foreground=foreground,
        brain=(on_target(_brain_of(subject, native), "nearest") > 0.5) & foreground,
    )


def _on_grid(
    volume: Volume, registration: RigidResult | None, grid: Grid, interpolation: Interpolation
) -> NDArray[np.float32]:
    moved = volume if registration is None else align(volume, registration)
    return resample(moved, grid, interpolation).array_kji


def _brain_of(subject: Subject, native: Volume) -> NDArray[np.bool_]:
    if subject.brain is None:
        return brain_mask(native)
    saved = read_volume(subject.brain)
    return resample(saved, native.grid, "nearest").array_kji > 0.5


def lie_on_one_grid(first: Volume, second: Volume) -> bool:
    """Whether two volumes have their voxels in the same places; `second` is axial (LPS)."""
    upright = reorient(first, "LPS")
    return upright.array_kji.shape == second.array_kji.shape and np.allclose(
        upright.ijk_to_ras, second.ijk_to_ras, atol=_GRID_TOLERANCE_MM
    )
