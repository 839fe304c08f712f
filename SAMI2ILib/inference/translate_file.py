"""From an image file to a synthetic volume with its sidecar: both are written, or neither."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import atomic_path, make_folder, remove_leftovers
from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.imaging.volume import Volume
from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.output_files import sidecar_path
from SAMI2ILib.inference.predictor import TorchPredictor
from SAMI2ILib.inference.provenance import describe, write_sidecar
from SAMI2ILib.inference.source_file import describe_source_file
from SAMI2ILib.inference.translate import Progress, TranslateOptions, Translation, translate
from SAMI2ILib.weights import file_sha256


@dataclass(frozen=True)
class SavedTranslation:
    """What one input became.

    Attributes:
        translation: The synthetic volume with its doubts.
        record: What the sidecar holds.
        output: The image file.
        sidecar: The record's file beside it.
    """

    translation: Translation
    record: dict[str, Any]
    output: Path
    sidecar: Path


def translate_file(
    source: Path,
    output: Path,
    model: LoadedModel,
    predictor: TorchPredictor,
    series_uid: str | None = None,
    working_output: Path | None = None,
    on_progress: Progress = lambda _stage, _done, _total: None,
    is_cancelled: Callable[[], bool] = lambda: False,
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

    Returns:
        The result and where it lies.

    Raises:
        InputError: The source cannot be read or holds nothing to translate.
        OutputError: The folder cannot be written to or the disk is full; nothing is left.
        CancelledError: `is_cancelled` said so; nothing is left.
        OutOfMemoryError: One slice does not fit anywhere.
    """
    remove_leftovers(output.parent)
    on_progress("read", 0, 1)
    volume = read_volume(source, series_uid)
    on_progress("read", 1, 1)
    options = TranslateOptions(keep_working=working_output is not None)
    translation = translate(volume, model, predictor, options, on_progress, is_cancelled)
    on_progress("write", 0, 1)
    fields = describe_source_file(source, series_uid)
    record = describe(translation, model, predictor.device, fields)
    if working_output is not None and translation.working is not None:
        save_translation(translation.working, record, working_output)
    record = save_translation(translation.volume, record, output)
    on_progress("write", 1, 1)
    return SavedTranslation(translation, record, output, sidecar_path(output))


def save_translation(volume: Volume, record: dict[str, Any], path: Path) -> dict[str, Any]:
    """Write a volume and its sidecar.

    Both are complete before either gets its name, and a new sidecar gets its name first: at no
    moment does a volume lie there without a record that says that it is synthetic. Where both
    replace earlier ones, the volume is first: one that cannot be replaced, because a program holds
    it open, keeps its own record.

    Args:
        volume: The synthetic volume.
        record: From `provenance.describe`.
        path: With the extension of an image format; its folder is made if it is missing.

    Returns:
        What the sidecar holds: `record` with the name and SHA-256 of the image as `volume`.

    Raises:
        OutputError: The folder cannot be made or written to, or the disk is full.
    """
    make_folder(path.parent)
    record_path = sidecar_path(path)
    # The second file to be opened is the first to get its name.
    later, earlier = (record_path, path) if path.exists() else (path, record_path)
    with atomic_path(later) as last, atomic_path(earlier) as first:
        image, sidecar = (first, last) if path == earlier else (last, first)
        write_volume(volume, image, called=path.name)
        record = {**record, "volume": {"file": path.name, "sha256": file_sha256(image)}}
        write_sidecar(record, sidecar)
    return record
