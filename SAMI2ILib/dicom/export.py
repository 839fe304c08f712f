"""From a synthetic volume to a folder of DICOM slices that appears whole or not at all."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import atomic_folder, make_folder
from SAMI2ILib.dicom.instance import make_instance, set_pixel_format, set_source_images
from SAMI2ILib.dicom.place import check_place, corresponding_slices
from SAMI2ILib.dicom.quiet_pydicom import quiet_pydicom, save
from SAMI2ILib.dicom.series_header import ExportOptions, series_header
from SAMI2ILib.dicom.slice_stack import stack_slices
from SAMI2ILib.dicom.source_series import read_source_series
from SAMI2ILib.dicom.synthesis import Synthesis
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.volume import Volume


@dataclass(frozen=True)
class ExportedSeries:
    """What was written.

    Attributes:
        folder: Holds one file a slice and nothing else.
        count: Number of slices.
        study_uid: Study Instance UID.
        series_uid: Series Instance UID.
        notices: What the user should hear.
    """

    folder: Path
    count: int
    study_uid: str
    series_uid: str
    notices: tuple[Notice, ...]


def export_series(
    volume: Volume,
    record: dict[str, Any],
    folder: Path,
    source: Path | Iterable[Path] | None = None,
    series_uid: str | None = None,
    options: ExportOptions | None = None,
    on_progress: Callable[[str, int, int], None] = lambda _stage, _done, _total: None,
) -> ExportedSeries:
    """Write a synthetic volume as a new MR series.

    Args:
        volume: Any orientation; values are stored as 16-bit numbers with one factor.
        record: Its sidecar, or the same fields from the attributes of a node.
        folder: Is made; one that holds anything is refused.
        source: Folder or files of the series that the volume was made from: the new series joins
            its patient, study and frame of reference. Without it, those of an unknown patient.
        series_uid: Which series of the source, where it holds several.
        options: Defaults of `ExportOptions` where left out.
        on_progress: Called with "write", slices done, slices in all.

    Raises:
        InputError: The folder is not empty; the record is not one; the source cannot be read or
            is not what the volume was made from; a slice is too large or too small.
        OutputError: The folder cannot be made or written to, or the disk is full.
    """
    check_new_folder(folder)
    options = options or ExportOptions()
    synthesis = Synthesis.from_record(record)
    series = None if source is None else read_source_series(source, series_uid)
    if isinstance(source, Path):
        _check_source_content(record, source, series_uid)
    axes = None if series is None else series.axes_lps
    stack = stack_slices(volume, axes, options.burn_in_mark)
    notices = () if series is None else check_place(stack, series)
    make_folder(folder.absolute().parent)
    with quiet_pydicom() as pydicom, atomic_folder(folder.absolute(), replace=False) as staged:
        header = series_header(pydicom, synthesis, series, options)
        set_pixel_format(header, stack)
        matches = corresponding_slices(stack, series) if series else []
        count = len(stack.array_kji)
        for index in range(count):
            instance = make_instance(pydicom, header, stack, index)
            if series is not None:
                set_source_images(pydicom, instance, matches[index], series)
            save(instance, staged / f"IM{index + 1:05d}.dcm")
            on_progress("write", index + 1, count)
    return ExportedSeries(
        folder, count, str(header.StudyInstanceUID), str(header.SeriesInstanceUID), notices
    )


def check_new_folder(folder: Path) -> None:
    """Refuse a place for the series that holds something.

    Raises:
        InputError: It is a file, a link or a folder that is not empty.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder.name} is not a folder.", "Choose a new folder for -o.")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(
            f"The folder {folder.name} is not empty; nothing in it is replaced.",
            "Choose a new folder for -o.",
        )


def _check_source_content(record: dict[str, Any], folder: Path, series_uid: str | None) -> None:
    """Where the record names a DICOM series by its content, the source has to be that one."""
    # Not at load time: Slicer's own process may lack the packages that a translation needs.
    from SAMI2ILib.inference.source_file import describe_source_file

    made_from = record["source"]
    if not str(made_from.get("file", "")).startswith("DICOM series"):
        return
    if made_from.get("sha256") != describe_source_file(folder, series_uid)["sha256"]:
        raise InputError(
            f"The volume was not made from {folder.name}: its files are not those of the record.",
            "Give the folder that it was made from, with the same files in it as then.",
        )
