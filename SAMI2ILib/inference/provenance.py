"""The record that goes with every synthetic volume, so that it cannot pass for a real one."""

import hashlib
import json
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from SAMI2ILib.about import INTENDED_USE, SOFTWARE_NAME, VERSION
from SAMI2ILib.atomic import atomic_path
from SAMI2ILib.inference.device import Device
from SAMI2ILib.inference.model_loader import LoadedModel
from SAMI2ILib.inference.translate import Translation

SIDECAR_VERSION = 1
_IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def describe(
    translation: Translation, model: LoadedModel, device: Device, source: dict[str, Any]
) -> dict[str, Any]:
    """Say how a synthetic volume came about.

    Args:
        translation: What `translate` returned.
        model: The model that made it.
        device: Where it ran.
        source: From `describe_source_file`, or the panel's name of the source node.

    Returns:
        JSON-ready fields. They hold file names only: no folder, no patient's name or number.
    """
    spec = model.spec
    return {
        "sidecar_version": SIDECAR_VERSION,
        "synthetic": True,
        "intended_use": INTENDED_USE,
        "source": source,
        "source_contrast": spec.source_contrast,
        "target_contrast": spec.target_contrast,
        "model": {
            "id": spec.id,
            "title": spec.title,
            "sha256": model.sha256,
            "encoder_sha256": model.encoder_sha256,
            "license": spec.license,
        },
        "intensity": {
            "unit": "arbitrary",
            "scale": translation.scale,
            "source_percentile_99_5": translation.percentile,
        },
        "slices": {
            "axial": translation.slice_count,
            "translated": translation.translated_slice_count,
        },
        "warnings": [
            {"code": notice.code, "message": notice.message} for notice in translation.notices
        ],
        "software": {"name": SOFTWARE_NAME, "version": VERSION},
        "device": {"name": device.description, "precision": device.precision},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def describe_source_file(path: Path) -> dict[str, Any]:
    """Name a source by its file name and content.

    Args:
        path: An image file, or the folder of a DICOM series, which is named by its content alone:
            such folders often carry the patient's name.

    Returns:
        `file` and `sha256`; for a folder the hash of its files' hashes in the order of their names.
    """
    if not path.is_dir():
        return {"file": path.name, "sha256": _sha256([path])}
    files = sorted(item for item in path.iterdir() if item.is_file())
    return {"file": f"DICOM series of {len(files)} files", "sha256": _sha256(files)}


def sidecar_path(image_path: Path) -> Path:
    """Name the sidecar of an image: `head_synth-T2.nii.gz` has `head_synth-T2.json`."""
    return image_path.with_name(image_stem(image_path) + ".json")


def image_stem(image_path: Path) -> str:
    """The file name without the image's extension, of which ".nii.gz" is one."""
    name = image_path.name
    for suffix in _IMAGE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return image_path.stem


def write_sidecar(fields: dict[str, Any], path: Path) -> None:
    """Write the record as JSON, atomically.

    Raises:
        OutputError: The folder cannot be written to.
    """
    text = json.dumps(fields, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def is_synthetic_record(path: Path) -> bool:
    """Whether a JSON file is a sidecar of ours."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(fields, dict) and fields.get("synthetic") is True


def _sha256(paths: Iterable[Path]) -> str:
    """Hash one file's bytes; of several, the hash of their hashes."""
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256"))
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()
