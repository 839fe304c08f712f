"""All checks of one scan against what a model expects."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from SAMI2ILib.checks.appearance import measure
from SAMI2ILib.checks.classifier import load_classifiers
from SAMI2ILib.checks.kind import check_contrast, check_head
from SAMI2ILib.checks.overview import look_at
from SAMI2ILib.checks.quality import (
    FEW_SLICES,
    check_clipping,
    check_coverage,
    check_ghosting,
    check_resolution,
    check_shading,
    check_skull,
    check_slice_count,
)
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.orientation import axis_order
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.weights.spec import ModelSpec, Skull

Checks = Literal["off", "warn", "strict"]


@dataclass(frozen=True)
class Expectation:
    """What a model has been trained on.

    Attributes:
        contrast: Of its input, e.g. "T1"; empty expects none.
        skull: Whether its scans showed the skull.
        orientation: In which its slices lie.
    """

    contrast: str = ""
    skull: Skull = "both"
    orientation: str = "LPS"

    @classmethod
    def of(cls, spec: ModelSpec) -> "Expectation":
        """What the model of a description expects."""
        preprocessing = spec.preprocessing
        return cls(spec.source_contrast, preprocessing.skull, preprocessing.orientation)


def check_volume(volume: Volume, expected: Expectation = Expectation()) -> list[Notice]:
    """Find what speaks against a translation, in a fraction of a second.

    Where the scan does not look like a head, nothing else is said of what it shows.

    Args:
        volume: The scan as it was read.
        expected: What the model was trained on.

    Returns:
        Doubts with a code, a reason and a number; empty for a scan like the model's own.
    """
    try:
        overview = look_at(volume)
    except InputError as error:  # nothing in it: constant, or nowhere positive
        array_kji = volume.array_kji
        varies = array_kji.max() > 0 and array_kji.max() > array_kji.min()
        reason = "At 2 mm nothing stands out in it." if varies else error.message
        return [Notice("not-a-head", f"There is no head to see. {reason}")]
    slices = axis_order(volume.ijk_to_ras, expected.orientation).apply_to_grid(volume.grid)
    classifiers = load_classifiers()
    appearance = measure(overview) if overview.has_region else None
    slice_count = slices.shape_kji[0]
    quality = [
        *check_slice_count(slice_count),
        *check_resolution(volume, expected.orientation),
        *check_clipping(volume, overview),
    ]
    no_head = check_head(overview, appearance, classifiers)
    if no_head or appearance is None:
        return [*no_head, *quality]
    return [
        *check_contrast(appearance, expected.contrast, classifiers),
        *check_skull(overview, expected.skull),
        *(check_coverage(overview) if slice_count >= FEW_SLICES else []),
        *check_shading(appearance),
        *check_ghosting(overview),
        *quality,
    ]


def with_doubts(
    volume: Volume,
    spec: ModelSpec,
    checks: Checks,
    on_notice: Callable[[Notice], None] = lambda _notice: None,
) -> Volume:
    """Add to a volume's notices what speaks against translating it with a model.

    Args:
        volume: The scan as it was read.
        spec: What the model says of itself.
        checks: "warn" doubts a scan that is unlike those of the model, "strict" refuses it, "off"
            does not look.
        on_notice: Told each doubt at once.

    Raises:
        InputError: The scan is in doubt and the checks are strict.
    """
    if checks == "off":
        return volume
    doubts = check_volume(volume, Expectation.of(spec))
    if checks == "strict" and doubts:
        raise InputError(
            "The input is in doubt: " + " ".join(notice.message for notice in doubts),
            "With --checks warn it is translated all the same.",
        )
    for notice in doubts:
        on_notice(notice)
    return replace(volume, notices=(*volume.notices, *doubts))
