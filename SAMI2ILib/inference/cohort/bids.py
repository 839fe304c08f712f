"""BIDS data sets: where their images lie, and what makes the results a BIDS derivative."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from SAMI2ILib.about import INTENDED_USE, REPOSITORY_URL, SOFTWARE_NAME, VERSION
from SAMI2ILib.atomic import make_folder, write_text
from SAMI2ILib.errors import InputError
from SAMI2ILib.inference.output_files import sidecar_path

BIDS_VERSION = "1.10.0"
DESCRIPTION_NAME = "dataset_description.json"

_FOLDERS = ("sub-*/anat", "sub-*/ses-*/anat")
_ENDINGS = (".nii.gz", ".nii")


def is_bids(folder: Path) -> bool:
    """Whether a folder is laid out as a BIDS data set."""
    return (folder / DESCRIPTION_NAME).is_file() or any(
        next(folder.glob(place), None) is not None for place in _FOLDERS
    )


def anatomical_images(folder: Path) -> list[Path]:
    """The structural images of a BIDS data set."""
    found = [path for place in _FOLDERS for path in folder.glob(f"{place}/*")]
    # Hidden ones are other programs' leftovers, such as macOS's `._sub-01_T1w.nii`.
    visible = (path for path in found if not path.name.startswith("."))
    return [path for path in visible if path.name.endswith(_ENDINGS)]


def derivative_fields(source_image: Path, source: str, target: str) -> dict[str, Any]:
    """What BIDS asks of the sidecar of a derived image, beside our own record.

    `SkullStripped` is what the source's sidecar says; a raw scan, which does not say it, has its
    skull.
    """
    stripped = _read(sidecar_path(source_image)).get("SkullStripped")
    return {
        "Description": f"Synthetic {target}, estimated from a {source}. {INTENDED_USE}",
        "SkullStripped": stripped is True,
    }


def write_description(folder: Path, data_set: Path, ignored: Sequence[str]) -> None:
    """Write what describes a folder of synthetic images; a README that is there stays.

    Args:
        folder: The derivative; made if it is missing.
        data_set: Where the sources lie.
        ignored: Files and folders in it that are not BIDS.

    Raises:
        InputError: The folder is another data set, not a derivative of ours.
        OutputError: The folder cannot be written to.
    """
    path = folder / DESCRIPTION_NAME
    if path.exists() and not _is_ours(_read(path)):
        raise InputError(
            f"{folder.name!r} is another data set: its {DESCRIPTION_NAME} is not of this software.",
            "Give a folder of their own for the results, such as derivatives/sami2i.",
        )
    source = _read(data_set / DESCRIPTION_NAME)
    fields: dict[str, Any] = {
        "Name": f"Synthetic images of {source.get('Name') or 'a BIDS data set'}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": SOFTWARE_NAME,
                "Version": VERSION,
                "CodeURL": REPOSITORY_URL,
                "Description": INTENDED_USE,
            }
        ],
    }
    if source.get("DatasetDOI"):
        fields["SourceDatasets"] = [{"DOI": source["DatasetDOI"]}]
    make_folder(folder)
    write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", path)
    write_text("".join(f"/{name}\n" for name in ignored), folder / ".bidsignore")
    if not any(folder.glob("README*")):
        write_text(
            f"{fields['Name']}, made by {SOFTWARE_NAME}.\n{INTENDED_USE}\n", folder / "README"
        )


def _read(path: Path) -> dict[str, Any]:
    """Read a description; empty where there is none that can be read."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _is_ours(fields: dict[str, Any]) -> bool:
    makers = fields.get("GeneratedBy")
    return isinstance(makers, list) and any(
        isinstance(maker, dict) and maker.get("Name") == SOFTWARE_NAME for maker in makers
    )
