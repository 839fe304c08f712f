"""One subject from its files to its slices: read, check, register, normalize, choose."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from SAMI2ILib.data.brain_mask import brain_mask, is_brain_only, slices_with_more_than
from SAMI2ILib.data.dataset_writer import PreparedSubject
from SAMI2ILib.data.preparation.cases import Case, ScanFile
from SAMI2ILib.data.preparation.checks import (
    check_boxes_meet,
    check_contrasts_differ,
    check_coverage,
    check_motion,
    check_side,
)
from SAMI2ILib.data.preparation.settings import PreparationSettings
from SAMI2ILib.data.registration import mutual_information, register_rigid
from SAMI2ILib.errors import InputError
from SAMI2ILib.imaging.foreground import find_foreground
from SAMI2ILib.imaging.geometry import Matrix
from SAMI2ILib.imaging.intensity import IntensityScale
from SAMI2ILib.imaging.io import from_itk, read_volume, to_itk
from SAMI2ILib.imaging.itk import quiet_itk, simpleitk
from SAMI2ILib.imaging.notice import Notice
from SAMI2ILib.imaging.orientation import axis_order
from SAMI2ILib.imaging.resample import resample
from SAMI2ILib.imaging.volume import BoolArray, FloatArray, Grid, Volume
from SAMI2ILib.imaging.working_grid import WorkingGrid, plan_working_grid
from SAMI2ILib.weights.model_file import file_sha256

_MEASURED = 0.99  # of the interpolation weight that falls inside the scan's box
_N4_SHRINK, _N4_ITERATIONS = 4, (50, 50, 50, 30)


@dataclass(frozen=True, eq=False)
class Placement:
    """How one contrast came to lie on the reference.

    Attributes:
        how: `reference`, `registered`, `grid` (it shared the reference's grid), `header` (trusted)
            or the name of the contrast that it follows.
        to_moving: (4, 4), RAS mm of the reference to RAS mm of this contrast's file.
        information_before: Mattes mutual information with the headers as they are, in nats; None
            for the reference.
        information_after: The same as it lies in the dataset.
        rotation_deg: How far it was turned.
        translation_mm: How far the center of the reference moved.
    """

    how: str
    to_moving: Matrix = field(default_factory=lambda: np.eye(4))
    information_before: float | None = None
    information_after: float | None = None
    rotation_deg: float = 0.0
    translation_mm: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """JSON values for the subject's record."""
        return {**asdict(self), "to_moving": np.asarray(self.to_moving).tolist()}


@dataclass(frozen=True, eq=False)
class _Slices:
    """What becomes of the volumes: all (K, H, W) on the working grid."""

    images: dict[str, FloatArray]
    foregrounds: dict[str, BoolArray]
    scales: dict[str, float]


def prepare_subject(case: Case, settings: PreparationSettings) -> PreparedSubject:
    """Turn one subject's scans into slices.

    Args:
        case: Has the reference contrast.
        settings: How.

    Raises:
        InputError: A scan cannot be read, two are one file or do not overlap, a registration
            failed, or too few slices show enough of the brain.
        MissingError: The brain template is not installed.
    """
    hashes = _hash_files(case)
    native = {contrast: _read(scan, settings) for contrast, scan in case.scans.items()}
    placements = _place(native, settings)
    volumes = {contrast: _moved(native[contrast], placements[contrast]) for contrast in native}
    working = plan_working_grid(native[settings.grid].grid, "LPS", settings.spacing_mm)
    slices = _slice(volumes, working, settings)
    notices = [notice for volume in native.values() for notice in volume.notices]
    notices += [*working.warnings, *_judge(slices, volumes, placements, settings)]
    brain, doubts = _find_brain(case, volumes, placements, working, settings)
    notices += doubts
    if settings.skull_strip:
        if brain is None:
            raise InputError(f"The skull cannot be removed: {doubts[0].message}", "Give a mask.")
        for contrast, image in slices.images.items():
            slices.images[contrast] = np.where(brain, image, np.float32(0))
            slices.foregrounds[contrast] = brain
    region, shown = slices.foregrounds[settings.grid], "head"
    if brain is not None and settings.slices_by == "brain":
        region, shown = brain, "brain"
    return PreparedSubject(
        name=case.name,
        images=slices.images,
        foregrounds=slices.foregrounds,
        ijk_to_ras=working.grid.ijk_to_ras,
        slices=_choose_slices(region, shown, settings),
        brain=brain,
        person=case.person,
        site=case.site,
        details={
            "sources": {c: {"file": case.scans[c].name, "sha256": hashes[c]} for c in native},
            "scales": slices.scales,
            "placements": {c: placement.to_json() for c, placement in placements.items()},
            "warnings": [asdict(notice) for notice in notices],
        },
    )


def _slice(
    volumes: Mapping[str, Volume], working: WorkingGrid, settings: PreparationSettings
) -> _Slices:
    """Normalize each volume as it was scanned, then bring it onto the grid of the slices."""
    slices = _Slices({}, {}, {})
    for contrast, volume in volumes.items():
        # the same steps in the same order as at inference
        mask = find_foreground(volume)
        scale = IntensityScale.fit(volume.array_kji, mask)
        scaled = volume.with_array(scale.normalize(volume.array_kji))
        is_reference = contrast == settings.grid
        slices.images[contrast] = _on_grid(scaled, working, is_reference)
        on_grid = resample(volume.with_array(mask), working.grid, "nearest")
        slices.foregrounds[contrast] = on_grid.array_kji > 0.5
        slices.scales[contrast] = scale.percentile
    return slices


def _hash_files(case: Case) -> dict[str, str]:
    """SHA-256 of each file, empty for a DICOM folder; refuse one file under two names."""
    hashes: dict[str, str] = {}
    for contrast, scan in case.scans.items():
        scan.state()  # says so where it is missing
        with scan.on_disk() as path:
            hashes[contrast] = "" if path.is_dir() else file_sha256(path)
        twin = next((c for c in hashes if c != contrast and hashes[c] == hashes[contrast]), None)
        if twin is not None and hashes[contrast]:
            raise InputError(
                f"{twin} ({case.scans[twin].name}) and {contrast} ({scan.name}) are one file.",
                "Name two different scans.",
            )
    return hashes


def _read(scan: ScanFile, settings: PreparationSettings) -> Volume:
    with scan.on_disk() as path:
        volume = read_volume(path)
    return _correct_bias(volume) if settings.n4 else volume


def _correct_bias(volume: Volume) -> Volume:
    """N4 on a coarser copy; the field that it finds is divided out at full resolution."""
    sitk = simpleitk()
    image = to_itk(volume)
    mask = to_itk(volume.with_array(find_foreground(volume))) > 0.5
    shrink = [max(1, min(_N4_SHRINK, n // _N4_SHRINK)) for n in image.GetSize()]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(list(_N4_ITERATIONS))
    try:
        with quiet_itk():
            corrector.Execute(sitk.Shrink(image, shrink), sitk.Shrink(mask, shrink))
            field_image = sitk.Exp(corrector.GetLogBiasFieldAsImage(image))
            corrected = sitk.Cast(image / field_image, sitk.sitkFloat32)
    except RuntimeError as error:
        raise InputError(
            f"The bias field of '{volume.name}' could not be corrected.", "Leave out --n4."
        ) from error
    return volume.with_array(from_itk(corrected).array_kji)


def _place(native: Mapping[str, Volume], settings: PreparationSettings) -> dict[str, Placement]:
    """Find how each contrast lies on the reference: itself, registered, by header, or led."""
    reference = native[settings.grid]
    placements = {settings.grid: Placement("reference")}
    for contrast, volume in native.items():
        if contrast == settings.grid or settings.follows.get(contrast) in native:
            continue
        shares_grid = _upright(volume.grid).is_close(_upright(reference.grid))
        if settings.register == "never" or (settings.register == "auto" and shares_grid):
            check_boxes_meet(volume, reference)
            found = mutual_information(volume, reference)
            how = "grid" if shares_grid else "header"
            placements[contrast] = Placement(how, np.eye(4), found, found)
            continue
        check_boxes_meet(volume, reference)
        result = register_rigid(moving=volume, fixed=reference)
        placements[contrast] = Placement(
            "registered",
            result.fixed_to_moving,
            result.information_before,
            result.information_after,
            result.rotation_deg,
            result.translation_mm,
        )
    for follower, leader in settings.follows.items():
        if follower in native and leader in native:
            placements[follower] = _led(native, placements, follower, leader, settings.grid)
    return {contrast: placements[contrast] for contrast in native}


def _led(
    native: Mapping[str, Volume],
    placements: Mapping[str, Placement],
    follower: str,
    leader: str,
    grid: str,
) -> Placement:
    moved = _moved(native[follower], placements[leader])
    check_boxes_meet(moved, native[grid])
    return Placement(
        leader,
        placements[leader].to_moving,
        mutual_information(native[follower], native[grid]),
        mutual_information(moved, native[grid]),
        placements[leader].rotation_deg,
        placements[leader].translation_mm,
    )


def _upright(grid: Grid) -> Grid:
    return axis_order(grid.ijk_to_ras, "LPS").apply_to_grid(grid)


def _moved(volume: Volume, placement: Placement) -> Volume:
    """Lay a volume onto the reference by its header; no voxel changes."""
    matrix = np.linalg.inv(placement.to_moving) @ volume.ijk_to_ras
    return Volume(volume.array_kji, matrix, volume.name)


def _on_grid(volume: Volume, working: WorkingGrid, is_reference: bool) -> FloatArray:
    """(K, H, W) in [0, 1] on the working grid, NaN where nothing was measured."""
    if is_reference and not working.is_resampled:
        return working.to_working(volume).array_kji
    array = resample(volume, working.grid, "bspline").array_kji
    everywhere = volume.with_array(np.ones_like(volume.array_kji))
    measured = resample(everywhere, working.grid).array_kji > _MEASURED
    return np.where(measured, array, np.float32(np.nan))


def _find_brain(
    case: Case,
    volumes: Mapping[str, Volume],
    placements: Mapping[str, Placement],
    working: WorkingGrid,
    settings: PreparationSettings,
) -> tuple[BoolArray | None, list[Notice]]:
    """The brain on the working grid: the mask that came with the data, or one made from the T1."""
    if not settings.brain:
        return None, []
    contrast = "T1" if "T1" in volumes else settings.grid
    carrier = volumes[contrast]
    if case.brain is not None:
        with case.brain.on_disk() as path:
            mask = _moved(read_volume(path), placements[contrast])
    elif contrast == "T1" or is_brain_only(carrier):
        try:
            mask = carrier.with_array(brain_mask(carrier))
        except InputError as error:
            return None, [Notice("no-brain-mask", f"{error.message} The head stands in for it.")]
    else:
        text = "Without a T1 there is no brain mask: slices are chosen by the head."
        return None, [Notice("no-brain-mask", text)]
    return resample(mask, working.grid, "nearest").array_kji > 0.5, []


def _judge(
    slices: _Slices,
    volumes: Mapping[str, Volume],
    placements: Mapping[str, Placement],
    settings: PreparationSettings,
) -> list[Notice]:
    """Look at each contrast beside the reference; what cannot be used is refused."""
    head = slices.foregrounds[settings.grid]
    notices: list[Notice] = []
    for contrast, placement in placements.items():
        if contrast == settings.grid:
            continue
        name = volumes[contrast].name
        notices += check_coverage(np.isfinite(slices.images[contrast]), head, name)
        notices += check_motion(placement.rotation_deg, placement.translation_mm, name)
        if settings.check_sides and placement.how not in volumes:
            notices += check_side(volumes[contrast], volumes[settings.grid])
    for first, second in combinations(placements, 2):
        pair = slices.images[first], slices.images[second]
        notices += check_contrasts_differ(*pair, head, (first, second))
    return notices


def _choose_slices(region: BoolArray, called: str, settings: PreparationSettings) -> list[int]:
    """Numbers of the slices of which the region fills enough."""
    chosen = slices_with_more_than(settings.smallest_part, region)
    if len(chosen) < settings.fewest_slices:
        raise InputError(
            f"Only {len(chosen)} axial slices show more than {settings.smallest_part:.0%} "
            f"{called}; at least {settings.fewest_slices} are needed.",
            "Leave the subject out, or lower --min-slices.",
        )
    return chosen
