"""Faults around a run, tried for real in this process: full disks, lost folders, changed files."""

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
