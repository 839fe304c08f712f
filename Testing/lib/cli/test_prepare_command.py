"""`sami2i prepare`: exit codes, what is said, three kinds of input, resumption after kill -9."""

import json
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from SAMI2ILib.data.dataset import open_dataset
from SAMI2ILib.data.preparation import ixi
from SAMI2ILib.imaging.io import write_volume
from Testing.lib.files import names_in

# Phantoms of one size on one grid need no registration and have no brain.
QUICK = ("--no-brain", "--no-check-sides", "--jobs", "1")


@pytest.fixture
def write_scans(make_head):
    def write(files: dict[str, Path]) -> None:
        """T1 and what looks unlike it, on one grid."""
        t1 = make_head((12, 32, 28))
        inverse = np.where(t1.array_kji > 0, 900 - t1.array_kji, 0)
        flat = np.where(t1.array_kji > 0, 500 + 0.3 * np.abs(t1.array_kji - 450), 0)
        arrays = {"T1": t1.array_kji, "T2": inverse, "PD": flat}
        for contrast, path in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_volume(t1.with_array(arrays[contrast]), path)

    return write


@pytest.fixture
def cohort(tmp_path, write_scans) -> Path:
    folder = tmp_path / "cohort"
    for name in ("anna", "bert", "carl", "dora"):
        write_scans({c: folder / name / f"{c}.nii.gz" for c in ("T1", "T2")})
    return folder


def test_folder_of_subjects_becomes_a_dataset(sami2i, cohort, tmp_path):
    outcome = sami2i(
        "prepare", "pairs", cohort, "-o", tmp_path / "set", *QUICK, "--progress", "json",
        "--name", "phantoms", "--license", "CC0-1.0",
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    start, *middle, result = outcome.events
    assert (start["event"], result["event"]) == ("start", "result")
    assert {e["stage"] for e in middle if e["event"] == "progress"} == {"prepare"}
    assert result["split"] == {"train": 2, "validation": 1, "test": 1}
    assert result["failed"] == {}
    dataset = open_dataset(tmp_path / "set")
    assert dataset.id == result["id"]
    assert dataset.contrasts == ("T1", "T2")
    assert (dataset.manifest["name"], dataset.manifest["license"]) == ("phantoms", "CC0-1.0")
    assert dataset.manifest["preparation"]["grid"] == "T1"


def test_failed_subject_ends_with_1_and_the_rest_is_usable(sami2i, cohort, tmp_path):
    (cohort / "bert" / "T2.nii.gz").write_bytes(b"nothing")
    outcome = sami2i("prepare", "pairs", cohort, "-o", tmp_path / "set", *QUICK)
    assert outcome.code == 1
    assert "warning (subject-failed): bert: T2.nii.gz" in outcome.err
    assert "3 subjects" in outcome.out
    assert "leave them out with --exclude bert" in outcome.out
    assert "sami2i: error" not in outcome.err
    again = sami2i("prepare", "pairs", cohort, "-o", tmp_path / "set", *QUICK, "--exclude", "bert")
    assert again.code == 0
    assert "1 left out (excluded): bert" in again.err


def test_table_gives_sites_and_split(sami2i, cohort, tmp_path):
    table = tmp_path / "pairs.csv"
    rows = ["subject,site,split,T2,T1"]
    for name, part in (("anna", "train"), ("bert", "test")):
        rows.append(f"{name},Ulm,{part},cohort/{name}/T2.nii.gz,cohort/{name}/T1.nii.gz")
    table.write_text("\n".join(rows))
    outcome = sami2i("prepare", "pairs", table, "-o", tmp_path / "set", *QUICK)
    assert outcome.code == 0, outcome.err
    anna, bert = open_dataset(tmp_path / "set").subjects
    assert (anna.site, anna.split, bert.split) == ("Ulm", "train", "test")
    assert anna.details["placements"]["T2"]["how"] == "reference"


def test_bids_folder_becomes_a_dataset(sami2i, tmp_path, write_scans):
    for name in ("sub-1/anat/sub-1", "sub-2/ses-a/anat/sub-2_ses-a"):
        write_scans({c: tmp_path / "bids" / f"{name}_{c}w.nii.gz" for c in ("T1", "T2")})
    outcome = sami2i(
        "prepare", "bids", tmp_path / "bids", "--contrasts", "T1,T2", "-o", tmp_path / "set", *QUICK
    )
    assert outcome.code == 0, outcome.err
    assert [s.name for s in open_dataset(tmp_path / "set").subjects] == ["sub-1", "sub-2_ses-a"]


def test_ixi_archives_are_read_without_extracting_them(sami2i, tmp_path, write_scans):
    scans, place = tmp_path / "scans", tmp_path / "IXI"
    place.mkdir()
    for contrast in ("T1", "T2", "PD"):
        for name in ("IXI002-Guys-0828", "IXI012-HH-1211"):
            write_scans({contrast: scans / f"{name}-{contrast}.nii.gz"})
        with tarfile.open(place / f"IXI-{contrast}.tar", "w") as tar:
            for path in sorted(scans.glob(f"*-{contrast}.nii.gz")):
                tar.add(path, arcname=path.name)
    outcome = sami2i("prepare", "ixi", place, "-o", tmp_path / "set", *QUICK)
    assert outcome.code == 0, outcome.err
    assert "Scans: T1 2, T2 2, PD 2." in outcome.err
    assert names_in(place) == ["IXI-PD.tar", "IXI-T1.tar", "IXI-T2.tar"]
    first, second = open_dataset(tmp_path / "set").subjects
    assert (first.person, first.site, second.site) == ("IXI002", "Guys", "HH")
    assert first.details["placements"]["PD"]["how"] == "T2"
    assert open_dataset(tmp_path / "set").manifest["license"] == "CC BY-SA 3.0"


def test_download_comes_before_the_search(sami2i, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(ixi, "download_ixi", lambda *arguments, **_: asked.append(arguments))
    outcome = sami2i(
        "prepare", "ixi", tmp_path, "--download", "--contrasts", "T1,T2", "-o", tmp_path / "set"
    )
    assert asked == [(tmp_path, ("T1", "T2"))]
    assert outcome.code == 2
    assert "holds no file with a name of IXI" in outcome.error_line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pairs", "nowhere.csv"], "cannot be read: No such file"),
        (["bids", "."], "bids needs --contrasts"),
        (["bids", ".", "--contrasts", "T1,T2", "--entity", "acq"], "--entity acq: expected KEY"),
        (["ixi", "a", "b", "--download"], "--download needs one folder"),
        (["ixi", ".", "--test", "1.5"], "The test part must lie in 0 to 1"),
    ],
)
def test_wrong_usage_ends_with_2(sami2i, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    outcome = sami2i("prepare", *arguments, "-o", "set")
    assert outcome.code == 2
    assert message in outcome.error_line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault("child-killed")
@pytest.mark.slow
def test_killed_preparation_goes_on_and_ends_as_an_uninterrupted_one(
    sami2i, start_sami2i, cohort, tmp_path
):
    arguments = ("prepare", "pairs", cohort, "--no-brain", "--no-check-sides", "--jobs", "2")
    options = ("-o", tmp_path / "killed", "--progress", "json")
    with start_sami2i(*arguments, *options) as process:
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "progress" and event["done"] == 1:
                process.kill()
                break
    time.sleep(3)  # the processes that it had started end by themselves
    subjects = tmp_path / "killed" / "subjects"
    ready = {p.parent.name: p.stat().st_mtime_ns for p in subjects.glob("[a-z]*/subject.json")}
    assert ready
    assert not (tmp_path / "killed" / "dataset.json").exists()
    assert sami2i(*arguments, "-o", tmp_path / "killed").code == 0
    assert sami2i(*arguments, "-o", tmp_path / "whole").code == 0
    for name, written in ready.items():
        assert (subjects / name / "subject.json").stat().st_mtime_ns == written
    resumed, whole = (open_dataset(tmp_path / name) for name in ("killed", "whole"))
    assert resumed.id == whole.id
    resumed.verify()
