"""Which volumes a cohort holds, and what their results are called."""

import json
import re
import sys

import pytest

from SAMI2ILib.errors import InputError
from SAMI2ILib.inference.cohort.bids import derivative_fields, write_description
from SAMI2ILib.inference.cohort.cases import find_cases


@pytest.fixture
def make_files(tmp_path):
    """Make empty files in a folder: no image is opened to list a cohort."""

    def make(*names, content=b""):
        folder = tmp_path / "in"
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder

    return make


def listed(folder, tmp_path, pattern=None):
    found = find_cases(folder, tmp_path / "out", "T1", "T2", pattern)
    return {case.name: case.output.as_posix() for case in found.cases}


def test_flat_folder_gives_the_images_named_for_the_contrast(make_files, tmp_path):
    folder = make_files(
        "anna_T1.nii.gz", "anna_T2.nii.gz", "bert-t1w.nrrd", "carl.nii", "._anna_T1.nii.gz", "x.txt"
    )
    assert listed(folder, tmp_path) == {
        "anna_T1": "anna_T1_synth-T2.nii.gz",
        "bert-t1w": "bert-t1w_synth-T2.nrrd",
    }
    assert find_cases(folder, tmp_path / "out", "T1", "T2").left_out == 2


def test_flat_folder_without_such_names_gives_all_but_other_contrasts(make_files, tmp_path):
    folder = make_files("anna.nii.gz", "bert.nii.gz", "bert_FLAIR.nii.gz")
    assert sorted(listed(folder, tmp_path)) == ["anna", "bert"]


def test_subfolders_give_their_images_of_the_contrast(make_files, tmp_path):
    folder = make_files("anna/T1.nii.gz", "anna/T2.nii.gz", "anna/brain.nii.gz", "bert/T1.nii")
    assert listed(folder, tmp_path) == {
        "anna/T1": "anna/T1_synth-T2.nii.gz",
        "bert/T1": "bert/T1_synth-T2.nii",
    }


def test_subfolder_of_dicom_files_is_one_volume(make_files, tmp_path):
    folder = make_files("series-7/1.dcm", "series-7/2.dcm", content=bytes(128) + b"DICM")
    make_files("notes/x.txt")
    assert listed(folder, tmp_path) == {"series-7": "series-7_synth-T2.nii.gz"}


def test_results_and_other_synthetic_volumes_are_no_input(make_files, tmp_path):
    folder = make_files("anna_T1.nii", "bert_T1_synth-T2.nii", "out/carl_T1.nii")
    (folder / "bert_T1_synth-T2.json").write_text('{"synthetic": true}')
    found = find_cases(folder, folder / "out", "T1", "T2")
    assert [case.name for case in found.cases] == ["anna_T1"]


def test_pattern_chooses_instead(make_files, tmp_path):
    folder = make_files("a/b/mprage.nii.gz", "a/b/T1.nii.gz", "a/b/mprage.txt")
    assert listed(folder, tmp_path, "**/mprage*") == {"a/b/mprage": "a/b/mprage_synth-T2.nii.gz"}


@pytest.mark.parametrize("pattern", ["/etc/*", "../*", ""])
def test_pattern_outside_the_folder_is_refused(make_files, tmp_path, pattern):
    folder = make_files("T1.nii")
    with pytest.raises(InputError, match=f"--pattern '{re.escape(pattern)}' cannot be used"):
        listed(folder, tmp_path, pattern)


def test_bids_data_set_gives_every_session_and_run(make_files, tmp_path):
    folder = make_files(
        "dataset_description.json",
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.json",
        "sub-02/anat/sub-02_run-1_T1w.nii",
        "sub-02/anat/sub-02_run-2_T1w.nii",
        "sub-02/anat/._sub-02_run-2_T1w.nii",  # as macOS leaves it on other systems' disks
        "derivatives/x/sub-02/anat/sub-02_T1w.nii.gz",
        "sub-02/dwi/sub-02_dwi.nii.gz",
    )
    assert listed(folder, tmp_path) == {
        "sub-01_ses-1_T1w": "sub-01/ses-1/anat/sub-01_ses-1_desc-synthetic_T2w.nii.gz",
        "sub-02_run-1_T1w": "sub-02/anat/sub-02_run-1_desc-synthetic_T2w.nii",
        "sub-02_run-2_T1w": "sub-02/anat/sub-02_run-2_desc-synthetic_T2w.nii",
    }
    found = find_cases(folder, tmp_path / "out", "T1", "T2")
    assert found.bids_root == folder
    assert found.left_out == 1


@pytest.mark.parametrize(("raw", "stripped"), [("{}", False), ('{"SkullStripped": true}', True)])
def test_sidecar_of_a_derivative_says_whether_there_is_a_skull(make_files, raw, stripped):
    folder = make_files("sub-1/anat/sub-1_T1w.nii.gz")
    image = folder / "sub-1/anat/sub-1_T1w.nii.gz"
    (image.parent / "sub-1_T1w.json").write_text(raw)
    fields = derivative_fields(image, "T1", "T2")
    assert fields["SkullStripped"] is stripped
    assert fields["Description"].startswith("Synthetic T2, estimated from a T1. Research use only")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_table_gives_its_rows(tmp_path, separator):
    table = tmp_path / "list.csv"
    lines = ["name,source", "p01,scans/a.nii.gz", "", "p02 , scans/b.nrrd"]
    table.write_text("\n".join(lines).replace(",", separator), encoding="utf-8-sig")
    found = find_cases(table, tmp_path / "out", "T1", "PD")
    assert [(c.name, c.source, c.output.as_posix()) for c in found.cases] == [
        ("p01", tmp_path / "scans/a.nii.gz", "p01_synth-PD.nii.gz"),
        ("p02", tmp_path / "scans/b.nrrd", "p02_synth-PD.nrrd"),
    ]


def test_table_without_names_uses_those_of_the_files(tmp_path):
    (tmp_path / "list.csv").write_text("source,series\na/x.nii.gz,1.2.3\na/y.nii.gz\n")
    found = find_cases(tmp_path / "list.csv", tmp_path / "out", "T1", "T2")
    assert [(case.name, case.series_uid) for case in found.cases] == [("x", "1.2.3"), ("y", None)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path\na.nii\n", "has no column 'source', only path"),
        (b"", "has no column 'source'"),
        (b"source\n\xff\xfe\n", "it is not UTF-8"),
        (b"source\n" + b"x" * 200_000, "cannot be read: field larger"),
        (b"source,name\n,x\n", "Row 1 of 'list.csv' below its header: no source"),
        (b"source,name\na.nii,../x\n", "name '../x' cannot be a file's"),
        (b"source,name\na.nii,..\n", "cannot be a file's"),
        (b"source,name\na.nii,c:x\n", "cannot be a file's"),
        (b"source\n", "has no row"),
    ],
)
def test_table_that_cannot_be_used_is_refused(tmp_path, content, message):
    table = tmp_path / "list.csv"
    table.write_bytes(content)
    with pytest.raises(InputError, match=message):
        find_cases(table, tmp_path / "out", "T1", "T2")


@pytest.mark.parametrize(
    "names",
    [
        ("a_T1.nii", "a_T1.nii.gz"),
        ("a_T1.nii", "A_T1.nrrd"),
        ("\u00e9_T1.nii", "e\u0301_T1.nrrd"),  # one name on macOS
    ],
)
def test_two_sources_of_one_result_are_refused(make_files, tmp_path, names):
    with pytest.raises(InputError, match="would have the same result"):
        listed(make_files(*names), tmp_path)


def test_folder_without_volumes_is_refused(make_files, tmp_path):
    with pytest.raises(InputError, match="holds no volume that is known to be a T1"):
        listed(make_files("anna_T2.nii"), tmp_path)


def test_pattern_that_names_nothing_is_said(make_files, tmp_path):
    folder = make_files("anna_T1.nii")
    with pytest.raises(InputError, match=r"holds no volume that --pattern 'b\*' names"):
        find_cases(folder, tmp_path / "out", "T1", "T2", "b*")


def test_name_of_an_image_for_many_results_is_refused(make_files, tmp_path):
    with pytest.raises(InputError, match=r"-o names an image, out\.nii\.gz, but a cohort has many"):
        find_cases(make_files("anna_T1.nii"), tmp_path / "out.nii.gz", "T1", "T2")


def test_pattern_for_a_table_is_refused(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("source\nhead.nii\n")
    with pytest.raises(InputError, match=r"--pattern chooses in a folder, but 't\.csv' is a table"):
        listed(table, tmp_path, "*")


def test_file_for_many_results_is_refused(make_files, tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match=r"-o .*out is a file, but a cohort has many"):
        find_cases(make_files("anna_T1.nii"), tmp_path / "out", "T1", "T2")


@pytest.mark.parametrize("name", ["nothing", "head.nii.gz"])
def test_input_that_is_no_cohort_is_refused(tmp_path, name):
    (tmp_path / "head.nii.gz").touch()
    with pytest.raises(InputError, match="is not a folder and not a table"):
        listed(tmp_path / name, tmp_path)


def test_results_among_the_inputs_are_refused(make_files):
    folder = make_files("T1.nii")
    with pytest.raises(InputError, match="would lie among the inputs"):
        find_cases(folder, folder / ".." / "in", "T1", "T2")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows lets few users make links")
def test_results_among_the_inputs_are_refused_however_the_folder_is_called(
    make_files, tmp_path, monkeypatch
):
    folder = make_files("T1.nii")
    (tmp_path / "IN").symlink_to(folder)  # as a disk of macOS takes it, which `resolve` does not
    monkeypatch.setattr(type(folder), "resolve", lambda path, strict=False: path.absolute())
    with pytest.raises(InputError, match="would lie among the inputs"):
        find_cases(folder, tmp_path / "IN", "T1", "T2")


def test_description_makes_the_results_a_derivative(make_files, tmp_path):
    source = {"Name": "Heads", "BIDSVersion": "1.8.0", "DatasetDOI": "doi:10.1/x"}
    data_set = make_files("dataset_description.json", content=json.dumps(source).encode())
    for _ in range(2):  # a second run finds its own description
        write_description(tmp_path / "out", data_set, ("cohort.csv", "logs/"))
    fields = json.loads((tmp_path / "out/dataset_description.json").read_text())
    assert (fields["Name"], fields["DatasetType"]) == ("Synthetic images of Heads", "derivative")
    assert fields["GeneratedBy"][0]["Name"] == "SAM-I2I for 3D Slicer"
    assert fields["SourceDatasets"] == [{"DOI": "doi:10.1/x"}]
    assert (tmp_path / "out/.bidsignore").read_text() == "/cohort.csv\n/logs/\n"
    assert "Research use only" in (tmp_path / "out/README").read_text()


@pytest.mark.parametrize("text", ['{"Name": "Heads"}', "damaged", '{"GeneratedBy": "me"}'])
def test_another_data_set_is_not_described_anew(make_files, tmp_path, text):
    data_set = make_files("dataset_description.json", content=b"[]")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/dataset_description.json").write_text(text)
    with pytest.raises(InputError, match="'out' is another data set"):
        write_description(tmp_path / "out", data_set, ())


def test_endless_name_in_a_table_makes_no_endless_message(tmp_path):
    (tmp_path / "c.csv").write_text(f"source,name\na.nii,a:{'b' * 30_000}\n")
    with pytest.raises(InputError, match="cannot be a file's") as caught:
        find_cases(tmp_path / "c.csv", tmp_path / "out", "T1", "T2")
    assert len(str(caught.value)) < 300
