"""One volume in, one synthetic volume out: the path that panel, command line and cohort share."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.checks.quality import check_slice_count
from SAMI2ILib.errors import CancelledError, InputError, ModelError
from SAMI2ILib.imaging.intensity import OUTPUT_RANGE, IntensityScale
from SAMI2ILib.imaging.normalized import normalize_volume
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.slices import to_slices
from SAMI2ILib.imaging.tiling import plan_tiles
from SAMI2ILib.imaging.volume import BoolArray, Volume
from SAMI2ILib.imaging.working_grid import WorkingGrid, plan_working_grid
from SAMI2ILib.inference.device import select_device
from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.predictor import Predictor, TorchPredictor
from SAMI2ILib.inference.views import STRAIGHT, View
from SAMI2ILib.weights import Preprocessing

TILE_OVERLAP_FRACTION = 0.25

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TranslateOptions:
    """What may be switched off and on.

    Attributes:
        normalize: Bring the input into [0, 1] with 0 outside the head, and the output to
            [0, 1000] with 0 there. Off is for an input that is prepared already: the network
            sees its values, and what the network says is the result.
        keep_working: Give the result on the grid of the translated slices too.
    """

    normalize: bool = True
    keep_working: bool = False


@dataclass(frozen=True, eq=False)
class PreparedVolume:
    """A volume that is ready for the network.

    Attributes:
        volume: As it came.
        foreground: (K, J, I) bool, where the head is; None where normalization was switched off.
        scale: Of its intensities; None where that was switched off.
        plan: The way to the slices and back.
        working: What the network sees, on the grid of the slices.
        notices: Doubts that the user should read.
    """

    volume: Volume
    foreground: BoolArray | None
    scale: IntensityScale | None
    plan: WorkingGrid
    working: Volume
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Translation:
    """A synthetic volume and what is needed to judge it.

    Attributes:
        volume: On the input's grid, float32, in [0, 1000] arbitrary units and exactly 0 outside
            the foreground; the network's own values when not normalized.
        scale: For an identity network, `volume / scale` is on the input's scale.
        percentile: The input value that became 1.0: the percentile of its foreground that the
            model asks for; 1.0 when not normalized.
        notices: Doubts that the user should read.
        slice_count: Axial slices of the working grid.
        translated_slice_count: Those of them that hold foreground; the others stay 0.
        working: The result on the grid of the slices, in the unit of `volume`; None unless
            `keep_working`.
        uncertainty: Standard deviation of the passes of an ensemble, on the grid and in the unit
            of `volume`; None where the network ran once.
        passes: How often the network ran over the volume.
    """

    volume: Volume
    scale: float
    percentile: float
    notices: tuple[Notice, ...] = field(default=())
    slice_count: int = 0
    translated_slice_count: int = 0
    working: Volume | None = None
    uncertainty: Volume | None = None
    passes: int = 1


def check_contrasts(model: LoadedModel, source: str | None, target: str | None) -> None:
    """Refuse a model that was trained for another pair of contrasts.

    Raises:
        ModelError: The model's source or target is not the one asked for.
    """
    spec = model.spec
    for name, asked, has in (
        ("source", source, spec.source_contrast),
        ("target", target, spec.target_contrast),
    ):
        if asked is not None and asked.upper() != has.upper():
            raise ModelError(
                f"The model {spec.id!r} has the {name} contrast {has}, not {asked}.",
                f"Choose a model for it (`sami2i models list`) or leave --{name} out.",
            )


def translate(
    volume: Volume,
    model: LoadedModel,
    predictor: Predictor | None = None,
    options: TranslateOptions = TranslateOptions(),
    on_progress: Progress = lambda _stage, _done, _total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Translation:
    """Make the model's target contrast from a volume of its source contrast.

    Args:
        volume: Any orientation, spacing and size; it is not changed.
        model: From `load_model`.
        predictor: Where the network runs; made for the best device of this machine when None.
            Make it once for many volumes.
        options: See `TranslateOptions`.
        on_progress: Called as (stage, done, total); stages: "prepare", "translate", "finish".
        is_cancelled: Asked before each batch.

    Returns:
        The synthetic volume on the grid of `volume`.

    Raises:
        InputError: The volume has nothing in it: constant, or without foreground.
        CancelledError: `is_cancelled` said so.
        ModelError: The network computed NaN or infinity.
        OutOfMemoryError: One slice does not fit anywhere.

    Source:
        SAM-I2I, Sec. 2: slice by slice. Working grid, normalization and tiling are ours.
    """
    on_progress("prepare", 0, 1)
    prepared = prepare_volume(volume, model.spec.preprocessing, options.normalize)
    on_progress("prepare", 1, 1)
    heard: list[Notice] = []
    if predictor is None:
        predictor = TorchPredictor(model.network, select_device(), on_notice=heard.append)
    translation = translate_prepared(
        prepared, model, predictor, options.keep_working, on_progress, is_cancelled
    )
    return replace(translation, notices=(*translation.notices, *heard))


def prepare_volume(
    volume: Volume, preprocessing: Preprocessing, normalize: bool = True
) -> PreparedVolume:
    """Do what comes before the network; it needs no model and no device.

    Args:
        volume: Any orientation, spacing and size.
        preprocessing: What the network expects.
        normalize: As in `TranslateOptions`.

    Raises:
        InputError: The volume has nothing in it: constant, or without foreground.
    """
    _check_has_contrast(volume.array_kji)
    percent = preprocessing.normalization.percentile
    normalized = normalize_volume(volume, percent) if normalize else None
    plan = plan_working_grid(volume.grid, preprocessing.orientation, preprocessing.spacing_mm)
    working = plan.to_working(normalized.volume if normalized else volume)
    notices = (*volume.notices, *plan.warnings)
    if "few-slices" not in {notice.code for notice in notices}:  # the checks were left out
        notices = (*notices, *check_slice_count(len(working.array_kji)))
    foreground, scale = (normalized.foreground, normalized.scale) if normalized else (None, None)
    return PreparedVolume(volume, foreground, scale, plan, working, notices)


def translate_prepared(
    prepared: PreparedVolume,
    model: LoadedModel,
    predictor: Predictor,
    keep_working: bool = False,
    on_progress: Progress = lambda _stage, _done, _total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    view: View = STRAIGHT,
) -> Translation:
    """Run the network over the slices and bring the result back onto the input's grid.

    Args:
        prepared: From `prepare_volume` with this model's preprocessing.
        model: From `load_model`.
        predictor: Where the network runs.
        keep_working: As in `TranslateOptions`.
        on_progress: As in `translate`; stages: "translate", "finish".
        is_cancelled: As in `translate`.
        view: How the network is shown the slices.

    Raises:
        CancelledError: `is_cancelled` said so.
        ModelError: The network computed NaN or infinity.
        OutOfMemoryError: One slice does not fit anywhere.
    """
    chosen = slices_to_translate(prepared)
    translated = prepared.working.with_array(
        _translate_slices(
            prepared.working.array_kji, chosen, model, predictor, on_progress, is_cancelled, view
        )
    )
    on_progress("finish", 0, 1)
    result = _on_input_grid(prepared, translated)
    on_progress("finish", 1, 1)
    scale = prepared.scale
    unit = np.float32(OUTPUT_RANGE if scale else 1)
    return Translation(
        volume=result,
        scale=scale.output_scale if scale else 1.0,
        percentile=scale.percentile if scale else 1.0,
        notices=prepared.notices,
        slice_count=len(translated.array_kji),
        translated_slice_count=len(chosen),
        working=translated.with_array(translated.array_kji * unit) if keep_working else None,
    )


def _on_input_grid(prepared: PreparedVolume, translated: Volume) -> Volume:
    """Bring what the network said back, in [0, 1000] and 0 outside the head if normalized."""
    result = prepared.plan.from_working(translated).array_kji
    if prepared.foreground is None:
        return prepared.volume.with_array(result)
    # Interpolation back to the input's grid may overshoot what the network can say.
    result = np.clip(result, 0, 1)
    result *= np.float32(OUTPUT_RANGE)
    result[~prepared.foreground] = 0
    return prepared.volume.with_array(result)


def slices_to_translate(prepared: PreparedVolume) -> list[int]:
    """Numbers of the working grid's slices that the network sees: those with foreground."""
    array_kji = prepared.working.array_kji
    if prepared.foreground is None:
        return list(range(len(array_kji)))
    return [k for k, image in enumerate(array_kji) if image.any()]


def _check_has_contrast(array_kji: NDArray[np.float32]) -> None:
    lowest, highest = float(array_kji.min()), float(array_kji.max())
    if lowest == highest:
        raise InputError(
            f"The input volume is constant: every voxel is {lowest:g}.",
            "Choose the volume that holds the scan.",
        )


def _translate_slices(
    array_kji: NDArray[np.float32],
    chosen: list[int],
    model: LoadedModel,
    predictor: Predictor,
    on_progress: Progress,
    is_cancelled: Callable[[], bool],
    view: View,
) -> NDArray[np.float32]:
    """Run the chosen slices through the network; the others stay 0."""
    preprocessing = model.spec.preprocessing
    size = preprocessing.size
    height, width = array_kji.shape[1:]
    tiles = plan_tiles(height, width, size, overlap=int(size * TILE_OVERLAP_FRACTION))
    result = np.zeros_like(array_kji)
    under_way: deque[list[int]] = deque()
    done = 0

    def batches() -> Iterator[NDArray[np.float32]]:
        first = 0
        while first < len(chosen):
            if is_cancelled():
                raise CancelledError
            on_progress("translate", done, len(chosen))
            group = chosen[first : first + max(1, predictor.batch_size // tiles.tile_count)]
            under_way.append(group)
            first += len(group)
            yield view.apply(tiles.cut(to_slices(array_kji, preprocessing.context_slices, group)))

    for answer in predictor.predict_each(batches()):
        output = view.undo(answer)
        if not np.isfinite(output).all():
            raise ModelError(
                f"The model {model.spec.id!r} computed values that are not finite.",
                "Try --precision fp32; if that does not help, the model is damaged.",
            )
        group = under_way.popleft()
        # (n * tiles, S, S) -> (n, 1, H, W) -> (n, H, W)
        result[group] = tiles.merge(output[:, np.newaxis])[:, 0]
        done += len(group)
    on_progress("translate", len(chosen), len(chosen))
    return result
