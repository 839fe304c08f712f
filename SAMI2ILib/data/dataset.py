"""The dataset folder: prepared slices on disk, read one at a time at a size far beyond memory.

```
DATASET/dataset.json                  what it holds, how it was made, hashes; written last
DATASET/subjects/NAME/T1.npy          (K, H, W) float16 in [0, 1], NaN where nothing was measured
DATASET/subjects/NAME/masks.npy       (K, H, W) uint8: bit 0 brain, bit 1 + n foreground of the
                                      subject's contrast n
DATASET/train.txt validation.txt test.txt
```
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.assets import asset_path
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.geometry import Matrix, check_ijk_to_ras, spacing_mm
from SAMI2ILib.imaging.volume import BoolArray, FloatArray

FORMAT_VERSION: Final = 1
MANIFEST_FILE: Final = "dataset.json"
UNFINISHED_FILE: Final = "unfinished.txt"
SUBJECTS_FOLDER: Final = "subjects"
MASKS_FILE: Final = "masks.npy"
SPLITS: Final = ("train", "validation", "test")
# Bits of `masks.npy`: the brain, then the foreground of each of the subject's contrasts.
BRAIN_BIT: Final = 1
MAX_CONTRASTS: Final = 7


def foreground_bit(number: int) -> int:
    """The bit of `masks.npy` that holds the foreground of the subject's contrast `number`."""
    return 2 << number


class PairedSlice(NamedTuple):
    """One axial slice of a subject, ready to be cut and augmented.

    Attributes:
        source: (C, H, W) float32 in [0, 1]: the slice, or it and its neighbors where `context` is
            above 1 (the outermost slice is repeated). 0 where it was not measured.
        foreground: (H, W) bool: the source's head.
        targets: (T, H, W) float32 in [0, 1]; NaN where a target was not measured, and throughout
            for one that the subject lacks.
        brain: (H, W) bool; None for a subject without a brain mask.
    """

    source: FloatArray
    foreground: BoolArray
    targets: FloatArray
    brain: BoolArray | None


@dataclass(frozen=True, eq=False)
class SubjectSlices:
    """The prepared volumes of one subject. It holds no voxels: they are read when asked for.

    Attributes:
        folder: Where its arrays lie.
        name: Unique in the dataset.
        person: Whose scans they are; all subjects of one person are in one part of the split.
        site: Where they were scanned; empty where unknown.
        split: `train`, `validation` or `test`.
        contrasts: What the subject has.
        shape_kji: Slices, rows, columns; another subject may have other sizes.
        ijk_to_ras: (4, 4) float64, where the grid lies in the patient. Axes LPS: row 0 is
            anterior, column 0 the patient's right, slice 0 the lowest.
        slices: Numbers k of the slices that were chosen for training and for metrics.
        has_brain: Whether there is a brain mask.
        files: SHA-256 of each array by its file name.
        details: Sources, intensity scales, registrations, warnings; for people.
    """

    folder: Path
    name: str
    person: str
    site: str
    split: str
    contrasts: tuple[str, ...]
    shape_kji: tuple[int, int, int]
    ijk_to_ras: Matrix
    slices: tuple[int, ...]
    has_brain: bool
    files: Mapping[str, str]
    details: Mapping[str, Any]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance of columns, rows and slices in mm."""
        return spacing_mm(self.ijk_to_ras)

    def volume(self, contrast: str) -> NDArray[np.float16]:
        """Map a whole contrast: (K, H, W) float16, read from disk where it is looked at.

        Raises:
            InputError: The subject lacks it, or the file is damaged.
        """
        self._number_of(contrast)
        return self._map(f"{contrast}.npy", np.dtype(np.float16))

    def read(self, contrast: str, k: int) -> FloatArray:
        """Read slice `k` as (H, W) float32; NaN where nothing was measured.

        Raises:
            InputError: The subject lacks the contrast, or the file is damaged.
        """
        return np.asarray(self.volume(contrast)[k], dtype=np.float32)

    def foreground(self, contrast: str, k: int | slice = slice(None)) -> BoolArray:
        """Read the head as this contrast shows it: (H, W) bool of slice `k`, or (K, H, W) of all.

        Raises:
            InputError: The subject lacks the contrast, or the file is damaged.
        """
        bit = foreground_bit(self._number_of(contrast))
        return self._mask(bit, k)

    def brain(self, k: int | slice = slice(None)) -> BoolArray | None:
        """Read the brain mask, as `foreground`; None where the subject has none."""
        return self._mask(BRAIN_BIT, k) if self.has_brain else None

    def _mask(self, bit: int, k: int | slice) -> BoolArray:
        mask: BoolArray = (self._map(MASKS_FILE, np.dtype(np.uint8))[k] & bit) > 0
        return mask

    def _number_of(self, contrast: str) -> int:
        if contrast not in self.contrasts:
            raise InputError(
                f"Subject '{self.name}' has no {contrast}, only {', '.join(self.contrasts)}.",
                "Choose another contrast or leave the subject out.",
            )
        return self.contrasts.index(contrast)

    def _map(self, file: str, dtype: np.dtype[Any]) -> NDArray[Any]:
        # Opened anew each time: an open map would be copied whole into each worker process.
        try:
            array: NDArray[Any] = np.load(self.folder / file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(file) from error
        if array.dtype != dtype or array.shape != self.shape_kji:
            raise self._damaged(file)
        return array

    def _damaged(self, file: str) -> InputError:
        return InputError(
            f"{file} of subject '{self.name}' is missing or damaged.",
            f"Delete {self.folder} and prepare the dataset again; the rest is kept.",
        )


@dataclass(frozen=True, eq=False)
class PairedSlices:
    """The chosen slices of one subject as pairs: a source and what shall be made of it.

    Attributes:
        subject: Who.
        source: The contrast that goes in.
        targets: The contrasts that come out; the subject may lack some.
        context: How many adjacent slices go in; odd.
    """

    subject: SubjectSlices
    source: str
    targets: tuple[str, ...]
    context: int = 1

    def __post_init__(self) -> None:
        if self.context < 1 or self.context % 2 == 0:
            raise InputError(f"context must be odd and positive, not {self.context}.")

    def __len__(self) -> int:
        return len(self.subject.slices)

    def read(self, number: int) -> PairedSlice:
        """Read pair `number` of `len(self)`.

        Raises:
            InputError: The subject lacks the source, or a file is damaged.
        """
        subject, k = self.subject, self.subject.slices[number]
        reach = self.context // 2
        neighbors = np.clip(np.arange(k - reach, k + reach + 1), 0, subject.shape_kji[0] - 1)
        source = np.asarray(subject.volume(self.source)[neighbors], dtype=np.float32)
        targets = np.full((len(self.targets), *subject.shape_kji[1:]), np.nan, dtype=np.float32)
        for channel, target in enumerate(self.targets):
            if target in subject.contrasts:
                targets[channel] = subject.read(target, k)
        return PairedSlice(
            np.nan_to_num(source, copy=False),
            subject.foreground(self.source, k),
            targets,
            subject.brain(k),
        )


@dataclass(frozen=True, eq=False)
class SliceDataset:
    """An open dataset folder.

    Attributes:
        folder: Where it lies.
        manifest: The parsed `dataset.json`.
        subjects: All of them, sorted by name.
    """

    folder: Path
    manifest: Mapping[str, Any]
    subjects: tuple[SubjectSlices, ...]

    @property
    def id(self) -> str:
        """SHA-256 over all names, split parts and arrays: equal where the data are equal."""
        return str(self.manifest["id"])

    @property
    def contrasts(self) -> tuple[str, ...]:
        """The contrasts that were prepared; a subject may lack some."""
        return tuple(self.manifest["contrasts"])

    @cached_property
    def by_name(self) -> Mapping[str, SubjectSlices]:
        """The subjects by their names."""
        return {subject.name: subject for subject in self.subjects}

    def split(self, *parts: str) -> tuple[SubjectSlices, ...]:
        """Give the subjects of one or more parts; the paper's 80 % are `train`, `validation`.

        Raises:
            InputError: A part is none of `SPLITS`.
        """
        for part in parts:
            if part not in SPLITS:
                raise InputError(f"The split has the parts {', '.join(SPLITS)}, but no '{part}'.")
        return tuple(subject for subject in self.subjects if subject.split in parts)

    def pairs(
        self, source: str, targets: Sequence[str], *parts: str, context: int = 1
    ) -> list[PairedSlices]:
        """Pair up the subjects of a part that have the source and at least one target.

        Args:
            source: The contrast that goes in.
            targets: The contrasts that come out, in the order of the channels.
            parts: Of the split; all where none is named.
            context: How many adjacent slices go in; odd.

        Raises:
            InputError: The dataset lacks the source or all of the targets, a part is none of
                `SPLITS`, or `context` is even.
        """
        if source not in self.contrasts or not set(targets) & set(self.contrasts):
            wanted = source if source not in self.contrasts else " or ".join(targets)
            raise InputError(
                f"The dataset {self.folder} has no {wanted}, only {', '.join(self.contrasts)}.",
                "Prepare it with that contrast.",
            )
        return [
            PairedSlices(subject, source, tuple(targets), context)
            for subject in self.split(*(parts or SPLITS))
            if source in subject.contrasts and any(t in subject.contrasts for t in targets)
        ]

    def verify(self, on_progress: Callable[[int, int], None] = lambda _done, _total: None) -> None:
        """Read every array and compare it with its recorded hash.

        Raises:
            InputError: A file is missing or its content differs.
        """
        for done, subject in enumerate(self.subjects):
            on_progress(done, len(self.subjects))
            for file, expected in subject.files.items():
                if _sha256(subject.folder / file) != expected:
                    raise subject._damaged(file)
        on_progress(len(self.subjects), len(self.subjects))


def open_dataset(folder: Path) -> SliceDataset:
    """Open a dataset folder; no voxel is read.

    Raises:
        InputError: No dataset, an unfinished one, one of a newer format, or a damaged manifest.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    subjects = sorted(manifest["subjects"], key=lambda record: str(record["name"]))
    names = [record["name"] for record in subjects]
    if len(set(names)) != len(names):
        raise InputError(f"{folder / MANIFEST_FILE} names a subject twice.", _PREPARE_AGAIN)
    return SliceDataset(folder, manifest, tuple(_subject(folder, record) for record in subjects))


_PREPARE_AGAIN = "Prepare the dataset again; the subjects that are ready are kept."


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST_FILE
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        if (folder / UNFINISHED_FILE).is_file():
            raise InputError(
                f"The dataset {folder} is not finished.", "Run the same `sami2i prepare` again."
            ) from error
        raise InputError(
            f"{folder} is no dataset: it has no {MANIFEST_FILE}.",
            "Make one with `sami2i prepare`.",
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}.", _PREPARE_AGAIN) from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise InputError(
            f"{path} was made by a newer version of the software (format {version}; this one "
            f"reads {FORMAT_VERSION}).",
            "Update SAM-I2I.",
        )
    _check_schema(manifest, path)
    return dict(manifest)


def _check_schema(manifest: object, path: Path) -> None:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match

    schema = asset_path("schema", f"dataset-{FORMAT_VERSION}.json")
    validator = Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    error = best_match(validator.iter_errors(manifest))
    if error is not None:
        field = error.json_path.removeprefix("$").removeprefix(".") or "the whole file"
        raise InputError(f"{path} is damaged: {field}: {error.message[:160]}.", _PREPARE_AGAIN)


def _subject(folder: Path, record: Mapping[str, Any]) -> SubjectSlices:
    slices, (k, h, w) = tuple(record["slices"]), record["shape_kji"]
    if max(slices) >= k:
        raise InputError(
            f"'{record['name']}' in {folder / MANIFEST_FILE} names slice {max(slices)} of {k}.",
            _PREPARE_AGAIN,
        )
    return SubjectSlices(
        folder=folder / SUBJECTS_FOLDER / record["name"],
        name=record["name"],
        person=record["person"],
        site=record["site"],
        split=record["split"],
        contrasts=tuple(record["contrasts"]),
        shape_kji=(k, h, w),
        ijk_to_ras=check_ijk_to_ras(np.array(record["ijk_to_ras"]), "ijk_to_ras"),
        slices=slices,
        has_brain=record["has_brain"],
        files=record["files"],
        details=record.get("details", {}),
    )


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
