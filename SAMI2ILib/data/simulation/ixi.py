"""An IXI-like folder: its names and folders, sagittal T1, axial T2 and PD, a little misaligned.

```
DIR/IXI-T1/IXI002-Guys-0828-T1.nii.gz   256 x 256 x 150, PSR, 0.9375 x 0.9375 x 1.2 mm
DIR/IXI-T2/IXI002-Guys-0828-T2.nii.gz   256 x 256 x 130, LPS, 0.9375 x 0.9375 x 1.25 mm
DIR/IXI-PD/IXI002-Guys-0828-PD.nii.gz   the T2's grid
DIR/truth.json                          how far the person moved between T1 and T2, seeds, faults
```
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from SAMI2ILib import about
from SAMI2ILib.atomic import atomic_path, make_folder
from SAMI2ILib.data.parallel import run_in_processes
from SAMI2ILib.data.simulation.deform import rotation_matrix
from SAMI2ILib.data.simulation.files import write_int16, write_json
from SAMI2ILib.data.simulation.head import make_person, scan_person
from SAMI2ILib.data.simulation.options import ixi_options
from SAMI2ILib.data.simulation.scanner import Acquisition, grid_at, head_box_ras
from SAMI2ILib.data.simulation.sources import AnatomySource
from SAMI2ILib.errors import InputError

TRUTH_FILE = "truth.json"
CONTRASTS = ("T1", "T2", "PD")
# Hospitals with their field strength and about their share of the subjects.
_SITES = {"Guys": (1.5, 0.55), "HH": (3.0, 0.32), "IOP": (1.5, 0.13)}

_MATRIX, _T1_SLICES, _T2_SLICES = 256, 150, 130
_PIXEL_MM, _T1_SLICE_MM, _T2_SLICE_MM = 0.9375, 1.2, 1.25
_SMALLEST_MATRIX = 16
# A head that turns by a degree and slips by a millimeter between two scans; never much more.
_ROTATION_DEGREES, _TRANSLATION_MM, _LIMIT = 1.0, 1.0, 2.5


@dataclass(frozen=True)
class IxiSubject:
    """One subject of the folder.

    Args:
        name: As `IXI002-Guys-0828`.
        field_strength_t: Of its hospital.
        rotation_degrees: (3,) about R, A, S, and
        translation_mm: (3,) along R, A, S: how a point of the T2 moves into the T1.
        fault: "", "no PD" or "corrupt T2".
    """

    name: str
    field_strength_t: float
    rotation_degrees: tuple[float, float, float]
    translation_mm: tuple[float, float, float]
    fault: str = ""

    @property
    def t1_from_t2(self) -> NDArray[np.float64]:
        """(4, 4) rigid, RAS mm of the T2 to RAS mm of the T1."""
        matrix = np.eye(4)
        matrix[:3, :3] = rotation_matrix(np.array(self.rotation_degrees))
        matrix[:3, 3] = self.translation_mm
        return matrix

    def path(self, folder: Path, contrast: str) -> Path:
        """Give the file of a contrast."""
        return folder / f"IXI-{contrast}" / f"{self.name}-{contrast}.nii.gz"


def draw_subjects(count: int, seed: int, *, faults: bool = False) -> list[IxiSubject]:
    """Draw names, hospitals and movements.

    Args:
        count: Number of subjects.
        seed: The same seed gives the same subjects, and more of them with a larger count.
        faults: Take the PD from the second subject and damage the T2 of the third.

    Raises:
        InputError: No subject, too few for the faults, or a negative seed.
    """
    if count < (3 if faults else 1):
        raise InputError(
            f"count must be at least {3 if faults else 1}{' with faults' * faults}, not {count}."
        )
    if seed < 0:
        raise InputError(f"seed must be 0 or more, not {seed}.")
    rng = np.random.default_rng([seed, 0])
    number, scan = 1, 600
    subjects = []
    for index in range(count):
        number += int(rng.integers(1, 3))
        scan += int(rng.integers(1, 9))
        site = str(rng.choice(list(_SITES), p=[share for _, share in _SITES.values()]))
        turn = np.clip(rng.standard_normal(6), -_LIMIT, _LIMIT)
        fault = {1: "no PD", 2: "corrupt T2"}.get(index, "") if faults else ""
        turned = [float(x) for x in np.round(turn * _ROTATION_DEGREES, 4)]
        moved = [float(x) for x in np.round(turn * _TRANSLATION_MM, 4)]
        subjects.append(
            IxiSubject(
                f"IXI{number:03d}-{site}-{scan:04d}",
                _SITES[site][0],
                (turned[0], turned[1], turned[2]),
                (moved[3], moved[4], moved[5]),
                fault,
            )
        )
    return subjects


def simulate_ixi(
    folder: Path,
    *,
    sources: Sequence[AnatomySource],
    count: int,
    seed: int = 0,
    matrix: int = 256,
    faults: bool = False,
    workers: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write an IXI-like folder with `truth.json`; files that are there are kept.

    Args:
        folder: Where to; made if needed.
        sources: Heads to start from, taken in turn.
        count: Number of subjects.
        seed: Seed of the folder.
        matrix: Voxels along a slice; fewer make larger voxels and fewer slices, for quick tests.
        faults: Take the PD from the second subject and damage the T2 of the third.
        workers: Processes, all cores where None.
        on_progress: Called with (subjects done, subjects in all).

    Returns:
        The number of subjects.

    Raises:
        InputError: A number out of range, or a source that cannot be read.
        OutputError: A file cannot be written.
    """
    if not _SMALLEST_MATRIX <= matrix <= _MATRIX:
        raise InputError(f"matrix must lie in {_SMALLEST_MATRIX} to {_MATRIX}, not {matrix}.")
    if not sources:
        raise InputError("sources is empty: the folder needs at least one head to start from.")
    subjects = draw_subjects(count, seed, faults=faults)
    for contrast in CONTRASTS:
        make_folder(folder / f"IXI-{contrast}")
    write_json(_truth(subjects, seed, matrix), folder / TRUTH_FILE)
    tasks = [
        (subject, sources[number % len(sources)], [seed, 1 + number], matrix, folder)
        for number, subject in enumerate(subjects)
        if not _is_complete(subject, folder)
    ]
    done = count - len(tasks)
    report = on_progress or (lambda _done, _total: None)
    report(done, count)
    for _ in run_in_processes(_make_subject, tasks, workers):
        done += 1
        report(done, count)
    return count


def _make_subject(
    subject: IxiSubject, source: AnatomySource, seed: list[int], matrix: int, folder: Path
) -> str:
    choice, anatomy_seed, person_seed, t1_seed, t2_seed = np.random.SeedSequence(seed).spawn(5)
    options = ixi_options(np.random.default_rng(choice))
    scale = _MATRIX / matrix
    pixel = _PIXEL_MM * scale
    options = replace(options, field_strength_t=subject.field_strength_t, spacing_mm=pixel)
    person = make_person(source.load(anatomy_seed), person_seed, options)
    box = head_box_ras(person.anatomy, person.deformation, np.eye(4))
    # The scans hold the head from the top down: what does not fit is the neck.
    top = np.array([*box.mean(axis=0)[:2], box[1][2] + 6.0])
    no_tilt = np.zeros(3)
    t1_grid = grid_at(
        top - [0, 0, _MATRIX * _PIXEL_MM / 2],
        "PSR",
        no_tilt,
        (pixel, pixel, _T1_SLICE_MM * scale),
        shape_ijk=(matrix, matrix, max(round(_T1_SLICES / scale), 1)),
    )
    t2_grid = grid_at(
        top - [0, 0, _T2_SLICES * _T2_SLICE_MM / 2],
        "LPS",
        no_tilt,
        (pixel, pixel, _T2_SLICE_MM * scale),
        shape_ijk=(matrix, matrix, max(round(_T2_SLICES / scale), 1)),
    )
    t1_scan = Acquisition(t1_grid, _T1_SLICE_MM * scale, np.eye(4))
    t2_scan = Acquisition(t2_grid, _T2_SLICE_MM * scale, subject.t1_from_t2)
    volumes = scan_person(person, t1_scan, t1_seed, options, ("T1",))[0]
    volumes |= scan_person(person, t2_scan, t2_seed, options, ("T2", "PD"))[0]
    for contrast, volume in volumes.items():
        if not (contrast == "PD" and subject.fault == "no PD"):
            write_int16(volume, subject.path(folder, contrast))
    if subject.fault == "corrupt T2":
        path = subject.path(folder, "T2")
        content = path.read_bytes()
        with atomic_path(path) as temporary:
            temporary.write_bytes(content[: len(content) // 2])
    return subject.name


def _is_complete(subject: IxiSubject, folder: Path) -> bool:
    wanted = [c for c in CONTRASTS if not (c == "PD" and subject.fault == "no PD")]
    return all(subject.path(folder, contrast).is_file() for contrast in wanted)


def _truth(subjects: Sequence[IxiSubject], seed: int, matrix: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "matrix": matrix,
        "software": {"SAMI2ILib": about.VERSION, "numpy": np.__version__},
        "subjects": {
            subject.name: {
                "field_strength_t": subject.field_strength_t,
                "rotation_degrees": subject.rotation_degrees,
                "translation_mm": subject.translation_mm,
                "t1_from_t2_ras": subject.t1_from_t2.tolist(),
                "fault": subject.fault,
            }
            for subject in subjects
        },
    }
