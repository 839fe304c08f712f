"""Writes a dataset folder: each subject whole or not at all, the manifest last."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.about import VERSION
from SAMI2ILib.atomic import atomic_folder, make_folder, remove_leftovers, write_text
from SAMI2ILib.data.dataset import (
    BRAIN_BIT,
    FORMAT_VERSION,
    MANIFEST_FILE,
    MASKS_FILE,
    MAX_CONTRASTS,
    SPLITS,
    SUBJECTS_FOLDER,
    UNFINISHED_FILE,
    foreground_bit,
)
from SAMI2ILib.errors import InputError, OutputError, ShapeError
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

_RECORD_FILE = "subject.json"
# A folder's name on every system, and nothing that leads out of the dataset.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_CONTRAST = re.compile(r"[A-Za-z0-9]{1,32}")
# Windows takes these for devices, whatever their ending and case.
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class PreparedSubject:
    """One subject's arrays, all (K, H, W) on one grid with LPS axes.

    Attributes:
        name: Letters, digits, `. _ -`.
        images: By contrast, float in [0, 1]; NaN where nothing was measured.
        foregrounds: By contrast, the head as it shows it.
        ijk_to_ras: (4, 4) of the grid.
        slices: Numbers k of the chosen slices.
        brain: The brain, or None.
        person: Whose scans they are; the name where empty.
        site: Where they were scanned; empty where unknown.
        details: JSON values for people: sources, scales, registrations, warnings.
    """

    name: str
    images: Mapping[str, FloatArray]
    foregrounds: Mapping[str, BoolArray]
    ijk_to_ras: NDArray[np.float64]
    slices: Sequence[int]
    brain: BoolArray | None = None
    person: str = ""
    site: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


def check_name(name: str) -> None:
    """Refuse a subject's name that is no folder name on every system.

    Raises:
        InputError: It is not letters, digits, `. _ -` only, or Windows's name of a device.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"A subject cannot be called {name[:100]!r}.",
            "Use letters, digits, '.', '_', '-', and start and end with a letter or digit.",
        )
    if _DEVICE.fullmatch(name):
        raise InputError(
            f"A subject cannot be called {name!r}, which is a device on Windows.",
            "Give it another name.",
        )


def check_contrast(contrast: str) -> None:
    """Refuse a contrast's name that is no file name.

    Raises:
        InputError: It is not letters and digits only, or names another file of a subject or, on
            Windows, a device.
    """
    taken = f"{contrast.lower()}.npy" == MASKS_FILE or _DEVICE.fullmatch(contrast)
    if taken or not _CONTRAST.fullmatch(contrast):
        raise InputError(
            f"A contrast cannot be called {contrast[:40]!r}.",
            "Use up to 32 letters and digits, as T1, T2, PD, FLAIR.",
        )


def claim_dataset(folder: Path) -> None:
    """Make a folder for a dataset, or go on with one; never spread over somebody's files.

    Args:
        folder: New, empty, or a dataset, finished or not.

    Raises:
        InputError: It holds something else.
        OutputError: It cannot be written to.
    """
    make_folder(folder)
    is_ours = (folder / UNFINISHED_FILE).is_file() or _is_manifest(folder / MANIFEST_FILE)
    if not is_ours and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise InputError(
            f"-o {folder} is not empty and no dataset.", "Choose a new or an empty folder."
        )
    write_text("Run the same `sami2i prepare` again to go on.\n", folder / UNFINISHED_FILE)
    make_folder(folder / SUBJECTS_FOLDER)
    remove_leftovers(folder / SUBJECTS_FOLDER)


def _is_manifest(path: Path) -> bool:
    """Whether a `dataset.json` is one of ours: other programs have files of that name."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    keys = {"format_version", "id", "preparation", "split", "subjects"}
    return isinstance(manifest, dict) and keys <= manifest.keys()


def write_subject(dataset: Path, subject: PreparedSubject, request: str) -> dict[str, Any]:
    """Write one subject; it may run in several processes, one subject each.

    Args:
        dataset: The dataset folder; made if needed.
        subject: The arrays.
        request: What the arrays were made from and how, as one text; `finished_record` finds them
            again by it.

    Returns:
        The subject's record for `write_manifest`.

    Raises:
        InputError: A name is not allowed, or no slice is chosen.
        ShapeError: The arrays do not share one shape.
        OutputError: It cannot be written, or a folder of that name is not a prepared subject.
    """
    shape = _check(subject)
    folder = dataset / SUBJECTS_FOLDER / subject.name
    if folder.exists() and not (folder / _RECORD_FILE).is_file():
        raise OutputError(
            f"{folder} is there and was not written by `sami2i prepare`.",
            "Move it away, or choose another folder for -o.",
        )
    make_folder(folder.parent)
    with atomic_folder(folder) as staged:
        files = {
            f"{contrast}.npy": _save(staged / f"{contrast}.npy", image.astype(np.float16))
            for contrast, image in subject.images.items()
        }
        files[MASKS_FILE] = _save(staged / MASKS_FILE, _pack_masks(subject, shape))
        record = {
            "name": subject.name,
            "person": subject.person or subject.name,
            "site": subject.site,
            "contrasts": list(subject.images),
            "shape_kji": list(shape),
            "ijk_to_ras": np.asarray(subject.ijk_to_ras, dtype=np.float64).tolist(),
            "slices": [int(k) for k in subject.slices],
            "has_brain": subject.brain is not None,
            "files": files,
            "details": dict(subject.details),
        }
        text = json.dumps({"request": _digest(request), "record": record}, allow_nan=False)
        write_text(text, staged / _RECORD_FILE)
    return record


def finished_record(dataset: Path, name: str, request: str) -> dict[str, Any] | None:
    """Give the record of a subject that was written for the same request, else None."""
    try:
        text = (dataset / SUBJECTS_FOLDER / name / _RECORD_FILE).read_text(encoding="utf-8")
        content = json.loads(text)
        if content["request"] == _digest(request):
            return dict(content["record"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none there, or damaged: it is prepared again
    return None


def write_manifest(
    dataset: Path,
    records: Sequence[Mapping[str, Any]],
    splits: Mapping[str, str],
    *,
    contrasts: Sequence[str],
    name: str = "",
    license_text: str = "",
    preparation: Mapping[str, Any] | None = None,
    split_rule: Mapping[str, Any] | None = None,
    skipped: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Finish a dataset: `dataset.json` and the lists of names.

    Args:
        dataset: The folder; what lies in it for other subjects stays and is not part of it.
        records: What `write_subject` gave.
        splits: Part of each subject: `train`, `validation` or `test`.
        contrasts: What was asked for, in the order that readers show.
        name: What the data are called.
        license_text: Of the data, for the card of a model that is trained on them.
        preparation: Settings, as JSON values.
        split_rule: How the split was made, as JSON values.
        skipped: `name`, `reason` and `failed` of who is not part of it.

    Returns:
        The dataset's id.

    Raises:
        InputError: There is no subject, or one is in no part of the split.
        OutputError: A file cannot be written.
    """
    if not records:
        raise InputError("The dataset would be empty: no subject could be prepared.")
    subjects = []
    for record in sorted(records, key=lambda record: str(record["name"])):
        if splits.get(record["name"]) not in SPLITS:
            raise InputError(f"Subject '{record['name']}' is in no part of the split.")
        subjects.append({**record, "split": splits[record["name"]]})
    content = [[s["name"], s["split"], s["slices"], sorted(s["files"].items())] for s in subjects]
    dataset_id = _digest(json.dumps(content))
    manifest = {
        "format_version": FORMAT_VERSION,
        "id": dataset_id,
        "name": name,
        "license": license_text,
        "contrasts": list(contrasts),
        "preparation": dict(preparation or {}),
        "split": dict(split_rule or {}),
        "software": _software(),
        "skipped": [dict(entry) for entry in skipped],
        "subjects": subjects,
    }
    for part in SPLITS:
        names = [s["name"] for s in subjects if s["split"] == part]
        write_text("".join(f"{n}\n" for n in names), dataset / f"{part}.txt")
    write_text(_one_line_a_subject(manifest), dataset / MANIFEST_FILE)
    (dataset / UNFINISHED_FILE).unlink(missing_ok=True)
    return dataset_id


def _check(subject: PreparedSubject) -> tuple[int, int, int]:
    check_name(subject.name)
    for contrast in subject.images:
        check_contrast(contrast)
    if not 1 <= len(subject.images) <= MAX_CONTRASTS:
        raise InputError(
            f"Subject '{subject.name}' has {len(subject.images)} contrasts, but 1 to "
            f"{MAX_CONTRASTS} fit."
        )
    if subject.foregrounds.keys() != subject.images.keys():
        raise InputError(f"Subject '{subject.name}' needs a foreground for each contrast.")
    arrays = [*subject.images.values(), *subject.foregrounds.values()]
    arrays += [] if subject.brain is None else [subject.brain]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 3:
        raise ShapeError(
            f"The arrays of subject '{subject.name}' must share one shape (K, H, W), but they "
            f"have {sorted(shapes)}."
        )
    k, h, w = arrays[0].shape
    if not subject.slices or not all(0 <= n < k for n in subject.slices):
        raise InputError(
            f"The slices of subject '{subject.name}' must lie in 0 to {k - 1}, and there must be "
            "at least one."
        )
    return k, h, w


def _pack_masks(subject: PreparedSubject, shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    masks = np.zeros(shape, dtype=np.uint8)
    if subject.brain is not None:
        masks[subject.brain] |= np.uint8(BRAIN_BIT)
    for number, contrast in enumerate(subject.images):
        masks[subject.foregrounds[contrast]] |= np.uint8(foreground_bit(number))
    return masks


def _save(path: Path, array: NDArray[Any]) -> str:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _software() -> dict[str, str]:
    from SAMI2ILib.imaging.itk import simpleitk

    return {
        "SAMI2ILib": VERSION,
        "numpy": np.__version__,
        "SimpleITK": simpleitk().Version.VersionString(),
    }


def _one_line_a_subject(manifest: Mapping[str, Any]) -> str:
    """JSON that a person can read and compare, though it may name a thousand subjects."""
    fields = []
    for key, value in manifest.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines = ",\n".join(f"    {json.dumps(entry, allow_nan=False)}" for entry in value)
            text = f"[\n{lines}\n  ]"
        else:
            text = json.dumps(value, indent=2, allow_nan=False).replace("\n", "\n  ")
        fields.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"
