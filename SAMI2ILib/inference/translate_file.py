"""From an image file to a synthetic volume with its sidecar: both are written, or neither."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import exclusive, make_folder, remove_leftovers
from SAMI2ILib.checks import Checks, with_doubts
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.inference.ensemble import Ensemble
from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.output_files import sidecar_path, uncertainty_path
from SAMI2ILib.inference.predictor import PlacedPredictor
from SAMI2ILib.inference.provenance import describe, describe_uncertainty
from SAMI2ILib.inference.saving import write_pair
from SAMI2ILib.inference.source_file import read_source
from SAMI2ILib.inference.translate import Progress, TranslateOptions, Translation, translate


@dataclass(frozen=True)
class SavedTranslation:
    """What one input became.

    Attributes:
        translation: The synthetic volume with its doubts.
        record: What the sidecar holds.
        output: The image file.
        sidecar: The record's file beside it.
        uncertainty: The image file of the uncertainty map; None where none was asked for.
    """

    translation: Translation
    record: dict[str, Any]
    output: Path
    sidecar: Path
    uncertainty: Path | None = None


def translate_file(
    source: Path,
    output: Path,
    model: LoadedModel,
    predictor: PlacedPredictor,
    series_uid: str | None = None,
    working_output: Path | None = None,
    on_progress: Progress = lambda _stage, _done, _total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    ensemble: Ensemble | None = None,
    checks: Checks = "warn",
    on_notice: Callable[[Notice], None] = lambda _notice: None,
) -> SavedTranslation:
    """Read, translate, and write the result with its sidecar.

    Args:
        source: Image file or folder of a DICOM series; never written to.
        output: Image file to write; an existing one is replaced.
        model: From `load_model`.
        predictor: Where it runs.
        series_uid: Which series, where a DICOM folder holds several.
        working_output: Image file for the result on the grid of the slices; None writes none.
        on_progress: As in `translate`, with the further stages "read" and "write".
        is_cancelled: As in `translate`.
        ensemble: Makes the result and an uncertainty map beside it; `model` and `predictor` are
            those of its first member.
        checks: As in `with_doubts`.
        on_notice: Told the doubts about the source before the network runs.

    Returns:
        The result and where it lies.

    Raises:
        InputError: The source cannot be read or holds nothing to translate, or it is in doubt and
            the checks are strict.
        OutputError: The folder cannot be written to or the disk is full; nothing is left.
        CancelledError: `is_cancelled` said so; nothing is left.
        OutOfMemoryError: One slice does not fit anywhere.
    """
    remove_leftovers(output.parent)
    on_progress("read", 0, 1)
    volume, fields = read_source(source, series_uid)
    volume = with_doubts(volume, model.spec, checks, on_notice)
    on_progress("read", 1, 1)
    options = TranslateOptions(keep_working=working_output is not None)
    if ensemble is None:
        translation = translate(volume, model, predictor, options, on_progress, is_cancelled)
    else:
        translation = ensemble.translate(volume, options, on_progress, is_cancelled)
    on_progress("write", 0, 1)
    record = describe(translation, model, predictor.device, fields, ensemble, predictor.back_end)
    if working_output is not None and translation.working is not None:
        save_translation(translation.working, record, working_output)
    doubt = translation.uncertainty
    record = save_translation(translation.volume, record, output, doubt)
    on_progress("write", 1, 1)
    doubt_path = None if doubt is None else uncertainty_path(output)
    return SavedTranslation(translation, record, output, sidecar_path(output), doubt_path)


def save_translation(
    volume: Volume, record: dict[str, Any], path: Path, uncertainty: Volume | None = None
) -> dict[str, Any]:
    """Write a volume and its sidecar, and its uncertainty map with a sidecar of its own.

    All are complete before any gets its name, and a new sidecar gets its name first: at no
    moment does a volume lie there without a record that says that it is synthetic. Where both
    replace earlier ones, the volume is first: one that cannot be replaced, because a program holds
    it open, keeps its own record. Of two processes that write the same volume, the later one's
    pair is what stays: never the image of one with the record of the other.

    Args:
        volume: The synthetic volume.
        record: From `provenance.describe`.
        path: With the extension of an image format; its folder is made if it is missing.
        uncertainty: On the grid of `volume`; it goes to `uncertainty_path(path)`.

    Returns:
        What the sidecar holds: `record` with the name and SHA-256 of the image as `volume`.

    Raises:
        OutputError: The folder cannot be made or written to, or the disk is full.
    """
    make_folder(path.parent)
    with ExitStack() as files:
        take_turn = files.enter_context(exclusive(sidecar_path(path)))
        record = write_pair(files, volume, record, path)
        if uncertainty is not None:
            write_pair(files, uncertainty, describe_uncertainty(record), uncertainty_path(path))
        take_turn()
    return record
