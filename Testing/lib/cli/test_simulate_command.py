"""`sami2i simulate` as its user sees it: files, options, exit codes, one-line errors."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.imaging import axis_codes, read_volume, write_volume
from SAMI2ILib.imaging.volume import Volume

REPOSITORY = Path(__file__).resolve().parents[3]
FILES = {f"{name}.nii.gz" for name in ("T1", "T2", "PD", "tissue", "brain")}
COARSE = ("--spacing", 6, "--slice-spacing", 6)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two heads of nested balls: skin, fat, bone, CSF, gray and white matter, ventricle."""
    folder = tmp_path_factory.mktemp("labels")
    position = (np.arange(36) - 17.5) * 5.0
    radius = np.sqrt(position[:, None, None] ** 2 + position[:, None] ** 2 + position**2)
    array = np.zeros(radius.shape, np.float32)
    for outer, label in ((80, 511), (76, 507), (70, 515), (65, 24), (60, 3), (52, 2), (15, 4)):
        array[radius < outer] = label
    matrix = np.diag([5.0, 5.0, 5.0, 1.0])
    for name in ("a", "b"):
        write_volume(Volume(array, matrix, name), folder / f"{name}.nii.gz")
    return folder


def test_head_writes_five_volumes_on_one_grid(sami2i, labels, tmp_path):
    outcome = sami2i("simulate", "head", "-o", tmp_path / "out", "--labels", labels, *COARSE)
    assert outcome.code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    grids = [read_volume(tmp_path / "out" / name).grid for name in FILES]
    assert all(grid.is_same(grids[0]) for grid in grids)
    np.testing.assert_allclose(grids[0].spacing_mm, (6, 6, 6), atol=1e-4)


def test_head_follows_its_options(sami2i, labels, tmp_path):
    sami2i(
        "simulate", "head", "-o", tmp_path, "--labels", labels, "--heads", 2, "--seed", 4,
        "--spacing", 5, "--slice-spacing", 8, "--orientation", "sagittal", "--skull-stripped",
        "--lesions", 3, "--tumor", "--field", "3.0", "--noise", 0, "--deformation", 0.2,
    )  # fmt: skip
    t1 = read_volume(tmp_path / "T1.nii.gz")
    assert axis_codes(t1.ijk_to_ras) == "PSR"
    np.testing.assert_allclose(t1.spacing_mm, (5, 5, 8), atol=1e-4)
    brain = read_volume(tmp_path / "brain.nii.gz").array_kji > 0
    assert (t1.array_kji[~brain] == 0).all()


def test_head_writes_further_contrasts_that_are_asked_for(sami2i, labels, tmp_path):
    outcome = sami2i(
        "simulate", "head", "-o", tmp_path, "--labels", labels, *COARSE, "--noise", 0,
        "--also", "FLAIR", "T1CE",
    )  # fmt: skip
    assert outcome.code == 0
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"FLAIR.nii.gz", "T1CE.nii.gz"}
    ventricle = read_volume(tmp_path / "tissue.nii.gz").array_kji == 7
    flair = read_volume(tmp_path / "FLAIR.nii.gz").array_kji
    assert flair[ventricle].mean() < 0.3 * np.percentile(flair, 90)


def test_cohort_reports_its_progress_as_json(sami2i, labels, tmp_path):
    outcome = sami2i(
        "simulate", "cohort", "-n", 2, "-o", tmp_path, "--labels", labels, *COARSE,
        "--workers", 1, "--progress", "json",
    )  # fmt: skip
    assert outcome.code == 0
    assert outcome.events[0]["event"] == "start"
    assert outcome.events[-1] == {"event": "result", "output": str(tmp_path), "subjects": 2}
    assert {path.name for path in (tmp_path / "sim-0002").iterdir()} == FILES | {"simulation.json"}


def test_cohort_like_ixi_has_its_folders(sami2i, labels, tmp_path):
    outcome = sami2i(
        "simulate", "cohort", "--like", "ixi", "-n", 1, "-o", tmp_path, "--labels", labels,
        "--matrix", 32, "--workers", 1,
    )  # fmt: skip
    assert outcome.code == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "IXI-T1",
        "IXI-T2",
        "IXI-PD",
        "truth.json",
    }
    (subject,) = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))["subjects"]
    assert (tmp_path / "IXI-PD" / f"{subject}-PD.nii.gz").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--heads", "1"), "--labels is not given"),
        (("--mni-share", "0.5"), "--mni-share is beside label maps"),
        (("--matrix", "32"), "need --like ixi"),
        (("--like", "ixi", "--matrix", "0"), "matrix must lie in 16 to 256, not 0"),
        (("--spacing", "0.001"), "must be 0.2 to 400 mm, not 0.001"),
        (("--faults",), "need --like ixi"),
        (("--like", "ixi", "--spacing", "2"), "has a protocol of its own"),
        (("--like", "ixi", "--vary", "wide"), "has a protocol of its own"),
        (("--labels", "nowhere"), "There is no label folder nowhere"),
        (("--noise", "-1"), "noise must be 0 to 1000, not -1"),
        (("-n", "0"), "must be a whole number of at least 1, not 0"),
        (("-n", "two"), "must be a whole number of at least 1, not two"),
        (("--seed", "-1"), "-1 is negative"),
        (("--spacing", "0"), "0 is not a positive length"),
    ],
)
def test_wrong_usage_is_refused_with_a_line_and_leaves_nothing(
    sami2i, tmp_path, arguments, message
):
    outcome = sami2i(
        "simulate", "cohort", "-n", 1, "-o", tmp_path / "out", "--workers", 1, *arguments
    )
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert not list((tmp_path / "out").glob("sim-*"))


@pytest.mark.parametrize("heads", ["x", "1-", "1,,2", "-3", "2-1"])
def test_heads_that_are_no_numbers_are_refused(sami2i, labels, tmp_path, heads):
    outcome = sami2i("simulate", "head", "-o", tmp_path, "--labels", labels, f"--heads={heads}")
    assert outcome.code == 2
    assert "--heads must be numbers and ranges" in outcome.err


@pytest.mark.parametrize("kind", ["head", "sample"])
def test_file_as_output_is_refused_before_the_simulation(sami2i, tmp_path, monkeypatch, kind):
    def simulate(*_arguments):
        raise AssertionError("it simulates")

    monkeypatch.setattr("SAMI2ILib.data.simulation.head.simulate_head", simulate)
    monkeypatch.setattr("SAMI2ILib.data.simulation.sample.write_sample", simulate)
    (tmp_path / "out").touch()
    outcome = sami2i("simulate", kind, "-o", tmp_path / "out")
    assert outcome.code == 1
    assert "cannot be made" in outcome.error_line


def test_image_name_as_output_is_refused(sami2i, tmp_path):
    outcome = sami2i("simulate", "head", "-o", tmp_path / "head.nii.gz")
    assert outcome.code == 2
    assert "simulate writes several files" in outcome.err


def test_head_that_the_folder_lacks_is_refused(sami2i, labels, tmp_path):
    outcome = sami2i("simulate", "head", "-o", tmp_path, "--labels", labels, "--heads", "3")
    assert outcome.code == 2
    assert "heads must lie in 1 to 2" in outcome.err


def imported_of(names, *modules):
    """Which of some packages are in a new interpreter that has imported some modules."""
    script = f"import sys, {', '.join(modules)}; print(*(n for n in {names!r} if n in sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return ended.stdout.split()


def test_simulator_is_imported_only_when_it_runs():
    heavy = ("torch", "nilearn", "scipy", "SimpleITK")
    assert imported_of(heavy, "SAMI2ILib.cli.simulate", "SAMI2ILib.data.simulation") == []


def test_simulating_imports_neither_torch_nor_nilearn():
    modules = ("SAMI2ILib.data.simulation.cohort", "SAMI2ILib.data.simulation.ixi")
    assert imported_of(("torch", "nilearn", "matplotlib"), *modules) == []
    assert imported_of(("scipy",), *modules) == ["scipy"]  # the question itself works
