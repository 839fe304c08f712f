"""Faults of names and paths: any script, no UTF-8, too long, links, one file over another."""

import json
import os
import shutil
import sys

import pytest

from SAMI2ILib.imaging.io import write_volume
from Testing.lib.files import names_in

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
fault = pytest.mark.fault


@fault("non-ascii-path", "spaces-in-path")
@pytest.mark.parametrize(
    "name", ["Müller, Jürgen.nii.gz", "患者 頭部.nrrd", "пациент\u00a01.mha", "😀.nii"]
)
def test_names_of_any_script_are_kept(translate, make_head, tmp_path, name):
    folder = tmp_path / "Ärzte und 医師 (neu)"
    folder.mkdir()
    write_volume(make_head((5, 20, 20)), folder / name)
    outcome = translate(folder / name, folder / "Ergebnis ñ")
    assert outcome.code == 0, outcome.err
    (record,) = (folder / "Ergebnis ñ").glob("*.json")
    assert json.loads(record.read_text(encoding="utf-8"))["source"]["file"] == name


@fault("non-ascii-path")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is Unicode")
@pytest.mark.parametrize("place", ["input", "output", "series"])
def test_name_that_is_not_utf8_is_refused(translate, head_file, tmp_path, place):
    """As files have it that an old system wrote in Latin-1; SimpleITK aborts the process."""
    name = os.fsdecode(b"M\xfcller.nii.gz")
    source, output = head_file, tmp_path / "o.nii"
    if place == "input":
        source = head_file.rename(tmp_path / name)
    elif place == "output":
        output = tmp_path / name
    else:
        head_file.rename(head_file.with_name(name))
        source = head_file.parent
    outcome = translate(source, output)
    assert outcome.code == 2
    assert r"'M\\udcfcller.nii.gz' holds letters that are not UTF-8" in outcome.error_line
    assert not output.exists()


@fault("non-ascii-path")
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is Unicode")
def test_name_that_is_not_utf8_does_not_stop_a_cohort(
    sami2i, make_head, tiny_model_file, tmp_path, files_below
):
    (tmp_path / "in").mkdir()
    write_volume(make_head((3, 12, 12)), tmp_path / "in/a.nii")
    shutil.copyfile(tmp_path / "in/a.nii", tmp_path / "in" / os.fsdecode(b"M\xfcller.nii"))
    outcome = sami2i(
        "translate-cohort", tmp_path / "in", "-o", tmp_path / "out", "--model", tiny_model_file
    )
    assert outcome.code == 1
    assert (tmp_path / "out/a_synth-T2.nii").is_file()
    assert "not UTF-8" in (tmp_path / "out/cohort.csv").read_text(encoding="utf-8")


@fault("long-path")
def test_deep_folder_is_written_to(translate, head_file, tmp_path):
    if sys.platform == "win32":
        pytest.skip("Windows allows 260 characters unless it is told otherwise")
    deep = tmp_path.joinpath(*["a folder of forty-four letters, as deep ones"] * 20)
    outcome = translate(head_file, deep / "o.nii.gz")
    assert outcome.code == 0, outcome.err
    assert len(str(deep)) > 800
    assert names_in(deep) == ["o.json", "o.nii.gz"]


@fault("long-path")
@pytest.mark.parametrize("place", ["input", "output", "made name"])
def test_name_that_is_too_long_is_said_in_a_line(translate, head_file, tmp_path, place):
    source, output = head_file, tmp_path / "o.nii"
    if place == "input":
        source = tmp_path / f"{'x' * 300}.nii"
    elif place == "output":
        output = tmp_path / f"{'x' * 300}.nii"
    else:
        source = head_file.rename(tmp_path / f"{'x' * 240}.nii.gz")
        output = tmp_path / "out"
    outcome = translate(source, output)
    assert outcome.code == 2
    assert "longer than this system allows. Choose a shorter name." in outcome.error_line
    assert len(outcome.error_line) < 250


@fault("symbolic-links")
@posix_only
def test_link_to_the_input_is_read_and_never_written_through(translate, head_file, tmp_path):
    before = head_file.read_bytes()
    link, hard = tmp_path / "link.nii.gz", tmp_path / "hard.nii.gz"
    link.symlink_to(head_file)
    hard.hardlink_to(head_file)
    assert translate(link, tmp_path / "o.nii").code == 0
    for output in (link, hard):
        outcome = translate(head_file, output)
        assert outcome.code == 2
        assert "The output is the input itself." in outcome.error_line
    assert head_file.read_bytes() == before


@fault("symbolic-links")
@posix_only
def test_output_replaces_a_dangling_link_and_follows_a_linked_folder(
    translate, head_file, tmp_path, files_below
):
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "real/o.nii").symlink_to(tmp_path / "nowhere.nii")
    assert translate(head_file, tmp_path / "linked/o.nii").code == 0
    assert not (tmp_path / "real/o.nii").is_symlink()
    assert not (tmp_path / "nowhere.nii").exists()
    assert files_below(tmp_path / "real") == ["o.json", "o.nii"]


@fault("symbolic-links")
@posix_only
def test_sidecar_that_is_a_link_to_another_file_is_not_written_through(
    translate, head_file, tmp_path
):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "o.json").symlink_to(tmp_path / "notes.txt")
    outcome = translate(head_file, tmp_path / "o.nii")
    assert outcome.code == 2
    assert "is not replaced" in outcome.error_line
    assert (tmp_path / "notes.txt").read_text() == "mine"


@fault("symbolic-links")
@posix_only
def test_link_that_leads_to_itself_is_said(translate, tmp_path):
    (tmp_path / "loop.nii").symlink_to(tmp_path / "loop.nii")
    outcome = translate(tmp_path / "loop.nii", tmp_path / "o.nii")
    assert outcome.code == 2
    assert "loop.nii does not exist" in outcome.error_line


@fault("output-over-input")
@pytest.mark.parametrize("second", ["o.nii", "o.nrrd"])
def test_second_result_over_the_first_or_its_sidecar_is_refused(
    translate, head_file, tmp_path, second
):
    outcome = translate(head_file, tmp_path / "o.nii", "--working-grid", tmp_path / second)
    assert outcome.code == 2
    assert "would have the same sidecar" in outcome.error_line
    assert not (tmp_path / "o.nii").exists()
