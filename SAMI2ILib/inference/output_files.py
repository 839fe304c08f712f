"""Where a synthetic volume goes, what it is called, and what it must never replace."""

import json
from pathlib import Path
from typing import Any

from SAMI2ILib.atomic import may_write, nearest_folder
from SAMI2ILib.data.subjects import BIDS_SUFFIXES
from SAMI2ILib.errors import InputError, OutputError
from SAMI2ILib.imaging.io import WRITABLE_ENDINGS, image_ending
from SAMI2ILib.imaging.itk import require_utf8

DEFAULT_ENDING = ".nii.gz"
_BIDS_MARK = "_desc-synthetic_"
# A header with its voxels in a second file becomes one file of the same family.
_WRITTEN_AS = {".nhdr": ".nrrd", ".mhd": ".mha"}
# Nobody means a folder by a name like these.
_NOT_WRITTEN = (
    ".dcm", ".ima", ".hdr", ".img", ".gz", ".mgh", ".mgz", ".mnc", ".png", ".jpg", ".jpeg",
    ".tif", ".tiff", ".vtk", ".vti", ".gipl", ".zip", ".json",
)  # fmt: skip


def output_path(source: Path, output: Path, target: str) -> Path:
    """Name the file to write.

    Args:
        source: The source file or DICOM folder.
        output: With an image extension the file itself, anything else a folder.
        target: The target contrast.

    Returns:
        In a folder `<source>_synth-<target>` in the source's format, or the BIDS name
        `sub-X_desc-synthetic_<target>w` where the source has a BIDS name.

    Raises:
        InputError: The name is that of a file in a format that is not written.
    """
    if output.is_dir():
        return output / output_name(source, target)
    if image_ending(output):
        return output
    if output.name.lower().endswith(_NOT_WRITTEN):
        raise InputError(
            f"{output.name!r} cannot be written in this format.",
            f"Name a folder, or a file that ends in {', '.join(WRITABLE_ENDINGS)}; "
            "`sami2i export-dicom` makes DICOM of it.",
        )
    return output / output_name(source, target)


def output_name(source: Path, target: str, stem: str | None = None) -> str:
    """Name the file of a result in a folder, in the format of its source.

    Args:
        source: The source file or DICOM folder.
        target: The target contrast.
        stem: What to call the source; its own name where left out.
    """
    # A link's own name, not that of what it points to: data sets may be links to hashed names.
    named = source if source.name not in ("", "..") else source.resolve()
    ending = "" if source.is_dir() else image_ending(named)
    if stem is None:
        stem = named.name[: len(named.name) - len(ending)]
    return synthetic_name(stem, target) + (_WRITTEN_AS.get(ending, ending) or DEFAULT_ENDING)


def synthetic_name(stem: str, target: str) -> str:
    """Name a synthetic volume after its source, so that the name says what it is.

    Examples: `head` -> `head_synth-T2`; `sub-01_ses-2_T1w` -> `sub-01_ses-2_desc-synthetic_T2w`.
    """
    entities, _, suffix = stem.rpartition("_")
    if entities.startswith("sub-") and suffix in BIDS_SUFFIXES.values():
        kept = [entity for entity in entities.split("_") if not entity.startswith("desc-")]
        return "_".join([*kept, "desc-synthetic", BIDS_SUFFIXES.get(target, target)])
    return f"{stem}_synth-{target}"


def uncertainty_path(image: Path) -> Path:
    """Name the uncertainty map of a synthetic volume, in its format.

    Examples: `head_synth-T2.nrrd` -> `head_synth-T2_uncertainty.nrrd`;
    `sub-01_desc-synthetic_T2w.nii` -> `sub-01_desc-syntheticUncertainty_T2w.nii`.
    """
    stem = image_stem(image)
    ending = image.name[len(stem) :]
    if stem.startswith("sub-") and _BIDS_MARK in stem:
        return image.with_name(stem.replace(_BIDS_MARK, "_desc-syntheticUncertainty_") + ending)
    return image.with_name(f"{stem}_uncertainty{ending}")


def sidecar_path(image: Path) -> Path:
    """Name the sidecar of an image: `head_synth-T2.nii.gz` has `head_synth-T2.json`."""
    return image.with_name(image_stem(image) + ".json")


def image_stem(image: Path) -> str:
    """The file name without the image's extension, of which ".nii.gz" is one."""
    ending = image_ending(image)
    return image.name[: -len(ending)] if ending else image.name


def check_output(output: Path, source: Path, option: str = "-o") -> None:
    """Refuse, before any work, an output that cannot be written or would replace a real scan.

    Args:
        output: The image file to write.
        source: What it is made from.
        option: That names the output, for messages.

    Raises:
        InputError: The output has another extension, a path that is not UTF-8, or is the source,
            or an existing file that is not a synthetic volume.
        OutputError: The folder may not be written to.
    """
    if not output.name.endswith(WRITABLE_ENDINGS):
        raise InputError(
            f"{output.name!r} cannot be written in this format.",
            f"Let the name end in {', '.join(WRITABLE_ENDINGS)}, in lower case.",
        )
    require_utf8(output)
    existing = nearest_folder(output)
    if not existing.is_dir() or not may_write(existing):
        raise OutputError(
            f"{existing.name or str(existing)!r} is not a folder that may be written to.",
            f"Choose another one for {option}.",
        )
    if output.exists() and source.exists() and output.samefile(source):
        raise InputError("The output is the input itself.", f"Choose another name for {option}.")
    sidecar = sidecar_path(output)
    for path in (output, sidecar):
        if path.exists() and path.stat().st_size and not is_synthetic_record(sidecar):
            raise InputError(
                f"{path.name!r} exists and is not a synthetic volume's; it is not replaced.",
                f"Choose another name for {option}, or move the file away.",
            )


def is_image_record(record: dict[str, Any]) -> bool:
    """Whether a record is that of a synthetic image, and not of an uncertainty or error map."""
    return str(record.get("quantity", "image")) == "image"


def check_apart(output: Path, working_output: Path) -> None:
    """Refuse two results of which one would replace the other, or the other's sidecar.

    Raises:
        InputError: They have one name but for the ending.
    """
    if sidecar_path(output).absolute() == sidecar_path(working_output).absolute():
        raise InputError(
            f"{output.name!r} and {working_output.name!r} would have the same sidecar.",
            "Give the two results different names.",
        )


def is_synthetic_record(path: Path) -> bool:
    """Whether a JSON file is a sidecar of ours."""
    return read_record(path) is not None


def read_record(path: Path) -> dict[str, Any] | None:
    """Read a sidecar of ours; None for a missing, damaged or other file."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) and fields.get("synthetic") is True else None
