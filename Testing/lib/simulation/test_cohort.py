"""Cohorts: layout, resume, refusal of another plan, parallel runs, label folders."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from SAMI2ILib.data.parallel import run_in_processes
from SAMI2ILib.data.simulation.cohort import CohortPlan, simulate_cohort
from SAMI2ILib.data.simulation.files import write_int16, write_json
from SAMI2ILib.data.simulation.sources import AnatomySource, find_label_maps, mix_sources
from SAMI2ILib.data.subjects import find_subjects
from SAMI2ILib.errors import InputError, OutputError
from SAMI2ILib.imaging import Volume, read_volume

FILES = ("T1", "T2", "PD", "tissue", "brain")
COARSE = {
    "spacing_mm": 5.0,
    "slice_spacing_mm": 5.0,
    "slice_thickness_mm": 5.0,
    "orientation": "axial",
    "deformation": 0.2,
    "noise": (0.01, 0.01, 0.01),
}


@pytest.fixture
def plan(label_folder) -> CohortPlan:
    return CohortPlan(2, find_label_maps(label_folder), seed=3, fixed=COARSE)


def test_cohort_has_subject_folders_that_the_library_finds(plan, tmp_path):
    seen = []
    folders = simulate_cohort(
        plan, tmp_path, workers=1, on_progress=lambda done, total: seen.append((done, total))
    )
    assert [folder.name for folder in folders] == ["sim-0001", "sim-0002"]
    assert seen == [(0, 2), (1, 2), (2, 2)]
    subjects = find_subjects(tmp_path)
    assert [subject.name for subject in subjects] == ["sim-0001", "sim-0002"]
    assert set(subjects[0].contrasts) == {"T1", "T2", "PD"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    record = json.loads((tmp_path / "cohort.json").read_text(encoding="utf-8"))
    assert record["seed"] == 3
    assert record["sources"] == ["head-a.nii.gz", "head-b.nii.gz"]
    options = json.loads((folders[0] / "simulation.json").read_text(encoding="utf-8"))["options"]
    assert options["spacing_mm"] == 5.0


def test_cohort_is_the_same_on_two_processes(plan, tmp_path):
    simulate_cohort(plan, tmp_path / "one", workers=1)
    simulate_cohort(plan, tmp_path / "two", workers=2)
    for name in FILES:
        files = [tmp_path / run / "sim-0002" / f"{name}.nii.gz" for run in ("one", "two")]
        one, two = (read_volume(file).array_kji for file in files)
        np.testing.assert_array_equal(one, two)


def test_cohort_goes_on_where_it_stopped(plan, tmp_path):
    simulate_cohort(replace(plan, count=1), tmp_path, workers=1)
    first = tmp_path / "sim-0001" / "T1.nii.gz"
    before = first.stat().st_mtime_ns
    simulate_cohort(plan, tmp_path, workers=1)
    assert first.stat().st_mtime_ns == before
    assert (tmp_path / "sim-0002" / "T1.nii.gz").is_file()


@pytest.mark.parametrize("change", [{"seed": 4}, {"vary": "ixi"}, {"fixed": {}}, {"first": 7}])
def test_cohort_refuses_the_folder_of_another_plan(plan, tmp_path, change):
    simulate_cohort(replace(plan, count=1), tmp_path, workers=1)
    with pytest.raises(InputError, match=f"made with another {next(iter(change))}"):
        simulate_cohort(replace(plan, **change), tmp_path)


def test_cohort_refuses_the_folder_of_other_sources(plan, tmp_path):
    simulate_cohort(replace(plan, count=1), tmp_path, workers=1)
    with pytest.raises(InputError, match="another list of sources"):
        simulate_cohort(replace(plan, sources=[AnatomySource("mni152")]), tmp_path)


def test_cohort_refuses_a_subject_that_lost_a_file(plan, tmp_path):
    simulate_cohort(replace(plan, count=1), tmp_path, workers=1)
    (tmp_path / "sim-0001" / "PD.nii.gz").unlink()
    with pytest.raises(InputError, match=r"lacks PD\.nii\.gz"):
        simulate_cohort(plan, tmp_path)


@pytest.mark.parametrize("text", ["not json", "[]", "{}"])
def test_cohort_refuses_a_damaged_record(plan, tmp_path, text):
    (tmp_path / "cohort.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="is not the record of a cohort"):
        simulate_cohort(plan, tmp_path)


def test_cohort_says_when_its_folder_vanishes(plan, tmp_path):
    folder = tmp_path / "cohort"

    def remove(_done: int, _total: int) -> None:
        shutil.rmtree(folder)

    with pytest.raises(OutputError, match="'sim-0001' cannot be written"):
        simulate_cohort(plan, folder, workers=1, on_progress=remove)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 0}, "count must be at least 1"),
        ({"vary": "tall"}, "vary must be one of wide, ixi"),
        ({"sources": []}, "sources is empty"),
        ({"seed": -1}, "seed and first must be 0 or more"),
    ],
)
def test_cohort_plan_refuses_nonsense(plan, change, message):
    with pytest.raises(InputError, match=message):
        replace(plan, **change)


def test_label_maps_are_found_by_number(label_folder):
    assert [source.name for source in find_label_maps(label_folder, [2])] == ["head-b.nii.gz"]


def test_label_maps_have_one_order_on_every_system_and_hidden_files_are_none(
    tmp_path, windows_order
):
    for name in ("a.nii", "B.nii", "._a.nii"):
        (tmp_path / name).touch()
    assert [source.name for source in find_label_maps(tmp_path)] == ["B.nii", "a.nii"]


def test_label_maps_refuse_a_missing_folder_an_empty_one_and_a_wrong_number(label_folder, tmp_path):
    with pytest.raises(InputError, match="There is no label folder"):
        find_label_maps(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no label map"):
        find_label_maps(tmp_path)
    with pytest.raises(InputError, match="heads must lie in 1 to 2"):
        find_label_maps(label_folder, [3])


def test_mixed_sources_have_the_share_of_mni_heads_and_take_the_maps_in_turn(label_folder):
    names = [source.name for source in mix_sources(find_label_maps(label_folder), 0.25, 8)]
    assert names.count("mni152") == 2
    assert names[:4] == ["head-a.nii.gz", "head-b.nii.gz", "head-a.nii.gz", "mni152"]
    assert [source.name for source in mix_sources([], 0.0, 2)] == ["mni152", "mni152"]


def test_mixed_sources_refuse_a_share_over_one():
    with pytest.raises(InputError, match="mni_share must lie in 0 to 1"):
        mix_sources([], 1.5, 3)


def test_int16_file_reads_back_as_it_was(tmp_path):
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5) * 500
    volume = Volume(array, np.diag([-0.9, -0.9, 2.0, 1.0]), "x")
    write_int16(volume, tmp_path / "x.nii.gz")
    back = read_volume(tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(back.array_kji, array)
    np.testing.assert_allclose(back.ijk_to_ras, volume.ijk_to_ras, atol=1e-6)


def test_writers_say_when_the_folder_is_not_there(tmp_path):
    missing = tmp_path / "nowhere"
    volume = Volume(np.zeros((2, 2, 2), np.float32), np.eye(4))
    with pytest.raises(OutputError, match=r"'x\.nii\.gz' cannot be written"):
        write_int16(volume, missing / "x.nii.gz")
    with pytest.raises(OutputError, match=r"'x\.json' cannot be written"):
        write_json({}, missing / "x.json")


def test_volume_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    def fail(*_args, **_kwargs):
        raise RuntimeError("ITK")

    monkeypatch.setattr("SimpleITK.WriteImage", fail)
    volume = Volume(np.zeros((2, 2, 2), np.float32), np.eye(4))
    with pytest.raises(OutputError, match=r"'x\.nii\.gz' could not be written completely"):
        write_int16(volume, tmp_path / "x.nii.gz")
    assert not list(tmp_path.iterdir())


def test_processes_refuse_no_worker():
    with pytest.raises(InputError, match="workers must be at least 1"):
        list(run_in_processes(abs, [(1,)], 0))


def test_processes_run_every_task_and_leave_the_environment_as_it_was(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    import os

    assert sorted(run_in_processes(abs, [(-1,), (-2,)], 2)) == [1, 2]
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ
