"""Several translations of one volume: their mean is the result, their spread says its doubt.

The members are views of the slices (`views`) and, where given, several models. Mean and spread
are kept as running sums, so memory does not grow with the number of passes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from SAMI2ILib.errors import InputError, ModelError
from SAMI2ILib.imaging.volume import FloatArray, Volume
from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.predictor import Predictor
from SAMI2ILib.inference.translate import (
    PreparedVolume,
    Progress,
    TranslateOptions,
    Translation,
    prepare_volume,
    slices_to_translate,
    translate_prepared,
)
from SAMI2ILib.inference.views import View, views_for

_DEFAULTS = TranslateOptions()


@dataclass(frozen=True)
class Member:
    """A model and where it runs."""

    model: LoadedModel
    predictor: Predictor

    @property
    def views(self) -> tuple[View, ...]:
        """How this model sees the slices."""
        return views_for(self.model.spec.preprocessing.context_slices)


class Ensemble:
    """Models that translate one volume together, each in all its views.

    Args:
        members: At least one; the first gives the record its model, scale and slices.

    Raises:
        InputError: No member, or one model twice.
        ModelError: A model is made for another pair of contrasts than the first.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        if not members:
            raise InputError("An ensemble needs at least one model, but none is given.")
        first = members[0].model.spec
        for member in members[1:]:
            spec = member.model.spec
            pair = spec.source_contrast, spec.target_contrast
            if pair != (first.source_contrast, first.target_contrast):
                raise ModelError(
                    f"The model {spec.id!r} makes {pair[1]} from {pair[0]}, but {first.id!r} makes "
                    f"{first.target_contrast} from {first.source_contrast}.",
                    "Join models of one pair of contrasts.",
                )
        hashes = {member.model.sha256 for member in members}
        if len(hashes) < len(members):
            raise InputError(
                "The ensemble holds one model twice.", "Give each model of an ensemble once."
            )
        self.members = tuple(members)

    @property
    def passes(self) -> int:
        """How often the network runs over the volume."""
        return sum(len(member.views) for member in self.members)

    def translate(
        self,
        volume: Volume,
        options: TranslateOptions = _DEFAULTS,
        on_progress: Progress = lambda _stage, _done, _total: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> Translation:
        """Make the target contrast and its uncertainty.

        Args:
            volume: Any orientation, spacing and size; it is not changed.
            options: See `TranslateOptions`.
            on_progress: As in `translate`; the slices of all passes are counted together.
            is_cancelled: Asked before each batch.

        Returns:
            The mean of all passes, with `uncertainty` and `passes`.

        Raises:
            InputError: The volume has nothing in it, or the result on the grid of the slices is
                asked for and the models work on different ones.
            CancelledError: `is_cancelled` said so.
            ModelError: A network computed NaN or infinity.
            OutOfMemoryError: One slice does not fit anywhere.
        """
        on_progress("prepare", 0, 1)
        prepared = self.prepare(volume, options.normalize)
        on_progress("prepare", 1, 1)
        return self.translate_prepared(prepared, options.keep_working, on_progress, is_cancelled)

    def prepare(self, volume: Volume, normalize: bool = True) -> tuple[PreparedVolume, ...]:
        """Do what comes before the networks, once for each kind of preprocessing.

        Args:
            volume: Any orientation, spacing and size.
            normalize: As in `TranslateOptions`.

        Returns:
            One for each member.

        Raises:
            InputError: The volume has nothing in it: constant, or without foreground.
        """
        wanted = [member.model.spec.preprocessing for member in self.members]
        kinds = {kind: prepare_volume(volume, kind, normalize) for kind in dict.fromkeys(wanted)}
        return tuple(kinds[kind] for kind in wanted)

    def translate_prepared(
        self,
        prepared: Sequence[PreparedVolume],
        keep_working: bool = False,
        on_progress: Progress = lambda _stage, _done, _total: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> Translation:
        """As `translate`, from what `prepare` returned."""
        if keep_working:
            _check_one_working_grid(prepared)
        counted = _CountedSlices(on_progress, self._slice_passes(prepared))
        result, working = RunningStatistics(), RunningStatistics()

        def run(member: Member, ready: PreparedVolume, view: View) -> Translation:
            translation = translate_prepared(
                ready, member.model, member.predictor, keep_working,
                counted.in_this_pass, is_cancelled, view,
            )  # fmt: skip
            counted.end_pass(translation.translated_slice_count)
            result.add(translation.volume.array_kji)
            if translation.working is not None:
                working.add(translation.working.array_kji)
            return translation

        first, *others = (
            (member, ready, view)
            for member, ready in zip(self.members, prepared, strict=True)
            for view in member.views
        )
        pattern = run(*first)
        for other in others:
            run(*other)
        on_progress("finish", 1, 1)
        notices = dict.fromkeys(notice for ready in prepared for notice in ready.notices)
        return replace(
            pattern,
            volume=pattern.volume.with_array(result.mean),
            notices=tuple(notices),
            working=pattern.working and pattern.working.with_array(working.mean),
            uncertainty=pattern.volume.with_array(result.standard_deviation()),
            passes=self.passes,
        )

    def _slice_passes(self, prepared: Sequence[PreparedVolume]) -> int:
        return sum(
            len(member.views) * len(slices_to_translate(ready))
            for member, ready in zip(self.members, prepared, strict=True)
        )


class RunningStatistics:
    """Mean and standard deviation of arrays that come one after the other.

    Attributes:
        count: Arrays so far.
        mean: Of those, float32; an empty array before the first.

    Source:
        Welford, Note on a method for calculating corrected sums of squares, Technometrics 1962.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: FloatArray = np.zeros(0, dtype=np.float32)
        self._squares: FloatArray = np.zeros(0, dtype=np.float32)

    def add(self, array: FloatArray) -> None:
        """Take one more array, of the shape of the first."""
        self.count += 1
        if self.count == 1:
            self.mean, self._squares = array.copy(), np.zeros_like(array)
            return
        before = array - self.mean
        self.mean += before / np.float32(self.count)
        self._squares += before * (array - self.mean)

    def standard_deviation(self) -> FloatArray:
        """Root of the mean squared distance from the mean (divided by the count), float32."""
        deviation: FloatArray = np.sqrt(np.maximum(self._squares, 0) / np.float32(self.count))
        return deviation


class _CountedSlices:
    """Tells the slices of several passes as one long row."""

    def __init__(self, on_progress: Progress, total: int) -> None:
        self._on_progress, self._total = on_progress, total
        self._before = 0

    def in_this_pass(self, stage: str, done: int, _total: int) -> None:
        """What a pass says; each brings its result back onto the input's grid by itself."""
        if stage == "translate":
            self._on_progress(stage, self._before + done, self._total)

    def end_pass(self, slices: int) -> None:
        """Count a pass as done."""
        self._before += slices


def _check_one_working_grid(prepared: Sequence[PreparedVolume]) -> None:
    first = prepared[0].plan.grid
    for other in prepared[1:]:
        grid = other.plan.grid
        if grid.shape_kji != first.shape_kji or not np.allclose(grid.ijk_to_ras, first.ijk_to_ras):
            raise InputError(
                "The models of the ensemble work on different grids of slices.",
                "Leave --working-grid out, or join models of one orientation and spacing.",
            )
