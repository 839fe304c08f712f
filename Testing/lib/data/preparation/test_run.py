"""A whole preparation: known misalignment, counts, faults, resumption, quality control."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.data.dataset import SliceDataset, open_dataset
from SAMI2ILib.data.preparation import run as module
from SAMI2ILib.data.preparation.cases import Found, Remark, choose
from SAMI2ILib.data.preparation.ixi import find_ixi
from SAMI2ILib.data.preparation.quality import quality_rows
from SAMI2ILib.data.preparation.run import prepare_dataset
from SAMI2ILib.data.preparation.settings import PreparationSettings
from SAMI2ILib.data.preparation.split import SplitRule
from SAMI2ILib.errors import InputError, MissingError, OutOfMemoryError
from Testing.lib.files import names_in, read_csv

SETTINGS = PreparationSettings(
    ("T1", "T2", "PD"),
    "T2",
    follows={"PD": "T2"},
    spacing_mm=1.8,
    brain=False,
    check_sides=False,
)
FIRST, SECOND, NO_PD, BROKEN = (
    "IXI002-Guys-0828",
    "IXI012-HH-1211",
    "IXI013-HH-1212",
    "IXI014-IOP-1236",
)


def find(folder: Path, **options) -> Found:
    return choose(find_ixi([folder]), SETTINGS.contrasts, SETTINGS.grid, **options)


def prepare(folder: Path, output: Path, settings=SETTINGS, **options):
    found = find(folder)
    return prepare_dataset(found, settings, SplitRule(), output, jobs=1, **options)


@pytest.fixture(scope="module")
def remarks() -> list[Remark]:
    return []


@pytest.fixture(scope="module")
def dataset(ixi_folder, remarks, tmp_path_factory) -> SliceDataset:
    folder = tmp_path_factory.mktemp("prepared")
    report = prepare(ixi_folder, folder, on_remark=remarks.append)
    assert [remark.name for remark in report.failed] == [BROKEN]
    return open_dataset(folder)


def test_known_misalignment_is_found(dataset, true_motion):
    for subject in dataset.subjects:
        placement = subject.details["placements"]["T1"]
        error = np.linalg.inv(true_motion[subject.name]) @ np.array(placement["to_moving"])
        degrees = np.rad2deg(np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1)))
        corners = subject.ijk_to_ras[:3, 3], -subject.ijk_to_ras[:3, 3]
        center = np.mean(corners, axis=0)
        assert degrees < 0.3
        assert np.linalg.norm(error[:3, :3] @ center + error[:3, 3] - center) < 0.3
        assert placement["information_after"] > placement["information_before"] + 0.1


def test_images_lie_on_the_t2_and_show_the_sample_head(dataset, sample):
    first = dataset.by_name[FIRST]
    assert first.shape_kji == sample("T2").array_kji.shape
    assert first.contrasts == ("T1", "T2", "PD")
    head = first.foreground("T2")
    for contrast in ("T1", "PD"):
        prepared = first.volume(contrast)[head].astype(np.float32)
        truth = sample(contrast).array_kji[head]
        measured = np.isfinite(prepared)
        assert measured.mean() > 0.9
        assert np.corrcoef(prepared[measured], truth[measured])[0, 1] > 0.97


def test_broken_and_incomplete_subjects_are_left_out_and_said(dataset, remarks):
    assert [s.name for s in dataset.subjects] == [FIRST, SECOND]
    skipped = {entry["name"]: entry for entry in dataset.manifest["skipped"]}
    assert skipped[NO_PD] == {"name": NO_PD, "reason": "lacks PD", "failed": False}
    assert skipped[BROKEN]["failed"]
    assert "T2.nii.gz is a damaged gzip file" in skipped[BROKEN]["reason"]
    assert [remark.name for remark in remarks] == [BROKEN]
    rows = read_csv(dataset.folder / "skipped.csv")
    assert [(row["name"], row["failed"]) for row in rows] == [(NO_PD, "False"), (BROKEN, "True")]


def test_pd_moves_with_the_t2(dataset):
    for subject in dataset.subjects:
        placement = subject.details["placements"]["PD"]
        assert placement["how"] == "T2"
        assert np.array_equal(placement["to_moving"], np.eye(4))


def test_record_names_files_and_no_folder(dataset, ixi_folder):
    source = dataset.by_name[FIRST].details["sources"]["T1"]
    assert source["file"] == f"{FIRST}-T1.nii.gz"
    assert len(source["sha256"]) == 64
    manifest = (dataset.folder / "dataset.json").read_text()
    assert str(ixi_folder.parent) not in manifest


def test_quality_table_has_a_row_for_each_contrast(dataset):
    rows = read_csv(dataset.folder / "quality.csv")
    assert {(row["subject"], row["contrast"]) for row in rows} == {
        (name, contrast) for name in (FIRST, SECOND) for contrast in ("T1", "PD")
    }
    row = next(row for row in rows if (row["subject"], row["contrast"]) == (FIRST, "T1"))
    assert float(row["rotation_deg"]) == pytest.approx(3.0, abs=0.3)
    assert row["site"] == "Guys"
    assert float(row["mi_after"]) > float(row["mi_before"])


def test_quality_picture_is_a_png_with_something_on_it(dataset):
    from matplotlib.image import imread

    picture = imread(dataset.folder / "quality-worst.png")
    assert picture.shape[0] > picture.shape[1]  # four rows of four panels, and titles
    assert 0.05 < (picture[..., :3].max(axis=-1) > 0.2).mean() < 0.9
    red = (picture[..., 0] > 0.6) & (picture[..., 1] < 0.3)
    assert 0.002 < red.mean() < 0.1


def test_second_run_goes_on_where_the_first_one_stopped(dataset, ixi_folder):
    """As after a kill: one subject and the manifest are not there, half a subject lies about."""
    folder = dataset.folder
    kept, again = (folder / "subjects" / name / "T1.npy" for name in (FIRST, SECOND))
    before = kept.stat().st_mtime_ns, again.read_bytes()
    (folder / "subjects" / SECOND / "subject.json").write_text("{}")
    left = folder / "subjects" / ".sami2i-left"
    left.mkdir()
    os.utime(left, (0, 0))
    (folder / "unfinished.txt").write_text("")
    (folder / "dataset.json").unlink()
    done: list[tuple[int, int]] = []
    prepare(ixi_folder, folder, on_progress=lambda *step: done.append(step))
    assert done[0] == (1, 3)
    assert done[-1] == (3, 3)
    assert (kept.stat().st_mtime_ns, again.read_bytes()) == before
    assert open_dataset(folder).id == dataset.id
    assert names_in(folder / "subjects") == [FIRST, SECOND]


def test_folder_of_other_things_is_not_touched(ixi_folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(InputError, match="is not empty and no dataset"):
        prepare(ixi_folder, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_nobody_prepared_is_an_error_with_the_first_reason(ixi_folder, tmp_path):
    found = find(ixi_folder, exclude=[FIRST, SECOND])
    with pytest.raises(InputError, match=f"None of 1 subjects could be prepared. {BROKEN}: "):
        prepare_dataset(found, SETTINGS, SplitRule(), tmp_path, jobs=1)
    with pytest.raises(InputError, match="is not finished"):
        open_dataset(tmp_path)


def test_file_that_vanished_is_a_failed_subject(ixi_folder, tmp_path):
    found = find(ixi_folder)
    gone = replace(found.cases[0].scans["T1"], path=tmp_path / "gone.nii")
    case = replace(found.cases[0], scans={**found.cases[0].scans, "T1": gone})
    with pytest.raises(InputError, match=r"gone\.nii does not exist"):
        prepare_dataset(Found([case], []), SETTINGS, SplitRule(), tmp_path / "out", jobs=1)


def test_process_that_dies_is_reported_as_want_of_memory(ixi_folder, tmp_path, monkeypatch):
    from concurrent.futures.process import BrokenProcessPool

    def die(*_arguments):
        raise BrokenProcessPool
        yield

    monkeypatch.setattr(module, "run_in_processes", die)
    with pytest.raises(OutOfMemoryError, match="A process of the preparation was ended"):
        prepare(ixi_folder, tmp_path)


def test_missing_matplotlib_is_said_before_the_work(ixi_folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingError, match="needs matplotlib"):
        prepare(ixi_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def make_records(informations: Sequence[float]) -> list[dict]:
    def record(number: int, information: float) -> dict:
        reference = {"how": "reference", "information_before": None, "information_after": None}
        moved = {
            "how": "registered",
            "information_before": 0.5,
            "information_after": information,
            "rotation_deg": 1.0,
            "translation_mm": 2.0,
        }
        return {
            "name": f"s{number}",
            "person": f"s{number}",
            "site": "",
            "slices": [1, 2],
            "details": {
                "placements": {"T2": reference, "T1": moved},
                "scales": {"T1": 100.0},
                "warnings": [],
            },
        }

    return [record(number, information) for number, information in enumerate(informations)]


def test_registration_that_tells_less_than_others_stands_out_first():
    records = make_records([1.00, 1.02, 0.98, 1.01, 0.99, 1.03, 0.97, 0.60, 1.0])
    rows = quality_rows(records, {f"s{n}": "train" for n in range(9)})
    assert [row.subject for row in rows[:2]] == ["s7", "s6"]
    # median 1.0, median deviation 0.02: z = (0.60 - 1.00) / (1.4826 * 0.02)
    assert rows[0].z == pytest.approx(-13.49, abs=0.01)
    assert rows[0].codes == ["low-mutual-information"]
    assert rows[1].codes == []
    assert list(rows[0].cells().values())[-5:] == [
        "1.000",
        "2.000",
        2,
        "100",
        "low-mutual-information",
    ]


def test_few_subjects_are_not_compared_and_a_loss_is_said():
    (row, *_) = quality_rows(make_records([0.4, 0.9]), {"s0": "train", "s1": "test"})
    assert (row.subject, row.z, row.codes) == ("s0", 0.0, ["registration-lost"])


@pytest.mark.slow
def test_simulated_ixi_at_full_size_is_registered_within_a_third_of_a_voxel(tmp_path):
    """Three sites, sagittal T1s, one subject without a PD, one half of a T2."""
    from SAMI2ILib.data.simulation.ixi import draw_subjects, simulate_ixi
    from SAMI2ILib.data.simulation.sources import mix_sources

    subjects = draw_subjects(4, 2, faults=True)
    assert {subject.name.split("-")[1] for subject in subjects} == {"Guys", "HH", "IOP"}
    simulate_ixi(tmp_path / "ixi", sources=mix_sources([], 1.0, 4), count=4, seed=2, faults=True)
    found = find(tmp_path / "ixi", keep_incomplete=True)
    assert found.counts == {"T1": 4, "T2": 4, "PD": 3}
    settings = replace(SETTINGS, spacing_mm=1.0)
    report = prepare_dataset(found, settings, SplitRule(), tmp_path / "set", jobs=2)
    assert [remark.name for remark in report.failed] == [subjects[2].name]
    truth = {subject.name: subject.t1_from_t2 for subject in subjects}
    for subject in report.dataset.subjects:
        placed = np.array(subject.details["placements"]["T1"]["to_moving"])
        error = np.linalg.inv(truth[subject.name]) @ placed
        degrees = np.rad2deg(np.arccos(np.clip((np.trace(error[:3, :3]) - 1) / 2, -1, 1)))
        kji = np.argwhere(subject.foreground("T2"))[::500]
        head = kji[:, ::-1] @ subject.ijk_to_ras[:3, :3].T + subject.ijk_to_ras[:3, 3]
        moved = head @ error[:3, :3].T + error[:3, 3]
        assert degrees < 0.3
        assert np.linalg.norm(moved - head, axis=1).mean() < 0.3
