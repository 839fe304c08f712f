"""Finds the volumes of a cohort: in a folder, a BIDS data set, or a table."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from SAMI2ILib.data.subjects import BIDS_SUFFIXES
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.header_checks import is_dicom_file
from SAMI2ILib.imaging.io import image_ending
from SAMI2ILib.inference.cohort.bids import anatomical_images, derivative_fields, is_bids
from SAMI2ILib.inference.output_files import (
    image_stem,
    is_synthetic_record,
    output_name,
    sidecar_path,
)
from SAMI2ILib.tables import read_rows

TABLE_ENDINGS = (".csv", ".tsv")

# What a file name may say of its contrast: T1, T1w.
_CONTRASTS = {"T1", "T2", "PD", "FLAIR", "DWI", "BOLD"}


@dataclass(frozen=True)
class Case:
    """One volume to translate.

    Attributes:
        name: Unique in the cohort, such as `anna/T1` or `sub-01_T1w`.
        source: Image file or folder of a DICOM series.
        output: Image file, relative to the cohort's output folder.
        series_uid: Which series, where a DICOM folder holds several.
        sidecar_fields: What the sidecar says besides our own record.
    """

    name: str
    source: Path
    output: Path
    series_uid: str | None = None
    sidecar_fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cohort:
    """The volumes to translate.

    Attributes:
        cases: In the order of their names, or of the table's rows; never empty.
        left_out: How many images were found that are of another contrast, or synthetic.
        bids_root: The data set, where the input is one.
    """

    cases: tuple[Case, ...]
    left_out: int = 0
    bids_root: Path | None = None


def find_cases(
    cohort: Path, output: Path, source: str, target: str, pattern: str | None = None
) -> Cohort:
    """List the volumes of one contrast; no image is opened.

    Args:
        cohort: One of

            - a table with a column `source` (paths, from the table's folder), and if wanted `name`
              and `series`;
            - a BIDS data set: its `anat` images of the contrast;
            - another folder: the images in it and in its subfolders that are named for the contrast
              (`anna_T1.nii.gz`, `anna/T1.nii.gz`), and subfolders that hold a DICOM series. Where
              no image of the folder itself is named for the contrast, all are taken that are not
              named for another one.
        output: The folder that results go to; what lies in it is no input.
        source: The contrast that goes in.
        target: The contrast that comes out.
        pattern: Instead of these rules, which paths below the folder: `*/mprage.nii.gz`.

    Raises:
        InputError: The cohort does not exist or holds no volume; a table cannot be read; two
            volumes would have the same result; `output` is the cohort itself, or names an image.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"-o {output} is a file, but a cohort has many.", "Give a folder.")
    if image_ending(output) and not output.is_dir():
        raise InputError(
            f"-o names an image, {output.name}, but a cohort has many.", "Give a folder."
        )
    if cohort.is_dir():
        if output.exists() and output.samefile(cohort):
            raise InputError(
                "The results would lie among the inputs.", "Give a folder of their own for -o."
            )
        found = _in_folder(cohort, output, source, target, pattern)
    elif cohort.is_file() and cohort.suffix.lower() in TABLE_ENDINGS:
        if pattern is not None:
            raise InputError(
                f"--pattern chooses in a folder, but {cohort.name!r} is a table.", "Leave it out."
            )
        found = Cohort(tuple(_in_table(cohort, target)))
        if not found.cases:
            raise InputError(f"The table {cohort.name!r} has no row.", "Add one for each volume.")
    else:
        raise InputError(
            f"{str(cohort)!r} is not a folder and not a table ({', '.join(TABLE_ENDINGS)}).",
            "Check the path; for one volume use `sami2i translate`.",
        )
    if not found.cases and pattern is not None:
        raise InputError(
            f"{str(cohort)!r} holds no volume that --pattern {pattern!r} names.",
            "It is matched against paths below the folder, such as */mprage.nii.gz.",
        )
    if not found.cases:
        raise InputError(
            f"{str(cohort)!r} holds no volume that is known to be a {source}.",
            f"Name the files for their contrast ({source}.nii.gz), or use --pattern.",
        )
    _check_outputs_differ(found.cases)
    return found


def _in_folder(folder: Path, output: Path, source: str, target: str, pattern: str | None) -> Cohort:
    bids = pattern is None and is_bids(folder)
    if pattern is not None:
        found = chosen = _matches(folder, pattern)
    elif bids:
        found = anatomical_images(folder)
        suffix = BIDS_SUFFIXES.get(source, source)
        chosen = [path for path in found if image_stem(path).endswith(f"_{suffix}")]
    else:
        found, chosen = _named_for(source, folder)
    chosen = [path for path in chosen if not _is_result(path, output)]
    cases = []
    for path in chosen:
        place = Path() if bids else path.parent.relative_to(folder)
        stem = path.name if path.is_dir() else image_stem(path)
        written = path.parent.relative_to(folder) / output_name(path, target)
        fields = derivative_fields(path, source, target) if bids else {}
        cases.append(Case((place / stem).as_posix(), path, written, sidecar_fields=fields))
    cases.sort(key=lambda case: case.name)
    return Cohort(tuple(cases), len(found) - len(chosen), folder if bids else None)


def _matches(folder: Path, pattern: str) -> list[Path]:
    """What a pattern finds, as far as it can be a volume."""
    try:
        if ".." in Path(pattern).parts:
            raise ValueError("it leads out of the folder")
        found = list(folder.glob(pattern))
    except (ValueError, NotImplementedError) as error:
        raise InputError(
            f"--pattern {pattern!r} cannot be used: {error}.",
            "Give one below the folder, such as */mprage.nii.gz.",
        ) from error
    return [path for path in found if _is_image(path) or _holds_dicom(path)]


def _named_for(contrast: str, folder: Path) -> tuple[list[Path], list[Path]]:
    """The images of a folder and its subfolders, and those that are of a contrast."""
    found = _images(folder)
    chosen = [path for path in found if contrast in _contrasts_in_name(path)]
    if not chosen:
        chosen = [path for path in found if not _contrasts_in_name(path)]
    for child in folder.iterdir():
        if not child.is_dir() or child.name.startswith("."):
            continue
        images = _images(child)
        found += images
        chosen += [path for path in images if contrast in _contrasts_in_name(path)]
        if not images and _holds_dicom(child):
            found.append(child)
            chosen.append(child)
    return found, chosen


def _contrasts_in_name(path: Path) -> set[str]:
    words = re.split(r"[^A-Z0-9]+", image_stem(path).upper())
    return {word.removesuffix("W") for word in words} & _CONTRASTS


def _images(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _is_image(path)]


def _is_image(path: Path) -> bool:
    # Hidden ones are other programs' leftovers, such as macOS's `._head.nii`, and our own.
    return bool(image_ending(path)) and not path.name.startswith(".") and path.is_file()


def _holds_dicom(folder: Path) -> bool:
    return folder.is_dir() and any(is_dicom_file(path) for path in folder.iterdir())


def _is_result(path: Path, output: Path) -> bool:
    if output.resolve() in path.resolve().parents:
        return True
    return is_synthetic_record(sidecar_path(path))


def _in_table(table: Path, target: str) -> Iterable[Case]:
    rows = read_rows(table, required=("source",))
    for number, row in enumerate(rows, start=1):
        source = table.parent / row["source"]
        name = row.get("name", "") or image_stem(source)
        if not row["source"] or not _is_safe_name(name):
            problem = f"the name {name[:60]!r} cannot be a file's" if row["source"] else "no source"
            raise InputError(
                f"Row {number} of {table.name!r} below its header: {problem}.",
                "Fill the columns `source` (a path) and `name` (no folder in it).",
            )
        written = Path(output_name(source, target, name))
        yield Case(name, source, written, row.get("series") or None)


def _is_safe_name(name: str) -> bool:
    """Whether a name can be a file's on every system and stays in its folder."""
    return re.fullmatch(r'(?![. ])[^\x00-\x1f/\\:*?"<>|]{1,128}(?<![. ])', name) is not None


def _check_outputs_differ(cases: tuple[Case, ...]) -> None:
    seen: dict[str, Case] = {}
    for case in cases:
        # The sidecars of x.nii and x.nrrd are one file; so are x and X on Windows and macOS, and on
        # macOS é as one letter and as e with an accent.
        name = sidecar_path(case.output).as_posix()
        key = unicodedata.normalize("NFC", name).casefold()
        if key in seen:
            raise InputError(
                f"{seen[key].source.name!r} and {case.source.name!r} would have the same result "
                f"{case.output.as_posix()!r}.",
                "Rename one, choose with --pattern, or give a table with a column `name`.",
            )
        seen[key] = case
