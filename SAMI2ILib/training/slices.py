"""Prepared slices of each subject, kept on disk and read one at a time."""

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib.atomic import atomic_folder, make_folder, remove_leftovers
from SAMI2ILib.data.subjects import Subject
from SAMI2ILib.errors import InputError, Sami2iError
from SAMI2ILib.imaging.itk import simpleitk
from SAMI2ILib.training.prepare import prepare_subject

# Part of each folder's name: raise it when the preparation changes, and old folders are not used.
_FORMAT = 1
_ARRAY, _INDEX = "slices.npy", "slices.json"


@dataclass(frozen=True)
class SliceStack:
    """The prepared slices of one subject, read from disk one at a time.

    Attributes:
        subject: The subject's name.
        file: (N, 2 + T, H, W) float16: source in [0, 1], foreground 0 or 1, then each target in
            [0, 1], NaN where it was not measured.
        boxes: Top, bottom, left, right of the foreground in each slice, in pixels.
    """

    subject: str
    file: Path
    boxes: tuple[tuple[int, int, int, int], ...]

    def __len__(self) -> int:
        return len(self.boxes)

    def box(self, number: int) -> tuple[int, int, int, int]:
        """Top, bottom, left and right of the foreground of one slice."""
        return self.boxes[number]

    def read(self, number: int) -> NDArray[np.float32]:
        """Read one slice as (2 + T, H, W) float32."""
        return np.asarray(self._open()[number], dtype=np.float32)

    def read_neighbors(self, number: int, distance: int = 1) -> NDArray[np.float32]:
        """Read the sources of the slice before, the slice and the slice after as (3, H, W) float32.

        Args:
            number: Of the slice in the middle.
            distance: How many slices before and after; beyond the ends the last is repeated.
        """
        numbers = np.clip([number - distance, number, number + distance], 0, len(self) - 1)
        array = self._open()
        return np.stack([np.asarray(array[n, 0], dtype=np.float32) for n in numbers])

    def _open(self) -> NDArray[np.float16]:
        # Opened anew each time: an open map would be copied whole into each worker process.
        array: NDArray[np.float16] = np.load(self.file, mmap_mode="r", allow_pickle=False)
        return array


def prepare_slices(
    subjects: Sequence[Subject],
    source: str,
    targets: Sequence[str],
    cache: Path,
    processes: int,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[SliceStack]:
    """Prepare every subject that was not prepared before, several at a time.

    Args:
        subjects: All of them have the source; a target may be missing.
        source: The contrast that goes in.
        targets: The contrasts that come out, in the order of the channels.
        cache: Folder that keeps the prepared slices; what is there and unchanged is used again.
        processes: How many subjects at a time.
        on_progress: Called with how many of how many subjects are ready.

    Returns:
        One stack a subject, in the order of `subjects`.

    Raises:
        InputError: A volume cannot be read or registered; the message names the subject.
        OutputError: The cache cannot be made.
    """
    make_folder(cache)
    remove_leftovers(cache)
    folders = [_folder_of(subject, source, targets, cache) for subject in subjects]
    # by folder: a subject that two data sources name is prepared once
    missing = {
        folder: subject
        for folder, subject in zip(folders, subjects, strict=True)
        if not (folder / _INDEX).is_file()
    }
    total = len(set(folders))
    done = total - len(missing)
    on_progress(done, total)
    if missing:
        # spawn, because a process that has run torch's threads must not be forked
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(processes, len(missing)), mp_context=context) as pool:
            jobs = [
                pool.submit(_prepare, subject, source, tuple(targets), folder)
                for folder, subject in missing.items()
            ]
            try:
                for job in as_completed(jobs):
                    job.result()
                    done += 1
                    on_progress(done, total)
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
    return [_open(subject, folder) for subject, folder in zip(subjects, folders, strict=True)]


def _folder_of(subject: Subject, source: str, targets: Sequence[str], cache: Path) -> Path:
    """Where a subject's slices lie: another folder as soon as a file or the request changes."""
    files = []
    for contrast in (source, *targets):
        if contrast == source or contrast in subject.contrasts:
            path = subject.path(contrast)
            state = path.stat()
            files.append([contrast, str(path.resolve()), state.st_size, state.st_mtime_ns])
    request = json.dumps([_FORMAT, source, list(targets), files])
    return cache / f"{subject.name}-{hashlib.sha256(request.encode()).hexdigest()[:12]}"


def _prepare(subject: Subject, source: str, targets: tuple[str, ...], folder: Path) -> None:
    simpleitk().ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # the processes share the cores
    try:
        array, boxes = prepare_subject(subject, source, targets)
    except Sami2iError as error:
        message = f"Subject '{subject.name}' cannot be prepared: {error.message}"
        raise InputError(message, error.hint) from error
    with atomic_folder(folder) as partial:
        np.save(partial / _ARRAY, array, allow_pickle=False)
        (partial / _INDEX).write_text(json.dumps({"boxes": boxes}), encoding="utf-8")


def _open(subject: Subject, folder: Path) -> SliceStack:
    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    boxes = tuple((int(a), int(b), int(c), int(d)) for a, b, c, d in index["boxes"])
    return SliceStack(subject.name, folder / _ARRAY, boxes)
