"""Who is found in tables, folders, BIDS and IXI, and who is left out; no image is opened."""

import hashlib
import io
import os
import tarfile
import tempfile
from pathlib import Path

import pytest

from SAMI2ILib.data.preparation import ixi
from SAMI2ILib.data.preparation.bids import find_bids
from SAMI2ILib.data.preparation.cases import Case, ScanFile, choose
from SAMI2ILib.data.preparation.ixi import download_ixi, find_ixi
from SAMI2ILib.data.preparation.table import read_folder, read_table
from SAMI2ILib.errors import InputError, NetworkError
from Testing.lib.files import names_in


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def make_tar(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    return path


# tables


def test_table_names_files_beside_it_and_leaves_cells_empty(tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text(
        "subject,person,site,T1,FLAIR,brain\na-1,a,X,a/t1.nii,a/f.nii,a/b.nii\nb,,,b.nii,,\n"
    )
    (a, b), contrasts = read_table(table)
    assert contrasts == ["T1", "FLAIR"]
    assert (a.person, a.site, a.brain) == ("a", "X", ScanFile(tmp_path / "a" / "b.nii"))
    assert a.scans["FLAIR"].path == tmp_path / "a" / "f.nii"
    assert (b.person, b.site, b.brain, set(b.scans)) == ("b", "", None, {"T1"})


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_table_of_a_spreadsheet_is_read(tmp_path, delimiter):
    table = tmp_path / "pairs.csv"
    lines = [["subject", "T1", "T2"], ["a", "1,5 mm.nii", "x.nii"]]
    table.write_text("\r\n".join(map(delimiter.join, lines)) + "\r\n", encoding="utf-8-sig")
    (a,), _ = read_table(table)
    assert a.scans["T1"].path == tmp_path / "1,5 mm.nii"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,T1\na,b\n", "has no column 'subject', only name, T1"),
        ("subject,site\na,b\n", "has the columns subject, site"),
        ("subject,T1,T1\na,b,c\n", "has a column twice"),
        ("subject,T1\n", "names no subject"),
        ("", "has no column 'subject'"),
        ("subject,T1\na,b,c\n", "has 2 columns, but a line with 3 cells: a,b,c"),
        ("subject,T1\n../a,b\n", "cannot be called '../a'"),
        ("subject,T1 w\na,b\n", "contrast cannot be called 'T1 w'"),
    ],
)
def test_table_that_is_not_right_is_refused(tmp_path, text, message):
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_table(tmp_path / "pairs.csv")


def test_missing_table_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_table(tmp_path / "pairs.csv")


def test_folder_of_subject_folders_is_taken(tmp_path):
    touch(tmp_path, "a/T1.nii.gz", "a/PD.nii.gz", "a/brain.nii.gz", "b/T1.nii")
    (a, b), contrasts = read_folder(tmp_path)
    assert contrasts == ["T1", "PD"]
    assert a.brain == ScanFile(tmp_path / "a" / "brain.nii.gz")
    assert set(b.scans) == {"T1"}


# BIDS


def test_bids_gives_sessions_with_person_and_site(tmp_path):
    touch(
        tmp_path,
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-01/anat/sub-01_T2w.nii",
        "sub-01/anat/sub-01_desc-synthetic_T2w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
        "sub-02/ses-b/anat/sub-02_ses-b_FLAIR.nii.gz",
        "sub-02/ses-b/func/sub-02_ses-b_bold.nii.gz",
    )
    (tmp_path / "participants.tsv").write_text("participant_id\tsite\nsub-01\tX\nsub-02\tY\n")
    cases, remarks = find_bids(tmp_path, ["T1", "T2", "FLAIR"], {})
    assert [(c.name, c.person, c.site, set(c.scans)) for c in cases] == [
        ("sub-01", "sub-01", "X", {"T1", "T2"}),
        ("sub-02_ses-a", "sub-02", "Y", {"T1"}),
        ("sub-02_ses-b", "sub-02", "Y", {"FLAIR"}),
    ]
    assert cases[0].scans["T2"].name == "sub-01_T2w.nii"
    assert remarks == []


def test_bids_takes_the_first_run_and_says_so(tmp_path):
    touch(tmp_path, *(f"sub-1/anat/sub-1_run-{run}_T1w.nii.gz" for run in (10, 2)))
    (case,), (remark,) = find_bids(tmp_path, ["T1"], {})
    assert case.scans["T1"].name == "sub-1_run-2_T1w.nii.gz"
    assert "several runs of T1, the first is taken" in remark.reason


def test_bids_does_not_guess_between_kinds_of_a_contrast(tmp_path):
    names = [f"sub-1/anat/sub-1_acq-{kind}_T1w.nii.gz" for kind in ("low", "high")]
    touch(tmp_path, *names, "sub-1/anat/sub-1_acq-high_T2w.nii.gz")
    (case,), (remark,) = find_bids(tmp_path, ["T1", "T2"], {})
    assert set(case.scans) == {"T2"}
    assert "has several T1, choose with --entity" in remark.reason
    (case,), remarks = find_bids(tmp_path, ["T1", "T2"], {"acq": "high"})
    assert (set(case.scans), remarks) == ({"T1", "T2"}, [])


def test_participants_without_a_site_are_read(tmp_path):
    touch(tmp_path, "sub-01/anat/sub-01_T1w.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tage\nsub-01\t30\n")
    assert find_bids(tmp_path, ["T1"], {})[0][0].site == ""


def test_folder_without_bids_is_refused(tmp_path):
    with pytest.raises(InputError, match="holds no T1 or T2 in sub-"):
        find_bids(tmp_path, ["T1", "T2"], {})
    with pytest.raises(InputError, match="There is no folder"):
        find_bids(tmp_path / "nowhere", ["T1"], {})


# IXI


def test_ixi_is_found_in_folders_and_in_archives(tmp_path):
    touch(
        tmp_path / "IXI",
        "IXI-T1/IXI002-Guys-0828-T1.nii.gz",
        "IXI-T1/IXI016-Guys-0697-T1.nii.gz",
        "IXI-MRA/IXI002-Guys-0828-MRA.nii.gz",
        "IXI-T1/notes.txt",
    )
    make_tar(
        tmp_path / "IXI" / "IXI-T2.tar",
        "./IXI002-Guys-0828-T2.nii.gz",
        "../IXI025-Guys-0852-T2.nii.gz",
    )
    make_tar(tmp_path / "IXI" / "IXI-T1.tar", "IXI002-Guys-0828-T1.nii.gz")
    cases = find_ixi([tmp_path / "IXI"])
    assert [(c.name, c.person, c.site, set(c.scans)) for c in cases] == [
        ("IXI002-Guys-0828", "IXI002", "Guys", {"T1", "T2"}),
        ("IXI016-Guys-0697", "IXI016", "Guys", {"T1"}),
        ("IXI025-Guys-0852", "IXI025", "Guys", {"T2"}),
    ]
    assert cases[0].scans["T1"].member == ""
    with cases[0].scans["T2"].on_disk() as path:
        assert path.name == "IXI002-Guys-0828-T2.nii.gz"
        assert path.read_bytes() == b"./IXI002-Guys-0828-T2.nii.gz"
    assert not path.exists()
    with cases[2].scans["T2"].on_disk() as path:  # a name that leads out of its folder does not
        assert path.name == "IXI025-Guys-0852-T2.nii.gz"
    assert names_in(tmp_path) == ["IXI"]


def test_scan_in_two_folders_is_refused(tmp_path):
    touch(tmp_path, "a/IXI002-Guys-0828-T1.nii.gz", "b/IXI002-Guys-0828-T1.nii.gz")
    with pytest.raises(InputError, match=r"IXI002-Guys-0828-T1.nii.gz is there twice"):
        find_ixi([tmp_path])


def test_place_without_ixi_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        find_ixi([tmp_path / "nowhere"])
    with pytest.raises(InputError, match="holds no file with a name of IXI"):
        find_ixi([touch(tmp_path / "other", "T1.nii.gz")])


def test_archive_that_was_cut_is_refused(tmp_path):
    archive = make_tar(tmp_path / "IXI-T1.tar", "IXI002-Guys-0828-T1.nii.gz")
    archive.write_bytes(archive.read_bytes()[:300])
    with pytest.raises(InputError, match="cannot be read as a tar archive"):
        find_ixi([archive])
    scan = ScanFile(archive, "IXI002-Guys-0828-T1.nii.gz", 512, 28)
    with pytest.raises(InputError, match=r"IXI-T1.tar ends within IXI002"), scan.on_disk():
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Archives that a download would bring; the addresses that were asked for."""
    asked = []

    def download(url: str, destination: Path, **_options: object) -> str:
        asked.append(url)
        destination.parent.mkdir(parents=True, exist_ok=True)
        destination.write_bytes(b"archive")
        return ""

    monkeypatch.setattr(ixi, "download", download)
    md5 = hashlib.md5(b"archive").hexdigest()
    monkeypatch.setattr(ixi, "_MD5", {"T1": md5, "T2": md5, "PD": "0" * 32})
    return asked


def test_only_missing_archives_are_downloaded(tmp_path, server):
    (tmp_path / "IXI-T1").mkdir()
    assert download_ixi(tmp_path, ["T1", "T2"]) == [tmp_path / "IXI-T2.tar"]
    assert download_ixi(tmp_path, ["T1", "T2"]) == [tmp_path / "IXI-T2.tar"]
    assert server == [
        "https://biomedic.doc.ic.ac.uk/brain-development/downloads/IXI/IXI-T2.tar",
    ]


def test_archive_that_is_not_the_published_one_is_refused(tmp_path, server):
    with pytest.raises(NetworkError, match=r"IXI-PD\.tar is not the published archive: its MD5 is"):
        download_ixi(tmp_path, ["PD"])
    with pytest.raises(InputError, match="IXI has T1, T2, PD, but --contrasts names FLAIR"):
        download_ixi(tmp_path, ["FLAIR"])


# choice


def case(name: str, *contrasts: str) -> Case:
    return Case(name, {c: ScanFile(Path(c)) for c in contrasts}, person=name[0])


def test_who_lacks_a_contrast_is_left_out_and_counted():
    cases = [case("b", "T1", "T2"), case("a", "T1", "T2", "PD"), case("c", "PD")]
    found = choose(cases, ["T1", "T2", "PD"], "T2")
    assert [c.name for c in found.cases] == ["a"]
    assert [(r.name, r.reason, r.failed) for r in found.skipped] == [
        ("b", "lacks PD", False),
        ("c", "lacks T1 and T2", False),
    ]
    assert found.counts == {"T1": 2, "T2": 2, "PD": 2}


def test_incomplete_subjects_are_kept_when_asked_for_but_never_without_the_grid():
    cases = [case("a", "T1", "T2"), case("b", "T1", "PD"), case("c", "T2")]
    found = choose(cases, ["T1", "T2", "PD"], "T2", keep_incomplete=True)
    assert [c.name for c in found.cases] == ["a"]
    assert [r.name for r in found.skipped] == ["b", "c"]


def test_contrasts_that_nobody_asked_for_are_dropped():
    found = choose([case("a", "T1", "T2", "PD")], ["T2", "T1"], "T2")
    assert list(found.cases[0].scans) == ["T2", "T1"]


def test_persons_and_subjects_are_excluded_by_name():
    cases = [case("a1", "T1"), case("a2", "T1"), case("b1", "T1"), case("c1", "T1")]
    found = choose(cases, ["T1"], "T1", exclude=["a", "b1"])
    assert [c.name for c in found.cases] == ["c1"]
    assert {r.reason for r in found.skipped} == {"excluded"}


def test_choice_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="--exclude names x"):
        choose([case("a", "T1")], ["T1"], "T1", exclude=["x"])
    with pytest.raises(InputError, match="Nobody of 1 subjects is left to prepare: lacks T2"):
        choose([case("a", "T1")], ["T1", "T2"], "T1")
    with pytest.raises(InputError, match="Two subjects are called 'A' and 'a'"):
        choose([case("a", "T1"), case("A", "T1")], ["T1"], "T1")
    with pytest.raises(InputError, match="Two subjects are called 'a' and 'a'"):
        choose([case("a", "T1"), case("a", "T1")], ["T1"], "T1")


def test_copy_of_a_scan_that_cannot_be_removed_is_no_failure(tmp_path, monkeypatch):
    def refuse(*_arguments, **_options):
        raise PermissionError(13, "The process cannot access the file")

    (tmp_path / "x.tar").write_bytes(b"..scan..")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    scan = ScanFile(tmp_path / "x.tar", "folder/T1.nii", 2, 4)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        with scan.on_disk() as path:
            assert (path.name, path.read_bytes()) == ("T1.nii", b"scan")
    assert path.exists()
