"""Faults around a run, tried for real in this process: full disks, paths, links, changed files."""

import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager

import numpy as np
import pytest

from SAMI2ILib.errors import InputError, ModelError
from SAMI2ILib.imaging.io import read_volume, write_volume
from SAMI2ILib.inference.model_loader import load_model
from SAMI2ILib.inference.source_file import read_source
from SAMI2ILib.inference.translate_file import translate_file
from SAMI2ILib.weights import file_sha256, read_model, write_model
from SAMI2ILib.weights.store import Store
from Testing.lib.files import names_in

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
fault = pytest.mark.fault


@pytest.fixture
def translate(sami2i, tiny_model_file):
    def run(source, output, *arguments):
        return sami2i("translate", source, "-o", output, "--model", tiny_model_file, *arguments)

    return run


@pytest.fixture
def translate_meanwhile(tiny_model_file):
    """Translate and do something at the first report of a stage."""
    from SAMI2ILib.inference.device import select_device
    from SAMI2ILib.inference.predictor import TorchPredictor

    def run(source, output, stage, action, model=tiny_model_file):
        loaded = load_model(model)
        waiting = [action]

        def on_progress(now, _done, _total):
            if now == stage and waiting:
                waiting.pop()()

        predictor = TorchPredictor(loaded.network, select_device("cpu", "auto"))
        saved = translate_file(source, output, loaded, predictor, on_progress=on_progress)
        assert not waiting
        return saved

    return run


@contextmanager
def file_size_limit(limit):
    """Let writes beyond a size fail, as on a full disk."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@fault("disk-full")
@posix_only
def test_full_disk_leaves_the_store_as_it_was(sami2i, tiny_model_file, private_store, files_below):
    with file_size_limit(100_000):
        outcome = sami2i("models", "add", tiny_model_file)
    assert outcome.code == 1
    assert "cannot be written: " in outcome.error_line
    assert files_below(private_store) == []
    assert sami2i("models", "add", tiny_model_file).code == 0


@fault("disk-full")
@posix_only
def test_full_disk_leaves_the_result_of_an_earlier_run(
    translate, head_file, make_head, tmp_path, files_below
):
    assert translate(head_file, tmp_path / "o.nii").code == 0
    before = {path: path.read_bytes() for path in tmp_path.glob("o.*")}
    with file_size_limit(20_000):
        outcome = translate(head_file, tmp_path / "o.nii")
    assert outcome.code == 1
    assert "Is the disk full?" in outcome.error_line
    assert {path: path.read_bytes() for path in tmp_path.glob("o.*")} == before
    assert files_below(tmp_path) == ["input/head.nii.gz", "o.json", "o.nii"]


@fault("disk-full")
@posix_only
def test_full_disk_fails_one_case_of_a_cohort_and_the_next_run_makes_it(
    sami2i, make_head, tiny_model_file, tmp_path, files_below
):
    (tmp_path / "in").mkdir()
    write_volume(make_head((3, 12, 12)), tmp_path / "in/small.nii")
    write_volume(make_head((24, 48, 40)), tmp_path / "in/large.nii")
    words = ["translate-cohort", tmp_path / "in", "-o", tmp_path / "out", "--model",
             tiny_model_file]  # fmt: skip
    with file_size_limit(20_000):
        outcome = sami2i(*words)
    assert outcome.code == 1
    images = [name for name in files_below(tmp_path / "out") if name.endswith(".nii")]
    assert images == ["small_synth-T2.nii"]
    assert sami2i(*words).code == 0
    assert not [name for name in files_below(tmp_path) if ".sami2i-" in name]


@fault("disk-full")
@posix_only
def test_full_disk_leaves_no_part_of_a_dicom_series(sami2i, translate, head_file, tmp_path):
    assert translate(head_file, tmp_path / "o.nii").code == 0
    with file_size_limit(3_000):
        outcome = sami2i("export-dicom", tmp_path / "o.nii", "-o", tmp_path / "series")
    assert outcome.code == 1
    assert outcome.error_line
    assert names_in(tmp_path) == ["input", "o.json", "o.nii"]


@fault("folder-gone")
def test_output_folder_that_goes_meanwhile_is_made_again(
    translate_meanwhile, head_file, tmp_path, files_below
):
    out = tmp_path / "out"
    out.mkdir()
    translate_meanwhile(head_file, out / "o.nii", "translate", lambda: shutil.rmtree(out))
    assert files_below(out) == ["o.json", "o.nii"]


@fault("folder-gone")
def test_no_temporary_folder_is_needed(translate, head_file, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", None)
    for name in ("TMPDIR", "TEMP", "TMP"):
        monkeypatch.setenv(name, str(tmp_path / "gone"))
    assert translate(head_file, tmp_path / "o.nii").code == 0


@fault("folder-gone")
@posix_only
def test_current_folder_that_is_gone_is_said(translate, head_file, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    outcome = translate(head_file, "o.nii")
    assert outcome.code == 2
    assert "The folder in which this was started is no longer there." in outcome.error_line


@fault("source-changed")
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_source_that_changes_while_it_is_read_is_refused(kind, make_head, tmp_path, monkeypatch):
    path = tmp_path / "head.nii"
    write_volume(make_head(), path)
    if kind == "folder":
        monkeypatch.setattr(
            "SAMI2ILib.inference.source_file.list_series_files", lambda *_: [path]
        )  # fmt: skip

    def read_and_replace(*_arguments):
        volume = make_head()
        write_volume(volume.with_array(volume.array_kji * 2), path)
        return volume

    monkeypatch.setattr("SAMI2ILib.inference.source_file.read_volume", read_and_replace)
    with pytest.raises(InputError, match="changed while it was read"):
        read_source(path if kind == "file" else tmp_path)


@fault("model-replaced")
@pytest.mark.parametrize("how", ["replaced", "truncated", "removed"])
def test_run_goes_on_with_the_model_that_it_has_read(
    translate_meanwhile, head_file, tiny_model_file, tmp_path, how
):
    model = tmp_path / "m.safetensors"
    shutil.copyfile(tiny_model_file, model)
    expected = translate_meanwhile(head_file, tmp_path / "a.nii", "read", lambda: None, model)
    actions = {
        "replaced": lambda: model.write_bytes(b"another file"),
        "truncated": lambda: os.truncate(model, 1000),
        "removed": model.unlink,
    }
    saved = translate_meanwhile(head_file, tmp_path / "b.nii", "read", actions[how], model)
    assert saved.record["model"] == expected.record["model"]
    assert saved.record["model"]["sha256"] == file_sha256(tiny_model_file)
    assert np.array_equal(
        read_volume(tmp_path / "a.nii").array_kji, read_volume(tmp_path / "b.nii").array_kji
    )


@fault("model-changed")
def test_model_that_is_not_the_one_that_was_added_is_refused(
    sami2i, translate, head_file, tiny_model_file, private_store, tmp_path
):
    assert sami2i("models", "add", tiny_model_file).code == 0
    content = read_model(tiny_model_file)
    tensors = {name: -value for name, value in content.tensors.items()}
    write_model(private_store / "tiny-t1-t2.safetensors", content.spec, tensors)
    for model in ("tiny-t1-t2", private_store / "tiny-t1-t2.safetensors"):
        outcome = sami2i("translate", head_file, "-o", tmp_path / "o.nii", "--model", model)
        assert outcome.code == 2
        assert "has changed since it was added" in outcome.error_line
    assert not (tmp_path / "o.nii").exists()


@fault("model-bit-flipped")
@pytest.mark.parametrize("region", ["length", "names", "description", "weights"])
def test_flipped_bit_in_every_region_of_a_model_is_refused(
    sami2i, head_file, tiny_model_file, tmp_path, region
):
    content = bytearray(tiny_model_file.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    place = {
        "length": 0,
        "names": content.index(b'"decoder.') + 3,
        "description": content.index(b"Random weights"),
        "weights": (header + len(content)) // 2,
    }[region]
    content[place] ^= 1
    flipped = tmp_path / "flipped.safetensors"
    flipped.write_bytes(content)
    outcome = sami2i("translate", head_file, "-o", tmp_path / "o.nii", "--model", flipped)
    assert outcome.code == 2
    assert str(flipped) in outcome.error_line
    assert not (tmp_path / "o.nii").exists()


@fault("clock")
def test_clock_that_is_wrong_changes_no_voxel(translate, head_file, tmp_path, monkeypatch):
    assert translate(head_file, tmp_path / "now.nii").code == 0
    right = time.time
    for name, seconds in {"past": -40 * 365 * 86400, "future": 60 * 365 * 86400}.items():
        monkeypatch.setattr(time, "time", lambda seconds=seconds: right() + seconds)
        for path in head_file.parent.iterdir():
            os.utime(path, (right() + seconds,) * 2)
        assert translate(head_file, tmp_path / f"{name}.nii").code == 0
        assert np.array_equal(
            read_volume(tmp_path / f"{name}.nii").array_kji,
            read_volume(tmp_path / "now.nii").array_kji,
        )
    assert head_file.is_file()


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


@fault("two-runs")
def test_model_added_by_another_process_meanwhile_keeps_its_record(
    tiny_model_file, private_store, tmp_path, monkeypatch
):
    """The other process adds its model after this one has looked at the index."""
    from dataclasses import replace

    from SAMI2ILib.weights import store as store_module

    content = read_model(tiny_model_file)
    other = tmp_path / "other.safetensors"
    write_model(other, replace(content.spec, id="other"), content.tensors)
    copy = store_module.copy_checked
    waiting = [other]

    def copy_while_another_adds(*arguments):
        if waiting:
            Store(private_store).add(waiting.pop())
        copy(*arguments)

    monkeypatch.setattr(store_module, "copy_checked", copy_while_another_adds)
    Store(private_store).add(tiny_model_file)
    names = json.loads((private_store / "index.json").read_text())["files"].keys()
    assert names == {"other.safetensors", "tiny-t1-t2.safetensors"}


@fault("model-bit-flipped")
def test_encoder_file_that_changes_between_check_and_reading_is_refused(tiny_model_file):
    from SAMI2ILib.weights import read_tensors

    with pytest.raises(ModelError, match="changed while it was read"):
        read_tensors(tiny_model_file, sha256="ab" * 32)
